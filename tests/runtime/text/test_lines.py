"""Which line breaks end a piece, and how long the pause is."""

import pytest

from hard_texts import NO_LIMIT, cut, texts
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.text.lines import PARAGRAPH_PAUSE, SECTION_PAUSE, SENTENCE_PAUSE
from qwen3_tts_edge.text.pieces import Piece
from qwen3_tts_edge.text.sentences import check_text


def test_a_blank_line_ends_a_paragraph_and_pauses_are_between_pieces() -> None:
    text = "One. Two.\r\n \u200b\r\nThree,\nfour.\u2029Five."
    assert cut(text, NO_LIMIT, 1) == [
        Piece("One.", SENTENCE_PAUSE),
        Piece("Two.", PARAGRAPH_PAUSE),
        Piece("Three, four.", PARAGRAPH_PAUSE),
        Piece("Five.", 0.0),
    ]
    assert texts(cut(text, NO_LIMIT)) == ["One. Two.", "Three, four.", "Five."]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The end.\n\n* * *\n\nA beginning.", ["The end.", SECTION_PAUSE, "A beginning."]),
        ("The end.\n—\nA beginning.", ["The end.", SECTION_PAUSE, "A beginning."]),
        ("Title\n=====\n\nText", ["Title", SECTION_PAUSE, "Text"]),
        ("|a|b|\n|---|:-:|\n|1|2|", ["|a|b|", SECTION_PAUSE, "|1|2|"]),
        ("lol\r\n😂😂\r\nnice 😊", ["lol", SECTION_PAUSE, "nice 😊"]),
        ("And then\n\n...\n\n\n___\n\nno.", ["And then", SECTION_PAUSE, "no."]),
        ("One.\u2029?\u2029Two.", ["One.", SECTION_PAUSE, "Two."]),
        ("---\n\nOne.\n\n---", ["One."]),
        ("— Tu viens ?\n— Oui… ♥", ["— Tu viens ?", SENTENCE_PAUSE, "— Oui… ♥"]),
        ("* * *", []),
        ("\n😀\n\n…\n", []),
    ],
)
def test_signs_alone_are_a_longer_pause(text: str, pieces: list[str | float]) -> None:
    found = cut(text, NO_LIMIT, 1)
    assert [each for piece in found for each in (piece.text, piece.pause)][:-1] == pieces
    if pieces:
        check_text(text)
    else:
        with pytest.raises(InputError, match="has no letter or digit; give at least one word"):
            check_text(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("* One\n* Two", ["* One", "* Two"]),
        ("1. Eggs\n2. Milk\n10. Bread", ["1. Eggs", "2. Milk", "10. Bread"]),
        (
            "Buy:\r\n  - eggs\r\n  - milk,\r\n    of a cow\r\n- bread",
            ["Buy:", "- eggs", "- milk, of a cow", "- bread"],
        ),
        ("1、鸡蛋\n2、牛奶", ["1、鸡蛋", "2、牛奶"]),
        ("To buy\n1. Eggs\n2. Milk", ["To buy", "1. Eggs", "2. Milk"]),
        ("To buy\n1) Eggs\n2) Milk", ["To buy", "1) Eggs", "2) Milk"]),
        ("To buy\n(a) Eggs\n(b) Milk", ["To buy", "(a) Eggs", "(b) Milk"]),
        ("Which?\nA. Eggs\nB. Milk\nC. Tea", ["Which?", "A. Eggs", "B. Milk", "C. Tea"]),
        ("I. Aims\nII. Means\nV. Ends", ["I. Aims", "II. Means", "V. Ends"]),
        ("To buy\ni. Eggs\nii. Milk\niii. Tea", ["To buy", "i. Eggs", "ii. Milk", "iii. Tea"]),
        ("To buy\n• Eggs\n• Milk", ["To buy", "• Eggs", "• Milk"]),
        ("To buy\n- [ ] Eggs\n- [x] Milk", ["To buy", "- [ ] Eggs", "- [x] Milk"]),
        ("Kaufen:\n– Eier\n– Milch", ["Kaufen:", "– Eier", "– Milch"]),
        ("To do\n✅ Eggs\n❌ Milk", ["To do", "✅ Eggs", "❌ Milk"]),
        ("To buy\n1️⃣ Eggs\n2️⃣ Milk", ["To buy", "1️⃣ Eggs", "2️⃣ Milk"]),
        ("清单\n一、鸡蛋\n二、牛奶", ["清单", "一、鸡蛋", "二、牛奶"]),
        ("清单\n①鸡蛋\n②牛奶", ["清单", "①鸡蛋", "②牛奶"]),
        ("材料\n・卵 3個\n・牛乳", ["材料", "・卵 3個", "・牛乳"]),
        ("목록\n가. 사과\n나. 배", ["목록", "가. 사과", "나. 배"]),
        ("Buy\n1. Fruit\n   - pears\n2. Milk", ["Buy", "1. Fruit", "- pears", "2. Milk"]),
        ("Sources.\n[1] A. Fox, Tea\n[2] B. Hen", ["Sources.", "[1] A. Fox, Tea", "[2] B. Hen"]),
        ("Tea.\n[^1]: A. Fox\n[^2]: B. Hen", ["Tea.", "[^1]: A. Fox", "[^2]: B. Hen"]),
        ("|a|b|\n|1|2|\n|3|4|\nAnd so on.", ["|a|b|", "|1|2|", "|3|4|", "And so on."]),
    ],
)
@pytest.mark.parametrize("sentences", [None, 1])
def test_an_item_of_a_list_is_a_piece(text: str, pieces: list[str], sentences: int | None) -> None:
    found = cut(text, NO_LIMIT, sentences)
    assert texts(found) == pieces
    assert [each.pause for each in found[:-1]] == [SENTENCE_PAUSE] * (len(pieces) - 1)


@pytest.mark.parametrize(
    "text",
    [
        "We met on May\n5. Nobody saw us.",
        "It is\n2.5 m\n3rd of all",
        "Am\n3. Oktober war es.",
        "Es war am\n1. Mai.",
        "It was written by\nA. Smith in the year\n1999 or so",
        "The man was\n— as always — late",
        "#one and\n#two",
        "as it is shown in\n[12] and in\n[13] too",
    ],
)
def test_a_line_that_a_label_happens_to_begin_is_none(text: str) -> None:
    assert texts(cut(text, NO_LIMIT)) == [text.replace("\n", " ")]


def test_a_heading_is_a_piece_between_longer_pauses() -> None:
    page = """\
# Tea
Take a pot.
## How to
**What you need**
**Water** and *tea*,
and a [cup](https://example.com/a.b#c).
```sh
brew
```
Done."""
    for sentences in (None, 1):
        assert cut(page, NO_LIMIT, sentences) == [
            Piece("# Tea", PARAGRAPH_PAUSE),
            Piece("Take a pot.", PARAGRAPH_PAUSE),
            Piece("## How to", PARAGRAPH_PAUSE),
            Piece("**What you need**", PARAGRAPH_PAUSE),
            Piece("**Water** and *tea*, and a [cup](https://example.com/a.b#c).", SENTENCE_PAUSE),
            Piece("```sh brew", SECTION_PAUSE),
            Piece("Done.", 0.0),
        ]
