"""A talker and a code predictor small enough to be read, with the names and shapes of real ones.

Whatever is wrong with an address, a turn or an order changes every code that follows.
"""

from collections.abc import Mapping

import numpy as np

from qwen3_tts_edge.bundle.graph_spec import GraphSpec, ReadsSpec, StateSpec, TensorSpec

HIDDEN, CODEBOOKS, VOCAB, CODEBOOK_SIZE, CAPACITY = 4, 5, 23, 17, 32
Arrays = dict[str, np.ndarray]


def tensor(name: str, dtype: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def state(name: str, dtype: str, *shape: int | str) -> StateSpec:
    past = tensor(f"past.{name}", dtype, *shape)
    return StateSpec(past=past, present=f"present.{name}")


def cache(capacity: int | str) -> StateSpec:
    past = tensor("past_key_values.0.key", "float32", "batch", 1, capacity, HIDDEN)
    return StateSpec(past=past, present="present.0.key")


_CHOOSING = (
    tensor("draws", "float32", "batch", CODEBOOKS),
    tensor("temperature", "float32", "batch", 2),
    tensor("top_k", "int64", "batch", 2),
    tensor("top_p", "float32", "batch", 2),
)
TALKER = GraphSpec(
    file="talker_step.onnx",
    inputs=(
        tensor("rows", "float32", "batch", "rows", HIDDEN),
        tensor("feedback", "float32", "batch", 1, HIDDEN),
        tensor("length", "int64", "batch"),
        tensor("position", "int64", "batch"),
        tensor("allow_end", "bool", "batch"),
        *_CHOOSING,
        tensor("repetition_penalty", "float32", "batch"),
    ),
    outputs=(
        tensor("code", "int64", "batch"),
        tensor("hidden", "float32", "batch", 1, HIDDEN),
    ),
    states=(state("seen", "bool", "batch", VOCAB), cache("capacity")),
    in_place=False,
    reads=ReadsSpec(0, 0, 0),
)
PREDICTOR = GraphSpec(
    file="predictor_step.onnx",
    inputs=(
        tensor("hidden", "float32", "batch", 1, HIDDEN),
        tensor("code", "int64", "batch"),
        tensor("length", "int64", "batch"),
        tensor("step", "int64", 1),
        *_CHOOSING,
    ),
    outputs=(),
    states=(
        state("codes", "int64", "batch", CODEBOOKS),
        state("feedback", "float32", "batch", 1, HIDDEN),
        cache(CODEBOOKS),
    ),
    in_place=False,
    reads=ReadsSpec(0, 0, 0),
)
CODEC = GraphSpec(
    file="codec_decoder.onnx",
    inputs=(
        tensor("codes", "int64", "batch", "frames", CODEBOOKS),
        tensor("position", "int64", "batch"),
    ),
    outputs=(tensor("samples", "float32", "batch", "4*frames"),),
    states=(state("sum", "float32", "batch", 1),),
    in_place=False,
    reads=ReadsSpec(0, 0, 0),
)


def talk(given: Arrays) -> Arrays:
    key, seen = given["past_key_values.0.key"].copy(), given["past.seen"].copy()
    rows = given["rows"] + given["feedback"]
    code = np.zeros(len(rows), np.int64)
    hidden = np.zeros((len(rows), 1, HIDDEN), np.float32)
    for slot, (length, position) in enumerate(zip(given["length"], given["position"], strict=True)):
        written = key[slot, 0, position : position + rows.shape[1]]
        written[:] = rows[slot, : len(written)]
        end = position + length
        # Every position and every row counts, and garbage behind the end as NaN would.
        weights = np.arange(1, end + 1)[:, None]
        hidden[slot, 0] = (key[slot, 0, :end] * weights).sum(0) % 5 + 0 * key[slot, 0].sum(0)
        number = hidden[slot].sum() * 11 + given["draws"][slot, 0] * VOCAB
        number += given["temperature"][slot, 0] + 2 * given["top_k"][slot, 0]
        number += given["top_p"][slot, 0] + given["repetition_penalty"][slot]
        code[slot] = int(number) % VOCAB
        while seen[slot, code[slot]] and not seen[slot].all():
            code[slot] = (code[slot] + 1) % VOCAB
        if code[slot] == 0 and not given["allow_end"][slot]:
            code[slot] = 1
        seen[slot, code[slot]] |= length > 0
    return {"code": code, "hidden": hidden, "present.seen": seen, "present.0.key": key}


def predict(given: Arrays) -> Arrays:
    (step,) = given["step"]
    codes, feedback = given["past.codes"].copy(), given["past.feedback"].copy()
    key = given["past_key_values.0.key"].copy()
    assert ((codes >= 0) & (codes < VOCAB)).all(), "indices into a table"
    if step == 0:
        key[:, 0, 0], codes[:, 0], feedback[:] = given["hidden"][:, 0], given["code"], 0
    else:
        key[:, 0, step] = _embedded(codes[:, step - 1], step - 1)
        sums = (key[:, 0, : step + 1] * np.arange(1, step + 2)[:, None]).sum((1, 2))
        sums += 0 * key.sum((1, 2, 3)) + given["temperature"][:, 1] + given["top_p"][:, 1]
        numbers = sums * 13 + given["draws"][:, step] * CODEBOOK_SIZE + given["top_k"][:, 1]
        codes[:, step] = numbers.astype(np.int64) % CODEBOOK_SIZE
    feedback[:, 0] += _embedded(codes[:, step], step)
    feedback = np.where(given["length"][:, None, None] > 0, feedback, given["past.feedback"])
    return {"present.codes": codes, "present.feedback": feedback, "present.0.key": key}


def decode(given: Arrays) -> Arrays:
    codes = given["codes"].sum(2).astype(np.float32) + given["position"][:, None]
    sums = given["past.sum"] + codes.cumsum(1, dtype=np.float32)
    return {"samples": sums.repeat(4, axis=1), "present.sum": sums[:, -1:]}


COMPUTES = {"talker_step": talk, "predictor_step": predict, "codec_decoder": decode}


class Reference:
    """What a request should be: the same functions, one after the other, on plain arrays."""

    def __init__(self) -> None:
        sizes = {"batch": 1, "capacity": CAPACITY}
        self._talker, self._predictor = (
            {s.past.name: np.zeros(s.past.sized(sizes), s.past.stored) for s in spec.states}
            for spec in (TALKER, PREDICTOR)
        )

    def frame(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        talked = talk({**inputs, **self._talker, "feedback": self._predictor["past.feedback"]})
        _move_on(TALKER, self._talker, talked)
        for step in range(CODEBOOKS):
            given = {**inputs, **talked, **self._predictor, "step": np.array([step])}
            _move_on(PREDICTOR, self._predictor, predict(given))
        return self._predictor["past.codes"][0].copy()


def _move_on(spec: GraphSpec, states: Arrays, made: Arrays) -> None:
    for found in spec.states:
        states[found.past.name] = made[found.present]


def _embedded(codes: np.ndarray, codebook: int) -> np.ndarray:
    rows = np.stack([codes + codebook, codes * 2, codes * codebook, codes + 3], axis=1)
    return (rows % 7 / 4).astype(np.float32)
