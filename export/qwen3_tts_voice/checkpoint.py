"""Write the trained parts as checkpoints in the official format.

In: `talker.pt`, `decoder.pt`, `encoder.pt`, `codebooks.npz`, tokenizer files. Out: folders that
`qwen-tts` opens. One network speaks as those who have names and as whom it hears; the official
format has a type for either, so there is a folder for each. What they share is in files that are
the same, byte for byte; the one that clones has its speaker encoder beside.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from qwen3_tts_voice import decoder_model, encoder, training
from qwen3_tts_voice.codes import BOOKS, CODEBOOKS, CODES, Quantiser
from qwen3_tts_voice.talker_model import (
    CONTROL,
    PREDICTOR,
    SPEAKER_CODES,
    SPEAKER_ENCODER,
    TALKER,
    TEXT_HIDDEN,
    TEXT_VOCAB,
    VOCAB,
    Talker,
)
from qwen3_tts_voice.transformer import EPS, THETA, Stack

CUSTOM_VOICE, BASE = TYPES = ("custom_voice", "base")
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
CODEC = {
    "architectures": ["Qwen3TTSTokenizerV2Model"],
    "model_type": "qwen3_tts_tokenizer_12hz",
    "encoder_config": encoder.CONFIG,
    "decoder_config": decoder_model.CONFIG,
    "encoder_valid_num_quantizers": BOOKS,
    "input_sample_rate": 24_000,
    "output_sample_rate": 24_000,
    "decode_upsample_rate": 1920,
    "encode_downsample_rate": 1920,
}
PREPROCESSOR = {
    "feature_extractor_type": "EncodecFeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 24_000,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "chunk_length_s": None,
    "overlap": None,
}


def generation_config(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the sampling defaults with `settings` over them."""
    return {
        "do_sample": True,
        "repetition_penalty": 1.0,
        "temperature": 0.5,
        "top_k": 50,
        "top_p": 1.0,
        "subtalker_dosample": True,
        "subtalker_temperature": 0.4,
        "subtalker_top_k": 50,
        "subtalker_top_p": 1.0,
        "max_new_tokens": 512,
        "non_streaming_mode": True,
        **settings,
    }


def _stack(size: Stack) -> dict[str, Any]:
    return {
        "attention_bias": False,
        "hidden_size": size.hidden,
        "intermediate_size": size.mlp,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head_dim,
        "num_code_groups": BOOKS,
        "max_position_embeddings": 1024,
        "rope_theta": THETA,
        "rms_norm_eps": EPS,
        "hidden_act": "silu",
    }


def config(tokenizer: Path, model_type: str) -> dict[str, Any]:
    """Return the `config.json` of a checkpoint of one of the TYPES."""
    declared = json.loads((tokenizer / "tokenizer_config.json").read_text("utf-8"))
    ids = {entry["content"]: int(i) for i, entry in declared["added_tokens_decoder"].items()}
    third = TALKER.head_dim // 6
    speakers = SPEAKER_CODES if model_type == CUSTOM_VOICE else {}
    talker = {
        **_stack(TALKER),
        "attention_dropout": 0,
        "code_predictor_config": {
            **_stack(PREDICTOR),
            "vocab_size": CODES,
            "layer_types": ["full_attention"] * PREDICTOR.layers,
            "model_type": "qwen3_tts_talker_code_predictor",
        },
        **{
            f"codec_{name}_id": CONTROL[name]
            for name in ("bos", "pad", "think", "nothink", "think_bos", "think_eos")
        },
        "codec_eos_token_id": CONTROL["eos"],
        "codec_language_id": {"english": CONTROL["english"]},
        "spk_id": speakers,
        "spk_is_dialect": dict.fromkeys(speakers, False),
        "vocab_size": VOCAB,
        "text_hidden_size": TEXT_HIDDEN,
        "text_vocab_size": TEXT_VOCAB,
        "rope_scaling": {
            "interleaved": True,
            "mrope_section": [TALKER.head_dim // 2 - 2 * third, third, third],
            "rope_type": "default",
            "type": "default",
        },
        "position_id_per_seconds": 13,
        "model_type": "qwen3_tts_talker",
        "use_cache": True,
        "use_sliding_window": False,
    }
    return {
        "architectures": ["Qwen3TTSForConditionalGeneration"],
        "model_type": "qwen3_tts",
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        "tts_model_size": "tiny",
        "tts_model_type": model_type,
        "talker_config": talker,
        **({"speaker_encoder_config": SPEAKER_ENCODER} if model_type == BASE else {}),
        "assistant_token_id": ids["assistant"],
        "im_start_token_id": ids["<|im_start|>"],
        "im_end_token_id": ids["<|im_end|>"],
        "tts_pad_token_id": ids["<tts_pad>"],
        "tts_bos_token_id": ids["<tts_text_bos>"],
        "tts_eos_token_id": ids["<tts_text_eod>"],
        "dtype": "bfloat16",
    }


def write(
    work: Path, tokenizer: Path, folder: Path, model_type: str, settings: dict[str, Any]
) -> None:
    """Write a checkpoint of one of the TYPES from what is trained so far.

    The weights are the averaged ones, in bfloat16. With them go the codebooks, so that another
    training can begin with it.
    """
    codec = folder / "speech_tokenizer"
    codec.mkdir(parents=True, exist_ok=True)
    quantiser = Quantiser.load(work / CODEBOOKS)
    talker = Talker(quantiser, seed=0)
    talker.load_state_dict(training.averaged(work, "talker"), strict=False)
    state = talker.official_state()
    heard = {name: v for name, v in state.items() if name.startswith("speaker_encoder.")}
    said = {name: v for name, v in state.items() if name not in heard}
    if model_type == CUSTOM_VOICE:
        _save(said, folder / "model.safetensors")
    else:
        _save_shards([said, heard], folder)
    _save(_codec_state(work), codec / "model.safetensors")
    _json(folder / "config.json", config(tokenizer, model_type))
    _json(folder / "generation_config.json", generation_config(settings))
    _json(codec / "config.json", CODEC)
    _json(codec / "preprocessor_config.json", PREPROCESSOR)
    shutil.copyfile(work / CODEBOOKS, folder / CODEBOOKS)
    for name in TOKENIZER_FILES:
        if (tokenizer / name).resolve() != (folder / name).resolve():
            shutil.copy(tokenizer / name, folder)


def _codec_state(work: Path) -> dict[str, torch.Tensor]:
    """Read the codec's tensors, averaged over the last steps of their trainings."""
    made = encoder.Encoder(seed=0)
    made.load_state_dict(training.averaged(work, "encoder"))
    state = {f"encoder.{name}": value for name, value in made.official_state().items()}
    for name, value in training.averaged(work, "decoder").items():
        state[f"decoder.{name}"] = value
    return state


def _save_shards(states: list[dict[str, torch.Tensor]], folder: Path) -> None:
    """Save tensors in several files, and which is in which."""
    files = [f"model-{n:05}-of-{len(states):05}.safetensors" for n in range(1, len(states) + 1)]
    for file, state in zip(files, states, strict=True):
        _save(state, folder / file)
    where = {name: file for file, state in zip(files, states, strict=True) for name in state}
    bytes_of_all = sum(2 * v.numel() for state in states for v in state.values())
    index = {"metadata": {"total_size": bytes_of_all}, "weight_map": where}
    _json(folder / "model.safetensors.index.json", index)


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    """Save tensors, floats in bfloat16."""
    stored = {
        name: (value.bfloat16() if value.is_floating_point() else value).clone().contiguous()
        for name, value in state.items()
    }
    save_file(stored, path, metadata={"format": "pt"})


def _json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
