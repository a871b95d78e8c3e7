"""Opening checkpoints: what comes back, from where, and its fingerprint."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edits import BOOK, CODEC, NORM, TALKER, Edit, edit_tensors, refusal, tensors, values
from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.checkpoint import hub
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint, open_checkpoint
from qwen3_tts_export.checkpoint.weights import refuse_infinite
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]


def test_tensors_are_those_of_the_files_in_their_stored_dtype(
    tiny_checkpoint: TinyCheckpoint,
) -> None:
    folder = tiny_checkpoint("base", "narrow")
    checkpoint = Checkpoint.open(folder)
    for mine, file, dtype in (
        (checkpoint.talker, folder / "model.safetensors", torch.bfloat16),
        (checkpoint.codec, folder / "speech_tokenizer" / "model.safetensors", torch.float32),
    ):
        stored = load_file(file)
        assert set(mine) == set(stored)
        for name, tensor in mine.items():
            assert tensor.dtype is dtype
            assert torch.equal(tensor, stored[name])


def test_the_bundled_voice_opens() -> None:
    voice = Checkpoint.open(EDGE_VOICE)
    assert (voice.name, voice.revision) == ("edge-voice", None)
    assert voice.config.tts_model_type == "custom_voice"
    vocab = voice.config.text_ids.tts_eos + 1
    assert voice.talker["talker.model.text_embedding.weight"].shape[0] >= vocab


def test_a_folder_of_the_hub_cache_knows_its_name_and_commit(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "hub" / "models--someone--tiny-voice" / "snapshots" / commit
    shutil.copytree(tiny_checkpoint(), snapshot)
    checkpoint = Checkpoint.open(snapshot)
    assert (checkpoint.name, checkpoint.revision) == ("tiny-voice", commit)


def test_shards_open_as_one_file(copy: Path) -> None:
    whole = Checkpoint.open(copy).fingerprint
    tensors = load_file(copy / "model.safetensors")
    names = sorted(tensors)
    index = {}
    for part, some in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{part:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in some}, copy / file)
        index.update(dict.fromkeys(some, file))
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    sharded = Checkpoint.open(copy)
    assert set(sharded.talker) == set(tensors)
    assert all(torch.equal(sharded.talker[name], tensors[name]) for name in names)
    assert sharded.fingerprint != whole

    (copy / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors cannot be read: No such file" in refusal(copy)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("model-00001-of-00002.safetensors", "copy model.safetensors.index.json there too"),
        ("model.fp16.safetensors", "rename it to model.safetensors"),
        ("diffusion_pytorch_model.safetensors", "rename it to model.safetensors"),
    ],
)
def test_weights_under_another_name_are_told(copy: Path, name: str, cure: str) -> None:
    (copy / "model.safetensors").rename(copy / name)
    said = refusal(copy)
    assert f"has {name} and neither model.safetensors nor model.safetensors.index.json" in said
    assert cure in said


def test_a_folder_is_no_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").mkdir()
    assert "model.safetensors is missing; expected the weights" in refusal(copy)


def test_a_base_without_its_speaker_encoder_is_told_what_it_is(
    tiny_checkpoint: TinyCheckpoint, tmp_path: Path
) -> None:
    """As the official fine-tuning script leaves it, where config.json still says base."""
    folder = shutil.copytree(tiny_checkpoint("base"), tmp_path / "tune")
    edit_tensors(
        folder / "model.safetensors",
        lambda tensors: [tensors.pop(name) for name in list(tensors) if "speaker_enc" in name],
    )
    said = refusal(folder)
    assert "76 of 170 tensors are missing, first speaker_encoder." in said
    assert "or make tts_model_type custom_voice" in said


@pytest.mark.parametrize(
    "shard",
    [
        *(None, 7, ["model.safetensors"], "", "../model.safetensors", "/m.safetensors", "m.bin"),
        "é" * 122 + ".safetensors",
    ],
)
def test_an_index_that_names_no_file_is_refused(copy: Path, shard: Any) -> None:
    (copy / "model.safetensors").rename(copy / "model-1.safetensors")
    index = {"weight_map": {NORM: shard, "talker.codec_head.weight": "model-1.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    said = refusal(copy)
    assert f"{NORM} is in {shard!r}, expected a safetensors file beside it or below; save" in said


@pytest.mark.parametrize("place", ["./model-1.safetensors", "weights/model-1.safetensors"])
def test_an_index_may_name_files_below(copy: Path, place: str) -> None:
    (copy / "weights").mkdir()
    (copy / "model.safetensors").rename(copy / place)
    names = load_file(copy / place)
    index = {"weight_map": dict.fromkeys(names, place)}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert set(Checkpoint.open(copy).talker) == set(names)


@pytest.mark.parametrize("weight_map", [None, {}, [], "model-1.safetensors"])
def test_an_index_without_a_map_is_refused(copy: Path, weight_map: Any) -> None:
    (copy / "model.safetensors").rename(copy / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": weight_map}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model.safetensors.index.json: weight_map" in refusal(copy)


def test_tensors_nobody_asked_for_are_fine(copy: Path) -> None:
    extra = torch.tensor([1, math.inf, 2])
    edit_tensors(copy / "model.safetensors", lambda t: t.update(extra=extra))
    talker = Checkpoint.open(copy).talker
    assert talker["extra"].tolist() == extra.tolist()
    refuse_infinite([talker])


def test_who_names_a_file_or_a_cache_is_told_the_folder(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    folder = tiny_checkpoint()
    with pytest.raises(CheckpointError, match=f"{TALKER} is a file; name its folder, {folder}"):
        Checkpoint.open(folder / TALKER)
    cache = tmp_path / "models--someone--tiny"
    shutil.copytree(folder, cache / "snapshots" / "4d7a")
    with pytest.raises(CheckpointError, match=rf"a cache holds .*such as {cache}/snapshots/4d7a$"):
        Checkpoint.open(cache)


def test_a_wrong_source_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'} is not a folder")
    assert "nor a hub id such as owner/name" in refusal("nowhere")
    assert f"{tmp_path} is a folder; a revision belongs" in refusal(tmp_path, revision="main")
    assert "config.json is missing; expected a Qwen3-TTS checkpoint folder" in refusal(tmp_path)


def test_a_hub_id_is_fetched_at_its_revision(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: TinyCheckpoint
) -> None:
    asked: list[tuple[str, str | None, bool]] = []

    def download(
        hub_id: str, _: object, *, revision: str | None = None, weights: bool = True
    ) -> Path:
        asked.append((hub_id, revision, weights))
        return tiny_checkpoint()

    monkeypatch.setattr(hub, "downloaded", download)
    checkpoint = Checkpoint.open("someone/tiny", revision="v2")
    assert Checkpoint.open("someone/tiny/", revision="v2").name == checkpoint.name
    assert asked == [("someone/tiny", "v2", False), ("someone/tiny", "v2", True)] * 2
    assert checkpoint.folder == tiny_checkpoint()


@pytest.mark.parametrize(
    ("main", "codec", "said"),
    [
        (None, lambda folder: (folder / "config.json").unlink(), "is missing; expected a codec"),
        (None, values("config.json", model_type="whisper"), "model_type is 'whisper', expected"),
        (values("config.json", model_type="llama"), None, "model_type is 'llama'"),
        (values("config.json", tts_pad_token_id=7), None, "tts_pad_token_id"),
        (values("generation_config.json", temperature="hot"), None, "temperature"),
    ],
)
@pytest.mark.parametrize("at_home", [True, False])
def test_what_does_not_fit_is_refused_before_gigabytes_come(
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    main: Edit | None,
    codec: Edit | None,
    said: str,
    *,
    at_home: bool,
) -> None:
    """On the hub is the checkpoint, and its codec or not."""
    elsewhere = (copy / "speech_tokenizer").rename(tmp_path / "codec")
    for edit, folder in ((main, copy), (codec, elsewhere)):
        if edit is not None:
            edit(folder)
    (copy / TALKER).unlink()

    def download(
        hub_id: str, _: object, *, revision: str | None = None, weights: bool = True
    ) -> Path:
        assert not weights
        return {"someone/tiny": copy, "someone/codec": elsewhere}[hub_id]

    monkeypatch.setattr(hub, "downloaded", download)
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint("someone/tiny", codec=elsewhere if at_home else "someone/codec")


@pytest.mark.parametrize(
    ("at_home", "edit", "said"),
    [
        ("codec", lambda folder: (folder / TALKER).unlink(), "model.safetensors is missing"),
        (
            "codec",
            tensors(TALKER, lambda t: t.pop(f"{BOOK}.cluster_usage")),
            "1 of 358 tensors are",
        ),
        ("main", tensors(TALKER, lambda t: t.pop(NORM)), "1 of 172 tensors are missing"),
    ],
)
def test_weights_that_are_here_are_looked_at_before_others_come(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_home: str, edit: Edit, said: str
) -> None:
    elsewhere = (copy / "speech_tokenizer").rename(tmp_path / "codec")
    here, there = (copy, elsewhere) if at_home == "main" else (elsewhere, copy)
    edit(here)
    (there / TALKER).unlink()
    monkeypatch.setattr(hub, "small_files", lambda *_: there)
    monkeypatch.setattr(hub, "download", lambda *_: pytest.fail("downloaded"))
    source, codec = (copy, "a/codec") if at_home == "main" else ("a/tiny", elsewhere)
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint(source, codec=codec)


def test_the_codec_opens_alone(tiny_checkpoint: TinyCheckpoint) -> None:
    whole = Checkpoint.open(tiny_checkpoint())
    alone = CodecCheckpoint.open(tiny_checkpoint() / "speech_tokenizer")
    assert alone.config.decoder == whole.config.codec
    assert set(alone.codec) == set(whole.codec)
    assert len(alone.fingerprint) == 64
    assert alone.fingerprint != whole.fingerprint


def test_codec_and_checkpoint_are_not_taken_for_each_other(
    tiny_checkpoint: TinyCheckpoint,
) -> None:
    assert "this is the codec alone" in refusal(tiny_checkpoint() / "speech_tokenizer")
    with pytest.raises(CheckpointError, match="model_type is 'qwen3_tts', expected"):
        CodecCheckpoint.open(tiny_checkpoint())


def add_blank_line(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def test_the_fingerprint_is_the_same_wherever_the_files_lie(
    copy: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    original = Checkpoint.open(tiny_checkpoint("base", "narrow"))
    assert Checkpoint.open(copy).fingerprint == original.fingerprint
    other = Checkpoint.open(tiny_checkpoint("base", "narrow", seed=1))
    assert other.fingerprint != original.fingerprint


@pytest.mark.parametrize(
    "edit",
    [
        values("config.json", note="changed"),
        values("generation_config.json", top_k=40),
        values("speech_tokenizer/config.json", note="changed"),
        lambda folder: add_blank_line(folder / "merges.txt"),
        tensors(TALKER, lambda t: t["talker.codec_head.weight"][0, 0].add_(1)),
        tensors(TALKER, lambda t: t["talker.codec_head.weight"][-1, -1].add_(1)),
        tensors(TALKER, lambda t: t["talker.text_projection.linear_fc2.bias"][60].add_(1)),
        tensors(CODEC, lambda t: t[f"{BOOK}.embedding_sum"][0, 0].add_(1)),
    ],
)
def test_the_fingerprint_shows_a_change(copy: Path, edit: Edit) -> None:
    edit_tensors(copy / TALKER, lambda _: None)  # so that only the edit differs, not the writer
    edit_tensors(copy / CODEC, lambda _: None)
    before = Checkpoint.open(copy).fingerprint
    assert Checkpoint.open(copy).fingerprint == before
    edit(copy)
    assert Checkpoint.open(copy).fingerprint != before


def test_a_codec_from_elsewhere(copy: Path, tmp_path: Path) -> None:
    whole = Checkpoint.open(copy).fingerprint
    codec = (copy / "speech_tokenizer").rename(tmp_path / "codec")
    said = refusal(copy)
    assert (
        "speech_tokenizer/config.json is missing; expected a codec; name one with --codec" in said
    )
    apart = Checkpoint.open(copy, codec=codec)
    assert (apart.fingerprint, apart.codec.folder) == (whole, codec)
    codec.rename(copy / "speech_tokenizer")
    borrowed = Checkpoint.open(copy, codec=shutil.copytree(copy, tmp_path / "another"))
    assert borrowed.codec.folder == tmp_path / "another" / "speech_tokenizer"
    with pytest.raises(InputError, match="--codec is for a checkpoint without one"):
        open_checkpoint(copy / "speech_tokenizer", codec=copy)


def test_a_folder_of_modelscope_s_cache_has_the_dot_in_its_name(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    folder = tmp_path / "models" / "someone" / "Tiny-1___7B-Voice"
    shutil.copytree(tiny_checkpoint(), folder)
    assert Checkpoint.open(folder).name == "Tiny-1.7B-Voice"
    folder = folder.rename(folder.with_name("Qwen3-TTS-12Hz-1___7B-CustomVoice"))
    assert "spec qwen3-tts-12hz-1.7b-customvoice expects" in refusal(folder)


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("my-voice", "save it again"),
        ("my-voice/speech_tokenizer", "save it again"),
        ("Qwen3-TTS-12Hz-0.6B-Base", "download it again"),
        ("Qwen3-TTS-12Hz-0.6B-Base/speech_tokenizer", "download it again"),
        ("models--someone--tiny/snapshots/0123456789abcdef", "download it again"),
        ("modelscope/hub/models/someone/tiny", "download it again"),
    ],
)
def test_only_who_has_downloaded_it_is_told_to_do_so_again(
    tmp_path: Path, place: str, advice: str
) -> None:
    assert cure(tmp_path / place / "model.safetensors", "save it again") == advice
