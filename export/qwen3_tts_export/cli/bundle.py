"""`qwen3-tts-export bundle`: a checkpoint → the bundle that the runtime speaks from."""

import click

from qwen3_tts_edge.atomic import check_new_folder
from qwen3_tts_edge.bundle.manifest import load_codec
from qwen3_tts_edge.bundle.names import FLAVOURS, FP32, INT8, ORT
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_export.cli.extras import extra_needed
from qwen3_tts_export.cli.options import codec_option, revision_option
from qwen3_tts_export.precision.policy import PRECISIONS, find_precision
from qwen3_tts_export.progress import progress_bar

_EXAMPLES = """\b
Examples:
  qwen3-tts-export bundle ~/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-export bundle Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b
  qwen3-tts-edge speak "Hello." --model custom-0.6b --speaker ryan
"""


@click.command(epilog=_EXAMPLES)
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
@revision_option
@codec_option
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
    with extra_needed():
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
