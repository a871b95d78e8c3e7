"""Random checkpoints are whole, repeatable, alive, and good enough for the official package."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from oracle import BASE_CASES, CASES, load_official
from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.random import random_from_spec, write_random
from qwen3_tts_export.checkpoint.random_weights import write_tensors
from tiny import EDGE_VOICE, tiny_config

TinyCheckpoint = Callable[..., Path]


def write(folder: Path, seed: int = 0) -> Path:
    return write_random(folder, *tiny_config(), seed=seed, tokenizer_from=EDGE_VOICE)


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    assert all_bytes(write(tmp_path / "a", seed=7)) == all_bytes(write(tmp_path / "b", seed=7))


def test_another_seed_gives_other_weights_and_the_same_configs(tmp_path: Path) -> None:
    a, b = all_bytes(write(tmp_path / "a", seed=1)), all_bytes(write(tmp_path / "b", seed=2))
    differing = {name for name in a if a[name] != b[name]}
    assert differing == {"model.safetensors", "speech_tokenizer/model.safetensors"}


@pytest.mark.parametrize("kind", ["custom_voice", "base"])
def test_no_two_tensors_are_equal(tiny_checkpoint: TinyCheckpoint, kind: str) -> None:
    checkpoint = Checkpoint.open(tiny_checkpoint(kind, "narrow"))
    seen: dict[bytes, str] = {}
    for tensors in (checkpoint.talker, checkpoint.codec):
        for name, tensor in tensors.items():
            if not name.endswith(".initialized"):  # a flag, one everywhere
                raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
                assert seen.setdefault(raw, name) == name


def test_the_talker_is_stored_as_asked_and_the_codec_in_fp32(tmp_path: Path) -> None:
    folder = write_random(
        tmp_path / "half",
        *tiny_config(),
        seed=0,
        tokenizer_from=EDGE_VOICE,
        dtype=torch.float16,
    )
    checkpoint = Checkpoint.open(folder)
    assert {tensor.dtype for tensor in checkpoint.talker.values()} == {torch.float16}
    assert {tensor.dtype for tensor in checkpoint.codec.values()} == {torch.float32}


def test_norms_are_near_one_and_linear_layers_keep_the_variance(
    tiny_checkpoint: TinyCheckpoint,
) -> None:
    talker = Checkpoint.open(tiny_checkpoint()).talker
    layer = "talker.model.layers.1"
    norm = talker[f"{layer}.self_attn.q_norm.weight"].float()
    assert norm.mean().item() == pytest.approx(1.0, abs=0.1)
    assert 0.05 < norm.std().item() < 0.2
    down = talker[f"{layer}.mlp.down_proj.weight"].float()
    assert down.std().item() == pytest.approx(0.8 / 192**0.5, rel=0.02)


def test_codebooks_need_the_division_by_their_usage(tiny_checkpoint: TinyCheckpoint) -> None:
    codec = Checkpoint.open(tiny_checkpoint()).codec
    book = "decoder.quantizer.rvq_rest.vq.layers.3._codebook"
    usage = codec[f"{book}.cluster_usage"]
    assert 1.0 <= usage.min().item() < 1.1
    assert 3.9 < usage.max().item() <= 4.0
    vectors = codec[f"{book}.embedding_sum"] / usage[:, None]
    assert 0.5 < vectors.std().item() < 1.5


@pytest.mark.parametrize("kind", ["custom_voice", "voice_design", "base"])
@pytest.mark.parametrize("predictor", ["same", "narrow"])
def test_the_official_package_speaks_with_it(
    tiny_checkpoint: TinyCheckpoint, kind: str, predictor: str
) -> None:
    official = load_official(tiny_checkpoint(kind, predictor))
    case = next(case for case in (*CASES, *BASE_CASES) if case.kind == kind)
    codes = official.codes(case, 8)
    assert codes.shape == (8, 16)
    assert len(np.unique(codes)) > 100  # it does not repeat itself
    talker, predicted = official.teacher_forced(case, codes)
    for logits in (talker[:, :2048], predicted):
        first, second = np.sort(logits, axis=-1)[..., [-1, -2]].reshape(-1, 2).T
        assert logits.std(axis=-1).mean() == pytest.approx(4.0, rel=0.1)
        assert (first - second).min() > 1e-4  # fp32 noise cannot change a greedy choice


def test_random_codes_decode_inside_the_unit_range(tiny_checkpoint: TinyCheckpoint) -> None:
    official = load_official(tiny_checkpoint())
    samples = official.decode(np.random.default_rng(0).integers(0, 2048, (40, 16)))
    assert samples.shape == (40 * 1920,)
    assert 0.1 < abs(samples).max() < 0.6
    assert samples.std() > 0.02


def test_the_codec_encoder_hears_a_difference(tiny_checkpoint: TinyCheckpoint) -> None:
    codec = load_official(tiny_checkpoint("base")).model.speech_tokenizer.model
    time = torch.arange(24000) / 24000
    noise = torch.randn(24000, generator=torch.Generator().manual_seed(0)) * 0.1
    sine = torch.sin(2 * torch.pi * 220 * time) * 0.3
    mask = torch.ones(2, 24000, dtype=torch.long)
    with torch.inference_mode():
        a, b = codec.encode(torch.stack([noise, sine]), mask).audio_codes
    assert a.shape == b.shape == (13, 16)
    assert (a == b).float().mean().item() < 0.1
    assert all(len(column.unique()) > 8 for column in a.T)


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(InputError, match="mine already exists; remove it or choose another"):
        write(folder)
    assert list(folder.iterdir()) == []


def test_what_a_stopped_run_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / "voice.part"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    write(tmp_path / "voice")
    assert not left.exists()
    assert len(Checkpoint.open(tmp_path / "voice").talker) == 94


def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    told: list[float] = []
    tensors = {"a": (2, 3), "b": (6,), "c": (4, 6)}
    write_tensors(
        tmp_path / "x", tensors, torch.float32, 0, report=lambda _, share: told.append(share)
    )
    assert told == [0.0, 1 / 6, 2 / 6]


def test_a_folder_appears_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qwen3_tts_export.checkpoint.random.write_tensors", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "voice")
    assert not (tmp_path / "voice").exists()


def test_a_full_disk_is_refused_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**7, 10**7))
    with pytest.raises(InputError, match=r"has 0\.0 GB free and big may need 2\.5 GB"):
        random_from_spec("0.6b-customvoice", tmp_path / "big", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks vocab\.json, merges\.txt, tok"):
        write_random(tmp_path / "a", *tiny_config(), seed=0, tokenizer_from=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_generation_defaults_are_written_out(tiny_checkpoint: TinyCheckpoint) -> None:
    values = json.loads((tiny_checkpoint() / "generation_config.json").read_text())
    assert values["max_new_tokens"] == 2048
    assert values["repetition_penalty"] == 1.05


def test_the_codec_spec_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is the codec alone"):
        random_from_spec("qwen3-tts-tokenizer-12hz", tmp_path / "codec", 0)


@pytest.mark.slow
def test_the_full_0_6b_is_written_in_under_two_gigabytes_of_memory(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from qwen3_tts_export.checkpoint.random import random_from_spec\n"
        "random_from_spec('0.6b-base', Path(sys.argv[1]), 0)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    folder = tmp_path / "qwen3-tts-12hz-0.6b-base"
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 2 << 20  # KiB
    assert Checkpoint.open(folder).config.talker.num_layers == 28
