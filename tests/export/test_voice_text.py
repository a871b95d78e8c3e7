"""What the voice's teacher is given to read: what sources are made of, and what is held out."""

import struct
import zlib
from pathlib import Path

import pytest

from qwen3_tts_voice import sources, text
from qwen3_tts_voice.figures import Figures
from qwen3_tts_voice.spellings import as_spoken

GLOSS = (
    '00001 n | a thing that is kept (or is it) somewhere; "the timer is set now"; "this is in"\n'
)


def r_data(lines: list[str]) -> bytes:
    """A lazily loaded character vector as R writes it: XDR, version 3."""
    body = b"X\n" + struct.pack(">iii", 3, 0x040201, 0x030500) + struct.pack(">i", 5) + b"UTF-8"
    body += struct.pack(">ii", 16, len(lines))
    for line in lines:
        body += struct.pack(">ii", 0x40009, len(line.encode())) + line.encode()
    return struct.pack(">i", len(body)) + zlib.compress(body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every source, in small."""
    for name in ("wordnet", "austen", "addresses", "chat/data/english"):
        (tmp_path / name).mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / "wordnet" / f"data.{part}").write_text(GLOSS, "latin1")
    book = ["EMMA", "", '"Come in," said', "Emma. Mr. Hall did", "not.", "", "He stayed out--long."]
    (tmp_path / "austen" / "Rdata.rdb").write_bytes(r_data(book) + r_data(["", "She left it."]))
    (tmp_path / "addresses" / "1901_somebody_r.txt").write_text("We met in 1900. We won the day.")
    (tmp_path / "addresses" / "1801_somebody_r.txt").write_text("We hold these truths.")
    spoken = "categories:\n- food\nconversations:\n- - What do you eat?\n  - I eat bread\n"
    (tmp_path / "chat/data/english/food.yml").write_text(spoken)
    return tmp_path


def test_sources_give_clean_sentences(folder: Path) -> None:
    assert sources.wordnet_examples(folder / "wordnet") == ["The timer is set now.", "This is in."]
    definitions = sources.wordnet_definitions(folder / "wordnet")
    assert definitions == ["A thing that is kept somewhere."]
    austen = sources.austen(folder / "austen")
    found = ["Come in, said Emma.", "Mister Hall did not.", "He stayed out, long.", "She left it."]
    assert austen == found
    assert sources.addresses(folder / "addresses") == ["We won the day."]
    assert sources.chat(folder / "chat") == ["What do you eat?", "I eat bread."]


def test_sentences_of_the_judge_are_never_read_to_the_voice(folder: Path) -> None:
    made = text.corpus(folder, ["The timer, is set now!"], seed=0)
    assert not any("timer is set now" in one for one in made)
    assert "I eat bread." in made
    assert made.count("This is in.") == 1


def test_figures_are_spelled_out() -> None:
    figures = Figures(seed=0)
    drawn = [figures.draw() for _ in range(500)]
    assert not any(sign.isdigit() or sign in "$%&" for one in drawn for sign in one)
    assert all(one[-1] == "." and len(as_spoken(one)) > 1 for one in drawn)
