"""Our bundle and the official package side by side in one process, taking turns: A B A B.

    python tests/against_official.py BUNDLE CHECKPOINT

Prints milliseconds a frame for talker + code predictor and for the codec, the ratios, and one
line of JSON. Speed does not depend on the values of weights: `qwen3-tts-export random` writes a
full-size checkpoint to measure with.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
import torch

from oracle import Case, Official, load_official
from qwen3_tts_edge import Synthesizer, Voice

TEXT = "The train to the coast leaves at seven, and the last one back is just before midnight."
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
CHUNKS = (1, 4)


@click.command()
@click.argument("bundle", type=Path)
@click.argument("checkpoint", type=Path)
@click.option("--frames", default=12, show_default=True, help="Frames a turn.")
@click.option("--rounds", default=3, show_default=True, help="Turns each.")
@click.option("--official", "names", multiple=True, default=("bf16", "fp32"), show_default=True)
@click.option("--threads", default=None, type=int, help="For both; default: their own choice.")
def main(
    bundle: Path, checkpoint: Path, frames: int, rounds: int, names: list[str], threads: int | None
) -> None:
    """Compare BUNDLE with the official package on CHECKPOINT."""
    if threads:
        torch.set_num_threads(threads)
    tts = Synthesizer.open(bundle, threads=threads)
    speaker = tts.speakers[0]
    case = Case("custom_voice", "same", TEXT, speaker=speaker, language="auto")
    seconds = frames / tts.manifest.frames_per_second
    sides: dict[str, Callable[[], list[float]]] = {"ours": lambda: _ours(tts, speaker, seconds)}
    officials = {
        name: load_official(checkpoint, dtype=DTYPES[name], attention="sdpa") for name in names
    }
    for name, official in officials.items():
        sides[f"official {name}"] = lambda official=official: official_frames(
            official, case, frames
        )

    times: dict[str, list[float]] = {name: [] for name in sides}
    codec: dict[str, list[float]] = {}
    for turn in range(rounds + 1):  # the first is a warm-up
        for name, run in sides.items():
            measured = run()
            if turn:
                times[name] += measured
        for chunk in CHUNKS:
            spoken = tts.stream(
                TEXT, Voice.speaker(speaker), max_seconds=seconds, chunk_frames=(chunk,), seed=turn
            )
            for _ in spoken:
                pass
            if turn:
                each = [took / n for took, n in spoken.metrics.codec if n == chunk]
                codec.setdefault(f"codec {chunk}", []).extend(each)
    _print(times | codec, bundle, tts)


def _ours(tts: Synthesizer, speaker: str, seconds: float) -> list[float]:
    return tts.speak(TEXT, Voice.speaker(speaker), max_seconds=seconds, seed=1).metrics.frames[1:]


def official_frames(official: Official, case: Case, frames: int) -> list[float]:
    """Seconds from each talker forward to the next: one frame with all its codes."""
    ticks: list[float] = []
    hook = official.talker.register_forward_hook(lambda *_: ticks.append(time.perf_counter()))
    try:
        official.codes(case, frames, do_sample=True, subtalker_dosample=True)
    finally:
        hook.remove()
    return list(np.diff(ticks))


def _print(times: dict[str, list[float]], bundle: Path, tts: Synthesizer) -> None:
    ours = statistics.median(times["ours"])
    result = {
        "bundle": f"{tts.manifest.checkpoint.name} {tts.manifest.precision}",
        "machine": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "qwen-tts")},
        "threads": torch.get_num_threads(),
        "ms_per_frame": {},
    }
    for name, seconds in times.items():
        median, best = statistics.median(seconds) * 1e3, min(seconds) * 1e3
        result["ms_per_frame"][name] = {"p50": round(median, 2), "min": round(best, 2)}
        ratio = f"  {median / ours / 1e3:5.2f} x ours" if name.startswith("official") else ""
        click.echo(f"{name:14} {median:8.1f} ms/frame  (best {best:.1f}){ratio}")
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
