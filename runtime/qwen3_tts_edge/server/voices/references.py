"""Recordings that come with requests: read in bounded memory, heard once, kept for a while."""

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor  # noqa: TID251 - an event loop asks for one
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from qwen3_tts_edge.arrays import Vector
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.speaking.admission import RefusedError
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.voice import Clone

if TYPE_CHECKING:
    from qwen3_tts_edge.server.voices.remote import Remote

_KEPT = 32
"""Voices that are remembered: a conversation sends the same recording with every sentence."""

_WAITING = 8
"""Recordings that may come from other hosts or wait to be heard, for each is held in memory."""


class References:
    """Recordings → voices. One is heard at a time, beside the thread that speaks."""

    def __init__(self, listener: Listener, *, largest: int, remote: "Remote | None") -> None:
        """Take the encoders.

        Args:
            listener: Of the bundle.
            largest: Bytes of a recording.
            remote: Fetches recordings from other hosts; None lets nobody ask for that.
        """
        self._listener = listener
        self._largest = largest
        self._remote = remote
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qwen3-tts-listening")
        self._heard: OrderedDict[bytes, Clone] = OrderedDict()
        self._waiting = 0

    def check(self, text: str | None = None) -> None:
        """Refuse a checkpoint that does not clone, and a text that is empty, before any work.

        Raises:
            InputError: It is one of these.
        """
        self._listener.check(text)

    async def voice(self, source: str, text: str | None) -> Clone:
        """Hear the voice of a recording that a request names.

        Args:
            source: A `data:` URI, base64, or an address where that is allowed.
            text: What it says, or None.

        Raises:
            InputError: It is none of these, too large, or no material for a voice; or the
                checkpoint does not clone.
            RefusedError: Too many wait to be heard.
        """
        self.check(text)
        recording: bytes | str = source
        if source[:8].lower().startswith(("http:", "https:")):
            if self._remote is None:
                raise InputError(
                    "this server fetches no recordings from other hosts",
                    "send the recording as base64, or start the server with --remote-audio",
                )
            with self._place():
                recording = await self._remote.fetched(source)
        key = _key(recording, text)
        if (known := self._heard.pop(key, None)) is not None:
            self._heard[key] = known
            return known
        found = self._heard[key] = await self.heard(recording, text)
        while len(self._heard) > _KEPT:
            self._heard.popitem(last=False)
        return found

    async def heard(
        self, recording: bytes | str, text: str | None, *, consent: str | None = None
    ) -> Clone:
        """Hear a voice.

        Args:
            recording: A sound file's bytes, or base64 of them with or without `data:`.
            text: What it says, or None.
            consent: Who allowed its use and for what, or None.

        Raises:
            InputError: It is too large, or no material for a voice.
            RefusedError: Too many wait to be heard.
        """
        with self._place():
            return await asyncio.get_running_loop().run_in_executor(
                self._thread,
                lambda: self._listener.voice(self._bytes(recording), text, consent=consent),
            )

    def given(self, vector: Sequence[float], consent: str | None = None) -> Clone:
        """Take a speaker vector that was heard elsewhere.

        Args:
            vector: (hidden,).
            consent: Who allowed its use and for what, or None.

        Raises:
            InputError: The checkpoint does not clone, or its vectors are others.
        """
        return self._listener.given(vector_of(vector), consent=consent)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold one of the places of recordings that wait."""
        if self._waiting == _WAITING:
            raise RefusedError(f"{_WAITING} recordings wait to be heard", 2.0)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _bytes(self, recording: bytes | str) -> bytes:
        data = _decoded(recording) if isinstance(recording, str) else recording
        if len(data) > self._largest:
            raise InputError(f"the recording is larger than {self._largest} bytes")
        return data


def vector_of(numbers: Sequence[float]) -> Vector:
    """Take numbers as float32, (n,); what it does not hold becomes endless, and is refused."""
    with np.errstate(over="ignore"):
        return np.array(numbers, np.float32)


def _key(recording: bytes | str, text: str | None) -> bytes:
    data = recording if isinstance(recording, bytes) else recording.encode(errors="surrogatepass")
    said = repr(text).encode()
    return hashlib.sha256(hashlib.sha256(data).digest() + said).digest()


def _decoded(source: str) -> bytes:
    if source[:5].lower() == "data:":
        head, _, source = source.partition(",")
        if not head.lower().endswith(";base64"):
            raise InputError("the data: URI is not base64", "encode the recording as base64")
    elif ":" in source[:16]:
        raise InputError(
            "what is sent is the name of a recording", "send the recording itself as base64"
        )
    try:
        return base64.b64decode("".join(source.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"it is not base64 ({error})", "send a sound file's bytes") from None
