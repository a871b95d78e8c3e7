"""A frame on TensorRT: everything between two frames is one CUDA graph, launched with one call.

The graph begins by copying the frame's inputs from pinned memory and ends by copying its codes
there. There are two for each number of slots, for two sets of buffers that take turns: while one
frame runs the next is launched already, and is dropped if the one before turns out to be the end of
speech. A number of slots is launched as it is when it is first met, and captured then.

A prompt has as many rows as it has, in a slot that may be any, and is launched as it is.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt.engine import Engine
from qwen3_tts_edge.backends.tensorrt.frame_engines import ROWS, At, FrameEngines
from qwen3_tts_edge.backends.tensorrt.graph import check_sizes
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory, Sizes
from qwen3_tts_edge.backends.tensorrt.state import TensorRTState

_TURNS = 2
_PLACES = "places"


@dataclass
class Place:
    """Where a frame's inputs wait to be copied to the GPU, and its codes arrive.

    Attributes:
        memory: What holds them.
        inputs: In pinned memory and on the device.
        codes: int64 (batch, codebooks) in pinned memory.
        codes_at: Their address.
        done: Set when both have been copied.
        frame: The number of the frame whose codes they are.
    """

    memory: Memory
    inputs: Block
    codes: npt.NDArray[np.int64]
    codes_at: int
    done: int
    frame: int = -1


Work = Callable[[Place, TensorRTState, At, int], None]


class TensorRTFrame:
    """Talker and code predictor, on a stream of their own: a `backends.FrameGraph`."""

    ahead = _TURNS - 1

    def __init__(self, cuda: Cuda, talker: Engine, predictor: Engine) -> None:
        """Take memory for all that is no state."""
        self.seconds = 0.0
        self.capacity = talker.most["capacity"]
        self.slots: int | None = talker.most["batch"]
        self._cuda, self._talker = cuda, talker
        self._memory = Memory(cuda)
        self._stream = self._memory.stream()
        self._engines = FrameEngines(self._memory, self._stream, talker, predictor)
        sizes = {**talker.most, "batch": 1}
        self._before, *prompts = (self._place(self._memory, sizes) for _ in range(1 + _TURNS))
        self._prompts = deque(prompts)
        self._frames = 0

    def state(self, slots: int, positions: int | None = None) -> TensorRTState:
        """Allocate what the frame carries, as `backends.FrameGraph.state` says.

        Raises:
            CapacityError: More than the engines were built for.
        """
        sizes = check_sizes(self._talker, {"batch": slots, "capacity": positions or self.capacity})
        specs, aliased = self._engines.carried, self._engines.aliased
        if sizes["capacity"] < self.capacity:  # never launched, so nothing is written beside it
            aliased = frozenset(spec.present for spec in specs)
        memory = Memory(self._cuda, self._memory)
        return TensorRTState.allocate(memory, self._stream, specs, aliased, sizes)

    def launch(self, inputs: Mapping[str, Array], state: State) -> Callable[[], Array]:
        """Launch a frame, as `backends.FrameGraph.launch` says."""
        assert isinstance(state, TensorRTState)
        start = time.perf_counter()
        *before, last = pieces(inputs, self._talker.most[ROWS])
        for piece in before:
            self._enter(self._before, piece, state, self._speak)
        if inputs[ROWS].shape[1] == 1 and state.first == 0:
            place = self._enter(self._steps(state)[state.turn], last, state, self._replay)
        else:
            self._prompts.rotate()
            place = self._enter(self._prompts[0], last, state, self._speak)
        self.seconds += time.perf_counter() - start
        return partial(self._wait, place, place.frame, state.slots)

    def _steps(self, state: TensorRTState) -> list[Place]:
        """The places of frames of one row, which captured graphs have in them."""
        memory, kept = state.shared.memory, state.shared.kept
        if _PLACES not in kept:
            sizes = {**state.shared.sizes, ROWS: 1}
            kept[_PLACES] = [self._place(memory, sizes) for _ in range(_TURNS)]
        places: list[Place] = kept[_PLACES]
        return places

    def _place(self, memory: Memory, sizes: Sizes) -> Place:
        spec = self._engines.codes
        codes_at, content = memory.pinned(spec.nbytes(sizes))
        codes = content.view(np.int64).reshape(spec.sized(sizes))
        inputs = Block(memory, self._engines.inputs, sizes)
        return Place(memory, inputs, codes, codes_at, memory.event())

    def _enter(
        self, place: Place, inputs: Mapping[str, Array], state: TensorRTState, work: Work
    ) -> Place:
        """Do work on inputs once their place is free."""
        self._cuda.wait(place.done)
        for name in place.inputs.host:
            place.inputs.write(name, inputs[name])
        work(place, state, state.enter(), inputs[ROWS].shape[1])
        state.leave()
        self._cuda.record(place.done, self._stream)
        self._frames += 1
        place.frame = self._frames
        return place

    def _replay(self, place: Place, state: TensorRTState, at: At, rows: int) -> None:
        """Launch what was captured; if nothing was, let TensorRT settle and then capture it."""
        kept, number = state.shared.kept, (state.slots, state.turn)
        if number in kept:
            self._cuda.launch(kept[number], self._stream)
            return
        work = partial(self._speak, place, state, at, rows)
        work()
        kept[number] = state.shared.memory.graph(self._stream, work)

    def _speak(self, place: Place, state: TensorRTState, at: At, rows: int) -> None:
        self._engines.launch(place.inputs, at, state.slots, rows)
        nbytes = place.codes[: state.slots].nbytes
        self._cuda.copy(place.codes_at, self._engines.codes_at, nbytes, self._stream)

    def _wait(self, place: Place, frame: int, slots: int) -> Array:
        assert place.frame == frame, "these codes were not read in time"
        start = time.perf_counter()
        self._cuda.wait(place.done)
        self.seconds += time.perf_counter() - start
        codes: Array = place.codes[:slots].copy()
        return codes


def pieces(inputs: Mapping[str, Array], most: int) -> Iterator[Mapping[str, Array]]:
    """Split a prompt of more rows than an engine takes, which is of one slot.

    All but the last are read as by a slot at rest: they enter the KV cache and nothing else.

    Args:
        inputs: Of a frame.
        most: Rows that a launch may have.

    Yields:
        Inputs of one launch each.
    """
    rows = inputs[ROWS]
    count = rows.shape[1]
    assert count == 1 or len(rows) == 1, "several rows are of one slot"
    for start in range(0, count - most, most):
        yield {
            **inputs,
            ROWS: rows[:, start : start + most],
            "length": np.zeros_like(inputs["length"]),
            "position": inputs["position"] + start,
        }
    start = (count - 1) // most * most
    yield {
        **inputs,
        ROWS: rows[:, start:],
        "length": np.maximum(inputs["length"] - start, 0),
        "position": inputs["position"] + start,
    }
