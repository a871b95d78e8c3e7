"""What `random` writes beside its weights is what was published, to the byte where it can be."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from qwen3_tts_export.checkpoint.config_files import parse_checkpoint, parse_codec
from qwen3_tts_export.checkpoint.expected import expected_codec_tensors, expected_tensors
from qwen3_tts_export.checkpoint.published import published_texts
from qwen3_tts_export.checkpoint.random_weights import header
from qwen3_tts_export.checkpoint.spec import load_spec, spec_names
from qwen3_tts_export.checkpoint.text_tokenizer import read_text_tokenizer
from qwen3_tts_export.checkpoint.tokenizer_files import parse_merges
from released import CODEC, released_json
from tiny import DIALECTS, LANGUAGES, SPEAKERS

CHECKPOINTS = [name for name in spec_names() if name != CODEC]


@pytest.mark.parametrize("name", spec_names())
def test_the_small_files_are_the_published_ones(name: str) -> None:
    """Every key and value of a spec is right: the hashes are those of the published files."""
    spec = load_spec(name)
    written = published_texts(spec)
    facts = dict(spec.files)
    if spec.codec is not None:
        codec = load_spec(spec.codec).files
        facts |= {f"speech_tokenizer/{file}": fact for file, fact in codec.items()}
    for file, text in written.items():
        data = text.encode()
        assert (file, len(data)) == (file, facts[file].size)
        assert (file, hashlib.sha256(data).hexdigest()) == (file, facts[file].sha256)
    left = {file for file in facts if file not in written}
    weights = {"model.safetensors", "speech_tokenizer/model.safetensors"}
    assert left <= {"vocab.json", "merges.txt"} | weights


@pytest.mark.parametrize("name", spec_names())
def test_weight_files_have_the_published_size(name: str) -> None:
    """Names, shapes, types and what the header says beside them: one byte more would show."""
    spec = load_spec(name)
    if spec.codec is None:
        config = dict(spec.contents["config.json"])
        tensors, dtype = expected_codec_tensors(parse_codec(config)), torch.float32
    else:
        tensors, dtype = expected_tensors(parse_checkpoint(*released_json(name))), torch.bfloat16
    fact = spec.files["model.safetensors"]
    begin = header(tensors, dtype, fact.metadata)
    numbers = sum(torch.Size(shape).numel() for shape in tensors.values())
    assert len(begin) + numbers * dtype.itemsize == fact.size


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_each_checkpoint_has_its_languages_and_speakers(name: str) -> None:
    talker = released_json(name)[0]["talker_config"]
    speaks = "customvoice" in name
    dialects = {"beijing_dialect", "sichuan_dialect"}
    assert talker["spk_id"] == (SPEAKERS if speaks else {})
    assert talker["spk_is_dialect"] == {n: DIALECTS.get(n, False) for n in talker["spk_id"]}
    assert talker["codec_language_id"] == {
        language: code for language, code in LANGUAGES.items() if speaks or language not in dialects
    }


def test_the_made_up_tokenizer_has_the_published_size_and_ids(released_tokenizer: Path) -> None:
    made = read_text_tokenizer(released_tokenizer)
    assert made.get_vocab_size() == 151_676
    assert made.encode("<|im_start|>assistant\n").ids == [151_644, 77_091, 198]
    assert made.encode("<tts_pad><tts_text_bos><tts_text_eod>").ids == [151_671, 151_672, 151_673]
    merges = parse_merges((released_tokenizer / "merges.txt").read_text(encoding="utf-8"))
    assert len(merges) == 151_387
    assert len(json.loads((released_tokenizer / "vocab.json").read_text("utf-8"))) == 151_643
    # Qwen's own vocabulary makes 11 tokens of it, the bundled voice's 25.
    assert len(made.encode("Good morning. Your timer is set for twenty minutes.").ids) == 16
