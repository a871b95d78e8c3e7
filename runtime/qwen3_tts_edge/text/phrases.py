"""Chinese and Japanese, which have no blanks → where a word ends, told by the letters around.

BudouX knows, from three characters on each side of a place. In Japanese it finds phrases, particles
included; in Chinese every eighth end that it finds is inside a word, and of those it is sure of
every fortieth. It is opened when a clause must be cut, and not before.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from qwen3_tts_edge.text.words import End, divisions

if TYPE_CHECKING:
    from budoux import Parser

_HAN = "々〆〇㐀-䶿一-鿿豈-\ufaff\U00020000-\U0003ffff"
_KANA = "ぁ-ゖ\u3099-ゟァ-ヺー-ヿ"
_RUN = re.compile(f"[{_HAN}{_KANA}]+")
_SYLLABLES = re.compile(f"[{_KANA}]")
_LEAST_KANA = 0.1
"""Of a Japanese text; a Chinese one may have a の in a name."""

_SURE = 2000
"""What a place must score beyond an end's score to be one that BudouX is sure of."""

_NUMERAL = "0-9０-９〇零一二三四五六七八九十百千万萬亿億兆两兩"
_COUNTS = re.compile(f"[第{_NUMERAL}]$")
_COUNTED = re.compile(f"[{_NUMERAL}]")
_LEANS_BACK = frozenset("的地得了着著过過们們吗嗎呢吧啊呀嘛么麼上下里裡中内內")
"""Words of one character that belong to the word before them; any other to the one behind it."""


def divided(words: list[tuple[str, End]], before: str) -> list[tuple[str, End]]:
    """Divide words where Chinese and Japanese ones end.

    Args:
        words: Of one sentence, each right behind the one before, and what they are the ends of.
        before: What stands right before them; a few characters are enough.

    Returns:
        `before` and what it is the end of, CHARACTER where that is not known; then the words, more
        of them where such ends were found.
    """
    text = before + "".join(word for word, _ in words)
    lengths = accumulate((len(word) for word, _ in words), initial=len(before))
    ends = dict(zip(lengths, (End.CHARACTER, *(end for _, end in words)), strict=True))
    for at, end in _ends(text):
        if at >= len(before):
            ends[at] = max(end, ends.get(at, end))
    return [(text[at:to], ends[to]) for at, to in pairwise([0, *sorted(ends)])]


def _ends(text: str) -> Iterator[tuple[int, End]]:
    """Find the ends of words that have no blank behind them."""
    runs = list(_RUN.finditer(text))
    if not runs:
        return
    likely, sure = _parsers(_model("".join(run.group() for run in runs)))
    allowed = set(divisions(text, float("inf")))
    for run in runs:
        begin, end = run.span()
        if begin in allowed and text[begin - 1].isalnum() and not "ぁ" <= text[begin] <= "ゖ":
            yield begin, End.LEANING  # "iPhone版", but not "iPhoneを"
        phrases = likely.parse(run.group())
        if end in allowed and text[end : end + 1].isalnum():
            dated = text[begin - 1 : begin].isdigit() and text[end].isdigit() and end - begin <= 2
            yield end, End.TIED if dated or _is_alone(phrases[-1]) else End.LEANING  # "3時", "30分"
        certain = set(accumulate(map(len, sure.parse(run.group()))))
        at = 0
        for word, following in pairwise(phrases):
            at += len(word)
            if begin + at in allowed:
                yield begin + at, _end_of_word(word, following, sure=at in certain)


def _end_of_word(word: str, following: str, *, sure: bool) -> End:
    """Tell whether a word belongs to the one behind it."""
    if following in _LEANS_BACK or _COUNTS.search(word) or _is_alone(word):
        return End.TIED
    dated = _COUNTED.search(word) and _COUNTED.match(following)  # "五月", "十二日"
    return End.LEANING if dated or not sure else End.WORD


def _is_alone(word: str) -> bool:
    return len(word) == 1 and word not in _LEANS_BACK


def _model(letters: str) -> str:
    """Say in what a text is written, of which most letters are in more scripts than one."""
    if len(_SYLLABLES.findall(letters)) > _LEAST_KANA * len(letters):
        return "japanese"
    simplified, traditional = (len(letters.encode(code, "ignore")) for code in ("gb2312", "big5"))
    return "traditional_chinese" if traditional > simplified else "simplified_chinese"


@cache
def _parsers(model: str) -> tuple["Parser", "Parser"]:
    """Open a model: to find all ends, and those it is sure of."""
    import budoux

    likely: Parser = getattr(budoux, f"load_default_{model}_parser")()
    # A place is an end that scores more than half of what all features together do.
    return likely, budoux.Parser({**likely.model, "never": {"": 2 * _SURE}})
