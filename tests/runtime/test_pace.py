"""How long a text usually takes to say."""

import unicodedata

import pytest

from qwen3_tts_edge.pace import usual_seconds
from usual_times import USUAL


def test_seconds_are_those_of_its_parts_whatever_the_blanks() -> None:
    assert usual_seconds("Hello, you.") == usual_seconds("Hel lo,") + usual_seconds(" you.")
    decomposed = unicodedata.normalize("NFD", "Ça été")
    assert usual_seconds(decomposed) == pytest.approx(usual_seconds("Ça été"))


@pytest.mark.parametrize(("text", "usual"), [*USUAL, ("WHAT TIME IS IT IN TOKYO RIGHT NOW?", 2.8)])
def test_and_about_what_speech_takes(text: str, usual: float) -> None:
    assert 0.7 * usual <= usual_seconds(text) <= 1.7 * usual
