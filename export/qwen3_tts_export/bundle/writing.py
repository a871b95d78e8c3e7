"""Turn a checkpoint into a bundle, the folder that the runtime opens."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from qwen3_tts_edge.atomic import whole_folder_or_nothing
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import TOKENIZER
from qwen3_tts_edge.bundle.names import BASE, ORT
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.bundle.description import describe, describe_codec
from qwen3_tts_export.bundle.graph_files import write_graphs
from qwen3_tts_export.bundle.tables import write_tables
from qwen3_tts_export.calibration.kept import forget
from qwen3_tts_export.checkpoint.opening import Checkpoint, CodecCheckpoint
from qwen3_tts_export.checkpoint.safetensors_header import TensorEntry
from qwen3_tts_export.checkpoint.space import check_space
from qwen3_tts_export.checkpoint.weights import refuse_infinite
from qwen3_tts_export.graphs.declared import (
    Graph,
    codec_decoder_graph,
    codec_encoder_graph,
    frame_graph,
    predictor_step_graph,
    speaker_encoder_graph,
    talker_step_graph,
)
from qwen3_tts_export.graphs.flavours import FLAVOURS, find_flavour
from qwen3_tts_export.precision.blocks import Rounder, nearest
from qwen3_tts_export.precision.policy import FP32, Precision, find_precision
from qwen3_tts_export.progress import Report, within


def write_bundle(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    precision: str,
    flavour: str = ORT,
    report: Report = lambda *_: None,
    finish: Callable[[Path, Report], None] | None = None,
) -> Path:
    """Write a bundle.

    A folder that has the final name is whole, see `atomic.whole_folder_or_nothing`. Where another
    process is writing the same one, this waits, and then finds that it exists.

    Where weights become numbers of four bits they are calibrated, see `calibration`. What is done
    of that lies beside `folder`, with `.calibration` at its name's end, until the bundle is whole:
    what was stopped goes on from there.

    Args:
        checkpoint: What to export.
        folder: Where the bundle goes; must not exist.
        precision: One of `policy.PRECISIONS`.
        flavour: One of `flavours.FLAVOURS`: which runtimes it is for.
        report: Called as the work proceeds.
        finish: Called when all is in the folder, before it has its name.

    Returns:
        `folder`.

    Raises:
        CheckpointError: The checkpoint cannot be read, or one of its weights is not finite or does
            not fit into the precision's type.
        InputError: `folder` exists, the disk is too small, there is no such flavour or precision,
            or this one is not for that one.
    """
    family = find_flavour(flavour)
    wanted = find_precision(precision, flavour)
    if family.contrib:
        _refuse_head_dim(checkpoint)
    tensors = [*checkpoint.talker.entries.values(), *checkpoint.codec.entries.values()]
    check_space(folder, _size(tensors, wanted))
    aside = folder.parent / f"{folder.name}.calibration"  # `.` has no name to change
    with whole_folder_or_nothing(folder) as part:
        filling = within(report, 0.0, 1.0 if finish is None else 0.7)
        refuse_infinite([checkpoint.talker, checkpoint.codec], within(filling, 0.0, 0.05))
        _fill(checkpoint, part, wanted, flavour, aside, filling)
        if finish is not None:
            finish(part, within(report, 0.7, 1.0))
        report("done", 1.0)
    forget(aside)
    return folder


def write_codec_bundle(
    checkpoint: CodecCheckpoint,
    folder: Path,
    *,
    flavour: str = ORT,
    report: Report = lambda *_: None,
) -> Path:
    """Write a bundle of the codec alone, encoder and decoder, always in fp32.

    Arguments, errors and the way it is written are those of `write_bundle`.
    """
    find_flavour(flavour)
    config = checkpoint.config
    if config.encoder is None:
        raise CheckpointError(
            f"{checkpoint.folder} describes no encoder, and a codec of its own encodes and decodes",
            "export a codec that is whole, such as Qwen/Qwen3-TTS-Tokenizer-12Hz",
        )
    graphs = [
        codec_encoder_graph(config.encoder, checkpoint.codec),
        codec_decoder_graph(config.decoder, checkpoint.codec),
    ]
    check_space(folder, _size(checkpoint.codec.entries.values(), FP32))
    with whole_folder_or_nothing(folder) as part:
        refuse_infinite([checkpoint.codec], within(report, 0.0, 0.05))
        specs = write_graphs(graphs, checkpoint.codec.entries, part, FP32, flavour, report)
        describe_codec(checkpoint, part, flavour, specs).save(part)
        report("done", 1.0)
    return folder


def _fill(
    checkpoint: Checkpoint,
    part: Path,
    precision: Precision,
    flavour: str,
    aside: Path,
    report: Report,
) -> None:
    checkpoint.tokenizer.save(str(part / TOKENIZER))
    report("embedding tables", 0.05)
    write_tables(checkpoint, part, checkpoint.tokenizer.get_vocab_size(), precision.tables)
    rounder: Rounder = nearest
    if precision.calibrated:
        # Here and not above: it makes prompts as the runtime does, with all that brings.
        from qwen3_tts_export.calibration.calibrating import calibrate

        manifest = describe(checkpoint, part, precision.name, flavour, {})
        spoken_by = Bundle(part, manifest)
        rounder = calibrate(checkpoint, spoken_by, precision, aside, within(report, 0.05, 0.8))
        report = within(report, 0.8, 1.0)
    graphs = list(_graphs(checkpoint, flavour))
    tensors = {**checkpoint.talker.entries, **checkpoint.codec.entries}
    specs = write_graphs(graphs, tensors, part, precision, flavour, report, rounder)
    report("manifest", 0.98)
    describe(checkpoint, part, precision.name, flavour, specs).save(part)


def _graphs(checkpoint: Checkpoint, flavour: str) -> Iterator[Graph]:
    """List a checkpoint's graphs; encoders only for base, although each codec has an encoder."""
    config = checkpoint.config
    if config.tts_model_type == BASE:
        assert config.speaker_encoder is not None
        assert config.codec_encoder is not None
        yield speaker_encoder_graph(config.speaker_encoder, checkpoint.talker)
        yield codec_encoder_graph(config.codec_encoder, checkpoint.codec)
    yield codec_decoder_graph(config.codec, checkpoint.codec)
    positions = config.talker.max_positions
    if FLAVOURS[flavour].fused:
        yield frame_graph(config, checkpoint.talker, positions)
    else:
        yield talker_step_graph(config, checkpoint.talker, positions)
        yield predictor_step_graph(config, checkpoint.talker)


def _refuse_head_dim(checkpoint: Checkpoint) -> None:
    for name in ("talker", "predictor"):
        found = getattr(checkpoint.config, name).head_dim
        if found % 16:
            raise CheckpointError(
                f"the {name}'s head_dim is {found}, and ONNX Runtime's GroupQueryAttention needs "
                "a multiple of 16",
                "take --flavour trt or compat",
            )


def _size(tensors: Iterable[TensorEntry], precision: Precision) -> int:
    """Give the bytes that a bundle of these tensors may take."""
    numbers = sum(int(np.prod(entry.shape)) for entry in tensors)
    return numbers * (4 if precision == FP32 else 2)
