"""Texts that are hard to cut, and ways to cut them."""

from hypothesis import strategies as st

from qwen3_tts_edge.text.blanks import Reading, one_line
from qwen3_tts_edge.text.filling import Part
from qwen3_tts_edge.text.pieces import Piece, split
from qwen3_tts_edge.text.sentences import Splitter

NO_LIMIT = 1e9
_SIGNS = list(".!?…。！？,;:，、—–-'\"“”«»「」()[]¿¡ \t\n\r\v\u00a0\u2009\u2028\u2029\u3000\x85")
_LETTERS = list("aAzZ09éßñ天気はカ가힣ПпЯكي👩🏽🇩🇪❤😀\u0301\u0915\u094d\u1160\u200c\u200d\ufe0f")
_UNSEEN = list("\u00ad\u200b\u2060\ufeff\u202e\u2066\x00\x1f")
_WORDS = [
    "\n\n",
    ". ",
    "! ",
    "e.g. ",
    "Dr. ",
    "3. ",
    "2024. ",
    "z. B. ",
    "1,234",
    "The ",
    "i. ",
    "word ",
    "\n- ",
    "\n2. ",
    "\n1) ",
    "\n(a) ",
    "\nII. ",
    "\nb. ",
    "\n# ",
    "\n**",
    "**\n",
    "\n| ",
    "\n```",
    "\n①",
    "\n1\ufe0f\u20e3",
    "\n二、",
]
_WORDS += ["Mr. ", "U.S. ", "J. ", "p.m. ", "No. ", "etc. ", "usw. ", "am ", "Mai ", "av. ", "M. "]
_WORDS += ["3 p.m. ", "EST ", "5 млн. ", "долл. ", "США "]
_WORDS += [
    "Sra. ",
    "pág. ",
    "EE. UU. ",
    "sig. ",
    "ecc. ",
    "т. е. ",
    "г. ",
    "т. д. ",
    "라고",
    "물었다",
    "って",
]
_WORDS += [
    "10. ",
    "3.5",
    "9:15 ",
    "5 km ",
    "§ 20 ",
    " % ",
    "[12]",
    "---",
    "https://a.b/c?d=e ",
    "a@b.de",
]
TROUBLE = [*_SIGNS, *_LETTERS, *_UNSEEN, *_WORDS]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(TROUBLE), max_size=60).map("".join))
LONG_WORDS = [
    "kettle ",
    "tea, ",
    "B",
    "天气",
    "क",
    "\u200d",
    "Dr. ",
    "z. B. ",
    "“a” ",
    "…",
    "—",
    "1,2 ",
]
LONG = st.lists(st.sampled_from(LONG_WORDS), min_size=50, max_size=200).map("".join)
SECONDS = st.sampled_from([1.0, 2.5, 8.0, NO_LIMIT])
SENTENCES = st.sampled_from([None, 1, 2])


def cut(text: str, seconds: float, sentences: int | None = None) -> list[Piece]:
    return list(split(Splitter(seconds, sentences), text))


def in_pieces(splitter: Splitter, pieces: list[str]) -> list[Part]:
    return [*(part for piece in pieces for part in splitter.feed(piece)), *splitter.finish()]


def joined(parts: list[Part]) -> list[Piece]:
    pieces, begun = [], ""
    for part in parts:
        begun += part.text
        if part.ends:
            pieces.append(Piece(begun, part.pause))
            begun = ""
        elif part.pause:
            assert begun == ""
            assert part.pause > pieces[-1].pause
            pieces[-1] = Piece(pieces[-1].text, part.pause)
    assert begun.strip() == ""
    return pieces


def black(text: str) -> str:
    return "".join(text.split())


def spoken(text: str) -> str:
    """Its letters and digits that can be seen."""
    return "".join(filter(str.isalnum, one_line(text)))


def seen(text: str) -> str:
    reading = Reading()
    return "".join(reading.feed(text)) + reading.finish()


def texts(pieces: list[Piece]) -> list[str]:
    return [each.text for each in pieces]
