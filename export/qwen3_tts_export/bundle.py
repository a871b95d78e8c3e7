"""Checkpoint → bundle: the folder that the runtime opens."""

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import torch
from onnxscript import ir

from qwen3_tts_edge import manifest as door
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_edge.manifest import Manifest
from qwen3_tts_edge.version import VERSION
from qwen3_tts_export.checkpoint import Checkpoint, CodecCheckpoint
from qwen3_tts_export.flavours import FLAVOURS, find_flavour
from qwen3_tts_export.graphs import (
    Graph,
    codec_decoder_graph,
    codec_encoder_graph,
    frame_graph,
    predictor_step_graph,
    speaker_encoder_graph,
    talker_step_graph,
)
from qwen3_tts_export.in_place import may_run_in_place
from qwen3_tts_export.modules.talker import text_rows
from qwen3_tts_export.precision import FP32, Precision, find_precision
from qwen3_tts_export.rounding import Rounding
from qwen3_tts_export.tensor_file import TensorEntry
from qwen3_tts_export.text_tokenizer import read_text_tokenizer
from qwen3_tts_export.trace import trace
from qwen3_tts_export.typed_graph import typed
from qwen3_tts_export.weight_file import write_graph

Report = Callable[[str, float], None]
"""What is being done, and how much of the whole is done, 0 to 1."""

_ROWS_AT_ONCE = 4096


def write_bundle(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    precision: str,
    flavour: str = "ort",
    report: Report = lambda *_: None,
) -> Path:
    """Write a bundle.

    It is written beside its place as `<name>.part` and renamed when complete: a folder that has
    the final name is whole. What an export that was killed left behind is thrown away.

    Args:
        checkpoint: What to export.
        folder: Where the bundle goes; must not exist.
        precision: One of `precision.PRECISIONS`.
        flavour: One of `flavours.FLAVOURS`: which runtimes it is for.
        report: Called as the work proceeds.

    Returns:
        `folder`.

    Raises:
        CheckpointError: `folder` exists, the disk is too small, the checkpoint cannot be read, or
            one of its weights does not fit into the precision's type.
        InputError: There is no such flavour or precision, or this one is not for that one.
    """
    family = find_flavour(flavour)
    wanted = find_precision(precision, flavour)
    if family.contrib:
        _refuse_head_dim(checkpoint)
    tensors = [*checkpoint.talker.entries.values(), *checkpoint.codec.entries.values()]
    with _aside(folder, tensors, wanted) as part:
        _fill(checkpoint, part, wanted, flavour, report)
    return folder


def write_codec_bundle(
    checkpoint: CodecCheckpoint,
    folder: Path,
    *,
    flavour: str = "ort",
    report: Report = lambda *_: None,
) -> Path:
    """Write a bundle of the codec alone, encoder and decoder, always in fp32.

    Arguments, errors and the way it is written are those of `write_bundle`.
    """
    find_flavour(flavour)
    config = checkpoint.config
    if config.encoder is None:
        raise CheckpointError(
            f"{checkpoint.folder} describes no encoder; a codec of its own encodes and decodes"
        )
    graphs = [
        codec_encoder_graph(config.encoder, checkpoint.codec),
        codec_decoder_graph(config.decoder, checkpoint.codec),
    ]
    with _aside(folder, [*checkpoint.codec.entries.values()], FP32) as part:
        specs = _write_graphs(graphs, checkpoint.codec.entries, part, FP32, flavour, report)
        origin = door.Origin(
            name=checkpoint.name,
            revision=checkpoint.revision,
            fingerprint=checkpoint.fingerprint,
            model_type=door.CODEC,
            model_size="",
            codec=checkpoint.codec_fingerprint,
        )
        door.CodecManifest(
            format=door.FORMAT,
            checkpoint=origin,
            precision="fp32",
            flavour=flavour,
            made_with=_made_with(),
            sample_rate=config.sample_rate,
            samples_per_frame=config.decoder.samples_per_frame,
            codebooks=config.decoder.num_codebooks,
            codebook_size=config.decoder.codebook_size,
            graphs=specs,
            files=_files(part),
        ).save(part)
        report("done", 1.0)
    return folder


@contextmanager
def _aside(folder: Path, tensors: Iterable[TensorEntry], precision: Precision) -> Iterator[Path]:
    """A folder to write in that becomes `folder` when all went well, and nothing when not."""
    if folder.exists():
        raise CheckpointError(f"{folder} already exists; remove it or choose another place")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    _check_space(tensors, part.absolute().parent, precision)
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _fill(
    checkpoint: Checkpoint, part: Path, precision: Precision, flavour: str, report: Report
) -> None:
    report("text tokenizer", 0.0)
    tokenizer = read_text_tokenizer(checkpoint.folder)
    tokenizer.save(str(part / door.TOKENIZER))
    graphs = list(_graphs(checkpoint, flavour))
    tensors = {**checkpoint.talker.entries, **checkpoint.codec.entries}
    specs = _write_graphs(graphs, tensors, part, precision, flavour, report)
    report("embedding tables", 0.95)
    dtype = precision.tables
    _write_text_rows(checkpoint, part / door.TEXT_ROWS, tokenizer.get_vocab_size(), dtype)
    name = "talker.model.codec_embedding.weight"
    codec_rows = checkpoint.talker[name].float().numpy()
    np.save(part / door.CODEC_ROWS, Rounding().convert(name, codec_rows, dtype))
    if checkpoint.config.tts_model_type == "base":
        _write_predictor_rows(checkpoint, part / door.PREDICTOR_ROWS, dtype)
    report("manifest", 0.98)
    describe(checkpoint, part, precision.name, flavour, specs).save(part)
    report("done", 1.0)


def _write_graphs(
    graphs: Sequence[Graph],
    tensors: Mapping[str, TensorEntry],
    part: Path,
    precision: Precision,
    flavour: str,
    report: Report,
) -> dict[str, door.GraphSpec]:
    total, done = sum(_size(tensors, graph) for graph in graphs), 0
    specs = {}
    for graph in (typed(each, precision) for each in graphs):
        report(f"{graph.name}: tracing", 0.05 + 0.9 * done / total)
        model = trace(graph, flavour)

        def on_weight(size: int, name: str = graph.name) -> None:
            nonlocal done
            done += size
            report(f"{name}: weights", min(0.95, 0.05 + 0.9 * done / total))

        spec, path = _spec(graph, model), part / f"{graph.name}.onnx"
        rounding = write_graph(model, graph.weights, precision, path, on_weight)
        if rounding.numbers:
            dtype = precision.activations(graph.name)
            counts = door.RoundingSpec(dtype=dtype, **dataclasses.asdict(rounding))
            spec = msgspec.structs.replace(spec, rounding=counts)
        specs[graph.name] = spec
    return specs


def _graphs(checkpoint: Checkpoint, flavour: str) -> Iterator[Graph]:
    """The graphs of a checkpoint; only a base one hears, although each codec has an encoder."""
    config = checkpoint.config
    if config.tts_model_type == "base":
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


def describe(
    checkpoint: Checkpoint,
    folder: Path,
    precision: str,
    flavour: str,
    graphs: dict[str, door.GraphSpec],
) -> Manifest:
    """The manifest of the files in `folder`."""
    config, talker = checkpoint.config, checkpoint.config.talker
    generation = config.generation
    return Manifest(
        format=door.FORMAT,
        checkpoint=door.Origin(
            name=checkpoint.name,
            revision=checkpoint.revision,
            fingerprint=checkpoint.fingerprint,
            model_type=config.tts_model_type,
            model_size=config.tts_model_size,
            codec=checkpoint.codec_fingerprint,
        ),
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
        languages=talker.languages,
        speakers=talker.speakers,
        dialects=talker.dialects,
        takes_instruct=_takes_instruct(checkpoint),
        text_layout="upfront" if generation.non_streaming_mode else "streamed",
        sampling=door.SamplingDefaults(
            **{name: getattr(generation, name) for name in door.SamplingDefaults.__struct_fields__}
        ),
        graphs=graphs,
        files=_files(folder),
    )


def _made_with() -> dict[str, str]:
    return {"qwen3-tts-edge": VERSION} | {name: version(name) for name in ("torch", "onnx")}


def _files(folder: Path) -> dict[str, door.FileSpec]:
    return {
        path.name: door.FileSpec(size=path.stat().st_size, sha256=door.sha256(path))
        for path in sorted(folder.iterdir())
    }


def _takes_instruct(checkpoint: Checkpoint) -> bool:
    # Source: Qwen3TTSModel.generate_custom_voice drops the instruction on the 0.6B.
    config = checkpoint.config
    return config.tts_model_type == "voice_design" or (
        config.tts_model_type == "custom_voice" and config.tts_model_size != "0b6"
    )


def _refuse_head_dim(checkpoint: Checkpoint) -> None:
    for name in ("talker", "predictor"):
        found = getattr(checkpoint.config, name).head_dim
        if found % 16:
            raise CheckpointError(
                f"the {name}'s head_dim is {found}; ONNX Runtime's GroupQueryAttention needs a "
                "multiple of 16"
            )


def _spec(graph: Graph, model: ir.Model) -> door.GraphSpec:
    return door.GraphSpec(
        file=f"{graph.name}.onnx",
        inputs=graph.inputs,
        outputs=graph.outputs,
        states=graph.states,
        in_place=may_run_in_place(model, graph.states),
    )


def _write_text_rows(checkpoint: Checkpoint, path: Path, count: int, dtype: str) -> None:
    """One row for every id the tokenizer can make; the checkpoint's table goes on with padding."""
    shape = (count, checkpoint.config.talker.hidden_size)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    for start in range(0, count, _ROWS_AT_ONCE):
        ids = torch.arange(start, min(count, start + _ROWS_AT_ONCE))
        rows = text_rows(checkpoint.talker, ids).numpy()
        table[start : start + len(ids)] = Rounding().convert("the text table", rows, dtype)
    table.flush()


def _write_predictor_rows(checkpoint: Checkpoint, path: Path, dtype: str) -> None:
    """The tables of all codebooks but the first, as wide as the talker's rows they are added to."""
    config = checkpoint.config
    shape = (
        config.talker.num_codebooks - 1,
        config.predictor.vocab_size,
        config.talker.hidden_size,
    )
    table = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    for book in range(len(table)):
        name = f"talker.code_predictor.model.codec_embedding.{book}.weight"
        table[book] = Rounding().convert(name, checkpoint.talker[name].float().numpy(), dtype)
    table.flush()


_PREFIXES = {
    door.FRAME: "talker.",
    door.TALKER_STEP: "talker.model.",
    door.PREDICTOR_STEP: "talker.code_predictor.",
    door.SPEAKER_ENCODER: "speaker_encoder.",
    door.CODEC_DECODER: "decoder.",
    door.CODEC_ENCODER: "encoder.",
}


def _size(tensors: Mapping[str, TensorEntry], graph: Graph) -> int:
    """About how many float32 bytes a graph's weights are: a measure of the work."""
    return 4 * sum(
        int(np.prod(entry.shape))
        for name, entry in tensors.items()
        if name.startswith(_PREFIXES[graph.name]) and "text_embedding" not in name
    )


def _check_space(tensors: Iterable[TensorEntry], parent: Path, precision: Precision) -> None:
    while not parent.exists():
        parent = parent.parent
    numbers = sum(int(np.prod(entry.shape)) for entry in tensors)
    need = numbers * (4 if precision.name == "fp32" else 2)
    free = shutil.disk_usage(parent).free
    if free < need:
        raise CheckpointError(
            f"{parent} has {free / 1e9:.1f} GB free and the bundle may need {need / 1e9:.1f} GB; "
            "make room or choose another place"
        )
