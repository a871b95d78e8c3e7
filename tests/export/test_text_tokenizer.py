"""A checkpoint's text tokenizer: its special tokens, and files that cannot be right."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers.pre_tokenizers import ByteLevel

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.text_tokenizer import (
    SPLIT_PATTERN,
    build_tokenizer,
    read_text_tokenizer,
)
from tiny import EDGE_VOICE


def bytes_only() -> dict[str, int]:
    return {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}


def added(index: int, content: str) -> dict[str, Any]:
    return {"added_tokens_decoder": {str(index): {"content": content, "special": True}}}


def test_tokens_named_special_without_an_entry_follow_the_listed_ones() -> None:
    config = {**added(256, "<|im_end|>"), "pad_token": "<p>", "eos_token": {"content": "<e>"}}
    made = build_tokenizer(bytes_only(), [], config)
    ids = {token.content: index for index, token in made.get_added_tokens_decoder().items()}
    assert ids == {"<|im_end|>": 256, "<e>": 257, "<|endoftext|>": 258, "<p>": 259}


@pytest.mark.parametrize("name", ["additional_special_tokens", "extra_special_tokens"])
@pytest.mark.parametrize("given", [["<x>", {"content": "<y>"}], {"x_token": "<x>", "y": "<y>"}])
def test_special_tokens_may_be_a_list_or_an_object(name: str, given: Any) -> None:
    made = build_tokenizer(bytes_only(), [], {name: given})
    assert list(made.get_added_tokens_decoder().values())[1:] == [
        tokenizers.AddedToken(token, special=True, normalized=False) for token in ("<x>", "<y>")
    ]


def test_the_pattern_is_written_as_it_is_read() -> None:
    made = json.loads(build_tokenizer(bytes_only(), [], {}).to_str())
    assert made["pre_tokenizer"]["pretokenizers"][0]["pattern"] == {"Regex": SPLIT_PATTERN}


@pytest.mark.parametrize(
    ("vocab", "merges", "config", "message"),
    [
        ({"a": 0}, [], {}, "lacks 255 of the 256 byte symbols"),
        ({**bytes_only(), "ab": 300}, [], {}, "are not 0 … 256"),
        ({**bytes_only(), "ab": "256"}, [], {}, "not integers"),
        (bytes_only(), [("a", "b")], {}, r"merge 0 \(a b\) needs 'ab'"),
        ({**bytes_only(), "ab": 256}, [], {}, "1 symbols .* are made by none of the 0 merges"),
        (bytes_only(), [], added(300, "<x>"), "the id 300, but its place is 256"),
        (bytes_only(), [], {"added_tokens_decoder": {"256": {}}}, "added tokens are not readable"),
        (bytes_only(), [], {"added_tokens_decoder": []}, "added tokens are not readable"),
        (bytes_only(), [], {"extra_special_tokens": "<x>"}, "extra_special_tokens is '<x>', exp"),
        (bytes_only(), [], {"additional_special_tokens": [{}]}, "added tokens are not readable"),
        (bytes_only(), [], {"extra_special_tokens": {"x": 1}}, "added tokens are not readable"),
        (bytes_only(), [], {"add_prefix_space": True}, "add_prefix_space"),
    ],
)
def test_a_vocabulary_that_cannot_be_right_is_refused(
    vocab: Any, merges: Any, config: Any, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        build_tokenizer(vocab, merges, config)


def test_merges_that_were_cut_at_the_end_of_a_line_are_refused(tmp_path: Path) -> None:
    for each in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / each).write_bytes((EDGE_VOICE / each).read_bytes())
    lines = (tmp_path / "merges.txt").read_bytes().splitlines(keepends=True)
    (tmp_path / "merges.txt").write_bytes(b"".join(lines[:-1]))
    left, right = lines[-1].decode().split()
    with pytest.raises(CheckpointError, match="made by none of the 255 merges") as caught:
        read_text_tokenizer(tmp_path)
    assert repr(left + right) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", None, "lacks vocab.json; expected a text tokenizer; take vocab.json, "),
        ("merges.txt", None, "lacks merges.txt"),
        ("tokenizer_config.json", None, "lacks tokenizer_config.json"),
        ("vocab.json", b'{"a": 0', "is not readable JSON"),
        ("vocab.json", b"[]", r"holds \[\], expected a JSON object"),
        ("vocab.json", b"\xff\xfe", "is not readable JSON"),
        ("merges.txt", b"#version: 0.2\nh e\nbroken\n", "line 3 has 1 symbols"),
        ("merges.txt", b"#version: 0.2\nQ Q\n", "vocab.json lacks"),
        ("merges.txt", b"", "merges.txt is not whole, or of another checkpoint; take vocab.json"),
    ],
)
def test_a_damaged_checkpoint_file_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    for each in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / each).write_bytes((EDGE_VOICE / each).read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_text_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
