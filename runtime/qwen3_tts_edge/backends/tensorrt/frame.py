"""A frame on TensorRT: everything between two frames is one CUDA graph, launched with one call.

The graph begins by copying the frame's inputs from pinned memory and ends by copying its codes
there. There are two, for two sets of buffers that take turns: while one frame runs the next is
launched already, and is dropped if the one before turns out to be the end of speech.

A prompt has as many rows as it has, which no graph was captured for; it is launched as it is.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.backends import Array
from qwen3_tts_edge.backends.cuda import Cuda
from qwen3_tts_edge.backends.tensorrt.engine import Engine
from qwen3_tts_edge.backends.tensorrt.frame_engines import DRAWS, ROWS, FrameEngines
from qwen3_tts_edge.backends.tensorrt.graph import check_sizes
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory

_TURNS = 2


@dataclass(frozen=True)
class Place:
    """Where a frame's inputs wait to be copied to the GPU, and its codes arrive.

    Attributes:
        inputs: In pinned memory and on the device.
        codes: int64 (batch, codebooks) in pinned memory.
        codes_at: Their address.
        done: Set when both have been copied.
    """

    inputs: Block
    codes: npt.NDArray[np.int64]
    codes_at: int
    done: int


class TensorRTFrame:
    """Talker and code predictor, on a stream of their own: a `backends.FrameGraph`."""

    ahead = _TURNS - 1

    def __init__(self, cuda: Cuda, talker: Engine, predictor: Engine, slots: int) -> None:
        """Take memory and capture the graphs.

        Raises:
            CapacityError: More slots than the engines were built for.
        """
        sizes = check_sizes(talker, {"batch": slots})
        self.seconds = 0.0
        self.capacity = sizes["capacity"]
        self._most_rows = sizes[ROWS]
        self._cuda, self._talker, self._predictor = cuda, talker, predictor
        self._memory = Memory(cuda)
        self._stream = self._memory.stream()
        self._engines = FrameEngines(self._memory, self._stream, talker, predictor, sizes)
        self._ring = [self._place(sizes) for _ in range(_TURNS)]
        self._turn = 0
        self._graphs: list[int] = []
        self._capture()

    def launch(self, inputs: Mapping[str, Array]) -> Callable[[], Array]:
        """Launch a frame, as `backends.FrameGraph.launch` says."""
        start = time.perf_counter()
        *before, last = pieces(inputs, self._most_rows)
        for piece in before:
            self._enter(piece, self._read)
        one_row = last[ROWS].shape[1] == 1
        turn = self._enter(last, self._replay if one_row else self._speak)
        self.seconds += time.perf_counter() - start
        return partial(self._wait, turn)

    def begin(self) -> None:
        """Start an utterance in every slot, as `backends.FrameGraph.begin` says."""
        self._engines.begin(self._turn)

    def resized(self, slots: int) -> "TensorRTFrame":
        """Share the engines, not the state, as `backends.FrameGraph.resized` says."""
        return TensorRTFrame(self._cuda, self._talker, self._predictor, slots)

    def _place(self, sizes: Mapping[str, int]) -> Place:
        spec = self._engines.codes
        codes_at, content = self._memory.pinned(spec.nbytes(sizes))
        codes = content.view(np.int64).reshape(spec.sized(sizes))
        inputs = Block(self._memory, self._engines.inputs, sizes)
        return Place(inputs, codes, codes_at, self._memory.event())

    def _capture(self) -> None:
        """Launch each turn once, for TensorRT to settle, and then note down what it launches."""
        for turn, place in enumerate(self._ring):
            for flat in place.inputs.host.values():
                flat.fill(1)
            place.inputs.host[DRAWS].fill(0)  # below 1, as ever: 1 is past the last code
            self._speak(turn, rows=1)
            self._cuda.record(place.done, self._stream)
            self._cuda.wait(place.done)
        for turn in range(_TURNS):
            work = partial(self._speak, turn, rows=1)
            self._graphs.append(self._memory.graph(self._stream, work))

    def _enter(self, inputs: Mapping[str, Array], work: Callable[[int, int], None]) -> int:
        """Do work on inputs once their place is free; say which turn that was."""
        turn = self._turn
        place = self._ring[turn % _TURNS]
        self._cuda.wait(place.done)
        for name in place.inputs.host:
            place.inputs.write(name, inputs[name])
        work(turn, inputs[ROWS].shape[1])
        self._cuda.record(place.done, self._stream)
        self._turn += 1
        return turn

    def _replay(self, turn: int, _: int) -> None:
        self._cuda.launch(self._graphs[turn % _TURNS], self._stream)

    def _speak(self, turn: int, rows: int) -> None:
        place = self._ring[turn % _TURNS]
        self._engines.talk(turn, place.inputs, rows)
        self._engines.predict(place.inputs)
        self._cuda.copy(place.codes_at, self._engines.codes_at, place.codes.nbytes, self._stream)

    def _read(self, turn: int, rows: int) -> None:
        self._engines.read(turn, self._ring[turn % _TURNS].inputs, rows)

    def _wait(self, turn: int) -> Array:
        assert turn + _TURNS >= self._turn, "these codes were not read in time"
        start = time.perf_counter()
        place = self._ring[turn % _TURNS]
        self._cuda.wait(place.done)
        self.seconds += time.perf_counter() - start
        codes: Array = place.codes.copy()
        return codes


def pieces(inputs: Mapping[str, Array], most: int) -> Iterator[Mapping[str, Array]]:
    """Split a launch of more rows than an engine takes. Every slot ends in the last piece.

    A slot that has fewer rows than others begins in a later piece. Until then it reads its first
    row over and over, in the place where it is to stand.

    Args:
        inputs: Of a frame, with length[b] rows in slot b from position[b] on.
        most: Rows that a launch may have.

    Yields:
        Inputs of one launch each.
    """
    rows, length, position = (inputs[name] for name in (ROWS, "length", "position"))
    for left in range((rows.shape[1] - 1) // most * most, -1, -most):
        end = np.maximum(length - left, 1)
        start = np.maximum(end - most, 0)
        columns = np.minimum(start[:, None] + np.arange((end - start).max()), rows.shape[1] - 1)
        yield {
            **inputs,
            ROWS: np.take_along_axis(rows, columns[:, :, None], axis=1),
            "length": end - start,
            "position": position + start,
        }
