"""What a case of the oracle is in the runtime's own words."""

from dataclasses import dataclass
from typing import Any

from oracle import Case
from oracle.cases import Reference, reference_values
from qwen3_tts_edge import Voice
from qwen3_tts_edge.voices.voice import Clone
from tiny import tiny_config


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
    elif case.reference is not None:
        voice = Voice.cloned(drawn_clone(case.reference))
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


def drawn_clone(reference: Reference) -> Clone:
    """The clone of a reference that is drawn, for a tiny base checkpoint."""
    config, codec = tiny_config("base")
    vector, codes = reference_values(
        reference,
        hidden_size=config["talker_config"]["hidden_size"],
        codebook_size=codec["decoder_config"]["codebook_size"],
    )
    return Clone(vector) if reference.text is None else Clone(vector, codes, reference.text)
