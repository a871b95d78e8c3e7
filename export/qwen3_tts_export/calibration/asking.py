"""What a checkpoint is asked to say: texts of its languages, in its voices."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import count, zip_longest

import msgspec

from qwen3_tts_edge import Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.names import BASE, TEXT_LAYOUTS, VOICE_DESIGN
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.text.languages import AUTO

_UNKNOWN = "english"
"""The texts for a checkpoint that names none of the languages that there are texts of."""


@dataclass(frozen=True)
class Asked:
    """One utterance.

    Attributes:
        prompt: Of the runtime.
        seed: Of its draws.
        greedy: Whether the likeliest code is taken always.
    """

    prompt: Prompt
    seed: int
    greedy: bool


def asked(bundle: Bundle) -> Iterator[Asked]:
    """Ask for one utterance after the other, without end.

    The first of every two in the first round is greedy, all others are sampled. A base checkpoint
    has heard nobody yet: it is asked without a voice.

    Args:
        bundle: With the tables, the tokenizer and a manifest; graphs are not needed.
    """
    manifest = bundle.manifest
    voices: list[Voice | None] = [Voice.speaker(name) for name in sorted(manifest.speakers)]
    if manifest.checkpoint.model_type == BASE:
        origin = msgspec.structs.replace(manifest.checkpoint, model_type=VOICE_DESIGN)
        manifest = msgspec.structs.replace(manifest, checkpoint=origin)
        bundle = Bundle(bundle.folder, manifest)
        voices = [Voice.design("")]
    elif manifest.checkpoint.model_type == VOICE_DESIGN:
        voices = [Voice.design(text) for text in _lines("designs")]
    elif not voices:
        voices = [None]
    build = PromptBuilder(bundle).build
    by_language = [[(name, text) for text in _lines(name)] for name in sorted(manifest.languages)]
    texts = [one for each in zip_longest(*by_language) for one in each if one is not None]
    texts = texts or [(AUTO, text) for text in _lines(_UNKNOWN)]
    for number in count():
        turn, place = divmod(number, len(texts))
        language, text = texts[place]
        prompt = build(
            text,
            voices[(place + turn) % len(voices)],
            language=language,
            text_layout=TEXT_LAYOUTS[(place // 2 + turn) % len(TEXT_LAYOUTS)],
        )
        yield Asked(prompt, seed=number, greedy=turn == 0 and place % 2 == 0)


def _lines(name: str) -> list[str]:
    """Read the texts of a language, if there are any."""
    file = resources.files("qwen3_tts_export") / "calibration" / "texts" / f"{name}.txt"
    return file.read_text("utf-8").splitlines() if file.is_file() else []
