"""Make the manifest from a checkpoint and the files that were made of it."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from qwen3_tts_edge.bundle import manifest as door
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.head import FORMAT
from qwen3_tts_edge.bundle.manifest import CodecManifest, InCompany, Manifest
from qwen3_tts_edge.bundle.names import (
    CUSTOM_VOICE,
    FP32,
    INT8,
    ORT,
    STREAMED,
    UPFRONT,
    VOICE_DESIGN,
)
from qwen3_tts_edge.bundle.own_files import FileSpec, sha256
from qwen3_tts_edge.version import VERSION
from qwen3_tts_export.checkpoint.names import fold, folded, spelt
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint, fingerprint
from qwen3_tts_export.precision.policy import INT4, INT4_TALKER, INT8_FAST, INT8_ROWS

# What tests/parity/test_company.py measures; the others wait for a GPU.
_WITH_VNNI: InCompany = "equal with avx512_vnni"  # else a row alone is added up in another order
_IN_COMPANY: Mapping[tuple[str, str], InCompany] = {
    (ORT, FP32): "equal",
    (ORT, INT8): "equal",
    (ORT, INT8_FAST): "different",
    (ORT, INT8_ROWS): _WITH_VNNI,
    (ORT, INT4): _WITH_VNNI,
    (ORT, INT4_TALKER): _WITH_VNNI,
}

# The released checkpoints speak short texts safely, and public reports call long ones degrading:
# words are left out, the pace drifts, end of speech does not come.
_UTTERANCE = door.UtteranceLimits(most_seconds=20.0, most_sentences=None)
_BUNDLED_VOICE = "tiny"
# It has learnt from single sentences, few of them longer than this.
_UTTERANCES = {_BUNDLED_VOICE: door.UtteranceLimits(most_seconds=8.0, most_sentences=1)}


def describe(
    checkpoint: Checkpoint,
    folder: Path,
    precision: str,
    flavour: str,
    graphs: dict[str, GraphSpec],
) -> Manifest:
    """Describe the files in `folder`, which were made from a checkpoint."""
    config, talker = checkpoint.config, checkpoint.config.talker
    generation = config.generation
    return Manifest(
        format=FORMAT,
        checkpoint=_origin(checkpoint, config.tts_model_type, config.tts_model_size),
        precision=precision,
        flavour=flavour,
        made_with=_made_with(),
        sample_rate=config.sample_rate,
        samples_per_frame=config.codec.samples_per_frame,
        codebooks=talker.num_codebooks,
        codebook_size=config.codec.codebook_size,
        hidden_size=talker.hidden_size,
        vocab_size=talker.vocab_size,
        max_positions=talker.max_positions,
        text_ids=door.TextIds(
            tts_pad=config.text_ids.tts_pad,
            tts_bos=config.text_ids.tts_bos,
            tts_eos=config.text_ids.tts_eos,
        ),
        control_codes=door.ControlCodes(
            bos=talker.codec_bos_id,
            pad=talker.codec_pad_id,
            think=talker.codec_think_id,
            nothink=talker.codec_nothink_id,
            think_bos=talker.codec_think_bos_id,
            think_eos=talker.codec_think_eos_id,
            end_of_speech=talker.codec_eos_id,
        ),
        languages=folded(talker.languages, "languages"),
        speakers=spelt(talker.speakers),
        dialects={name.strip(): fold(dialect) for name, dialect in talker.dialects.items()},
        takes_instruct=_takes_instruct(checkpoint),
        text_layout=UPFRONT if generation.non_streaming_mode else STREAMED,
        sampling=door.SamplingDefaults(
            **{name: getattr(generation, name) for name in door.SamplingDefaults.__struct_fields__}
        ),
        utterance=_UTTERANCES.get(config.tts_model_size, _UTTERANCE),
        in_company=_IN_COMPANY.get((flavour, precision), "not measured"),
        graphs=graphs,
        files=_files(folder),
    )


def describe_codec(
    checkpoint: CodecCheckpoint, folder: Path, flavour: str, graphs: dict[str, GraphSpec]
) -> CodecManifest:
    """Describe the files in `folder`, which were made from a codec alone, always in fp32."""
    config = checkpoint.config
    return CodecManifest(
        format=FORMAT,
        checkpoint=_origin(checkpoint, door.CODEC, ""),
        precision=FP32,
        flavour=flavour,
        made_with=_made_with(),
        sample_rate=config.sample_rate,
        samples_per_frame=config.decoder.samples_per_frame,
        codebooks=config.decoder.num_codebooks,
        codebook_size=config.decoder.codebook_size,
        graphs=graphs,
        files=_files(folder),
    )


def _origin(
    checkpoint: Checkpoint | CodecCheckpoint, model_type: str, model_size: str
) -> door.Origin:
    return door.Origin(
        name=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=checkpoint.fingerprint,
        model_type=model_type,
        model_size=model_size,
        codec=fingerprint([], [checkpoint.codec]),
    )


def _made_with() -> dict[str, str]:
    return {"qwen3-tts-edge": VERSION} | {name: version(name) for name in ("torch", "onnx")}


def _files(folder: Path) -> dict[str, FileSpec]:
    return {
        path.name: FileSpec(size=path.stat().st_size, sha256=sha256(path))
        for path in sorted(folder.iterdir())
    }


def _takes_instruct(checkpoint: Checkpoint) -> bool:
    # Source: Qwen3TTSModel.generate_custom_voice, qwen_tts/inference/qwen3_tts_model.py. It drops
    # the instruction where the size is "0b6" and takes it with any other: with "0.6B" too, where
    # here the one is read as the other. The bundled voice has learnt none.
    config = checkpoint.config
    dropped = config.tts_model_size in ("0b6", _BUNDLED_VOICE)
    return config.tts_model_type == VOICE_DESIGN or (
        config.tts_model_type == CUSTOM_VOICE and not dropped
    )
