"""Derive the names and shapes of a checkpoint's tensors from its config alone.

One list serves both doors: `parts` refuses a file that lacks one of them, `random` writes
them all. Order is the order of the network.
"""

from collections.abc import Iterator

from qwen3_tts_export.checkpoint.codec_config import (
    LAST_STRIDE,
    CodecConfig,
    CodecDecoderConfig,
    CodecEncoderConfig,
)
from qwen3_tts_export.checkpoint.config import (
    CheckpointConfig,
    SpeakerEncoderConfig,
    TalkerConfig,
    TransformerConfig,
)

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


def expected_tensors(config: CheckpointConfig) -> dict[str, Shape]:
    """List the tensors of model.safetensors: the talker's and, for base, the speaker encoder's."""
    named = dict(_talker(config.talker, config.predictor))
    if config.speaker_encoder is not None:
        named.update(_speaker_encoder(config.speaker_encoder))
    return named


def expected_codec_tensors(config: CodecConfig) -> dict[str, Shape]:
    """List the codec's tensors: its decoder's and, where described, its encoder's."""
    named = dict(_codec_decoder(config.decoder))
    if config.encoder is not None:
        named.update(_codec_encoder(config.encoder))
    return named


def _talker(talker: TalkerConfig, predictor: TransformerConfig) -> Named:
    hidden, text = talker.hidden_size, talker.text_hidden_size
    yield "talker.model.text_embedding.weight", (talker.text_vocab_size, text)
    yield from _linear("talker.text_projection.linear_fc1", text, text, bias=True)
    yield from _linear("talker.text_projection.linear_fc2", text, hidden, bias=True)
    yield "talker.model.codec_embedding.weight", (talker.vocab_size, hidden)
    yield from _trunk("talker.model", talker)
    yield from _linear("talker.codec_head", hidden, talker.vocab_size)
    for book in range(talker.num_codebooks - 1):
        name = f"talker.code_predictor.model.codec_embedding.{book}.weight"
        yield name, (predictor.vocab_size, hidden)
    if predictor.hidden_size != hidden:
        name = "talker.code_predictor.small_to_mtp_projection"
        yield from _linear(name, hidden, predictor.hidden_size, bias=True)
    yield from _trunk("talker.code_predictor.model", predictor)
    for book in range(talker.num_codebooks - 1):
        name = f"talker.code_predictor.lm_head.{book}"
        yield from _linear(name, predictor.hidden_size, predictor.vocab_size)


def _trunk(prefix: str, config: TransformerConfig) -> Named:
    hidden = config.hidden_size
    for index in range(config.num_layers):
        layer = f"{prefix}.layers.{index}"
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield from _attention(layer, hidden, config.num_heads, config.num_kv_heads, config.head_dim)
        yield f"{layer}.self_attn.q_norm.weight", (config.head_dim,)
        yield f"{layer}.self_attn.k_norm.weight", (config.head_dim,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
        yield from _gated_mlp(layer, hidden, config.intermediate_size)
    yield f"{prefix}.norm.weight", (hidden,)


def _attention(layer: str, hidden: int, heads: int, kv_heads: int, head_dim: int) -> Named:
    yield from _linear(f"{layer}.self_attn.q_proj", hidden, heads * head_dim)
    yield from _linear(f"{layer}.self_attn.k_proj", hidden, kv_heads * head_dim)
    yield from _linear(f"{layer}.self_attn.v_proj", hidden, kv_heads * head_dim)
    yield from _linear(f"{layer}.self_attn.o_proj", heads * head_dim, hidden)


def _gated_mlp(layer: str, hidden: int, intermediate: int) -> Named:
    yield from _linear(f"{layer}.mlp.gate_proj", hidden, intermediate)
    yield from _linear(f"{layer}.mlp.up_proj", hidden, intermediate)
    yield from _linear(f"{layer}.mlp.down_proj", intermediate, hidden)


def _codec_decoder(codec: CodecDecoderConfig) -> Named:
    vector = codec.codebook_dim // 2
    for branch, books in (("first", 1), ("rest", codec.num_codebooks - 1)):
        rvq = f"decoder.quantizer.rvq_{branch}"
        yield f"{rvq}.input_proj.weight", (vector, codec.codebook_dim, 1)
        yield f"{rvq}.output_proj.weight", (codec.codebook_dim, vector, 1)
        for book in range(books):
            codebook = f"{rvq}.vq.layers.{book}._codebook"
            yield f"{codebook}.cluster_usage", (codec.codebook_size,)
            yield f"{codebook}.embedding_sum", (codec.codebook_size, vector)
    latent = codec.latent_dim
    yield from _conv("decoder.pre_conv.conv", codec.codebook_dim, latent, 3)
    yield from _codec_transformer("decoder.pre_transformer", codec)
    for index, ratio in enumerate(codec.upsampling_ratios):
        yield from _conv_up(f"decoder.upsample.{index}.0.conv", latent, latent, ratio)
        yield from _convnext(f"decoder.upsample.{index}.1", latent)
    width = codec.decoder_dim
    yield from _conv("decoder.decoder.0.conv", latent, width, 7)
    for index, rate in enumerate(codec.upsample_rates, start=1):
        block = f"decoder.decoder.{index}.block"
        yield from _snake(f"{block}.0", width)
        yield from _conv_up(f"{block}.1.conv", width, width // 2, 2 * rate)
        width //= 2
        for unit in (2, 3, 4):
            yield from _snake(f"{block}.{unit}.act1", width)
            yield from _conv(f"{block}.{unit}.conv1.conv", width, width, 7)
            yield from _snake(f"{block}.{unit}.act2", width)
            yield from _conv(f"{block}.{unit}.conv2.conv", width, width, 1)
    last = len(codec.upsample_rates) + 1
    yield from _snake(f"decoder.decoder.{last}", width)
    yield from _conv(f"decoder.decoder.{last + 1}.conv", width, 1, 7)


def _codec_transformer(prefix: str, codec: CodecDecoderConfig) -> Named:
    hidden = codec.hidden_size
    yield from _linear(f"{prefix}.input_proj", codec.latent_dim, hidden, bias=True)
    for index in range(codec.num_layers):
        layer = f"{prefix}.layers.{index}"
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield from _attention(layer, hidden, codec.num_heads, codec.num_kv_heads, codec.head_dim)
        yield f"{layer}.self_attn_layer_scale.scale", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
        yield from _gated_mlp(layer, hidden, codec.intermediate_size)
        yield f"{layer}.mlp_layer_scale.scale", (hidden,)
    yield f"{prefix}.norm.weight", (hidden,)
    yield from _linear(f"{prefix}.output_proj", hidden, codec.latent_dim, bias=True)


def _convnext(prefix: str, width: int) -> Named:
    yield f"{prefix}.dwconv.conv.weight", (width, 1, 7)
    yield f"{prefix}.dwconv.conv.bias", (width,)
    yield from _norm(f"{prefix}.norm", width)
    yield from _linear(f"{prefix}.pwconv1", width, 4 * width, bias=True)
    yield from _linear(f"{prefix}.pwconv2", 4 * width, width, bias=True)
    yield f"{prefix}.gamma", (width,)


def _codec_encoder(mimi: CodecEncoderConfig) -> Named:
    width, hidden = mimi.num_filters, mimi.hidden_size
    prefix = "encoder.encoder.layers"
    yield from _conv(f"{prefix}.0.conv", 1, width, mimi.kernel_size)
    index = 1
    for ratio in reversed(mimi.upsampling_ratios):
        for _ in range(mimi.num_residual_layers):
            inner, kernel = width // mimi.compress, mimi.residual_kernel_size
            yield from _conv(f"{prefix}.{index}.block.1.conv", width, inner, kernel)
            yield from _conv(f"{prefix}.{index}.block.3.conv", inner, width, 1)
            index += 1
        index += 1  # an activation, without tensors
        yield from _conv(f"{prefix}.{index}.conv", width, 2 * width, 2 * ratio)
        width, index = 2 * width, index + 1
    yield from _conv(f"{prefix}.{index + 1}.conv", width, hidden, mimi.last_kernel_size)
    yield from _codec_encoder_transformer("encoder.encoder_transformer", mimi)
    yield "encoder.downsample.conv.weight", (hidden, hidden, 2 * LAST_STRIDE)
    semantic = mimi.num_semantic_quantizers
    for branch, books in (("semantic", semantic), ("acoustic", mimi.num_quantizers - semantic)):
        rvq = f"encoder.quantizer.{branch}_residual_vector_quantizer"
        if mimi.quantizer_dim != hidden:
            yield f"{rvq}.input_proj.weight", (mimi.quantizer_dim, hidden, 1)
            yield f"{rvq}.output_proj.weight", (hidden, mimi.quantizer_dim, 1)
        for book in range(books):
            codebook = f"{rvq}.layers.{book}.codebook"
            yield f"{codebook}.initialized", (1,)
            yield f"{codebook}.cluster_usage", (mimi.codebook_size,)
            yield f"{codebook}.embed_sum", (mimi.codebook_size, mimi.codebook_dim)


def _codec_encoder_transformer(prefix: str, mimi: CodecEncoderConfig) -> Named:
    hidden, heads = mimi.hidden_size, mimi.num_heads
    for index in range(mimi.num_layers):
        layer = f"{prefix}.layers.{index}"
        yield from _norm(f"{layer}.input_layernorm", hidden)
        yield from _attention(layer, hidden, heads, heads, mimi.head_dim)
        yield f"{layer}.self_attn_layer_scale.scale", (hidden,)
        yield from _norm(f"{layer}.post_attention_layernorm", hidden)
        yield from _linear(f"{layer}.mlp.fc1", hidden, mimi.intermediate_size)
        yield from _linear(f"{layer}.mlp.fc2", mimi.intermediate_size, hidden)
        yield f"{layer}.mlp_layer_scale.scale", (hidden,)


def _speaker_encoder(ecapa: SpeakerEncoderConfig) -> Named:
    channels, kernels, scale = ecapa.channels, ecapa.kernel_sizes, ecapa.res2net_scale
    yield from _conv("speaker_encoder.blocks.0.conv", ecapa.mel_dim, channels[0], kernels[0])
    for index in range(1, len(channels) - 1):
        block, width = f"speaker_encoder.blocks.{index}", channels[index]
        yield from _conv(f"{block}.tdnn1.conv", channels[index - 1], width, 1)
        for part in range(scale - 1):
            name = f"{block}.res2net_block.blocks.{part}.conv"
            yield from _conv(name, width // scale, width // scale, kernels[index])
        yield from _conv(f"{block}.tdnn2.conv", width, width, 1)
        yield from _conv(f"{block}.se_block.conv1", width, ecapa.squeeze_channels, 1)
        yield from _conv(f"{block}.se_block.conv2", ecapa.squeeze_channels, width, 1)
    joined, attention = channels[-1], ecapa.attention_channels
    yield from _conv("speaker_encoder.mfa.conv", joined, joined, kernels[-1])
    yield from _conv("speaker_encoder.asp.tdnn.conv", 3 * joined, attention, 1)
    yield from _conv("speaker_encoder.asp.conv", attention, joined, 1)
    yield from _conv("speaker_encoder.fc", 2 * joined, ecapa.vector_size, 1)


def _linear(name: str, inputs: int, outputs: int, *, bias: bool = False) -> Named:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _conv(name: str, inputs: int, outputs: int, kernel: int) -> Named:
    yield f"{name}.weight", (outputs, inputs, kernel)
    yield f"{name}.bias", (outputs,)


def _conv_up(name: str, inputs: int, outputs: int, kernel: int) -> Named:
    # A transposed convolution stores its input channels first.
    yield f"{name}.weight", (inputs, outputs, kernel)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Named:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _snake(name: str, width: int) -> Named:
    yield f"{name}.alpha", (width,)
    yield f"{name}.beta", (width,)
