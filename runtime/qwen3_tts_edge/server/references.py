"""Recordings that come with requests: read in bounded memory, heard once, kept for a while."""

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.voice import Clone

_KEPT = 32
"""Voices that are remembered: a conversation sends the same recording with every sentence."""


class References:
    """Recordings → voices. One is heard at a time, beside the thread that speaks."""

    def __init__(self, listener: Listener, *, largest: int) -> None:
        """Take the encoders.

        Args:
            listener: Of the bundle.
            largest: Bytes of a recording.
        """
        self._listener = listener
        self._largest = largest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qwen3-tts-listening")
        self._heard: OrderedDict[bytes, Clone] = OrderedDict()

    async def voice(self, source: str, text: str | None, *, param: str = "ref_audio") -> Clone:
        """Hear the voice of a recording that a request names.

        Args:
            source: A `data:` URI or base64.
            text: What it says, or None.
            param: The request's field, for errors.

        Raises:
            InputError: It is none of these, too large, or no material for a voice.
        """
        self._listener.check()
        return await self.heard(self._bytes(source, param), text)

    async def heard(self, data: bytes, text: str | None, **notes: str | None) -> Clone:
        """Hear the voice of a sound file's bytes; `notes` are those of `Listener.voice`."""
        key = hashlib.sha256(data + b"\0" + (text or "").encode()).digest()
        if not notes and (known := self._heard.pop(key, None)) is not None:
            self._heard[key] = known
            return known
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._listener.voice(data, text, **notes)
        )
        found = self._heard[key] = await work
        while len(self._heard) > _KEPT:
            self._heard.popitem(last=False)
        return found

    def _bytes(self, source: str, param: str) -> bytes:
        if source.startswith("data:"):
            head, _, source = source.partition(",")
            if not head.endswith(";base64"):
                raise FieldError(
                    param, "the data: URI is not base64", "encode the recording as base64"
                )
        elif ":" in source[:16]:
            raise FieldError(
                param, f"{source[:16]!r}… is no recording", "send the recording as base64"
            )
        try:
            data = base64.b64decode("".join(source.split()), validate=True)
        except binascii.Error as error:
            raise FieldError(
                param, f"it is not base64 ({error})", "send a sound file's bytes"
            ) from None
        if len(data) > self._largest:
            raise FieldError(param, f"the recording is larger than {self._largest} bytes")
        return data
