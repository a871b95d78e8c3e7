"""The sentences the teacher reads, from sources and from templates.

In: the folders of the sources. Out: `text.txt`, one sentence a line, shuffled, each as it is
spoken. The judge's held-out sentences are never among them.
"""

from __future__ import annotations

import collections
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from qwen3_tts_voice import sources
from qwen3_tts_voice.figures import Figures
from qwen3_tts_voice.phrases import Phrases

_WORD = re.compile(r"[a-z']+")


def words(sentence: str) -> list[str]:
    """Split a sentence into words, lower case, without punctuation."""
    return _WORD.findall(sentence.lower())


def within(sentences: Iterable[str], commonest: int) -> list[str]:
    """Keep sentences of only their commonest words."""
    sentences = list(sentences)
    counts = collections.Counter(word for sentence in sentences for word in words(sentence))
    known = {word for word, _ in counts.most_common(commonest)}
    return [one for one in sentences if known.issuperset(words(one))]


def drawn(draw: Callable[[], str], count: int) -> list[str]:
    """Draw so many phrases that differ."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)


def corpus(folder: Path, held_out: Iterable[str], seed: int) -> list[str]:
    """Collect all training sentences.

    Args:
        folder: It has the folders of the sources: see the README.
        held_out: Never among them, nor any that differs from one by its stops alone.
        seed: Of the templates, and of the order.
    """
    examples = sources.wordnet_examples(folder / "wordnet")
    parts = [
        within((e for e in examples if len(words(e)) <= 14 and len(e) <= 90), 16_000),
        [e for e in examples if len(words(e)) > 14],
        within(sources.wordnet_definitions(folder / "wordnet"), 20_000)[::3],
        within(sources.austen(folder / "austen"), 9_000)[::2],
        within(sources.addresses(folder / "addresses"), 12_000)[::2],
        sources.chat(folder / "chat"),
        drawn(Phrases(seed).draw, 12_000),
        drawn(Figures(seed).draw, 12_000),
    ]
    banned = {" ".join(words(sentence)) for sentence in held_out}
    found = {sentence: None for part in parts for sentence in part}
    kept = [sentence for sentence in found if " ".join(words(sentence)) not in banned]
    random.Random(seed).shuffle(kept)
    return kept
