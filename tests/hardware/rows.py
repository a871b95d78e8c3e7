"""The rows about speed and memory of one bundle. Warm-up is left out, seeds are fixed."""

import dataclasses
import statistics
import time

import numpy as np

from hardware.case import CPU, Case, for_each, spread
from hardware.place import gpu_free
from hardware.record import Figures, NotRun
from qwen3_tts_edge.backends import FrameGraph, open_backend
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle import memory as plans
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.machine.bench import TEXT, frames_of, peak_rss, prompt_of, timed
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.voices.matching import any_voice

CONTEXTS = (100, 500, 2000)
CHUNKS = (1, 2, 4, 8)
BATCHES = (2, 4, 8, 16, 32)
WARM_UP = 5
_SECONDS = 10.0


def frame(case: Case) -> Figures:
    """Talker, fifteen predictor passes and sampling, by positions of context."""
    return {"at": _at_contexts(case, case.tts.frame_graph)}


def uncaptured(case: Case) -> Figures:
    """The same, each kernel launched by itself."""
    return {"at": _at_contexts(case, uncaptured_frame(case))}


def uncaptured_frame(case: Case) -> FrameGraph:
    """The frame graph, opened again, that is never captured."""
    if case.backend != "ort-cuda":
        raise NotRun(f"{case.backend} has no captured graph that could be left out")
    from qwen3_tts_edge.backends.ort.cuda import OrtCudaBackend

    opener, capacity = OrtCudaBackend(threads=case.threads), case.tts.frame_graph.capacity
    return opener.open_frame(case.folder, case.tts.manifest.graphs, capacity, captured=False)


def _at_contexts(case: Case, graph: FrameGraph) -> Figures:
    slots = Slots(graph, case.tts.manifest, 1)

    def measure(positions: int) -> Figures:
        if positions + case.counts.frames >= graph.capacity:
            raise NotRun(f"the KV cache has {graph.capacity} positions")
        figures = _launches(case, graph, slots, [prompt_of(case.tts, positions)])
        return figures | _floor(case, positions, figures["p50_ms"])

    return for_each(CONTEXTS, measure)


def _launches(case: Case, graph: FrameGraph, slots: Slots, prompts: list[Prompt]) -> Figures:
    """Milliseconds a frame, and the part of them inside the backend."""
    for _ in frames_of(slots, prompts, WARM_UP):
        pass
    inside: list[float] = []  # after each frame, of which the first reads prompts
    made = frames_of(slots, prompts, case.counts.frames + 1)
    took = timed(inside.append(graph.seconds) for _ in made)
    figures = spread(took[1:])
    return figures | {"launch_p50_ms": round(1e3 * statistics.median(np.diff(inside)), 4)}


def _floor(case: Case, positions: int, took: float) -> Figures:
    """How many times the least time that is."""
    try:
        measured = case.roofline
    except Exception as error:
        return {"floor_ms": None, "no floor": str(error)}
    plan = plans.plan(case.tts.manifest)
    read = positions * plan.kv_cache // plan.capacity
    floor = dataclasses.replace(measured, kv_cache=read).floor_ms
    return {"floor_ms": round(floor, 4), "times_the_floor": round(took / floor, 2)}


def codec(case: Case) -> Figures:
    """The codec decoder, by frames a chunk."""
    spec = case.manifest.graphs[CODEC_DECODER]
    if case.holds_the_codec_alone:
        opener = open_backend(case.backend, flavour=case.manifest.flavour, threads=case.threads)
        decoder = CodecDecoder.open(CodecBundle(case.folder, case.manifest), opener)
    else:
        decoder = case.tts.decoder
    numbers = np.random.default_rng(0)

    def measure(size: int) -> Figures:
        shape = (WARM_UP + case.counts.frames, size, case.manifest.codebooks)
        codes = numbers.integers(0, case.manifest.codebook_size, shape)
        took = timed(map(decoder.begin().push, codes))
        figures = spread(took[WARM_UP:])
        return figures | {"ms_a_frame": round(figures["p50_ms"] / size, 4)}

    kind = spec.rounding.dtype if spec.rounding else "float32"
    return {"computes_in": kind, "chunks_of": for_each(CHUNKS, measure)}


def first_audio(case: Case) -> Figures:
    """Request in → first samples in hand, of a first chunk of one frame."""
    voice = any_voice(case.tts.manifest)

    def request(seed: int) -> float:
        start = time.perf_counter()
        next(case.tts.stream(TEXT, voice, chunk_frames=(1,), seed=seed))
        return time.perf_counter() - start

    took = [request(seed) for seed in range(WARM_UP + case.counts.requests)][WARM_UP:]
    return spread(took) | {"prompt_positions": len(prompt_of(case.tts).rows)}


def batch(case: Case) -> Figures:
    """A launch that makes a frame for each of so many slots, and what that is in sound."""

    def measure(slots: int) -> Figures:
        graph = case.tts.frame_graph
        prompts = [prompt_of(case.tts)] * slots
        figures = _launches(case, graph, Slots(graph, case.tts.manifest, slots), prompts)
        sound = slots / case.manifest.frames_per_second / figures["p50_ms"] * 1e3
        return figures | {"sound_seconds_a_second": round(sound, 2)}

    return {"slots": for_each(BATCHES, measure)}


def memory(case: Case) -> Figures:
    """What the plan says, and what was taken after ten seconds of speech."""
    on_the_cpu = case.backend == CPU
    before = 0 if on_the_cpu else gpu_free()

    def taken() -> int:
        return peak_rss() if on_the_cpu else before - gpu_free()

    tts = case.tts  # opened now: this is the first row
    opened = taken()
    tts.speak(TEXT, any_voice(tts.manifest), seed=1, max_seconds=_SECONDS)
    spoken = taken()
    plan = plans.plan(tts.manifest)
    return {
        "weights_mb": _mb(sum(plan.graphs.values())),
        "kv_cache_mb_a_second": _mb(plan.kv_cache_per_second),
        "kv_cache_mb": _mb(plan.kv_cache),
        "tables_mb": _mb(plan.tables),
        "of": "the process" if on_the_cpu else "the GPU",
        "opened_mb": _mb(opened),
        "peak_mb": _mb(spoken),
    }


def _mb(nbytes: int) -> float:
    return round(nbytes / 1e6, 2)
