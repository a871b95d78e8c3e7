"""One client of Wyoming's: what it says is read while it is spoken to."""

import asyncio
import socket

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.tts import SynthesizeStopped

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.server.doors.keys import ANYBODY
from qwen3_tts_edge.server.listening import UNSENT
from qwen3_tts_edge.server.problems import problem_of
from qwen3_tts_edge.server.protocols.wyoming.events import LINE, Chunk, Start, Whole, data_of, read
from qwen3_tts_edge.server.protocols.wyoming.utterance import Utterance
from qwen3_tts_edge.server.protocols.wyoming.voices import find, info
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.speaking.admission import QUIET
from qwen3_tts_edge.server.speaking.speech import Sound
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.speech.request import Request

PATIENCE = 60.0
"""Seconds that a client may keep others waiting: without a word, or without reading."""

PARTING = 5.0
"""Seconds in which what was said last may arrive."""

_ASKED = 4
"""Utterances that a client may have asked for and not heard."""

_CHARACTER = 12
"""Bytes of one in JSON, at most: two escapes."""

_GONE = (OSError, asyncio.TimeoutError)


class Connection:
    """A client, from its coming to its going. Its utterances are spoken one after the other."""

    def __init__(
        self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take a client.

        Args:
            service: Who speaks.
            reader: Of what it sends, whose limit is `events.LINE`.
            writer: To it.
        """
        self._service, self._reader, self._writer = service, reader, writer
        self._rate = service.synthesizer.manifest.sample_rate
        self._largest = _CHARACTER * service.settings.largest_text + LINE
        self._growing: Utterance | None = None  # whose text has not ended
        self._asked: asyncio.Queue[Utterance | None] = asyncio.Queue()
        self._unheard = 0
        # Where the socket is a file, it does not have this from the one it came by.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)

    async def serve(self) -> None:
        """Do what the client asks until it goes, or something is wrong, which it is told."""
        doing = (self._read_all(), self._speak_all(), self._leave())
        tasks = [asyncio.create_task(each) for each in doing]
        errors: list[BaseException | None] = []
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            errors = [task.exception() for task in done]
        except asyncio.CancelledError:
            errors = [self._service.admission.stopping()]
        for task in tasks:
            task.cancel()  # whoever speaks gives the place back
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.part(next(filter(None, errors), None))

    def finish(self) -> None:
        """End when all that was asked for is spoken."""
        self._asked.put_nowait(None)

    async def part(self, error: BaseException | None) -> None:
        """Close the connection; if something is wrong, say it."""
        try:
            if not isinstance(error, _GONE):
                await asyncio.wait_for(self._say_goodbye(error), PARTING)
        except _GONE:
            pass
        finally:
            self._writer.transport.abort()

    async def _say_goodbye(self, error: BaseException | None) -> None:
        if error is not None:
            await self._blame(error)
        self._writer.write_eof()
        while await self._reader.read(LINE):
            pass  # a socket that is closed with something unread takes back what it sent

    async def _blame(self, error: BaseException) -> None:
        problem = problem_of(error)
        await self._write(Error(problem.message, problem.code or problem.kind))

    async def _read_all(self) -> None:
        while (event := await self._next()) is not None:
            match event.type:
                case "describe":
                    await self._write(await asyncio.to_thread(info, self._service))
                case "synthesize-start":
                    start = data_of(event, Start)
                    if self._growing is not None:  # whoever begins anew has given up the former
                        self._growing.drop()
                    self._growing = self._ask(start, streamed=True)
                case "synthesize-chunk" if self._growing is not None:
                    self._growing.append(data_of(event, Chunk).text)
                case "synthesize-chunk":
                    await self._blame(InputError(f"{event.type} came before synthesize-start"))
                case "synthesize-stop":  # some wait for its answer for ever, in their turn
                    (self._growing or self._ask(Start(), streamed=True)).end()
                    self._growing = None
                case "synthesize" if self._growing is None:  # else its text again, for who reads it
                    whole = data_of(event, Whole)
                    utterance = self._ask(whole, streamed=False)
                    utterance.append(whole.text)
                    utterance.end()

    async def _next(self) -> Event | None:
        """Wait for an event; who listens may be silent."""
        reading = asyncio.create_task(read(self._reader, self._largest))
        try:
            while not (await asyncio.wait({reading}, timeout=PATIENCE))[0]:
                if self._growing is not None or not self._unheard:
                    raise InputError(f"nothing came within {PATIENCE:g} s")
            return reading.result()
        finally:
            reading.cancel()

    def _ask(self, start: Start, *, streamed: bool) -> Utterance:
        if self._unheard >= _ASKED:
            raise InputError(f"{_ASKED} utterances wait already", "listen to one of them first")
        largest = self._service.settings.largest_text
        utterance = Utterance(start.voice, streamed=streamed, largest=largest)
        self._asked.put_nowait(utterance)
        self._unheard += 1
        return utterance

    async def _speak_all(self) -> None:
        while (utterance := await self._asked.get()) is not None:
            if await utterance.words():
                await self._speak(utterance)
            elif not utterance.streamed:  # nothing to say is no fault
                await self._write(AudioStart(self._rate, 2, 1))
                await self._write(AudioStop())
            if utterance.error is not None:
                raise utterance.error
            if utterance.streamed and not utterance.dropped:
                await self._write(SynthesizeStopped())
            self._unheard -= 1

    async def _leave(self) -> None:
        """When the server stops, wait no longer for more of a text than a moment."""
        admission = self._service.admission
        await admission.closed()
        while True:
            growing = self._growing
            left = growing.left if growing is not None else 0
            await asyncio.sleep(QUIET)
            if growing is not None and growing is self._growing and growing.left == left:
                growing.leave(admission.stopping())
                self._growing = None

    async def _speak(self, utterance: Utterance) -> None:
        voice, language = find(self._service.voices, utterance.voice)
        form = encoder("pcm", self._rate)
        session = await self._service.speak(
            Request(None, voice, language=language),
            form,
            text=utterance.take(),
            field="text",
            ended=not utterance.streamed,
            transport="wyoming",
            key=ANYBODY,
        )
        try:
            if utterance.streamed:
                utterance.go_on(session)
            await self._write(AudioStart(self._rate, 2, 1))
            async for event in session:
                if isinstance(event, Sound) and event.data:
                    await self._write(AudioChunk(self._rate, 2, 1, event.data))
            await self._write(AudioStop())
        finally:
            session.close()

    async def _write(self, told: Eventable) -> None:
        """Send an event to a client that reads."""
        # Not `wait_for`: before Python 3.12 it can lose a cancel that comes with the last byte.
        late = asyncio.get_running_loop().call_later(PATIENCE, self._writer.transport.abort)
        try:
            await async_write_event(told.event(), self._writer)
        finally:
            late.cancel()
