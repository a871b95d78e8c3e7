"""Text ids are those that config.json states, whichever files the tokenizer was saved in."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edits import edit_json, refusal
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.text_tokenizer import read_text_tokenizer
from tiny import EDGE_VOICE

CONFIG = "tokenizer_config.json"
TEXTS = [
    "Hello there, iPhone!",
    "e\u0301te\u0301 你好 🙂",
    "<|im_start|>assistant\nIt's 12.\r\n",
    "",
]


def added(folder: Path) -> dict[str, dict[str, Any]]:
    return json.loads((folder / CONFIG).read_text())["added_tokens_decoder"]


def swapped(folder: Path) -> None:
    tokens = added(folder)
    tokens["513"], tokens["514"] = tokens["514"], tokens["513"]
    edit_json(folder / CONFIG, added_tokens_decoder=tokens)


def only_named(folder: Path) -> None:
    names = [token["content"] for token in added(folder).values()]
    edit_json(folder / CONFIG, added_tokens_decoder={}, additional_special_tokens=names[3:])


def fewer(folder: Path) -> None:
    edit_json(folder / CONFIG, added_tokens_decoder=dict(list(added(folder).items())[:4]))


def a_word(folder: Path) -> None:
    tokens = added(folder)
    tokens["513"]["special"] = False
    edit_json(folder / CONFIG, added_tokens_decoder=tokens)


def one_too_many(folder: Path) -> None:
    more = {str(index): {"content": f"<{index}>"} for index in (519, 520)}
    edit_json(folder / CONFIG, added_tokens_decoder=added(folder) | more)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (swapped, "makes [514] of <|im_start|>, config.json's im_start_token_id says 513"),
        (only_named, "of <|im_start|>, config.json's im_start_token_id says 513"),
        (fewer, "of <tts_pad>, config.json's tts_pad_token_id says 516"),
        (a_word, "has no control token <|im_start|>"),
        (one_too_many, "has 521 ids, config.json's text_vocab_size is 520"),
    ],
)
def test_a_tokenizer_of_another_checkpoint_is_refused_when_it_is_opened(
    copy: Path, edit: Any, said: str
) -> None:
    edit(copy)
    message = refusal(copy)
    assert said in message
    assert f"take vocab.json, merges.txt and {CONFIG} of the checkpoint it was trained" in message


def test_ids_that_config_json_leaves_out_are_the_tokenizer_s_own(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    for name in ("im_start_token_id", "im_end_token_id", "assistant_token_id"):
        del config[name]
    (copy / "config.json").write_text(json.dumps(config))
    assert Checkpoint.open(copy).config.token_ids.keys() == {
        *("tts_pad_token_id", "tts_bos_token_id", "tts_eos_token_id")
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the bundled voice's tokenizer as transformers 5 saves it, but split by a pattern."""
    folder = tmp_path_factory.mktemp("transformers-5")
    values = json.loads(read_text_tokenizer(EDGE_VOICE).to_str())
    values["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": r"\p{Lu}|\p{Ll}+|."}
    (folder / "tokenizer.json").write_text(json.dumps(values))
    config = json.loads((EDGE_VOICE / CONFIG).read_text())
    del config["added_tokens_decoder"]
    config |= {"backend": "tokenizers", "extra_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("beside", [(), ("vocab.json", "merges.txt")])
@pytest.mark.parametrize("config", [True, False])
def test_what_transformers_5_saves_gives_the_same_ids(
    saved: Path, tmp_path: Path, beside: tuple[str, ...], config: bool
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "saved"))
    for name in beside:
        shutil.copy(EDGE_VOICE / name, folder)
    if not config:
        (folder / CONFIG).unlink()
    found, expected = read_text_tokenizer(folder), read_text_tokenizer(EDGE_VOICE)
    for text in TEXTS:
        assert found.encode(text).ids == expected.encode(text).ids


@pytest.mark.parametrize(
    ("values", "said"),
    [({}, "model"), ({"model": {"vocab": {}, "merges": "a b"}, "added_tokens": []}, "merges")],
)
def test_a_tokenizer_json_that_is_none_is_refused(tmp_path: Path, values: Any, said: str) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(Exception, match=rf"tokenizer\.json: .*{said}"):
        read_text_tokenizer(tmp_path)


@pytest.mark.parametrize("begin", ["\ufeff", "#version: 0.2\r\n", ""])
def test_line_ends_and_byte_order_marks_change_no_id(tmp_path: Path, begin: str) -> None:
    for name in ("vocab.json", "merges.txt", CONFIG):
        text = (EDGE_VOICE / name).read_text(encoding="utf-8").removeprefix("#version: 0.2\n")
        before = begin if name == "merges.txt" or begin == "\ufeff" else ""
        text = before + text.replace("\n", "\r\n")
        (tmp_path / name).write_bytes(text.encode())
    found, expected = read_text_tokenizer(tmp_path), read_text_tokenizer(EDGE_VOICE)
    assert found.to_str() == expected.to_str()
