"""A text tokenizer of the published size, whose symbols are made up.

The published vocabulary is not part of this project. What stands in for it has as many symbols, so
that tables, files and memory are as large as a released checkpoint's, and it cuts English into
about as many tokens: each symbol is two or more of the bundled voice's put together.
"""

import json
import string
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tokenizers.models import BPE

from qwen3_tts_export.checkpoint.spec import TokenizerFacts
from qwen3_tts_export.checkpoint.tokenizer_files import parse_merges

Merge = tuple[str, str]

_ROLE = "assistant"
"""Opens every prompt, and has an id of its own in config.json."""


def filler_texts(facts: TokenizerFacts, role: int, merges_from: Path) -> dict[str, str]:
    """Write vocab.json and merges.txt.

    Args:
        facts: How many symbols and merges there are.
        role: The id of "assistant".
        merges_from: A merges.txt; its symbols are what others are put together from.

    Returns:
        File name to content.
    """
    letters = _byte_letters()
    merges = _merges(parse_merges(merges_from.read_text(encoding="utf-8")), letters, facts.merges)
    merges.insert(role - len(letters), merges.pop(-1))
    return tokenizer_texts([*letters, *map("".join, merges)], merges)


def tokenizer_texts(symbols: Iterable[str], merges: Iterable[Merge]) -> dict[str, str]:
    """Write vocab.json, where symbols have ids in their order, and merges.txt, as published.

    Returns:
        File name to content.
    """
    vocab = {symbol: index for index, symbol in enumerate(symbols)}
    return {
        "vocab.json": json.dumps(vocab, ensure_ascii=False, separators=(",", ":")),
        "merges.txt": "".join(f"{left} {right}\n" for left, right in merges),
    }


def _byte_letters() -> list[str]:
    """List what bytes are written as, in the published order: the printable ones as themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def _merges(seeds: list[Merge], letters: list[str], count: int) -> list[Merge]:
    """List merges: the seeds, those that begin the role, made-up ones, the one that ends the role.

    The seeds cut the role into parts. Two of them are left when the merges that begin it are done,
    so that nothing made up can part them.
    """
    symbols = [*letters, *map("".join, seeds)]
    cut = BPE({symbol: index for index, symbol in enumerate(symbols)}, seeds).tokenize(_ROLE)
    parts = [token.value for token in cut]
    begin = [("".join(parts[:n]), parts[n]) for n in range(1, len(parts) - 1)]
    merges, known = [*seeds, *begin], {_ROLE, *symbols, *map("".join, begin)}
    merges += islice(_made_up(seeds, known), count - 1 - len(merges))
    return [*merges, ("".join(parts[:-1]), parts[-1])]


def _made_up(seeds: list[Merge], known: set[str]) -> Iterator[Merge]:
    """Go on for ever putting parts of words together that are not known yet."""
    parts = [symbol for symbol in map("".join, seeds) if symbol.isalpha()]
    rights = [*string.ascii_letters, *(part for part in parts if "Ġ" not in part)]
    lefts = ["Ġ", *string.ascii_letters, *parts]
    for left in lefts:  # which grow in number
        for right in rights:
            if left + right not in known:
                known.add(left + right)
                lefts.append(left + right)
                yield left, right
