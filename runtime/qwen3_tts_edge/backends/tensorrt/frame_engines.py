"""Talker and code predictor on the device: what a frame launches, and all that they carry.

One launch of the talker, then one of the predictor for each codebook. Which pass it is lies on the
device, a number for each; the predictor's state changes buffers from pass to pass, and the talker
reads what the last pass has left.
"""

from collections.abc import Mapping

import numpy as np

from qwen3_tts_edge.backends.tensorrt.engine import Engine
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory, States
from qwen3_tts_edge.bundle.graph_spec import TensorSpec

DRAWS, FEEDBACK, ROWS = "draws", "feedback", "rows"
_PAST_CODES, _PAST_FEEDBACK, _PAST_SEEN = "past.codes", "past.feedback", "past.seen"


class FrameEngines:
    """The two engines and their buffers, at work on one stream.

    Attributes:
        inputs: What a frame is given from outside, the rows last.
        codes: Where it leaves its codes: int64 (batch, codebooks).
        codes_at: Their address.
    """

    def __init__(
        self,
        memory: Memory,
        stream: int,
        talker: Engine,
        predictor: Engine,
        sizes: Mapping[str, int],
    ) -> None:
        given = {spec.name: spec for spec in talker.spec.inputs if spec.name != FEEDBACK}
        rows = given.pop(ROWS)
        self.inputs = [*given.values(), rows]
        self._cuda, self._stream, self._sizes = memory.cuda, stream, sizes
        self._one_row = talker.context(one_shape=True)
        self._many_rows = talker.context(one_shape=False)
        self._predictor = predictor.context(one_shape=True)
        self._between = {
            spec.name: memory.device(spec.nbytes(sizes)) for spec in talker.spec.outputs
        }
        self._talker_states = States(memory, talker.spec.states, talker.aliased, sizes, stream)
        states = States(memory, predictor.spec.states, predictor.aliased, sizes, stream)
        self._predictor_states = states
        pasts = {state.past.name: state.past for state in predictor.spec.states}
        self.codes = pasts[_PAST_CODES]
        self._passes = self.codes.sized(sizes)[1]
        self.codes_at = states.past(_PAST_CODES, self._passes)
        self._feedback = states.past(_PAST_FEEDBACK, self._passes)
        # Each at an address of its own: a launch that is captured knows it by that.
        names = [str(number) for number in range(self._passes)]
        numbers = [TensorSpec(name=name, dtype="int64", shape=(1,)) for name in names]
        self._numbers = Block(memory, numbers, sizes)
        for name in names:
            self._numbers.write(name, np.array([int(name)]))
        self._numbers.upload(sizes, stream)

    def begin(self, turn: int) -> None:
        """Forget the utterance before. Its KV cache is never read again."""
        self._talker_states.clear(turn, self._stream, _PAST_SEEN)
        self._predictor_states.clear(self._passes, self._stream, _PAST_FEEDBACK)

    def talk(self, turn: int, inputs: Block, rows: int) -> None:
        """Read rows and choose the first code."""
        sizes = {**self._sizes, ROWS: rows}
        inputs.upload(sizes, self._stream)
        at = inputs.device | self._between | self._talker_states.at(turn)
        context = self._one_row if rows == 1 else self._many_rows
        context.enqueue(at | {FEEDBACK: self._feedback}, sizes, self._stream)

    def read(self, turn: int, inputs: Block, rows: int) -> None:
        """Read rows of which nothing is to be spoken: the code that they end in counts for none."""
        self.talk(turn, inputs, rows)
        self._talker_states.keep(_PAST_SEEN, turn, self._stream)

    def predict(self, inputs: Block) -> None:
        """Complete the frame."""
        given = inputs.device | self._between
        for number, address in enumerate(self._numbers.device.values()):
            at = given | {"step": address} | self._predictor_states.at(number)
            self._predictor.enqueue(at, self._sizes, self._stream)
