"""Texts in letters that no language of a checkpoint is written in."""

import pytest

from qwen3_tts_edge.text.scripts import foreign_script

ALL = [
    *("chinese", "english", "french", "german", "italian"),
    *("japanese", "korean", "portuguese", "russian", "spanish"),
]


@pytest.mark.parametrize(
    ("text", "languages", "script"),
    [
        ("Good morning.", ["english"], None),
        ("Ｇｏｏｄ　ｍｏｒｎｉｎｇ。", ["english"], None),
        ("He said 你好 and left the room.", ["english"], None),
        ("Wir müssen çok naïve bleiben.", ["english"], None),
        ("12:30, 3.5 — 😀", ["english"], None),
        ("", ["english"], None),
        ("今天天气很好。", ["english"], "Chinese"),
        ("おはようございます。", ["english", "chinese"], "Hiragana"),
        ("今日は東京で会議。", ["japanese"], None),
        ("오늘은 날씨가 좋다.", ["english"], "Hangul"),
        ("Доброе утро, Alice.", ["english"], "Cyrillic"),
        ("Good morning.", ["russian"], "Latin"),
        ("Καλημέρα.", ALL, "Greek"),
        ("صباح الخير", ["arabic"], None),
        ("صباح الخير", ["english", "arabic"], None),
        ("今天天气很好。", [], None),
    ],
)
def test_most_letters_decide(text: str, languages: list[str], script: str | None) -> None:
    assert foreign_script(text, languages) == script


@pytest.mark.parametrize(
    "text",
    [
        *("今天天气很好。", "Good morning.", "Bonjour à tous.", "Guten Tag, Jürgen.", "Città."),
        *("東京へ行きます。", "안녕하세요.", "Não há pão.", "Доброе утро.", "¿Qué año?"),
    ],
)
def test_the_released_checkpoints_know_their_ten_languages(text: str) -> None:
    assert foreign_script(text, ALL) is None
