"""Every error a caller may meet. Each is also a Python error of its kind: catch either.

A message says what was found, what was expected and what to do, on one line.
"""

from typing_extensions import Self

_SHOWN = 60
"""Characters of a value that stand in a message: it may be a whole recording."""


_LONGEST = 200
"""Characters of what others have written that stand in a message."""


def reason(error: BaseException) -> str:
    """Give what a library says, as a message can hold it."""
    return shortened(str(error)) or type(error).__name__


def shortened(text: str) -> str:
    """Give what others have written, as a message can hold it: a line, and not too much of it."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def lack(error: ImportError) -> str:
    """Say what is wrong with a package that cannot be imported: it may be there, and broken."""
    absent = isinstance(error, ModuleNotFoundError)
    return f"{'is not installed' if absent else 'cannot be loaded'} ({reason(error)})"


def refuse_lfs_pointer(head: bytes, name: object, error: "type[Qwen3TTSError]") -> None:
    """Refuse what Git leaves in the place of a large file that was not fetched.

    Args:
        head: How the file begins.
        name: What the message calls it.
        error: What is raised.
    """
    if head.startswith(b"version https://git-lfs"):
        raise error(f"{name} is a Git LFS pointer, not the file itself", "run: git lfs pull")


def quoted(value: object) -> str:
    """Give a value that others have written, as a message can hold it."""
    return shortened(_repr(value))


def _repr(value: object) -> str:
    """Give a value's `repr`; of some it raises, as of a number of five thousand digits."""
    try:
        return repr(value)
    except Exception:
        return f"a {type(value).__name__} that cannot be written"


class Qwen3TTSError(Exception):
    """The family: `except Qwen3TTSError` catches everything this package raises on purpose.

    Attributes:
        found: What was found, and what was expected.
        remedy: What to do; None where `found` says it.
    """

    def __init__(self, found: str, remedy: str | None = None) -> None:
        super().__init__(found if remedy is None else f"{found}; {remedy}")
        self.found = found
        self.remedy = remedy


class InputError(Qwen3TTSError, ValueError):
    """The caller asked for something that cannot be spoken: text, speaker, language, a setting."""

    @classmethod
    def of(cls, name: str, value: object, expected: str, remedy: str | None = None) -> Self:
        """Say that an argument is of the wrong type, by its name; a long value is cut."""
        found = " ".join(_repr(value).split())  # of an array in one line
        shown = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}..."
        return cls(f"{name} is {shown}; expected {expected}", remedy)


class CapacityError(InputError):
    """The request does not fit the KV cache that was allocated when the bundle was opened."""


class BusyError(Qwen3TTSError, RuntimeError):
    """Nobody can speak on: every slot is taken by a stream that is not read, or has no text."""


class OpenedError(Qwen3TTSError, TypeError):
    """What is open in one process was to be copied, or sent to another."""


class BundleError(Qwen3TTSError):
    """The bundle is missing, damaged, or made by another version."""


class BackendError(Qwen3TTSError, RuntimeError):
    """The backend asked for is not installed, or is not the one that runs."""


class CheckpointError(Qwen3TTSError):
    """The checkpoint is incomplete, damaged, or not one this project reads."""
