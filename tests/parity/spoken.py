"""What a case of the oracle is in the runtime's own words."""

from dataclasses import dataclass
from typing import Any

from oracle import Case
from qwen3_tts_edge import Voice


@dataclass(frozen=True)
class Request:
    """One call of `Synthesizer.stream` or `PromptBuilder.build`, and the bundle it goes to."""

    kind: str
    predictor: str
    text: str
    voice: Voice
    options: dict[str, Any]


def request(case: Case) -> Request:
    """Ask the runtime for what `case` asks of the official package.

    Two things the official package takes and the runtime does not, on purpose: a CustomVoice
    without a speaker goes to the VoiceDesign bundle of the same tensors, whose prompt has no
    speaker either; the instruction that the official 0.6B drops in silence is left out here.
    """
    kind = case.kind
    instruct = case.instruct
    if kind == "custom_voice" and not case.speaker:
        kind, voice = "voice_design", Voice.design("")
    elif kind == "voice_design":
        voice, instruct = Voice.design(case.instruct or ""), None
    else:
        assert case.speaker
        voice = Voice.speaker(case.speaker)
        if case.predictor == "same":
            instruct = None
    layout = "upfront" if case.non_streaming else "streamed"
    options = {"language": case.language, "instruct": instruct, "text_layout": layout}
    return Request(kind, case.predictor, case.text, voice, options)
