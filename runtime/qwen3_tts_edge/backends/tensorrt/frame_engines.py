"""Talker and code predictor on the device: what a frame launches.

One launch of the talker, then one of the predictor for each codebook. Which pass it is lies on the
device, a number for each. What the passes hand on to each other lies here, for all states that are
launched; a state carries what the next frame reads: the talker's states, and the feedback, which
the first pass finds there and the last one leaves there.
"""

from collections.abc import Mapping

import numpy as np

from qwen3_tts_edge.backends.tensorrt.engine import Context, Engine
from qwen3_tts_edge.backends.tensorrt.memory import Block, Memory
from qwen3_tts_edge.backends.tensorrt.state import buffers
from qwen3_tts_edge.bundle.graph_spec import TensorSpec

FEEDBACK, ROWS = "feedback", "rows"
_PAST_CODES, _PAST_FEEDBACK = "past.codes", "past.feedback"

At = Mapping[str, int]
"""Addresses of tensors, by name."""


class FrameEngines:
    """The two engines and the buffers between them, at work on one stream.

    Attributes:
        inputs: What a frame is given from outside, the rows last.
        codes: What it leaves: int64 (batch, codebooks).
        codes_at: Their address.
        carried: What goes from frame to frame.
        aliased: Those presents of it that are written onto their past.
    """

    def __init__(self, memory: Memory, stream: int, talker: Engine, predictor: Engine) -> None:
        self._most = sizes = talker.most
        given = {spec.name: spec for spec in talker.spec.inputs if spec.name != FEEDBACK}
        rows = given.pop(ROWS)
        self.inputs = [*given.values(), rows]
        self._stream, self._talker, self._predictor = stream, talker, predictor
        self._prompt = talker.context(one_shape=False)
        self._contexts: dict[int, tuple[Context, Context]] = {}
        self._between = {
            spec.name: memory.device(spec.nbytes(sizes)) for spec in talker.spec.outputs
        }
        states = predictor.spec.states
        self._passed_on = buffers(memory, stream, states, predictor.aliased, sizes)
        found = {state.past.name: state for state in states}
        self._feedback = found[_PAST_FEEDBACK]
        self.carried = (*talker.spec.states, self._feedback)
        self.aliased = talker.aliased
        self.codes = found[_PAST_CODES].past
        self._passes = self.codes.sized(sizes)[1]
        self.codes_at = self._passed_on[_PAST_CODES][self._passes % 2]
        # Each at an address of its own: a launch that is captured knows it by that.
        names = [str(number) for number in range(self._passes)]
        numbers = [TensorSpec(name=name, dtype="int64", shape=(1,)) for name in names]
        self._numbers = Block(memory, numbers, sizes)
        for name in names:
            self._numbers.write(name, np.array([int(name)]))
        self._numbers.upload(sizes, stream)

    def launch(self, inputs: Block, state: At, slots: int, rows: int) -> None:
        """Read rows and speak a frame.

        Args:
            inputs: What is given from outside.
            state: Where pasts and presents of what is carried lie.
            slots: How many.
            rows: Of each.
        """
        sizes = {**self._most, "batch": slots, ROWS: rows}
        talker, predictor = self._of(slots)
        inputs.upload(sizes, self._stream)
        given = inputs.device | self._between
        past = state[_PAST_FEEDBACK]
        context = talker if rows == 1 else self._prompt
        context.enqueue({**given, **state, FEEDBACK: past}, sizes, self._stream)
        for number, address in enumerate(self._numbers.device.values()):
            at = {**given, **self._pass(number), "step": address}
            if number == 0:
                at[_PAST_FEEDBACK] = past
            if number == self._passes - 1:
                at[self._feedback.present] = state[self._feedback.present]
            predictor.enqueue(at, sizes, self._stream)

    def _of(self, slots: int) -> tuple[Context, Context]:
        """Contexts that see no other number of slots: what is captured knows one shape of its."""
        if slots not in self._contexts:
            each = (engine.context(one_shape=True) for engine in (self._talker, self._predictor))
            self._contexts[slots] = (next(each), next(each))
        return self._contexts[slots]

    def _pass(self, number: int) -> dict[str, int]:
        """The addresses of what the passes hand on, in that pass."""
        found = {}
        for state in self._predictor.spec.states:
            pair = self._passed_on[state.past.name]
            found[state.past.name] = pair[number % 2]
            found[state.present] = pair[(number + 1) % 2]
        return found
