"""The doors: every kind of file that is opened, a good one of it, and what opens it."""

import functools
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from faults.doors import Door
from faults.mutations import Mutate, in_bytes, in_json, in_onnx, in_safetensors
from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.backends.ort import cpu
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.engines import AxisRange, EngineKey, Engines, find_engines, plan_file
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import plan
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.errors import BackendError
from qwen3_tts_edge.sound.reading import open_sound, read_blocks
from qwen3_tts_edge.voices import listener
from qwen3_tts_edge.voices.reference import read_reference
from qwen3_tts_export.checkpoint.opening import Checkpoint

_HUM = np.sin(np.arange(26_400) * 0.05) * np.linspace(0.1, 0.5, 26_400)
_NPY, _TEXT = in_bytes(128), in_bytes(4_000)

BUNDLE: dict[str, Mutate] = {
    "manifest.json": in_json,
    "tokenizer.json": in_json,
    "text_rows.npy": _NPY,
    "codec_rows.npy": _NPY,
    "predictor_rows.npy": _NPY,
    "frame.onnx": in_onnx,
    "codec_decoder.onnx": in_onnx,
    "codec_encoder.onnx": in_onnx,
    "speaker_encoder.onnx": in_onnx,
    "speaker_encoder.data": in_bytes(),
}
CHECKPOINT: dict[str, Mutate] = {
    "config.json": in_json,
    "generation_config.json": in_json,
    "tokenizer_config.json": in_json,
    "vocab.json": in_json,
    "merges.txt": _TEXT,
    "model.safetensors": in_safetensors,
    "speech_tokenizer/config.json": in_json,
    "speech_tokenizer/model.safetensors": in_safetensors,
}
SOUNDS = {"a.wav": 64, "a.flac": 100, "a.ogg": 4_000, "a.mp3": 100, "a.aiff": 64}
PROFILE, CODES, ENGINES = "anna.safetensors", "a.codes", "engine.json"
NAMES = (*BUNDLE, PROFILE, CODES, ENGINES, *SOUNDS, *CHECKPOINT)


def door(name: str, folder: Path, bundle: Path, checkpoint: Callable[[], Path]) -> Door:
    """Make a door.

    Args:
        name: One of `NAMES`.
        folder: Where its file and what belongs to it may lie.
        bundle: Of a Base checkpoint.
        checkpoint: Gives that.
    """
    file = folder / name
    if name in BUNDLE:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
        kept = {"frame.onnx", "codec_decoder.onnx", "codec_encoder.onnx", "speaker_encoder.onnx"}
        if file.suffix in (".onnx", ".data"):
            kept.remove(f"{file.stem}.onnx")
        cpu.load = _loaded_once(cpu.load, kept)
        listener.log_mel = _heard_once(listener.log_mel)
        others = (
            "no backend of this version runs bundles of the flavour",
            "text layout",
            "the prompt has",  # more positions than a manifest may say that there are
        )
        computes = file.suffix == ".onnx"
        return Door(name, file, functools.partial(_speak, folder), BUNDLE[name], others, computes)
    if name in CHECKPOINT:
        shutil.copytree(checkpoint(), folder, dirs_exist_ok=True)
        return Door(name, file, functools.partial(Checkpoint.open, folder), CHECKPOINT[name])
    if name in SOUNDS:
        soundfile.write(file, _HUM, 24_000)
        return Door(name, file, functools.partial(_hear, file), in_bytes(SOUNDS[name]))
    if name == ENGINES:
        return Door(name, *_engines(folder), in_json)
    tts = Synthesizer.open(bundle, threads=1)
    if name == PROFILE:
        tts.prime(tts.clone((_HUM, 24_000), "A hum.")).save(file)
        others = ("the voice was cloned for",)
        return Door(name, file, lambda: _say(tts, Voice.load(file)), in_safetensors, others)
    codes = np.zeros((3, 16), np.int64)
    CodeFile.of(codes, 3 * 1920, tts.manifest).save(file)
    others = ("the codes were made by another codec",)
    return Door(name, file, functools.partial(_decode, tts, file), in_safetensors, others)


def _loaded_once(load: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    """Graphs that do not change are loaded once in each process."""
    once = functools.cache(lambda path: load(path, cpu.session_options(1), "CPUExecutionProvider"))

    def loaded(path: Path, *args: Any) -> Any:
        return once(path) if path.name in names else load(path, *args)

    return loaded


def _heard_once(log_mel: Callable[..., Any]) -> Callable[..., Any]:
    """The recording is the same each time, and no file has a part in its mel frames."""
    once = functools.cache(lambda samples: log_mel(np.frombuffer(samples, np.float32)))
    return lambda samples: once(samples.tobytes())


def _speak(folder: Path) -> None:
    CodecBundle.open(folder)
    plan(Manifest.load(folder))
    tts = Synthesizer.open(folder, threads=1, verify=False)
    _say(tts, tts.clone((_HUM, 24_000), "A hum."))


def _say(tts: Synthesizer, voice: Voice) -> None:
    list(tts.stream("Hello.", voice, seed=1, max_seconds=0.16))


def _decode(tts: Synthesizer, file: Path) -> None:
    found = CodeFile.load(file)
    found.check(tts.manifest)
    list(tts.decoder.begin().pieces(found.codes))


def _hear(file: Path) -> None:
    for _ in read_blocks(open_sound(file, file.name), file.name):
        pass
    read_reference(file)


def _engines(bundle: Path) -> tuple[Path, Callable[[], Any]]:
    key = EngineKey(
        library="tensorrt_rtx", version="1.7", capabilities=("sm_89",), gpu=None, graphs="ab"
    )
    folder = bundle / "engines" / key.folder_name
    folder.mkdir(parents=True)
    part = plan_file(folder, "talker_step")
    part.write_bytes(b"a plan")
    axes = {"capacity": AxisRange(least=2512, best=2512, most=2512)}
    plans = {"talker_step": FileSpec(size=6, sha256=sha256(part))}
    Engines(key=key, axes=axes, plans=plans).save(folder)

    def find() -> None:
        with suppress(BackendError):  # those that are there are for another machine
            find_engines(bundle, key)

    return folder / ENGINES, find
