"""The official codec decoder, sized for the bundled voice and set up for training."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import torch
from torch import nn

from qwen3_tts_voice.codes import ACOUSTIC, CODES, Quantiser

WIDTH = 128
"""Of a codebook's rows."""
CONFIG: dict[str, Any] = {
    "codebook_size": CODES,
    "codebook_dim": 2 * WIDTH,
    "hidden_size": 192,
    "latent_dim": 192,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 48,
    "sliding_window": 72,
    "intermediate_size": 512,
    "layer_scale_initial_scale": 0.1,
    "num_hidden_layers": 3,
    "num_quantizers": 16,
    "upsample_rates": [8, 5, 4, 3],
    "upsampling_ratios": [2, 2],
    "decoder_dim": 256,
    "max_position_embeddings": 8000,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000,
    "hidden_act": "silu",
    "attention_bias": False,
}


@functools.cache
def official() -> tuple[Any, Any]:
    """Import the official decoder's class and its config's, without the 25 Hz tokenizer."""
    stub = types.ModuleType("qwen_tts.core.tokenizer_25hz.modeling_qwen3_tts_tokenizer_v1")
    stub.Qwen3TTSTokenizerV1Model = type("Qwen3TTSTokenizerV1Model", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault(stub.__name__, stub)
    from qwen_tts.core.tokenizer_12hz import configuration_qwen3_tts_tokenizer_v2 as configuration
    from qwen_tts.core.tokenizer_12hz import modeling_qwen3_tts_tokenizer_v2 as modeling

    modeling.SnakeBeta.forward = lambda self, x: _snake(x, self.alpha, self.beta)
    return (
        modeling.Qwen3TTSTokenizerV2Decoder,
        configuration.Qwen3TTSTokenizerV2DecoderConfig,
    )


def _snake(x: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    return _compiled()(x, alpha, beta)


@functools.cache
def _compiled() -> Any:
    """Compile it when it is first called: the compiler takes seconds to load."""
    return torch.compile(_eager, dynamic=False)


def _eager(x: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    sine = torch.sin(wide * torch.exp(alpha)[None, :, None])
    return (wide + sine * sine / (torch.exp(beta)[None, :, None] + 1e-9)).to(x.dtype)


def sized(config: dict[str, Any]) -> Any:
    """Build the official decoder in some size, its weights random."""
    model, settings = official()
    made = settings(**config)
    made._attn_implementation = "eager"
    return model(made)


def build(quantiser: Quantiser, seed: int) -> Any:
    """Build a decoder with random weights and the codebooks' rows."""
    torch.manual_seed(seed)
    decoder = sized(CONFIG)
    for up in decoder.upsample:
        up[1].gamma.data.fill_(0.1)
    for name, p in decoder.named_parameters():
        if name.startswith("decoder.") and name.endswith("conv.weight"):
            nn.init.kaiming_uniform_(p, a=5**0.5 * 0.6)
    _set_codebooks(decoder, quantiser)
    return decoder


@torch.no_grad()
def _set_codebooks(decoder: Any, quantiser: Quantiser) -> None:
    """Begin the codebooks' rows with the acoustic vectors, and noise to tell them apart by."""
    layers = [*decoder.quantizer.rvq_first.vq.layers, *decoder.quantizer.rvq_rest.vq.layers]
    for layer, book in zip(layers, quantiser.acoustic, strict=True):
        rows = layer._codebook.embedding_sum.normal_(0, 0.5)
        rows[:, :ACOUSTIC] += 0.5 * book / book.std().clamp(min=1e-3)
        layer._codebook.cluster_usage.fill_(1).requires_grad_(requires_grad=False)


def first_half(decoder: Any, codes: torch.Tensor) -> torch.Tensor:
    """Run codes (n, 16, frames) to latents (n, latent_dim, frames)."""
    x = decoder.pre_conv(decoder.quantizer.decode(codes)).transpose(1, 2)
    latents: torch.Tensor = decoder.pre_transformer(inputs_embeds=x).last_hidden_state
    return latents.permute(0, 2, 1)


def decode(decoder: Any, codes: torch.Tensor) -> torch.Tensor:
    """Decode codes (n, 16, frames) to samples (n, time); all but the finest layers in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = first_half(decoder, codes)
        for up in decoder.upsample:
            for part in up:
                x = part(x)
        for part in decoder.decoder[:-3]:
            x = part(x)
    x = x.float()
    for part in decoder.decoder[-3:]:
        x = part(x)
    samples: torch.Tensor = x[:, 0]
    return samples
