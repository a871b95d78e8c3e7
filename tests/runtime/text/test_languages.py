"""Languages are understood in every form that people and programs give them in."""

import pytest

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.text.languages import code_of, language_named

KNOWN = ["auto", "chinese", "english", "german", "portuguese"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("english", "english"),
        (" English ", "english"),
        ("en", "english"),
        ("EN", "english"),
        ("en-US", "english"),
        ("pt_BR", "portuguese"),
        ("zh-Hans-CN", "chinese"),
        ("en_US.UTF-8", "english"),
        ("Portuguese-BR", "portuguese"),
        (None, "auto"),
        ("", "auto"),
        ("None", "auto"),
        ("none", "auto"),
        ("Auto", "auto"),
    ],
)
def test_a_language_is_found(given: str | None, found: str) -> None:
    assert language_named(given, KNOWN) == found


def test_a_checkpoint_s_own_name_comes_before_a_code() -> None:
    assert language_named("en", [*KNOWN, "en"]) == "en"
    assert language_named("hi-IN", [*KNOWN, "hi"]) == "hi"  # of a fine-tune


@pytest.mark.parametrize("given", ["fr", "klingon", "e", "english!"])
def test_a_language_that_the_checkpoint_does_not_speak(given: str) -> None:
    with pytest.raises(InputError, match=f"language '{given}' is unknown; choose one of auto, ch"):
        language_named(given, KNOWN)


def test_the_code_of_a_language() -> None:
    assert [code_of(name) for name in ("german", "klingon")] == ["de", "klingon"]
