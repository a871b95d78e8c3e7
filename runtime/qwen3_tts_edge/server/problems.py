"""Errors as OpenAI's clients read them: a status, a kind and a body they can unwrap."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

from qwen3_tts_edge.errors import BusyError, CapacityError, InputError, Qwen3TTSError
from qwen3_tts_edge.server.speaking.admission import RefusedError

_log = logging.getLogger(__name__)
_LONGEST = 500
"""Characters of what was found, which may repeat what a client sent."""


class Error(BaseModel):
    """What a client is told, for the server's description."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is an error; of Deepgram's clients some know no `error`."""

    error: Error
    err_code: str
    err_msg: str


@dataclass(frozen=True)
class Problem:
    """What is told to a client whose request failed.

    Attributes:
        status: Of HTTP.
        message: What was found and what to do.
        kind: OpenAI's `type`.
        param: The field that is wrong, or None.
        code: A word for programs, or None.
        headers: To be sent with it.
    """

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, Any]:
        """The object under `error` in the body."""
        return {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }

    @property
    def err_code(self) -> str:
        """The word for programs that Deepgram's clients are told, who always need one."""
        return (self.code or self.kind).upper()

    def answer(self) -> JSONResponse:
        """Make the answer over HTTP."""
        body = {"error": self.error, "err_code": self.err_code, "err_msg": self.message}
        return JSONResponse(body, self.status, dict(self.headers))


class FieldError(InputError):
    """A field of a request is wrong.

    Attributes:
        param: Its name; None is the whole.
        code: A word for programs, or None.
        status: Of HTTP.
    """

    def __init__(
        self,
        param: str | None,
        found: str,
        remedy: str | None = None,
        *,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(found, remedy)
        self.param, self.code, self.status = param, code, status


@contextmanager
def blaming(param: str) -> Iterator[None]:
    """Say of what is wrong in here which field it is about."""
    try:
        yield
    except FieldError:
        raise
    except InputError as error:
        raise FieldError(param, error.found, _remedy(error)) from error


def invalid(what: str, error: Mapping[str, Any], where: Iterable[object]) -> FieldError:
    """Make an error of one that pydantic found.

    Args:
        what: That is wrong: the body, the message.
        error: One of those of a `ValidationError`.
        where: The names of the field in it, from outside in.
    """
    if error["type"] == "json_invalid":
        return FieldError(None, f"{what} is not JSON: {error['ctx']['error']}")
    names = [str(name) for name in where]
    found = f"{'.'.join(names) or what}: {error['msg']}"
    return FieldError(names[0] if names else None, found)


def problem_of(error: BaseException) -> Problem:
    """Say what a client shall be told of an error; what is no fault of its own goes to the log."""
    if not isinstance(error, Qwen3TTSError):
        _log.error("a request failed", exc_info=error)
        said = "something is wrong with this server; its log says what"
        return Problem(500, said, "server_error")
    said = _told(error)
    if isinstance(error, RefusedError):
        headers = {"retry-after": str(error.retry_after)}
        if error.own:
            return Problem(429, said, "rate_limit_error", None, "rate_limited", headers)
        return Problem(503, said, "server_error", None, "overloaded", headers)
    if isinstance(error, FieldError):
        return Problem(error.status, said, param=error.param, code=error.code)
    if isinstance(error, InputError):
        return Problem(400, said)
    if isinstance(error, BusyError):
        return Problem(503, said, "server_error", None, "overloaded", {"retry-after": "1"})
    return Problem(503, said, "server_error", None, "unavailable")


def _told(error: Qwen3TTSError) -> str:
    """Give what an error says; what was found may be anything that a client sent."""
    found = error.found if len(error.found) <= _LONGEST else f"{error.found[:_LONGEST]}…"
    remedy = _remedy(error)
    return found if remedy is None else f"{found}; {remedy}"


def _remedy(error: Qwen3TTSError) -> str | None:
    """Say what a client can do: how much there is room for was settled when the server began."""
    return "send less at once" if isinstance(error, CapacityError) else error.remedy
