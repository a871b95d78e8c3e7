"""How long a text usually takes to say."""

import unicodedata

import pytest

from qwen3_tts_edge.pace import usual_seconds


def test_seconds_are_those_of_its_parts_whatever_the_blanks() -> None:
    assert usual_seconds("Hello, you.") == usual_seconds("Hel lo,") + usual_seconds(" you.")
    decomposed = unicodedata.normalize("NFD", "Ça été")
    assert usual_seconds(decomposed) == pytest.approx(usual_seconds("Ça été"))


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("What time is it in Tokyo right now?", 2.2),
        ("今天天气很好，我们一起去公园散步吧。", 4.0),
        ("今日はとても良い天気なので、公園へ行きましょう。", 4.5),
        ("오늘은 날씨가 참 좋네요. 같이 공원에 갈까요?", 4.0),
        ("Сегодня прекрасная погода, пойдём в парк.", 3.5),
        ("Das Wetter ist schön, wir gehen in den Park.", 3.2),
        ("3.14159265358979", 6.5),
        ("NASA, IBM, HTTP, XML, JSON", 6.0),
        ("WHAT TIME IS IT IN TOKYO RIGHT NOW?", 2.8),
    ],
)
def test_and_about_what_speech_takes(text: str, usual: float) -> None:
    assert 0.7 * usual <= usual_seconds(text) <= 1.7 * usual
