"""Chunks of codes into samples that do not depend on the chunking."""

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import Graph, State, open_backend
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER
from qwen3_tts_edge.bundle.own_files import FileSpec
from qwen3_tts_edge.codec.decoder import FRAMES_AT_ONCE, CodecDecoder
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.speech.stream import RAMP


class Counted:
    """A graph that counts its launches and the states it was asked for."""

    seconds = 0.0
    at_once = 1

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.most: Mapping[str, int] = {}
        self.frames: list[int] = []
        self.states = 0

    def state(self, slots: int = 1) -> State:
        self.states += 1
        return self._graph.state(slots)

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        self.frames.append(inputs["codes"].shape[1])
        return self._graph.run(inputs, state)


@pytest.fixture(scope="module")
def tts(voice_bundle: Path) -> Synthesizer:
    return Synthesizer.open(voice_bundle, max_seconds=1, threads=1)


@pytest.fixture(scope="module")
def codec(tts: Synthesizer) -> CodecDecoder:
    return tts.decoder


@pytest.fixture
def counted(voice_bundle: Path) -> tuple[CodecDecoder, Counted]:
    return opened(voice_bundle)


def opened(
    voice_bundle: Path, name: str = "ort-cpu", **changes: Any
) -> tuple[CodecDecoder, Counted]:
    """A decoder as another process has it, which takes the backend for the one of that name."""
    bundle, backend = Bundle.open(voice_bundle), open_backend("ort-cpu", threads=1)
    graph = Counted(backend.open(bundle.folder, bundle.manifest.graphs[CODEC_DECODER]))
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return CodecDecoder(graph, manifest, name), graph


def some_codes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 16))


def decoded(codec: CodecDecoder, codes: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    stream, pieces, at, left = codec.begin(), [], 0, list(sizes)
    while at < len(codes):
        size = left.pop(0) if len(left) > 1 else left[0]
        pieces.append(stream.push(codes[at : at + size]))
        at += size
    return np.concatenate(pieces)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_chunks_of_a_stream_are_of_the_sizes_asked_for(tts: Synthesizer, sizes: list[int]) -> None:
    spoken = list(tts.stream("Hello there.", seed=1, chunk_frames=sizes))
    lengths = [len(chunk.codes) for chunk in spoken]
    assert lengths[:-1] == (sizes + sizes[-1:] * 60)[: len(lengths) - 1]
    assert 0 < lengths[-1] <= (sizes + sizes[-1:] * 60)[len(lengths) - 1]
    assert all(len(chunk.samples) == 1920 * len(chunk.codes) for chunk in spoken)


def test_the_ramp_begins_with_a_single_frame(tts: Synthesizer) -> None:
    lengths = [len(chunk.codes) for chunk in tts.stream("Hello there, you.", seed=1)]
    assert lengths[:6] == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(("held_back", "frame"), [(0, 64), (100, 66)])
def test_the_ramp_lets_no_player_fall_silent(held_back: float, frame: float) -> None:
    """In ms, and no player is in time where frames take 2 ms more."""

    def late(frame: float) -> float:
        sizes = (*RAMP, *RAMP[-1:] * 40)
        came = np.cumsum(sizes) * frame
        ends = came[0] + held_back + 80 * np.cumsum(sizes)
        return float((came[1:] - ends[:-1]).max())

    assert late(frame) <= 0 < late(frame + 2)


class Together(Counted):
    """A graph of which two launches wait for each other."""

    at_once = 2

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._both = Barrier(2)

    def run(self, inputs: Mapping[str, Array], state: State) -> dict[str, Array]:
        self._both.wait(timeout=60)
        return super().run(inputs, state)


def test_streams_are_decoded_side_by_side_where_the_graph_allows_it(voice_bundle: Path) -> None:
    manifest = Bundle.open(voice_bundle).manifest
    graph = open_backend("ort-cpu").open(voice_bundle, manifest.graphs[CODEC_DECODER])
    codes = [some_codes(3, seed) for seed in (1, 2)]
    alone = CodecDecoder(Counted(graph), manifest, "ort-cpu")
    inline = [alone.begin().start(each) for each in codes]
    assert all(each.done() for each in inline)
    beside = CodecDecoder(Together(graph), manifest, "ort-cpu")
    started = [beside.begin().start(each) for each in codes]
    for one, other in zip(inline, started, strict=True):
        assert np.array_equal(one.result()[0], other.result()[0])


@pytest.mark.usefixtures("all_cores")
def test_a_small_graph_has_one_thread_and_others_beside_it(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwen3_tts_edge.backends.ort import cpu

    spec = Bundle.open(voice_bundle).manifest.graphs[CODEC_DECODER]
    threads = processors()
    backend = open_backend("ort-cpu", threads=threads)
    given: list[int | None] = []
    options = cpu.session_options
    monkeypatch.setattr(cpu, "session_options", lambda n: given.append(n) or options(n))
    assert backend.open(voice_bundle, spec).at_once == threads
    monkeypatch.setattr(cpu, "SMALL", spec.reads.total)
    assert backend.open(voice_bundle, spec).at_once == 1
    assert given == [1, threads]


def test_a_chunk_is_handed_on_as_soon_as_it_is_full(tts: Synthesizer) -> None:
    stream = tts.stream("Hello there.", seed=1, chunk_frames=(2, 3))
    taken = []
    for _ in range(2):
        next(stream)
        taken.append(len(stream.metrics.frames))
    assert taken == [2, 5]


def test_any_chunking_gives_the_same_samples(codec: CodecDecoder) -> None:
    """Longer than the codec's window of 72 frames."""
    codes = some_codes(76)
    whole = decoded(codec, codes, (76,))
    assert whole.shape == (76 * 1920,)
    assert np.abs(decoded(codec, codes, (1, 7, 2)) - whole).max() <= 1e-5
    assert np.abs(codec.decode(codes) - whole).max() <= 1e-5


def test_a_whole_is_decoded_in_pieces_and_no_frame_is_silence(
    counted: tuple[CodecDecoder, Counted],
) -> None:
    codec, graph = counted
    codec.decode(some_codes(2 * FRAMES_AT_ONCE + 3))
    assert graph.frames == [FRAMES_AT_ONCE, FRAMES_AT_ONCE, 3]
    nothing = codec.decode(some_codes(0))
    assert (nothing.shape, nothing.dtype) == ((0,), np.float32)


def test_no_launch_is_longer_than_the_graph_takes(counted: tuple[CodecDecoder, Counted]) -> None:
    codec, graph = counted
    expected = codec.decode(some_codes(9))
    graph.frames.clear()
    graph.most = {"frames": 4}
    assert np.abs(codec.begin().push(some_codes(9)) - expected).max() <= 1e-5
    assert graph.frames == [4, 4, 1]


def test_begin_forgets_what_was_spoken(codec: CodecDecoder) -> None:
    codes = some_codes(5)
    first = decoded(codec, codes, (5,))
    decoded(codec, some_codes(20, seed=1), (20,))
    assert np.array_equal(decoded(codec, codes, (5,)), first)


def test_streams_do_not_hear_each_other(codec: CodecDecoder) -> None:
    codes = [some_codes(9, seed) for seed in range(3)]
    expected = [decoded(codec, each, (3,)) for each in codes]
    streams = [codec.begin() for _ in codes]
    found = [
        [stream.push(each[at : at + 3]) for stream, each in zip(streams, codes, strict=True)]
        for at in (0, 3, 6)
    ]
    for number, each in enumerate(expected):
        assert np.array_equal(np.concatenate([turn[number] for turn in found]), each)


def test_the_state_of_a_stream_that_is_gone_is_used_again(
    counted: tuple[CodecDecoder, Counted],
) -> None:
    codec, graph = counted
    for _ in range(5):
        codec.decode(some_codes(2))
    assert graph.states == 1
    first, second = codec.begin(), codec.begin()
    assert graph.states == 2
    assert first.state is not second.state
    kept = second.state
    del second
    gc.collect()
    assert codec.begin().state is kept
    assert graph.states == 2


def test_a_reference_is_decoded_once(counted: tuple[CodecDecoder, Counted]) -> None:
    codec, graph = counted
    reference, codes = some_codes(FRAMES_AT_ONCE + 7), some_codes(6, seed=1)
    whole = codec.begin()
    whole.push(reference)
    expected = whole.push(codes)
    graph.frames.clear()
    first = codec.begin(reference)
    assert graph.frames == [FRAMES_AT_ONCE, 7]
    assert np.abs(first.push(codes) - expected).max() <= 1e-5
    graph.frames.clear()
    again = [codec.begin(reference) for _ in range(3)]
    assert graph.frames == []
    for stream in again:
        assert stream.position == len(reference)
        assert np.abs(stream.push(codes) - expected).max() <= 1e-5
    assert np.abs(codec.begin().push(codes) - expected).max() > 1e-4


def test_the_last_few_references_are_kept(counted: tuple[CodecDecoder, Counted]) -> None:
    codec, graph = counted
    for seed in range(9):
        codec.begin(some_codes(1, seed))
    states = graph.states
    graph.frames.clear()
    codec.begin(some_codes(1, 8))
    assert graph.frames == []
    codec.begin(some_codes(1, 0))  # used longest ago: given up for the ninth
    assert graph.frames == [1]
    assert graph.states == states


def test_a_primed_reference_is_not_decoded(
    counted: tuple[CodecDecoder, Counted], voice_bundle: Path
) -> None:
    """And all that follows is the same, to the last bit."""
    reference, codes = some_codes(FRAMES_AT_ONCE + 7), some_codes(80, seed=1)
    expected = counted[0].begin(reference).push(codes)
    primed = counted[0].prime(reference)
    codec, graph = opened(voice_bundle)
    for _ in range(2):  # what a stream made of it is not kept
        stream = codec.begin(primed)
        assert graph.frames == []
        assert stream.position == len(reference)
        assert np.array_equal(stream.push(codes), expected)
        graph.frames.clear()
    assert np.array_equal(codec.begin(reference).push(codes), expected)


@pytest.mark.parametrize("other", ["graph", "backend", "state"])
def test_another_decoder_decodes_what_was_primed(
    counted: tuple[CodecDecoder, Counted], voice_bundle: Path, other: str
) -> None:
    reference, codes = some_codes(7), some_codes(6, seed=1)
    expected = counted[0].begin(reference).push(codes)
    primed = counted[0].prime(reference)
    lies = {name: array + 1 for name, array in primed.state.items()}
    codec, graph = opened(voice_bundle)
    if other == "graph":
        files = dict(Bundle.open(voice_bundle).manifest.files)
        files["codec_decoder.data"] = FileSpec(size=1, sha256="another")
        codec, graph = opened(voice_bundle, files=files)
    elif other == "backend":
        codec, graph = opened(voice_bundle, "ort-cuda")
    else:
        lies["past.first"] = lies["past.first"][:, :-1]
    assert np.array_equal(codec.begin(replace(primed, state=lies)).push(codes), expected)
    assert graph.frames == [7, 6]


def test_samples_are_playable(codec: CodecDecoder) -> None:
    samples = decoded(codec, some_codes(20), RAMP)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1


@pytest.mark.parametrize("shape", [(0, 16), (3, 15), (16,), (1, 3, 16)])
def test_codes_of_another_shape(codec: CodecDecoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"codes have shape .*; expected \(frames, 16\)"):
        codec.begin().push(np.zeros(shape, np.int64))


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (0, 256), (258, 258)])
def test_codes_outside_the_codebook(codec: CodecDecoder, low: int, high: int) -> None:
    codes = np.zeros((2, 16), np.int64)
    codes[0, 3], codes[1, 15], codes[0, 0] = low, high, low
    with pytest.raises(InputError, match=rf"range over .*{high}, the codebooks have 0\.\.255"):
        codec.begin().push(codes)
    with pytest.raises(InputError, match=r"the codebooks have 0\.\.255"):
        codec.begin(codes)


_FORKED = """
import os, signal, sys
from qwen3_tts_edge import Synthesizer

tts = Synthesizer.open(sys.argv[1], threads=int(sys.argv[2]), verify=False)
said = tts.speak("Hello there.", seed=1).samples.tobytes()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(tts.speak("Hello there.", seed=1).samples.tobytes() != said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.usefixtures("all_cores")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_was_forked_after_speech_speaks_too(voice_bundle: Path) -> None:
    """A server that loads before it forks does so; threads do not go with it."""
    asked = [sys.executable, "-c", _FORKED, str(voice_bundle), str(processors())]
    assert subprocess.run(asked, check=False, timeout=120).returncode == 0
