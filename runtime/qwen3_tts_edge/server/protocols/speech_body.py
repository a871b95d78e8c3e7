"""The body of a request for speech: OpenAI's fields, and vLLM-Omni's for Qwen3-TTS.

Source: https://platform.openai.com/docs/api-reference/audio/createSpeech;
    vllm_omni/entrypoints/openai/protocol/audio.py of https://github.com/vllm-project/vllm-omni
"""

from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from qwen3_tts_edge.bundle.names import STREAMED, UPFRONT
from qwen3_tts_edge.errors import quoted
from qwen3_tts_edge.server.problems import FieldError, blaming
from qwen3_tts_edge.server.protocols.said import unheard
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.stream import RAMP

T = TypeVar("T")
_SAMPLING = [field.name for field in fields(Sampling)]
_PARTNER = "send ref_audio, or leave this out"


class VoiceId(BaseModel):
    """OpenAI's way to name a voice that was uploaded."""

    id: str


class Speech(BaseModel):
    """What is asked for. Null is as good as absent; fields that are not known here are ignored.

    So is a text without a word, of those that say who shall speak. The sampling settings have
    their official names.
    """

    model_config = ConfigDict(strict=True)

    input: Annotated[str, Field(min_length=1)]
    model: str | None = None
    voice: str | VoiceId | None = None
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    speed: Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False)] | None = None
    stream_format: Literal["audio", "sse"] | None = None

    speaker: str | None = None
    stream: bool | None = None
    sample_rate: int | None = None
    task_type: Literal["CustomVoice", "VoiceDesign", "Base"] | None = None
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    x_vector_only_mode: bool | None = None
    speaker_embedding: list[float] | None = None
    references: Annotated[Any, unheard("not known here; send ref_audio and ref_text")] = None
    extra_params: Annotated[Any, unheard("not known here; leave it out")] = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=-1, lt=2**64)] | None = None
    initial_codec_chunk_frames: Annotated[int, Field(ge=0, le=250)] | None = None
    non_streaming_mode: bool | None = None
    word_timestamps: bool | None = None

    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    subtalker_dosample: bool | None = None
    subtalker_temperature: float | None = None
    subtalker_top_k: int | None = None
    subtalker_top_p: float | None = None

    @field_validator("ref_audio", "ref_text", "speaker", "voice")
    @classmethod
    def _without_blanks(cls, said: T) -> T | None:
        name = said.id if isinstance(said, VoiceId) else said
        return None if isinstance(name, str) and not name.strip() else said

    @property
    def named(self) -> str | None:
        """The voice by its name."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice or self.speaker

    def check_voice(self) -> None:
        """Refuse what says who shall speak in two ways, or by half of one.

        Raises:
            FieldError: It does; names the field that contradicts another, or lacks it.
        """
        named, heard = (self.named or "").strip(), self.ref_audio is not None
        if self.speaker is not None and self.speaker.strip().lower() != named.lower():
            raise FieldError("speaker", f"voice is {quoted(named)}", "send one of them")
        if heard and self.speaker_embedding is not None:
            raise FieldError("speaker_embedding", "there is ref_audio too", "send one of them")
        if self.ref_text is not None and not heard:
            raise FieldError("ref_text", "there is no ref_audio that says it", _PARTNER)
        if self.x_vector_only_mode and not (heard or self.speaker_embedding):
            raise FieldError("x_vector_only_mode", "there is no ref_audio to hear", _PARTNER)
        if heard and self.x_vector_only_mode is False and self.ref_text is None:
            raise FieldError(
                "ref_text",
                "x_vector_only_mode is false, which needs what ref_audio says",
                "send its words, or leave x_vector_only_mode out",
            )

    @property
    def layout(self) -> str | None:
        """Where the text stands in the prompt; None is as the checkpoint was made for."""
        return {None: None, True: UPFRONT, False: STREAMED}[self.non_streaming_mode]

    @property
    def sampling(self) -> Sampling:
        """How codes are chosen.

        Raises:
            FieldError: A value is outside its range.
        """
        given: dict[str, Any] = {name: getattr(self, name) for name in _SAMPLING}
        switches = {name: given[name] for name in ("do_sample", "subtalker_dosample")}
        for name in _SAMPLING:  # each beside what may say that it chooses nothing
            with blaming(name):
                Sampling(**{**switches, name: given[name]})
        return Sampling(**given)

    @property
    def chunk_frames(self) -> tuple[int, ...]:
        """Frames a chunk."""
        first = self.initial_codec_chunk_frames
        return RAMP if not first else (first, *(size for size in RAMP if size > first))

    @property
    def events(self) -> bool:
        """Whether sound is sent in events, not as it is.

        `stream` alone means events where vLLM-Omni streams, which is PCM and WAV. Of other formats
        only clients of Kokoro-FastAPI and its like say it, who read sound as it is.
        """
        if self.stream_format is not None:
            return self.stream_format == "sse"
        return self.stream is True and self.response_format in (None, "pcm", "wav")

    @property
    def whole(self) -> bool:
        """Whether all is spoken before any of it is sent."""
        return self.stream is False and not self.events
