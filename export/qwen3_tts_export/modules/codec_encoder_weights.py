"""Which official tensors the codec encoder is made of."""

from collections.abc import Callable, Mapping

from torch import Tensor

from qwen3_tts_export.checkpoint.codec_config import CodecEncoderConfig
from qwen3_tts_export.modules.codec_encoder import is_projected
from qwen3_tts_export.modules.codec_weights import codebook, pointwise
from qwen3_tts_export.modules.layers import Weights, copied, transposed


def codec_encoder_weights(tensors: Mapping[str, Tensor], config: CodecEncoderConfig) -> Weights:
    """What `CodecEncoder` is made of, from the codec's official `encoder.*` tensors."""
    weights: Weights = {}

    def conv(ours: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            weights[f"{ours}.{part}"] = copied(tensors, f"encoder.encoder.{theirs}.conv.{part}")

    index = 0
    conv("first", f"layers.{index}")
    for i in range(len(config.upsampling_ratios)):
        for unit in range(config.num_residual_layers):
            index += 1
            conv(f"blocks.{i}.units.{unit}.conv1", f"layers.{index}.block.1")
            conv(f"blocks.{i}.units.{unit}.conv2", f"layers.{index}.block.3")
        index += 2  # the first of the two is an activation
        conv(f"blocks.{i}.down", f"layers.{index}")
    conv("last", f"layers.{index + 2}")
    for i in range(config.num_layers):
        weights |= _layer(tensors, f"encoder.encoder_transformer.layers.{i}", f"layers.{i}")
    weights["downsample.weight"] = copied(tensors, "encoder.downsample.conv.weight")
    semantic = config.num_semantic_quantizers
    for branch, books in (("semantic", semantic), ("acoustic", config.num_codebooks - semantic)):
        theirs = f"encoder.quantizer.{branch}_residual_vector_quantizer"
        if is_projected(config):
            weights[f"{branch}.input.weight"] = pointwise(tensors, f"{theirs}.input_proj.weight")
        for book in range(books):
            name = f"{theirs}.layers.{book}.codebook"
            weights[f"{branch}.books.{book}.weight"] = codebook(
                tensors, f"{name}.embed_sum", f"{name}.cluster_usage"
            )
    return weights


def _layer(tensors: Mapping[str, Tensor], theirs: str, ours: str) -> Weights:
    def matrix(*names: str) -> Callable[[], Tensor]:
        return transposed(tensors, *(f"{theirs}.{name}.weight" for name in names))

    weights: Weights = {
        "qkv.weight": matrix("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "output.weight": matrix("self_attn.o_proj"),
        "up.weight": matrix("mlp.fc1"),
        "down.weight": matrix("mlp.fc2"),
        "attention_scale": copied(tensors, f"{theirs}.self_attn_layer_scale.scale"),
        "mlp_scale": copied(tensors, f"{theirs}.mlp_layer_scale.scale"),
    }
    for name, norm in (("input", "input_layernorm"), ("mlp", "post_attention_layernorm")):
        for part in ("weight", "bias"):
            weights[f"{name}_norm.{part}"] = copied(tensors, f"{theirs}.{norm}.{part}")
    return {f"{ours}.{name}": make for name, make in weights.items()}
