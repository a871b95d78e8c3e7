"""`qwen3-tts-export engines`: TensorRT's engines of a bundle."""

import click

from qwen3_tts_edge.paths import expanded
from qwen3_tts_export.cli.extras import extra_needed
from qwen3_tts_export.progress import progress_bar

_EXAMPLES = """\b
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


@click.command(epilog=_EXAMPLES)
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
    with extra_needed(dict.fromkeys(("onnx", "rich"), extra)):
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
