"""Checkpoints that are not whole: one clear line for everything that can be wrong."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from edits import (
    BOOK,
    CODEC,
    NORM,
    TALKER,
    Edit,
    cut,
    edit_tensors,
    refusal,
    tensors,
    values,
    write,
)
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.checking import check
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.weights import refuse_infinite

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "generation_config.json",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "model.safetensors",
        "speech_tokenizer/config.json",
        "speech_tokenizer/model.safetensors",
    ],
)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    said = refusal(copy)
    assert name in said
    assert str(copy) in said


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (cut(TALKER, -1), "bytes, its header promises"),
        (cut(TALKER, 5000), "has 5000 bytes, too few for its header; copy or save it again"),
        (cut(TALKER, 3), "has 3 bytes, too few for its header"),
        (cut(CODEC, -4096), "speech_tokenizer/model.safetensors has"),
        *(
            (write(name, LFS), f"{name} is a Git LFS pointer, not the file itself; run: git lfs")
            for name in (TALKER, CODEC, "vocab.json", "merges.txt")
        ),
        (write(TALKER, "\4\0\0\0\0\0\0\0nope"), "is not a safetensors file"),
        (write("config.json", "{"), "config.json is not readable JSON"),
        (write("config.json", "null"), "config.json holds null, expected a JSON object; "),
        (
            tensors(TALKER, lambda t: t.pop(NORM)),
            f"1 of 172 tensors are missing, first {NORM} [128]",
        ),
        (
            tensors(TALKER, lambda t: t.update({NORM: torch.ones(127)})),
            f"{NORM} has shape [127], config.json makes it [128]",
        ),
        (
            tensors(TALKER, lambda t: t.update({NORM: torch.ones(128, dtype=torch.int8)})),
            f"{NORM} is stored as I8, expected one of BF16, F16, F32",
        ),
        (
            tensors(CODEC, lambda t: t.pop(f"{BOOK}.cluster_usage")),
            f"first {BOOK}.cluster_usage [2048]",
        ),
        (
            tensors(CODEC, lambda t: t.pop("encoder.downsample.conv.weight")),
            "first encoder.downsample.conv.weight [64, 64, 4]",
        ),
        (
            tensors(TALKER, lambda t: t.pop("speaker_encoder.fc.bias")),
            "first speaker_encoder.fc.bias [128]",
        ),
        (values("config.json", model_type="qwen3"), "model_type is 'qwen3', expected 'qwen3_tts'"),
        (
            values("config.json", tokenizer_type="qwen3_tts_tokenizer_25hz"),
            "the 25 Hz family is not supported",
        ),
        (
            values("speech_tokenizer/config.json", model_type="qwen3_tts_tokenizer_25hz"),
            "use the 12 Hz codec",
        ),
        (write("generation_config.json", '{"top_k": "many"}'), 'top_k is "many"'),
    ],
)
def test_damage_is_refused_in_one_line(copy: Path, edit: Edit, said: str) -> None:
    edit(copy)
    message = refusal(copy)
    assert said in message
    assert str(copy) in message
    assert "download" not in message  # it is nobody's but who made it


def with_header(**entries: Any) -> Edit:
    """Change what the header of the weights says of tensors."""

    def edit(folder: Path) -> None:
        data = (folder / TALKER).read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.dumps(json.loads(data[8:end]) | entries).encode()
        (folder / TALKER).write_bytes(len(header).to_bytes(8, "little") + header + data[end:])

    return edit


def says(dtype: Any = "BF16", shape: Any = (2,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (None, "is not a safetensors file"),
        ({}, "is not a safetensors file"),
        (says(dtype=1), "is not a safetensors file"),
        (says(shape=[-2]), "is not a safetensors file"),
        (says(offsets=[4]), "is not a safetensors file"),
        (says(offsets=[1 << 70, 1 << 70]), "neither its shape [2] nor its neighbours allow"),
        (says(offsets=[4, 0]), "neither its shape [2] nor its neighbours allow"),
        (says(shape=[3]), "neither its shape [3] nor its neighbours allow"),
        (says(offsets=[1 << 40, (1 << 40) + 4]), "neither its shape [2] nor its neighbours allow"),
    ],
)
def test_a_header_that_cannot_be_is_refused(copy: Path, entry: Any, said: str) -> None:
    with_header(extra=entry)(copy)
    assert said in refusal(copy)


@pytest.mark.parametrize(
    ("file", "name", "number", "precision"),
    [
        (TALKER, "talker.model.layers.0.mlp.up_proj.weight", math.nan, "fp32"),
        (TALKER, "talker.model.text_embedding.weight", math.inf, "int8"),
        (CODEC, "decoder.pre_transformer.norm.weight", -math.inf, "int8"),
    ],
)
def test_a_number_that_is_none_is_refused_by_name_before_the_work(
    copy: Path, tmp_path: Path, file: str, name: str, number: float, precision: str
) -> None:
    edit_tensors(copy / file, lambda t: t[name].view(-1)[3:5].fill_(number))
    checkpoint = Checkpoint.open(copy)
    with pytest.raises(CheckpointError) as raised:
        write_bundle(checkpoint, tmp_path / "out", precision=precision)
    size = checkpoint.talker.get(name, checkpoint.codec.get(name)).numel()
    assert f"{file}: 2 of the {size} numbers of {name} are NaN or infinite" in str(raised.value)
    assert "the training diverged, take an earlier step's weights" in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "name"), [(TALKER, "talker.codec_head.weight"), (CODEC, f"{BOOK}.embedding_sum")]
)
def test_a_file_that_was_not_written_to_its_end_is_told_by_its_zeros(
    copy: Path, file: str, name: str
) -> None:
    edit_tensors(copy / file, lambda t: t.update({name: torch.zeros_like(t[name])}))
    checkpoint = Checkpoint.open(copy)
    with pytest.raises(CheckpointError, match=f"{name} are zero, as in a file that was not wri"):
        refuse_infinite([checkpoint.talker if file == TALKER else checkpoint.codec])


def test_what_the_codecs_encoder_does_not_use_may_be_zero(copy: Path) -> None:
    last = "encoder.quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.embed_sum"
    edit_tensors(copy / CODEC, lambda t: t.update({last: torch.zeros_like(t[last])}))
    refuse_infinite([Checkpoint.open(copy).codec])


@pytest.mark.parametrize("ending", [".incomplete", ".part", ".aria2"])
def test_a_download_that_has_not_ended_is_told(copy: Path, ending: str) -> None:
    (copy / TALKER).rename(copy / f"{TALKER}{ending}")
    assert f"but model.safetensors{ending}: the download has not ended; end it" in refusal(copy)


def test_a_link_that_leads_nowhere_is_told(copy: Path) -> None:
    (copy / TALKER).unlink()
    (copy / TALKER).symlink_to("../../blobs/4d7a")
    said = refusal(copy)
    assert "model.safetensors is a link to ../../blobs/4d7a, which is not there; copy the" in said
    found = check(str(copy))
    assert any("is a link to" in problem for problem in found.problems)
