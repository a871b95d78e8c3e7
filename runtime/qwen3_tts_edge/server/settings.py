"""What a server may be told: by flags, by the environment, or in Python."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qwen3_tts_edge.errors import InputError

_KEY = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What comes through a header as it was sent."""


@dataclass(frozen=True)
class Settings:
    """How a bundle is served.

    Attributes:
        bundle: Its folder; None is the voice that comes with the package.
        backend: One of `backends.BACKENDS`.
        threads: CPU threads that work at once; None is one per physical core.
        slots: Who may speak at once; None as `Synthesizer.open` says.
        queue: How many may wait until somebody has spoken.
        queue_seconds: How long each may wait. Clients give up after 10 s.
        per_key: Requests at once of one key; None is no limit.
        keys: One of them has to come with every request; none lets everybody in.
        open_lists: Models and voices are told without a key.
        cors_origins: Origins whose web pages may use the server from a browser; `*` is all.
        remote_audio: Recordings that are named by an address are fetched, from public hosts.
        voice_aliases: Other names for voices, beside OpenAI's.
        largest_body: Bytes of a request.
        body_seconds: In which all of a request has to be there.
        largest_text: Characters of a request.
        drain_seconds: How long who speaks may go on when the server is told to stop.

    Raises:
        InputError: A key is empty, which everybody would show, or none that a header can hold.
    """

    bundle: str | Path | None = None
    backend: str = "auto"
    threads: int | None = None
    slots: int | None = None
    queue: int = 32
    queue_seconds: float = 5.0
    per_key: int | None = None
    keys: tuple[str, ...] = ()
    open_lists: bool = True
    cors_origins: tuple[str, ...] = ()
    remote_audio: bool = False
    voice_aliases: Mapping[str, str] = field(default_factory=dict)
    largest_body: int = 16 << 20
    body_seconds: float = 60.0
    largest_text: int = 100_000
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not all(map(_KEY.fullmatch, self.keys)):
            raise InputError(
                "a key is empty, or has a blank at an end or what is not ASCII",
                "give --api-key letters, digits and signs; is the variable set that holds it?",
            )
