"""Tiny checkpoint configs: the released vocabularies, ids and codec rates on a small trunk."""

import json
from pathlib import Path
from typing import Any, Literal

EDGE_VOICE = Path(__file__).parent.parent / "models" / "edge-voice"
EDGE_VOICE_BASE = EDGE_VOICE.with_name("edge-voice-base")

LANGUAGES = {
    "english": 2050,
    "german": 2053,
    "spanish": 2054,
    "chinese": 2055,
    "japanese": 2058,
    "french": 2061,
    "sichuan_dialect": 2062,
    "korean": 2064,
    "russian": 2069,
    "italian": 2070,
    "portuguese": 2071,
    "beijing_dialect": 2074,
}
SPEAKERS = {
    "serena": 3066,
    "vivian": 3065,
    "uncle_fu": 3010,
    "ryan": 3061,
    "aiden": 2861,
    "ono_anna": 2873,
    "sohee": 2864,
    "eric": 2875,
    "dylan": 2878,
}
DIALECTS = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}

Kind = Literal["custom_voice", "voice_design", "base"]


def tiny_config(
    kind: Kind = "custom_voice", predictor: Literal["same", "narrow"] = "same"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (config.json, speech_tokenizer/config.json).

    `narrow` gives the predictor another width than the talker, so `small_to_mtp_projection` exists
    as in the 1.7B; `same` leaves it out as in the 0.6B.
    """
    text = json.loads((EDGE_VOICE / "config.json").read_text(encoding="utf-8"))
    speakers = SPEAKERS if kind == "custom_voice" else {}
    width = {"same": 128, "narrow": 64}[predictor]
    config: dict[str, Any] = {
        "architectures": ["Qwen3TTSForConditionalGeneration"],
        "model_type": "qwen3_tts",
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        "tts_model_size": {"same": "0b6", "narrow": "1b7"}[predictor],
        "tts_model_type": kind,
        **{name: text[name] for name in text if name.endswith("_token_id")},
        "talker_config": {
            **_trunk(hidden=128, intermediate=192, layers=3, vocab=3072),
            "model_type": "qwen3_tts_talker",
            "max_position_embeddings": 4096,
            "rope_scaling": {
                "interleaved": True,
                "mrope_section": [6, 5, 5],
                "rope_type": "default",
                "type": "default",
            },
            "text_hidden_size": 96,
            "text_vocab_size": text["talker_config"]["text_vocab_size"],
            "position_id_per_seconds": 13,
            "codec_pad_id": 2148,
            "codec_bos_id": 2149,
            "codec_eos_token_id": 2150,
            "codec_think_id": 2154,
            "codec_nothink_id": 2155,
            "codec_think_bos_id": 2156,
            "codec_think_eos_id": 2157,
            "codec_language_id": LANGUAGES,
            "spk_id": speakers,
            "spk_is_dialect": {name: DIALECTS.get(name, False) for name in speakers},
            "code_predictor_config": {
                **_trunk(hidden=width, intermediate=160, layers=2, vocab=2048),
                "model_type": "qwen3_tts_talker_code_predictor",
                "max_position_embeddings": 64,
                "rope_scaling": None,
                "layer_types": ["full_attention"] * 2,
            },
        },
    }
    if kind == "base":
        config["speaker_encoder_config"] = {
            "enc_dim": 128,
            "sample_rate": 24000,
            "enc_channels": [32, 32, 32, 32, 96],
            "enc_attention_channels": 16,
            "enc_se_channels": 16,
        }
    return json.loads(json.dumps(config)), _codec_config()


def _trunk(*, hidden: int, intermediate: int, layers: int, vocab: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": vocab,
        "num_code_groups": 16,
        "rope_theta": 1000000,
        "rms_norm_eps": 1e-06,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0,
        "use_sliding_window": False,
        "sliding_window": None,
    }


def _codec_config() -> dict[str, Any]:
    return {
        "architectures": ["Qwen3TTSTokenizerV2Model"],
        "model_type": "qwen3_tts_tokenizer_12hz",
        "encoder_valid_num_quantizers": 16,
        "input_sample_rate": 24000,
        "output_sample_rate": 24000,
        "decode_upsample_rate": 1920,
        "encode_downsample_rate": 1920,
        "decoder_config": {
            "codebook_size": 2048,
            "codebook_dim": 64,
            "num_quantizers": 16,
            "latent_dim": 64,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "sliding_window": 72,
            "layer_scale_initial_scale": 0.01,
            "max_position_embeddings": 8000,
            "rms_norm_eps": 1e-05,
            "rope_theta": 10000,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "decoder_dim": 64,
            "upsample_rates": [8, 5, 4, 3],
            "upsampling_ratios": [2, 2],
        },
        "encoder_config": {
            "model_type": "mimi",
            "codebook_dim": 32,
            "codebook_size": 2048,
            "vector_quantization_hidden_dimension": 32,
            "hidden_size": 64,
            "num_filters": 4,
            "num_residual_layers": 1,
            "kernel_size": 7,
            "last_kernel_size": 3,
            "residual_kernel_size": 3,
            "dilation_growth_rate": 2,
            "compress": 2,
            "norm_eps": 1e-05,
            "rope_theta": 10000.0,
            "num_quantizers": 32,
            "num_semantic_quantizers": 1,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 16,
            "intermediate_size": 96,
            "sampling_rate": 24000,
            "frame_rate": 12.5,
            "upsampling_ratios": [8, 6, 5, 4],
            "sliding_window": 250,
            "max_position_embeddings": 8000,
            "use_causal_conv": True,
            "upsample_groups": 64,
        },
    }
