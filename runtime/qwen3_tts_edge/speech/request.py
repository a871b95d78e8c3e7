"""What may be asked for, as a value."""

from dataclasses import dataclass

from qwen3_tts_edge.speech.prompt import AUTO
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.voices.voice import Voice


@dataclass(frozen=True)
class Request:
    """One text to speak and how.

    Attributes:
        text: What to say.
        voice: Who says it; None is the first named speaker.
        language: One of `Synthesizer.languages`.
        instruct: How to say it, in words, where the checkpoint takes it.
        text_layout: `upfront` or `streamed`; None is what the checkpoint was made for.
        sampling: None is the checkpoint's defaults.
        seed: 0 to 2**64 - 1; None draws one.
        max_seconds: Cut the speech after this long; None is several times what the text takes.
    """

    text: str
    voice: Voice | None = None
    language: str = AUTO
    instruct: str | None = None
    text_layout: str | None = None
    sampling: Sampling | None = None
    seed: int | None = None
    max_seconds: float | None = None
