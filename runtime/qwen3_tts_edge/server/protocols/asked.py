"""What a request asks for, checked field by field: an error says which of them is wrong."""

from dataclasses import dataclass
from typing import Any

from qwen3_tts_edge.server.problems import blaming
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.sound.encoding import Encoder, encoder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.text.languages import language_named
from qwen3_tts_edge.voices.matching import match


@dataclass(frozen=True)
class Fields:
    """A protocol's names for what can be asked for."""

    voice: str = "voice"
    language: str = "language"
    form: str = "output_format"
    rate: str = "output_format"
    bitrate: str = "output_format"
    speed: str = "speed"

    def request(
        self, service: Service, voice: str | None, language: str | None, seed: int | None
    ) -> Request:
        """Read who shall speak, and in which language; the text is left out.

        Raises:
            FieldError: There is no such voice or language.
        """
        with blaming(self.voice):
            found = service.voices.find(voice)
            match(service.synthesizer.manifest, found, None)
        with blaming(self.language):
            language_named(language, service.synthesizer.languages)
        return Request(None, found, language=language, seed=seed)

    def encoder(
        self,
        service: Service,
        name: str,
        *,
        rate: int | None = None,
        bitrate: int | None = None,
        speed: float | None = None,
    ) -> Encoder:
        """Make the encoder of the sound that is asked for; None leaves the choice to the server.

        Raises:
            FieldError: There is no such sound.
        """
        made = service.synthesizer.manifest.sample_rate
        asked: dict[str, Any] = {}
        with blaming(self.form):
            found = encoder(name, made)
        for field, setting, value in (
            (self.rate, "rate_out", rate),
            (self.bitrate, "bitrate", bitrate),
            (self.speed, "speed", speed),
        ):
            if value is not None:
                asked[setting] = value
                with blaming(field):
                    found = encoder(name, made, **asked)
        return found
