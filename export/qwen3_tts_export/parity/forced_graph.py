"""Teacher forcing: run a bundle's frame graph on given codes and read its logits.

Every stage gets the reference's codes, so one bad stage does not smear over the rest. What is
measured is the graph itself, its rounded weights and its kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from qwen3_tts_edge.arrays import Codes
from qwen3_tts_edge.bundle.manifest import FRAME, TOTAL, Manifest
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.sampling import ranks

Floats = npt.NDArray[np.float32]

_OF_WHOLE_NUMBERS = "MatMulIntegerToFloat"
_PRODUCTS = ("MatMul", "MatMulNBits", _OF_WHOLE_NUMBERS)


@dataclass(frozen=True)
class Logits:
    """What a network computed while it was made to speak given codes.

    Attributes:
        talker: (frames, vocab), raw codebook-0 logits.
        hidden: (frames, hidden), the talker's normalised state that the predictor reads.
        predictor: (frames, codebooks - 1, codebook), raw logits.
        feedback: (frames, hidden), each frame's summed embedding.
        cache: key and value of every talker layer after the last frame, as far as it was filled.
    """

    talker: Floats
    hidden: Floats
    predictor: Floats
    feedback: Floats
    cache: list[Floats]


class ForcedGraph:
    """A frame graph whose choice of codes is cut out: codes are an input, logits are outputs."""

    def __init__(self, folder: Path, *, provider: str = "CPUExecutionProvider") -> None:
        self.manifest = Manifest.load(folder)
        spec = self.manifest.graphs[FRAME]
        model = onnx.load(str(folder / spec.file), load_external_data=False)
        makers = {name: node for node in model.graph.node for name in node.output}
        stacked = makers["codes"]
        assert stacked.op_type == "Concat"
        chosen = [makers[name].input[0] for name in stacked.input]
        assert len(chosen) == self.manifest.codebooks
        for node in model.graph.node:
            for i, name in enumerate(node.input):
                if name in chosen:
                    node.input[i] = f"given.{chosen.index(name)}"
        gathers = []
        for book in range(len(chosen)):
            index = helper.make_tensor(f"book.{book}", TensorProto.INT64, [], [book])
            model.graph.initializer.append(index)
            gathers.append(
                helper.make_node("Gather", ["given", index.name], [f"given.{book}"], axis=1)
            )
        nodes = [*gathers, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        shape: list[str | int | None] = ["batch", len(chosen)]
        model.graph.input.append(helper.make_tensor_value_info("given", TensorProto.INT64, shape))

        heads = {  # however it is stored: `<weight>.bf16.float32`, `<weight>.int8`
            node.input[1].partition(".weight")[0]: _ends(node, model.graph, makers)
            for node in model.graph.node
            if node.op_type in _PRODUCTS and ".head" in node.input[1]
        }
        self._hidden, first = heads.pop("talker.head")
        others = [heads.pop(f"predictor.heads.{book}")[1] for book in range(len(chosen) - 1)]
        assert not heads
        self._logits = [first, *others]
        for name in (self._hidden, *self._logits):
            value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            model.graph.output.append(value)
        _with_float32_states(model.graph, {s.past.name: s.present for s in spec.states})
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=[provider]
        )
        self._states = spec.states

    def force(self, prompt: Prompt, codes: Codes) -> Logits:
        """Speak `codes` (frames, codebooks) after `prompt`, whatever the network would choose."""
        sizes = {"batch": 1, "capacity": len(prompt.rows) + len(codes)}
        past = {
            state.past.name: np.zeros(
                state.past.sized(sizes),
                np.float32 if state.past.dtype == "bfloat16" else state.past.dtype,
            )
            for state in self._states
        }
        rows, position = prompt.rows[None], 0
        said: list[tuple[Floats, Floats, Floats, Floats]] = []
        names = [self._hidden, *self._logits, *(state.present for state in self._states)]
        for t, given in enumerate(codes):
            feeds = {
                "rows": rows,
                "length": np.array([rows.shape[1]]),
                TOTAL: np.array([position + rows.shape[1]], np.int32),
                "position": np.array([position]),
                "draws": np.zeros((1, len(given)), np.float32),
                "allow_end": np.array([True]),
                "temperature": np.ones((1, 2), np.float32),
                "top_k": np.ones((1, 2), np.int64),
                "top_p": np.ones((1, 2), np.float32),
                "repetition_penalty": np.ones(1, np.float32),
                **ranks(np.ones((1, 2)), 1, 1),
                "given": given[None],
                **past,
            }
            out = dict(zip(names, self._session.run(names, feeds), strict=True))
            past = {state.past.name: out[state.present] for state in self._states}
            first, *others = (out[name].reshape(-1) for name in self._logits)
            fed = past["past.feedback"].reshape(-1)
            said.append((first, out[self._hidden].reshape(-1), np.stack(others), fed))
            position += rows.shape[1]
            row = prompt.text_row(t)
            assert row is not None, "the whole text is there"
            rows = row[None]
        talker, hidden, predictor, feedback = (
            np.stack(column) for column in zip(*said, strict=True)
        )
        names = [s.past.name for s in self._states if s.past.name.startswith("past_key_values")]
        cache = [past[name][:, :, :position] for name in names]
        return Logits(talker, hidden, predictor, feedback, cache)


def _ends(
    product: onnx.NodeProto, graph: onnx.GraphProto, makers: Mapping[str, onnx.NodeProto]
) -> tuple[str, str]:
    """Find what a head reads and what it makes: for whole numbers, before and behind rounding."""
    if product.op_type != _OF_WHOLE_NUMBERS:
        return product.input[0], product.output[0]
    scaled = makers[makers[product.input[0]].input[0]]
    (result,) = (node for node in graph.node if product.output[0] in node.input)
    return scaled.input[0], result.output[0]


def _with_float32_states(graph: onnx.GraphProto, states: Mapping[str, str]) -> None:
    """Cast states of bfloat16, which numpy lacks, at the graph's border; nothing is rounded."""
    inner = {}
    values = {value.name: value for value in (*graph.input, *graph.output)}
    for past, present in states.items():
        if values[past].type.tensor_type.elem_type != TensorProto.BFLOAT16:
            continue
        for name in (past, present):
            values[name].type.tensor_type.elem_type = TensorProto.FLOAT
            inner[name] = f"{name}.bf16"
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = inner.get(name, name)
    for past, present in states.items():
        if past in inner:
            before = helper.make_node("Cast", [past], [inner[past]], to=TensorProto.BFLOAT16)
            graph.node.insert(0, before)
            after = helper.make_node("Cast", [inner[present]], [present], to=TensorProto.FLOAT)
            graph.node.append(after)
