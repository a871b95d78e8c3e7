"""Opening checkpoints: what comes back, and one clear line for everything that can be wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint
from tiny import EDGE_VOICE

TinyCheckpoint = Callable[..., Path]
Edit = Callable[[Path], None]


@pytest.fixture
def copy(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> Path:
    """A checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny_checkpoint("base", "narrow"), tmp_path / "copy"))


def edit_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def edit_tensors(file: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    edit(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def refusal(folder: Path | str, **kwargs: Any) -> str:
    with pytest.raises(CheckpointError) as raised:
        Checkpoint.open(folder, **kwargs)
    assert "\n" not in str(raised.value)
    return str(raised.value)


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


def test_tensors_nobody_asked_for_are_fine(copy: Path) -> None:
    edit_tensors(copy / "model.safetensors", lambda t: t.update(extra=torch.ones(3)))
    assert Checkpoint.open(copy).talker["extra"].tolist() == [1, 1, 1]


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


TALKER, CODEC = "model.safetensors", "speech_tokenizer/model.safetensors"
NORM, BOOK = "talker.model.norm.weight", "decoder.quantizer.rvq_first.vq.layers.0._codebook"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (cut(TALKER, -1), "bytes, its header promises"),
        (cut(TALKER, 5000), "has 5000 bytes, too few for its header; copy or save it again"),
        (cut(TALKER, 3), "has 3 bytes, too few for its header"),
        (cut(CODEC, -4096), "speech_tokenizer/model.safetensors has"),
        (write(TALKER, "version https://git-lfs.github.com/spec/v1\n"), "run `git lfs pull`"),
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
    assert asked == [("someone/tiny", "v2")]
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
        write("merges.txt", "#version: 0.2\n"),
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
