"""The memory plan: what a bundle needs, from its manifest alone, before anything is loaded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qwen3_tts_edge.arrays import is_number
from qwen3_tts_edge.bundle.graph_spec import GraphSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    CODEC_ROWS,
    FRAME,
    PREDICTOR_ROWS,
    PREDICTOR_STEP,
    TALKER_STEP,
    TEXT_ROWS,
    Manifest,
)
from qwen3_tts_edge.errors import CapacityError, InputError

MAX_SECONDS = 160.0
_FOREVER = 1e12
"""Seconds that nothing has room for; what is far more has no whole number of frames."""
PROMPT_POSITIONS = 512
"""Room for the prompt in the KV cache, beside the frames of `max_seconds`."""

TABLES = (TEXT_ROWS, CODEC_ROWS, PREDICTOR_ROWS)
_MAKE_A_FRAME = (FRAME, TALKER_STEP, PREDICTOR_STEP)
_CAPACITY = "capacity"


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes, for one stream of speech.

    Attributes:
        graphs: Each graph with its weights, as on disk. Loaded, a backend may need more: ONNX
            Runtime lays some weights out anew.
        tables: The embedding rows: on disk and mapped, so only rows that are spoken become
            resident.
        capacity: Positions of the KV cache.
        kv_cache: Of `capacity` positions, allocated when the bundle is opened.
        kv_cache_per_second: What one second of speech takes of it.
        states: Everything else that frame and codec carry from launch to launch.
    """

    graphs: Mapping[str, int]
    tables: int
    capacity: int
    kv_cache: int
    kv_cache_per_second: int
    states: Mapping[str, int]

    @property
    def resident(self) -> int:
        """All but the mapped tables."""
        return sum(self.graphs.values()) + self.kv_cache + sum(self.states.values())


def plan(manifest: Manifest, max_seconds: float | None = None) -> MemoryPlan:
    """Add up what a bundle needs.

    Args:
        manifest: Of the bundle.
        max_seconds: As for `Synthesizer.open`.

    Raises:
        CapacityError: `max_seconds` is more than the checkpoint has positions for.
        InputError: `max_seconds` is not above 0.
    """
    positions = capacity(manifest, max_seconds)
    frame = [graph for name, graph in manifest.graphs.items() if name in _MAKE_A_FRAME]
    position = sum(_states(graph, growing=True) for graph in frame)
    return MemoryPlan(
        graphs={name: manifest.size_of(name) for name in manifest.graphs},
        tables=sum(manifest.files[name].size for name in TABLES if name in manifest.files),
        capacity=positions,
        kv_cache=position * positions,
        kv_cache_per_second=math.ceil(position * manifest.frames_per_second),
        states={
            FRAME: sum(_states(graph, growing=False) for graph in frame),
            CODEC_DECODER: _states(manifest.graph(CODEC_DECODER), growing=False),
        },
    )


def capacity(manifest: Manifest, max_seconds: float | None = None) -> int:
    """Count the positions of a KV cache for `max_seconds` of speech and its prompt.

    Args:
        manifest: Of the bundle.
        max_seconds: None is `MAX_SECONDS`, or less where the checkpoint knows fewer positions.

    Raises:
        CapacityError: More than the checkpoint has positions for.
        InputError: Not above 0.
    """
    wanted = frame_count(manifest, MAX_SECONDS if max_seconds is None else max_seconds)
    if max_seconds is not None and wanted >= manifest.max_positions:
        raise CapacityError(
            f"max_seconds {max_seconds} is more than this checkpoint's {manifest.max_positions} "
            f"positions hold; at most {longest(manifest):.1f} s, prompt included"
        )
    return min(wanted + PROMPT_POSITIONS, manifest.max_positions)


def longest(manifest: Manifest) -> float:
    """Give the seconds that all positions of a checkpoint hold, prompt included."""
    return (manifest.max_positions - 1) / manifest.frames_per_second


def check_seconds(seconds: float, name: str = "max_seconds") -> None:
    """Refuse what is no length of speech.

    Raises:
        InputError: It is no number, or not above 0.
    """
    given: object = seconds  # of any type: callers need not check theirs
    if not is_number(given):
        raise InputError.of(name, given, "a number of seconds")
    if not (math.isfinite(given) and given > 0):
        raise InputError(f"{name} is {given}; it must be finite and above 0")


def frame_count(manifest: Manifest, seconds: float) -> int:
    """Count the frames that hold `seconds` of speech.

    Raises:
        InputError: `seconds` is not above 0.
    """
    check_seconds(seconds)
    # 0.56 s are 7 frames, although 0.56 * 12.5 is a little more in floating point.
    frames = round(min(float(seconds), _FOREVER) * manifest.frames_per_second, 6)
    return max(1, math.ceil(frames))


def frame_room(manifest: Manifest, capacity: int, prompt: int) -> int:
    """Count the frames that there is room for beside a prompt, one at least.

    Args:
        manifest: Of the bundle.
        capacity: Positions of the KV cache.
        prompt: Positions of the prompt; the first frame needs no further one.

    Raises:
        CapacityError: There is no room for the prompt.
    """
    room = capacity - prompt + 1
    if room < 1:
        raise CapacityError(
            f"the prompt has {prompt} positions, the KV cache {capacity} of the checkpoint's "
            f"{manifest.max_positions}",
            f"{_larger(manifest, capacity)}say less at a time",
        )
    return room


def frame_limit(
    manifest: Manifest, capacity: int, prompt: int, max_seconds: float | None = None
) -> int:
    """Bound the frames of an utterance.

    Args:
        manifest: Of the bundle.
        capacity: As for `frame_room`.
        prompt: As for `frame_room`.
        max_seconds: What must fit; None is what the checkpoint asks for or, if that is less, what
            there is room for.

    Raises:
        CapacityError: There is no room for that many beside the prompt.
        InputError: `max_seconds` is not above 0.
    """
    room = frame_room(manifest, capacity, prompt)
    if max_seconds is None:
        return min(room, manifest.sampling.max_new_tokens - 1)
    limit = frame_count(manifest, max_seconds)
    if limit > room:
        raise CapacityError(
            f"{max_seconds} s are {limit} frames, the KV cache of {capacity} positions has room "
            f"for {room} beside the prompt",
            f"{_larger(manifest, capacity)}ask for less",
        )
    return limit


def _larger(manifest: Manifest, capacity: int) -> str:
    """A remedy, unless the checkpoint itself has no more positions."""
    more = capacity < manifest.max_positions
    return "open the bundle with a larger max_seconds, or " if more else ""


def _states(graph: GraphSpec, *, growing: bool) -> int:
    """Add up the states that grow with the KV cache, for one position, or those that do not."""
    sizes = [
        _nbytes(state.past) for state in graph.states if (_CAPACITY in state.past.shape) is growing
    ]
    return sum(sizes) * (1 if graph.in_place else 2)  # past and present are two buffers, or one


def _nbytes(spec: TensorSpec) -> int:
    """Bytes of one slot's tensor, at one position."""
    numbers = math.prod(axis for axis in spec.shape if isinstance(axis, int))
    return numbers * spec.stored.itemsize
