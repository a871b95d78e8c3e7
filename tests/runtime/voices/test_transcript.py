"""A text that cannot be what a recording says is noticed."""

import pytest

from qwen3_tts_edge.voices.transcript import compare

SENTENCE = "Everyone is entitled to rights."


@pytest.mark.parametrize(
    ("text", "seconds", "found"),
    [
        ("x", 8.0, "of 1 characters, is a fraction of what is said in it"),
        ("word " * 450, 1.0, "is more than can be said in it"),
        ("ref.txt", 10.0, "a fraction"),
        (SENTENCE, 2.2, ""),
        (SENTENCE, 6.0, ""),
        ("今天天气很好，我们一起去公园散步吧。", 4.0, ""),
        ("Yes.", 1.0, ""),
    ],
)
def test_a_text_is_held_against_the_length(
    text: str, seconds: float, found: str, caplog: pytest.LogCaptureFixture
) -> None:
    compare(text, seconds)
    assert found in caplog.text
    assert bool(found) is bool(caplog.records)
