"""Which official tensors the codec decoder is made of."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from qwen3_tts_export.checkpoint.codec_config import CodecDecoderConfig
from qwen3_tts_export.modules.layers import Weights, copied, transposed


def codec_decoder_weights(tensors: Mapping[str, Tensor], config: CodecDecoderConfig) -> Weights:
    """What `CodecDecoder` is made of, from the codec's official `decoder.*` tensors."""
    weights: Weights = {"books.weight": lambda: _codebooks(tensors, config)}

    def conv(ours: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            weights[f"{ours}.{part}"] = copied(tensors, f"decoder.{theirs}.conv.{part}")

    def upsample(ours: str, theirs: str, stride: int) -> None:
        weight, bias = (copied(tensors, f"decoder.{theirs}.conv.{x}") for x in ("weight", "bias"))
        weights[f"{ours}.weight"] = lambda: steps_as_channels(weight(), stride)
        weights[f"{ours}.bias"] = lambda: bias().repeat_interleave(stride)

    def linear(ours: str, *theirs: str, bias: bool = False) -> None:
        names = [f"decoder.{name}" for name in theirs]
        weights[f"{ours}.weight"] = transposed(tensors, *(f"{name}.weight" for name in names))
        if bias:
            weights[f"{ours}.bias"] = copied(tensors, f"{names[0]}.bias")

    def vector(ours: str, theirs: str) -> None:
        weights[ours] = copied(tensors, f"decoder.{theirs}")

    def snake(ours: str, theirs: str) -> None:
        alpha, beta = (copied(tensors, f"decoder.{theirs}.{x}") for x in ("alpha", "beta"))
        weights[f"{ours}.a"] = lambda: alpha().double().exp().float()[:, None]
        weights[f"{ours}.b"] = lambda: (1.0 / (beta().double().exp() + 1e-9)).float()[:, None]

    for ours, theirs in (("semantic", "rvq_first"), ("acoustic", "rvq_rest")):
        name = f"decoder.quantizer.{theirs}.output_proj.weight"
        weights[f"{ours}.weight"] = pointwise(tensors, name)
    conv("pre_conv", "pre_conv")
    linear("input", "pre_transformer.input_proj", bias=True)
    for i in range(config.num_layers):
        ours, theirs = f"layers.{i}", f"pre_transformer.layers.{i}"
        linear(f"{ours}.qkv", *(f"{theirs}.self_attn.{x}_proj" for x in "qkv"))
        linear(f"{ours}.output", f"{theirs}.self_attn.o_proj")
        linear(f"{ours}.gate_up", f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj")
        linear(f"{ours}.down", f"{theirs}.mlp.down_proj")
        vector(f"{ours}.input_norm.weight", f"{theirs}.input_layernorm.weight")
        vector(f"{ours}.mlp_norm.weight", f"{theirs}.post_attention_layernorm.weight")
        vector(f"{ours}.attention_scale", f"{theirs}.self_attn_layer_scale.scale")
        vector(f"{ours}.mlp_scale", f"{theirs}.mlp_layer_scale.scale")
    vector("norm.weight", "pre_transformer.norm.weight")
    linear("output", "pre_transformer.output_proj", bias=True)
    for i, ratio in enumerate(config.upsampling_ratios):
        upsample(f"upsamples.{i}", f"upsample.{i}.0", ratio)
        ours, theirs = f"convnexts.{i}", f"upsample.{i}.1"
        conv(f"{ours}.depthwise", f"{theirs}.dwconv")
        linear(f"{ours}.widen", f"{theirs}.pwconv1", bias=True)
        linear(f"{ours}.narrow", f"{theirs}.pwconv2", bias=True)
        vector(f"{ours}.norm.weight", f"{theirs}.norm.weight")
        vector(f"{ours}.norm.bias", f"{theirs}.norm.bias")
        vector(f"{ours}.scale", f"{theirs}.gamma")
    conv("first", "decoder.0")
    for i, rate in enumerate(config.upsample_rates):
        ours, theirs = f"blocks.{i}", f"decoder.{i + 1}.block"
        snake(f"{ours}.snake", f"{theirs}.0")
        upsample(f"{ours}.up", f"{theirs}.1", rate)
        for unit in range(3):
            for part in (1, 2):
                snake(f"{ours}.units.{unit}.snake{part}", f"{theirs}.{unit + 2}.act{part}")
                conv(f"{ours}.units.{unit}.conv{part}", f"{theirs}.{unit + 2}.conv{part}")
    after = len(config.upsample_rates) + 1
    snake("snake", f"decoder.{after}")
    conv("last", f"decoder.{after + 1}")
    return weights


def steps_as_channels(weight: Tensor, stride: int) -> Tensor:
    """The weight of a transposed convolution as that of one that makes `stride` outputs a step.

    Args:
        weight: (in, out, reach * stride), as torch's ConvTranspose1d has it.
        stride: Outputs an input.

    Returns:
        (out * stride, in, reach); of an output's inputs the last is the newest.
    """
    inputs, outputs, kernel = weight.shape
    taps = weight.reshape(inputs, outputs, kernel // stride, stride).flip(2)
    return taps.permute(1, 3, 0, 2).reshape(outputs * stride, inputs, -1).contiguous()


def pointwise(tensors: Mapping[str, Tensor], name: str) -> Callable[[], Tensor]:
    """A convolution of kernel 1 as what it is, a matrix (in, out)."""
    return lambda: tensors[name].squeeze(-1).float().T.contiguous()


def codebook(tensors: Mapping[str, Tensor], total: str, usage: str) -> Callable[[], Tensor]:
    """The entries of a codebook (size, dim): running sums over running counts.

    Source: EuclideanCodebook.decode in the codec's file, MimiEuclideanCodebook.embed in
        transformers/models/mimi/modeling_mimi.py.
    """
    return lambda: tensors[total].float() / tensors[usage].float().clamp(min=1e-5)[:, None]


def _codebooks(tensors: Mapping[str, Tensor], config: CodecDecoderConfig) -> Tensor:
    books = ["rvq_first.vq.layers.0"]
    books += [f"rvq_rest.vq.layers.{i}" for i in range(config.num_codebooks - 1)]
    names = [f"decoder.quantizer.{book}._codebook" for book in books]
    return torch.cat(
        [codebook(tensors, f"{name}.embedding_sum", f"{name}.cluster_usage")() for name in names]
    )
