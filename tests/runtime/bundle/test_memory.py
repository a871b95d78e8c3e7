"""The plan is arithmetic, and what is allocated agrees with it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.backends.ort.cpu_memory import CpuMemory
from qwen3_tts_edge.bundle import memory
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, Manifest
from qwen3_tts_edge.errors import CapacityError, InputError

POSITION = 6 * 2 * 2 * 64 * 4  # layers, key and value, KV heads, head, bytes of float32
FRAME_STATE = 256 * 4 + 1280  # the summed embedding, and a byte for every code that was seen


def record_allocations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of what is allocated from now on."""
    allocated: list[int] = []
    plain = CpuMemory.allocate

    def allocate(self: CpuMemory, nbytes: int) -> tuple[int, Any]:
        allocated.append(nbytes)
        return plain(self, nbytes)

    monkeypatch.setattr(CpuMemory, "allocate", allocate)
    return allocated


@pytest.fixture
def manifest(voice_bundle: Path) -> Manifest:
    return Manifest.load(voice_bundle)


def test_the_bundled_voice(manifest: Manifest, voice_bundle: Path) -> None:
    plan = memory.plan(manifest)
    assert plan.capacity == 1024  # all the positions it knows; 160 s would be 2000
    assert plan.kv_cache == 1024 * POSITION
    assert plan.kv_cache_per_second == POSITION * 12.5
    assert plan.states[FRAME] == FRAME_STATE
    on_disk = {
        name: sum((voice_bundle / f"{name}.{kind}").stat().st_size for kind in ("onnx", "data"))
        for name in (FRAME, CODEC_DECODER)
    }
    assert plan.graphs == on_disk
    assert plan.tables == sum(path.stat().st_size for path in voice_bundle.glob("*_rows.npy"))
    states = sum(plan.states.values())
    assert plan.resident == sum(on_disk.values()) + plan.kv_cache + states


def test_the_cache_is_as_long_as_the_speech_and_its_prompt(manifest: Manifest) -> None:
    plan = memory.plan(manifest, max_seconds=10)
    assert plan.capacity == 125 + memory.PROMPT_POSITIONS
    assert plan.kv_cache == plan.capacity * POSITION


def test_two_buffers_where_a_graph_may_not_run_in_place(manifest: Manifest) -> None:
    apart = {
        name: msgspec.structs.replace(graph, in_place=False)
        for name, graph in manifest.graphs.items()
    }
    one = memory.plan(manifest)
    two = memory.plan(msgspec.structs.replace(manifest, graphs=apart))
    assert two.kv_cache == 2 * one.kv_cache
    assert two.states == {name: 2 * size for name, size in one.states.items()}


@pytest.mark.parametrize("max_seconds", [None, 1, 10, 40.04, 81])
@pytest.mark.parametrize("slots", [1, 3])
def test_what_is_allocated_is_what_was_planned(
    voice_bundle: Path, max_seconds: float | None, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocated = record_allocations(monkeypatch)
    synthesizer = Synthesizer.open(voice_bundle, max_seconds=max_seconds, verify=False, slots=slots)
    plan = memory.plan(synthesizer.manifest, max_seconds)
    assert synthesizer.frame_graph.capacity == plan.capacity
    synthesizer.decoder.begin()
    assert (
        sum(allocated) == slots * (plan.kv_cache + plan.states[FRAME]) + plan.states[CODEC_DECODER]
    )


def test_what_others_of_the_same_voice_begin_with_is_kept_and_no_more_than_a_cache(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts = Synthesizer.open(voice_bundle, verify=False, slots=1)
    allocated = record_allocations(monkeypatch)
    voices = [Voice.speaker(name) for name in tts.speakers]
    for _ in range(3):
        for voice in voices:
            tts.speak("Hi.", voice, seed=1, max_seconds=0.2)
    codec = memory.plan(tts.manifest).states[CODEC_DECODER]
    rows = [tts.prompts.build("Hi.", voice).opening for voice in voices]
    assert sum(allocated) == sum(rows) * POSITION + len(rows) * FRAME_STATE + codec


def test_longer_than_the_checkpoint_knows(manifest: Manifest, voice_bundle: Path) -> None:
    message = r"max_seconds 82 is more than this checkpoint's 1024 positions hold; at most 81\.8 s"
    with pytest.raises(CapacityError, match=message):
        memory.plan(manifest, max_seconds=82)
    with pytest.raises(CapacityError, match=message):
        Synthesizer.open(voice_bundle, max_seconds=82)
    with pytest.raises(CapacityError, match=r"max_seconds 1e\+308 is more than"):
        memory.plan(manifest, max_seconds=1e308)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_length_that_is_none(manifest: Manifest, voice_bundle: Path, seconds: float) -> None:
    with pytest.raises(
        InputError, match=rf"max_seconds is {seconds}; it must be finite and above 0"
    ):
        memory.plan(manifest, max_seconds=seconds)
    with pytest.raises(
        InputError, match=rf"max_seconds is {seconds}; it must be finite and above 0"
    ):
        Synthesizer.open(voice_bundle, max_seconds=seconds)


def test_seconds_become_frames_without_a_frame_of_rounding(manifest: Manifest) -> None:
    for frames in range(1, 2000):
        assert memory.frame_count(manifest, frames / manifest.frames_per_second) == frames
    assert memory.frame_count(manifest, 0.081) == 2
    assert memory.frame_count(manifest, 1e-12) == 1
