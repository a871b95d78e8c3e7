"""The two encoders' sections of a checkpoint's JSON files, as values.

The released codec spells its encoder out, so every number must be there. Of the speaker encoder the
released files say two numbers, and the official class defaults are the rest.
"""

from collections.abc import Mapping
from typing import Any

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.config import CodecEncoderConfig, SpeakerEncoderConfig
from qwen3_tts_export.checkpoint.json_section import JsonSection

# Source: Qwen3TTSSpeakerEncoderConfig in qwen_tts/core/models/configuration_qwen3_tts.py.
SPEAKER_ENCODER_DEFAULTS: Mapping[str, Any] = {
    "mel_dim": 128,
    "enc_channels": [512, 512, 512, 512, 1536],
    "enc_kernel_sizes": [5, 3, 3, 3, 1],
    "enc_dilations": [1, 2, 3, 4, 1],
    "enc_attention_channels": 128,
    "enc_res2net_scale": 8,
    "enc_se_channels": 128,
}


def read_codec_encoder(
    section: JsonSection, num_codebooks: int, sample_rate: int
) -> CodecEncoderConfig:
    """Read `encoder_config`, which is a MimiConfig.

    Args:
        section: The object under `encoder_config`.
        num_codebooks: Quantizers that become codes, `encoder_valid_num_quantizers`.
        sample_rate: What the encoder hears, in Hz.

    Raises:
        CheckpointError: A key is missing or wrong, or the encoder is not implemented here.
    """
    config = CodecEncoderConfig(
        num_filters=section.count("num_filters"),
        num_residual_layers=section.count("num_residual_layers"),
        kernel_size=section.count("kernel_size"),
        last_kernel_size=section.count("last_kernel_size"),
        residual_kernel_size=section.count("residual_kernel_size"),
        dilation_growth_rate=section.count("dilation_growth_rate"),
        compress=section.count("compress"),
        upsampling_ratios=section.counts("upsampling_ratios"),
        hidden_size=section.count("hidden_size"),
        intermediate_size=section.count("intermediate_size"),
        num_layers=section.count("num_hidden_layers"),
        num_heads=section.count("num_attention_heads"),
        head_dim=section.count("head_dim"),
        rope_theta=section.number("rope_theta"),
        norm_eps=section.number("norm_eps"),
        codebook_size=section.count("codebook_size"),
        codebook_dim=section.count("codebook_dim"),
        quantizer_dim=section.count("vector_quantization_hidden_dimension"),
        num_quantizers=section.count("num_quantizers"),
        num_semantic_quantizers=section.count("num_semantic_quantizers"),
        num_codebooks=num_codebooks,
    )
    section.must_be("audio_channels", (1,), "only one channel is implemented")
    section.must_be("use_causal_conv", (True,), "only causal convolutions are implemented")
    section.must_be("pad_mode", ("constant",), "only zeros before the first sample are implemented")
    section.must_be("use_conv_shortcut", (False,), "convolved shortcuts are not implemented")
    section.must_be("hidden_act", ("gelu",), "other activations are not implemented")
    section.must_be("attention_bias", (False,), "attention biases are not implemented")
    heads = section.count("num_key_value_heads")
    if heads != config.num_heads:
        raise CheckpointError(
            f"{section.where('num_key_value_heads')} is {heads}, expected {config.num_heads} as"
            " num_attention_heads: shared keys are not implemented"
        )
    if config.codebook_dim != config.quantizer_dim:
        raise CheckpointError(
            f"{section.where('codebook_dim')} is {config.codebook_dim}, expected"
            f" {config.quantizer_dim} as vector_quantization_hidden_dimension"
        )
    if not config.num_semantic_quantizers < num_codebooks <= config.num_quantizers:
        raise CheckpointError(
            f"{section.where('num_quantizers')} is {config.num_quantizers} with"
            f" {config.num_semantic_quantizers} semantic ones, but {num_codebooks} are to be used"
        )
    for key in ("frame_rate", "_frame_rate"):
        rate = sample_rate / config.samples_per_frame
        section.must_be(key, (rate,), f"a frame is {config.samples_per_frame} samples")
    return config


def read_speaker_encoder(given: JsonSection, hidden_size: int) -> SpeakerEncoderConfig:
    """Read `speaker_encoder_config`; what it leaves out is the official default.

    Args:
        given: The object under `speaker_encoder_config`.
        hidden_size: Of the talker, which takes the vector as an embedding.

    Raises:
        CheckpointError: A key is missing or wrong, or the encoder is not implemented here.
    """
    section = JsonSection({**SPEAKER_ENCODER_DEFAULTS, **given.values}, given.file, given.path)
    config = SpeakerEncoderConfig(
        mel_dim=section.count("mel_dim"),
        sample_rate=section.count("sample_rate"),
        vector_size=section.count("enc_dim"),
        channels=section.counts("enc_channels"),
        kernel_sizes=section.counts("enc_kernel_sizes"),
        dilations=section.counts("enc_dilations"),
        attention_channels=section.count("enc_attention_channels"),
        res2net_scale=section.count("enc_res2net_scale"),
        squeeze_channels=section.count("enc_se_channels"),
    )
    section.must_be("mel_dim", (128,), "the official mel spectrogram has no other")
    section.must_be("sample_rate", (24000,), "the official mel spectrogram has no other")
    if config.vector_size != hidden_size:
        raise CheckpointError(
            f"{section.where('enc_dim')} is {config.vector_size}, but the talker is {hidden_size}"
            " wide; the files are not from one checkpoint"
        )
    first, *blocks, joined = config.channels
    sizes = {len(config.channels), len(config.kernel_sizes), len(config.dilations)}
    if len(sizes) > 1 or set(blocks) != {first} or sum(blocks) != joined:
        raise CheckpointError(
            f"{section.where('enc_channels')} is {list(config.channels)}; expected one width for"
            " each of enc_kernel_sizes and enc_dilations, all equal but the last, their sum"
        )
    return config
