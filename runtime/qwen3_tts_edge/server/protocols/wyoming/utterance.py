"""What a Wyoming client wants said: its text may come while it is spoken."""

import asyncio

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.protocols.wyoming.events import VoiceAsked
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.text.stops import SPOKEN


class Utterance:
    """A text, by whom, and its session as soon as there is one.

    Attributes:
        voice: Who shall speak, or None.
        streamed: Whether its text comes in chunks, and its end is told.
        dropped: Whether no more of it shall be heard, not even that it has ended.
        left: Characters that may still come.
        error: Why it goes on no further than it came, or None.
    """

    def __init__(self, voice: VoiceAsked | None, *, streamed: bool, largest: int) -> None:
        """Take who shall speak.

        Args:
            voice: As it was asked for.
            streamed: See above.
            largest: Characters of its text.
        """
        self.voice, self.streamed, self.dropped = voice, streamed, False
        self.left = largest
        self.error: Exception | None = None
        self._text = ""  # that no session has yet
        self._spoken = self._ended = False
        self._session: Session | None = None
        self._begins = asyncio.Event()

    def append(self, text: str) -> None:
        """Add to the text.

        Raises:
            InputError: It is too long.
        """
        self.left -= len(text)
        if self.left < 0:
            raise InputError("the text is too long", "send it in parts, one after the other")
        if self._session is not None:
            self._session.append(text)
            return
        self._text += text
        if SPOKEN.search(text):
            self._spoken = True
            self._begins.set()

    def end(self) -> None:
        """End the text."""
        self._ended = True
        self._begins.set()
        if self._session is not None:
            self._session.end()

    def leave(self, error: Exception) -> None:
        """Say what came; then it has failed."""
        self.error = error
        self.end()

    def drop(self) -> None:
        """Say no more of it: its client has begun another without ending it."""
        self.dropped, self._spoken = True, False
        self._begins.set()
        if self._session is not None:
            self._session.close()

    async def words(self) -> bool:
        """Wait for a word, and tell whether there is one: a place is not taken for less."""
        await self._begins.wait()
        return self._spoken

    def take(self) -> str:
        """Give the text that no session has yet."""
        text, self._text = self._text, ""
        return text

    def go_on(self, session: Session) -> None:
        """Let a session have the text from now on."""
        self._session = session
        session.append(self.take())
        if self._ended:
            session.end()
        if self.dropped:
            session.close()
