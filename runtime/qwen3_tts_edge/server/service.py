"""What all protocols share: a bundle that speaks, who may speak, the voices and the metrics."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from typing_extensions import Self

from qwen3_tts_edge.backends import ON_THE_CPU
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.errors import InputError, lack
from qwen3_tts_edge.machine.hardware import cpu_can
from qwen3_tts_edge.server.problems import FieldError, blaming
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.speaking import whole
from qwen3_tts_edge.server.speaking.admission import Admission, RefusedError, Ticket
from qwen3_tts_edge.server.speaking.metrics import Metrics, Record
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.server.speaking.whole import Answer
from qwen3_tts_edge.server.speaking.worker import Worker
from qwen3_tts_edge.server.voices.names import Voices
from qwen3_tts_edge.server.voices.references import References
from qwen3_tts_edge.sound.encoding import Encoder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import RAMP
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.voices.matching import any_voice

if TYPE_CHECKING:
    from qwen3_tts_edge.server.voices.remote import Remote

_OPENAI = re.compile(r"((gpt-4o-mini-)?tts|gpt(-4o)?(-mini)?-realtime)(-|$)")
_WARM_UP = "One, two, three."
_log = logging.getLogger(__name__)


class Service:
    """A bundle that is served.

    Attributes:
        settings: What it was told.
        synthesizer: The worker's; its bundle and encoders are everybody's to read.
        worker: The thread that speaks.
        admission: Who may speak.
        voices: By the names that clients know.
        references: Recordings that come with requests.
        metrics: What is counted.
        conversations: Websockets that have not said their end.
    """

    def __init__(self, synthesizer: Synthesizer, settings: Settings) -> None:
        """Take a synthesizer, which is the worker's from now on; `open` is the usual way in."""
        self.settings = settings
        self.synthesizer = synthesizer
        self.worker = Worker(synthesizer)
        self.admission = Admission(
            synthesizer.slots,
            queue=settings.queue,
            seconds=settings.queue_seconds,
            per_key=settings.per_key,
        )
        self.voices = Voices(synthesizer.bundle, settings.voice_aliases)
        self.metrics = Metrics()
        self.metrics.running.set_function(lambda: self.admission.running)
        self.metrics.waiting.set_function(lambda: self.admission.waiting)
        self.references = References(
            synthesizer.listener,
            largest=settings.largest_body,
            remote=_remote(settings) if settings.remote_audio else None,
        )
        self.conversations = 0
        self._ready = False

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open a bundle to serve it.

        Raises:
            Qwen3TTSError: As for `Synthesizer.open`.
        """
        synthesizer = Synthesizer.open(
            settings.bundle,
            backend=settings.backend,
            threads=settings.threads,
            slots=settings.slots,
        )
        if synthesizer.slots > 1 and _depends_on_company(synthesizer.manifest):
            _log.warning(
                "a bundle in %s says something else here with the same seed when others speak "
                "beside it; serve one in int8, or take --slots 1",
                synthesizer.manifest.precision,
            )
        service = cls(synthesizer, settings)
        if lost := settings.voice_aliases and service.voices.leading_nowhere():
            _log.warning("a --voice-alias is for %s, and there is no such voice", ", ".join(lost))
        return service

    @property
    def name(self) -> str:
        """Of the model, as clients know it."""
        return self.synthesizer.manifest.checkpoint.name

    @property
    def alive(self) -> bool:
        """Whether it can speak at all."""
        return self.worker.alive

    @property
    def ready(self) -> bool:
        """Whether it has spoken once, which is slower, and lets people in."""
        return self._ready and self.alive and self.admission.open

    def check_model(self, name: str | None) -> None:
        """Refuse a model that is not here. OpenAI's names are ours too: clients send them unasked.

        Raises:
            FieldError: It is not; says what is.
        """
        if name and name.split("/")[-1].lower() != self.name.lower() and not _OPENAI.match(name):
            raise FieldError(
                "model",
                f"there is no model {name!r}",
                f"there is {self.name}",
                code="model_not_found",
                status=404,
            )

    def check_length(self, text: str, param: str) -> None:
        """Refuse a text that is too long; `param` is its field.

        Raises:
            FieldError: It is; says how long it may be.
        """
        if len(text) > self.settings.largest_text:
            raise FieldError(
                param,
                f"the text has {len(text)} characters; {self.settings.largest_text} is the most",
                "send less at once",
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Speak while this goes on; first what nobody hears, for the first time takes longer."""
        self.worker.start()
        warming = asyncio.create_task(self._warm())
        try:
            yield
        finally:
            warming.cancel()
            self.admission.close()
            await asyncio.to_thread(self.worker.stop)

    async def _warm(self) -> None:
        try:
            await asyncio.wrap_future(self.worker.do(self._warm_up))
        except Exception:
            _log.exception("the first utterance, which nobody hears, failed: this is never ready")
            return
        self._ready = True
        _log.info("%s is ready to speak, %d at once", self.name, self.synthesizer.slots)

    def _warm_up(self) -> None:
        # On a GPU each number of slots is captured when it is first launched.
        count = 1 if self.synthesizer.backend in ON_THE_CPU else self.synthesizer.slots
        voice = any_voice(self.synthesizer.manifest)
        self.synthesizer.speak_batch([Request(_WARM_UP, voice, max_seconds=2.0)] * count)

    async def speak(
        self,
        request: Request,
        encoder: Encoder,
        *,
        text: str,
        field: str,
        ended: bool,
        transport: str,
        key: str,
        chunk_frames: tuple[int, ...] = RAMP,
    ) -> Session:
        """Let a client speak.

        Args:
            request: Its text is left out.
            encoder: Of its sound.
            text: The first of what is said; more is appended to the session.
            field: Of the client's request, that has it: what is wrong now is wrong with that.
            ended: It is all of it.
            transport: The protocol's name, for the metrics.
            key: Whose request it is, see `keys`.
            chunk_frames: Frames a chunk; the last number goes on.

        Returns:
            A session that has begun, to be closed in a `finally`.

        Raises:
            RefusedError: There is no place for it.
            InputError: Something asked for is not to be had.
            WorkerDiedError: There is nobody to speak.
        """
        ticket, record = await self._enter(transport, key)
        session = Session(self.worker, request, chunk_frames, encoder, ticket, record)
        try:
            with blaming(field):
                await session.begin(text, ended=ended)
        except BaseException as error:
            record.end(_outcome(error))
            session.close()
            raise
        return session

    async def speak_whole(
        self, request: Request, encoder: Encoder, *, transport: str, key: str
    ) -> Answer:
        """Speak all of a text before any of it is heard.

        What has run away, or ended before its text can have been spoken, is begun anew. Arguments
        and errors are those of `speak`, but that the request has its text.
        """
        ticket, record = await self._enter(transport, key)
        try:
            answer = await whole.spoken(self.worker, request, encoder)
        except BaseException as error:
            record.end(_outcome(error))
            raise
        finally:
            ticket.leave()
        record.sound(answer.seconds)
        record.end("ok", answer.frames, answer.runaways)
        return answer

    async def _enter(self, transport: str, key: str) -> tuple[Ticket, Record]:
        """Wait for a place to speak."""
        record = self.metrics.arrived(transport)
        try:
            ticket = await self.admission.enter(key)
        except BaseException as error:
            record.end(_outcome(error))
            raise
        record.admitted()
        return ticket, record

    async def drain(self) -> float:
        """Let nobody in any more, and wait until all have spoken or time is up.

        Of a websocket that has spoken what it says at the end may still wait for its reader.

        Returns:
            Seconds that are left, in which who listens may take what was spoken.
        """
        self.admission.close()
        end = time.monotonic() + self.settings.drain_seconds
        while self.admission.running or self.conversations:
            if not self.alive or time.monotonic() >= end:
                break
            await asyncio.sleep(0.05)
        return max(0.0, end - time.monotonic())


def _depends_on_company(manifest: Manifest) -> bool:
    """Tell whether codes are known to be others when others speak, on this processor."""
    found, _, needed = manifest.in_company.partition(" with ")
    return found == "different" or bool(needed and not cpu_can(needed))


def _remote(settings: Settings) -> "Remote":
    try:
        from qwen3_tts_edge.server.voices.remote import Remote
    except ImportError as error:
        raise InputError(
            f"fetching recordings needs a package that {lack(error)}",
            'run: pip install "qwen3-tts-edge[serve,remote-audio]"',
        ) from error
    return Remote(largest=settings.largest_body)


def _outcome(error: BaseException) -> str:
    """Name, for the metrics, how a request ended that got no answer."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "rejected" if isinstance(error, InputError | RefusedError) else "error"
