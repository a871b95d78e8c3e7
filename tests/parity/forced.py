"""Our torch modules, teacher-forced: codes are given, logits come out.

The official side of this is `Official.teacher_forced`, the graph's is `ForcedGraph`.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.graphs.typed import with_types
from qwen3_tts_export.modules.code_predictor import CodePredictor
from qwen3_tts_export.modules.codec_decoder import CodecDecoder, state_shapes
from qwen3_tts_export.modules.codec_weights import codec_decoder_weights
from qwen3_tts_export.modules.frame import Frame, frame_weights
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.modules.talker import Talker
from qwen3_tts_export.parity.forced_graph import Codes, Logits
from qwen3_tts_export.precision import blocks as quantize
from qwen3_tts_export.precision.policy import FP32, Precision
from qwen3_tts_export.precision.rounding import Rounding


def filled(
    network: nn.Module,
    weights: Weights,
    graph: str = "",
    precision: Precision = FP32,
    rounder: quantize.Rounder = quantize.nearest,
) -> Any:
    """Give a network its weights: exactly those it declares, no more and no fewer."""
    with_types(network, graph, precision)
    types = {name: weight.dtype for name, weight in network.named_parameters()}
    made = {name: make() for name, make in weights.items()}
    for name, weight in made.items():
        if blocks := precision.blocks_of(name):
            kind, array = str(types[name]).removeprefix("torch."), weight.numpy()

            def stored(scales: Any, name: str = name, kind: str = kind) -> Any:
                return quantize.never_zero(Rounding().convert(name, scales, kind))

            block = quantize.block_of(len(array), blocks)
            matrix = quantize.Matrix(name, array, blocks.bits, block, stored)
            numbers, scales = rounder(matrix)
            made[name] = torch.from_numpy(quantize.whole(numbers, scales))
    network.load_state_dict(made, strict=True)
    return network.eval().requires_grad_(requires_grad=False)


class Modules:
    """Our torch modules of one checkpoint, computing in the types of a precision."""

    def __init__(self, folder: Path, precision: Precision = FP32) -> None:
        self.checkpoint = Checkpoint.open(folder)
        self.config = self.checkpoint.config
        self.precision = precision
        whole = self.frame()
        self.talker: Talker = whole.talker
        self.predictor: CodePredictor = whole.predictor

    def frame(self) -> Frame:
        """The two networks and the sampling between them, as one."""
        positions = self.config.talker.max_positions
        weights = frame_weights(self.checkpoint.talker, self.config, positions)
        frame: Frame = filled(Frame(self.config, positions), weights, FRAME, self.precision)
        return frame

    def codec(self) -> CodecDecoder:
        """The codec decoder."""
        weights = codec_decoder_weights(self.checkpoint.codec, self.config.codec)
        network = CodecDecoder(self.config.codec)
        codec: CodecDecoder = filled(network, weights, CODEC_DECODER, self.precision)
        return codec

    def cache(self, capacity: int, batch: int = 1) -> list[tuple[Tensor, Tensor]]:
        """An empty KV cache of the talker."""
        talker = self.config.talker
        shape = (batch, talker.num_kv_heads, capacity, talker.head_dim)
        zeros = torch.zeros(shape, dtype=getattr(torch, self.precision.language))
        return [(zeros, zeros) for _ in range(talker.num_layers)]

    @torch.inference_mode()
    def force(self, prompt: Prompt, codes: Codes) -> Logits:
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
        stacked = [torch.stack(column).float().numpy() for column in zip(*said, strict=True)]
        caches = [part.float().numpy()[:, :, : int(position)] for pair in cache for part in pair]
        return Logits(*stacked, cache=caches)


def empty_codec_state(
    config: Any, batch: int = 1, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """The state of an utterance that has not begun."""
    return [torch.zeros(batch, *shape, dtype=dtype) for shape in state_shapes(config).values()]
