"""Go through a trunk layer by layer: what each reads, and what the rounded one makes of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from qwen3_tts_export.calibration.compensated import compensated, whole
from qwen3_tts_export.calibration.kept import Kept
from qwen3_tts_export.checkpoint.config import TransformerConfig
from qwen3_tts_export.modules.layers import Layer, Linear, Trunk
from qwen3_tts_export.precision.blocks import block_of
from qwen3_tts_export.precision.policy import Blocks
from qwen3_tts_export.progress import Report

MATRICES = ("qkv", "output", "gate_up", "down")


@dataclass(frozen=True)
class Stream:
    """The residual stream of sequences of one length, between two layers.

    Attributes:
        x: (sequences, rows, hidden).
        update: What is yet to be added to it, likewise; None before the first layer.
    """

    x: Tensor
    update: Tensor | None = None


def through(layer: Layer, trunk: Trunk, config: TransformerConfig, stream: Stream) -> Stream:
    """Send sequences, from their first row on, through one layer."""
    batch, rows, _ = stream.x.shape
    empty = stream.x.new_zeros(batch, config.num_kv_heads, rows, config.head_dim)
    last = torch.full((batch,), rows - 1, device=empty.device)
    x, update, _ = layer(stream.x, stream.update, (empty, empty), last, trunk.cos, trunk.sin, None)
    return Stream(x, update)


def through_all(trunk: Trunk, config: TransformerConfig, rows: Tensor) -> Tensor:
    """Send sequences (sequences, rows, hidden) through a whole trunk, its norm too."""
    stream = Stream(rows)
    for layer in trunk.layers:
        assert isinstance(layer, Layer)
        stream = through(layer, trunk, config, stream)
    return normed(trunk, stream)


def normed(trunk: Trunk, stream: Stream) -> Tensor:
    """Give the hidden states at a trunk's end."""
    return trunk.norm.after(stream.x, stream.update)[1]


def round_layers(
    trunk: Trunk,
    config: TransformerConfig,
    blocks: Blocks,
    name: str,
    streams: Sequence[Stream],
    kept: Kept,
    made: dict[str, Tensor],
    report: Report,
) -> list[Stream]:
    """Round the layers of a trunk, each for what the rounded ones before it make.

    Args:
        trunk: Its matrices are replaced by what the rounded ones stand for.
        config: Its own.
        blocks: How.
        name: Of the network, as the graphs call it.
        streams: What it reads.
        kept: Has the layers that are done.
        made: Numbers and scales of each matrix are put in here, by `<matrix>.numbers`, `.scales`.
        report: Called before each layer.

    Returns:
        The streams behind the last layer.
    """
    streams = list(streams)
    for index, layer in enumerate(trunk.layers):
        assert isinstance(layer, Layer)
        count = len(trunk.layers)
        report(f"calibration: {name}, layer {index + 1} of {count}", index / count)

        def found(layer: Layer = layer, streams: Sequence[Stream] = streams) -> dict[str, Tensor]:
            with moments_of(layer) as moments:
                for stream in streams:
                    through(layer, trunk, config, stream)
            rounded: dict[str, Tensor] = {}
            for each in MATRICES:
                weight = matrix(layer, each).weight
                if block := block_of(len(weight), blocks):
                    numbers, scales = compensated(weight, moments[each], block)
                    rounded |= {f"{each}.numbers": numbers, f"{each}.scales": scales}
            return rounded

        rounded = kept.get(f"{name}.{index}", found)
        for each in MATRICES:
            if f"{each}.numbers" in rounded:
                weight = matrix(layer, each).weight
                pair = [rounded[f"{each}.{part}"] for part in ("numbers", "scales")]
                weight.data = whole(*(part.to(weight.device) for part in pair))
                ours = f"{name}.trunk.layers.{index}.{each}.weight"
                made |= {f"{ours}.numbers": pair[0], f"{ours}.scales": pair[1]}
        streams = [through(layer, trunk, config, stream) for stream in streams]
    return streams


@contextmanager
def moments_of(layer: Layer) -> Iterator[dict[str, Tensor]]:
    """Add up the second moments of all that a layer's matrices multiply meanwhile.

    Yields:
        By matrix, float64 (in, in).
    """
    sums: dict[str, Tensor] = {}

    def listen(name: str) -> torch.utils.hooks.RemovableHandle:
        def hear(_: object, arguments: tuple[Tensor]) -> None:
            x = arguments[0].reshape(-1, arguments[0].shape[-1])
            sums[name] = (x.T @ x).double() + sums.get(name, 0.0)

        return matrix(layer, name).register_forward_pre_hook(hear)

    handles = [listen(name) for name in MATRICES]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def matrix(layer: Layer, name: str) -> Linear:
    """Give one of a layer's `MATRICES`."""
    found = getattr(layer, name)
    assert isinstance(found, Linear)
    return found
