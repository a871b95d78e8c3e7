"""Teacher forcing: codes are given, logits are heard. Our torch modules and the frame graph.

Every stage gets the reference's codes, so one bad stage does not smear over the rest. The official
side of this is `Official.teacher_forced`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from qwen3_tts_edge.manifest import FRAME, Manifest
from qwen3_tts_edge.prompt import Prompt
from qwen3_tts_export.checkpoint import Checkpoint
from qwen3_tts_export.modules.code_predictor import CodePredictor, predictor_weights
from qwen3_tts_export.modules.codec_decoder import CodecDecoder, state_shapes
from qwen3_tts_export.modules.codec_weights import codec_decoder_weights
from qwen3_tts_export.modules.frame import Frame, frame_weights
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.modules.talker import Talker, talker_weights

Codes = npt.NDArray[np.int64]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """What a network said while it was made to speak given codes.

    Attributes:
        talker: (frames, vocab), raw codebook-0 logits.
        hidden: (frames, hidden), the talker's normalised state that the predictor reads.
        predictor: (frames, codebooks - 1, codebook), raw logits.
        feedback: (frames, hidden), each frame's summed embedding.
        cache: key and value of every talker layer after the last frame, as far as it was filled.
    """

    talker: Array
    hidden: Array
    predictor: Array
    feedback: Array
    cache: list[Array]


def filled(network: nn.Module, weights: Weights) -> Any:
    """Give a network its weights: exactly those it declares, no more and no fewer."""
    network.load_state_dict({name: make() for name, make in weights.items()}, strict=True)
    return network.eval().requires_grad_(requires_grad=False)


class Modules:
    """Our torch modules of one checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint = Checkpoint.open(folder)
        self.config = self.checkpoint.config
        talker, predictor = self.config.talker, self.config.predictor
        tensors: Mapping[str, Tensor] = self.checkpoint.talker
        positions = talker.max_positions
        self.talker: Talker = filled(
            Talker(talker, positions), talker_weights(tensors, talker, positions)
        )
        self.predictor: CodePredictor = filled(
            CodePredictor(predictor, talker), predictor_weights(tensors, predictor, talker)
        )

    def frame(self) -> Frame:
        """The two networks and the sampling between them, as one."""
        positions = self.config.talker.max_positions
        weights = frame_weights(self.checkpoint.talker, self.config, positions)
        frame: Frame = filled(Frame(self.config, positions), weights)
        return frame

    def codec(self) -> CodecDecoder:
        """The codec decoder."""
        weights = codec_decoder_weights(self.checkpoint.codec, self.config.codec)
        codec: CodecDecoder = filled(CodecDecoder(self.config.codec), weights)
        return codec

    def cache(self, capacity: int, batch: int = 1) -> list[tuple[Tensor, Tensor]]:
        """An empty KV cache of the talker."""
        talker = self.config.talker
        zeros = torch.zeros(batch, talker.num_kv_heads, capacity, talker.head_dim)
        return [(zeros, zeros) for _ in range(talker.num_layers)]

    @torch.inference_mode()
    def hear(self, prompt: Prompt, codes: Codes) -> Heard:
        """Speak `codes` (frames, codebooks) after `prompt`."""
        cache = self.cache(len(prompt.rows) + len(codes))
        rows, position = torch.from_numpy(prompt.rows)[None], torch.tensor([0])
        said: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for t, given in enumerate(torch.from_numpy(codes)):
            length = torch.tensor([rows.shape[1]])
            logits, hidden, cache = self.talker(rows, length, position, cache)
            books: list[Tensor] = []

            def choose(scores: Tensor, book: int, given: Tensor = given, books: Any = books) -> Any:
                books.append(scores[0])
                return given[book : book + 1]

            frame, total = self.predictor(hidden, given[:1], self.talker.embedding, choose)
            assert (frame[0] == given).all()
            said.append((logits[0], hidden[0, 0], torch.stack(books), total[0, 0]))
            position = position + length
            rows = total + torch.from_numpy(prompt.text_row(t))
        stacked = [torch.stack(column).numpy() for column in zip(*said, strict=True)]
        caches = [part.numpy()[:, :, : int(position)] for pair in cache for part in pair]
        return Heard(*stacked, cache=caches)


class ForcedGraph:
    """The frame graph of a bundle with the choice taken away: codes go in, logits come out."""

    def __init__(self, folder: Path) -> None:
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
        shape = ["batch", len(chosen)]
        model.graph.input.append(helper.make_tensor_value_info("given", TensorProto.INT64, shape))

        heads = {
            node.input[1]: node
            for node in model.graph.node
            if node.op_type == "MatMul" and ".head" in node.input[1]
        }
        first = heads.pop("talker.head.weight")
        others = [heads.pop(f"predictor.heads.{book}.weight") for book in range(len(chosen) - 1)]
        assert not heads
        self._logits = [node.output[0] for node in (first, *others)]
        self._hidden = first.input[0]
        for name in (self._hidden, *self._logits):
            value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            model.graph.output.append(value)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._states = spec.states

    def hear(self, prompt: Prompt, codes: Codes) -> Heard:
        """Speak `codes` (frames, codebooks) after `prompt`."""
        sizes: dict[int | str, int] = {"batch": 1, "capacity": len(prompt.rows) + len(codes)}
        past = {
            state.past.name: np.zeros(
                [sizes.get(axis, axis) for axis in state.past.shape], state.past.dtype
            )
            for state in self._states
        }
        rows, position = prompt.rows[None], 0
        said: list[tuple[Array, Array, Array, Array]] = []
        names = [self._hidden, *self._logits, *(state.present for state in self._states)]
        for t, given in enumerate(codes):
            feeds = {
                "rows": rows,
                "length": np.array([rows.shape[1]]),
                "position": np.array([position]),
                "draws": np.zeros((1, len(given)), np.float32),
                "allow_end": np.array([True]),
                "temperature": np.ones((1, 2), np.float32),
                "top_k": np.ones((1, 2), np.int64),
                "top_p": np.ones((1, 2), np.float32),
                "repetition_penalty": np.ones(1, np.float32),
                "given": given[None],
                **past,
            }
            out = dict(zip(names, self._session.run(names, feeds), strict=True))
            past = {state.past.name: out[state.present] for state in self._states}
            first, *others = (out[name].reshape(-1) for name in self._logits)
            feedback = past["past.feedback"].reshape(-1)
            said.append((first, out[self._hidden].reshape(-1), np.stack(others), feedback))
            position += rows.shape[1]
            rows = prompt.text_row(t)[None]
        stacked = [np.stack(column) for column in zip(*said, strict=True)]
        names = [s.past.name for s in self._states if s.past.name.startswith("past_key_values")]
        return Heard(*stacked, cache=[past[name][:, :, :position] for name in names])


def empty_codec_state(config: Any, batch: int = 1) -> list[Tensor]:
    """The state of an utterance that has not begun."""
    return [torch.zeros(batch, *shape) for shape in state_shapes(config).values()]
