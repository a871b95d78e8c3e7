"""The body of a request for speech: OpenAI's fields, and vLLM-Omni's for Qwen3-TTS.

Source: https://platform.openai.com/docs/api-reference/audio/createSpeech;
    vllm_omni/entrypoints/openai/protocol/audio.py of https://github.com/vllm-project/vllm-omni
"""

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from qwen3_tts_edge.bundle.names import STREAMED, UPFRONT
from qwen3_tts_edge.server.problems import blaming
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.stream import RAMP

_SAMPLING = [field.name for field in fields(Sampling)]


class VoiceId(BaseModel):
    """OpenAI's way to name a voice that was uploaded."""

    id: str


class Speech(BaseModel):
    """What is asked for. Null is as good as absent; fields that are not known here are ignored.

    The sampling settings have their official names.
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
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    initial_codec_chunk_frames: Annotated[int, Field(ge=1, le=250)] | None = None
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

    @property
    def named(self) -> str | None:
        """The voice by its name."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice or self.speaker

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
        for name in _SAMPLING:
            with blaming(name):
                Sampling(**{name: getattr(self, name)})
        return Sampling(**{name: getattr(self, name) for name in _SAMPLING})

    @property
    def chunk_frames(self) -> tuple[int, ...]:
        """Frames a chunk."""
        first = self.initial_codec_chunk_frames
        return RAMP if first is None else (first, *(size for size in RAMP if size > first))

    @property
    def events(self) -> bool:
        """Whether sound is sent in events, not as it is."""
        return self.stream_format == "sse" or (self.stream_format is None and self.stream is True)

    @property
    def whole(self) -> bool:
        """Whether all is spoken before any of it is sent."""
        return self.stream is False and not self.events
