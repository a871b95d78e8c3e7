"""Opening checkpoints: what comes back, and one clear line for everything that can be wrong."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edits import Edit, edit_json, edit_tensors, refusal
from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.checking import check
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint, open_checkpoint
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]


TALKER, CODEC = "model.safetensors", "speech_tokenizer/model.safetensors"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NORM, BOOK = "talker.model.norm.weight", "decoder.quantizer.rvq_first.vq.layers.0._codebook"


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
    talker.refuse_infinite()


@pytest.mark.parametrize(
    ("file", "name"), [(TALKER, "talker.codec_head.weight"), (CODEC, f"{BOOK}.embedding_sum")]
)
def test_a_file_that_was_not_written_to_its_end_is_told_by_its_zeros(
    copy: Path, file: str, name: str
) -> None:
    edit_tensors(copy / file, lambda t: t.update({name: torch.zeros_like(t[name])}))
    checkpoint = Checkpoint.open(copy)
    with pytest.raises(CheckpointError, match=f"{name} are zero, as in a file that was not wri"):
        (checkpoint.talker if file == TALKER else checkpoint.codec).refuse_infinite()


def test_what_the_codecs_encoder_does_not_use_may_be_zero(copy: Path) -> None:
    last = "encoder.quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.embed_sum"
    edit_tensors(copy / CODEC, lambda t: t.update({last: torch.zeros_like(t[last])}))
    Checkpoint.open(copy).codec.refuse_infinite()


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


def cut(name: str, keep: int) -> Edit:
    def edit(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:keep])

    return edit


def write(name: str, text: str) -> Edit:
    return lambda folder: (folder / name).write_text(text) and None


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Edit:
    return lambda folder: edit_tensors(folder / name, change)


def values(name: str, **new: Any) -> Edit:
    return lambda folder: edit_json(folder / name, **new)


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
        (write("config.json", "[]"), "config.json holds a list, expected a JSON object"),
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


def test_a_wrong_source_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'} is not a folder")
    assert "nor a hub id such as owner/name" in refusal("nowhere")
    assert f"{tmp_path} is a folder; a revision belongs" in refusal(tmp_path, revision="main")
    assert "config.json is missing; expected a Qwen3-TTS checkpoint folder" in refusal(tmp_path)


def test_a_hub_id_is_fetched_at_its_revision(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: TinyCheckpoint
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(hub_id: str, revision: str | None) -> Path:
        asked.append((hub_id, revision))
        return tiny_checkpoint()

    monkeypatch.setattr("qwen3_tts_export.checkpoint.hub.download", download)
    checkpoint = Checkpoint.open("someone/tiny", revision="v2")
    assert Checkpoint.open("someone/tiny/", revision="v2").name == checkpoint.name
    assert asked == [("someone/tiny", "v2")] * 2
    assert checkpoint.folder == tiny_checkpoint()


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
