"""A picture of milliseconds a frame by room, from the JSON lines that `bench` ends with.

    qwen3-tts-edge bench old | tail -1 > before.json
    qwen3-tts-edge bench new | tail -1 > after.json
    PYTHONPATH=tests python -m hardware.plot before.json after.json -o tests/hardware/frame.png

A file's name is the name of its bar. It needs matplotlib, of the extra `voice`.
"""

import json
from pathlib import Path

import click
import matplotlib
import matplotlib.pyplot as plt

matplotlib.use("Agg")

_FRAME_MS = 80.0
"""Of speech: what takes longer is not real time."""
_CHUNK = "4"
"""Frames a chunk, of those that `bench` measures the codec with."""


@click.command()
@click.argument("measured", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
def main(measured: tuple[Path, ...], output: Path) -> None:
    """Draw a bar for each file of MEASURED."""
    found = [json.loads(path.read_text()) for path in measured]
    rooms = {
        "talker + code predictor": [each["frame_ms"] for each in found],
        f"codec, {_CHUNK} frames a chunk": [each["codec_ms"][_CHUNK] for each in found],
        "host": [each["host_ms"] for each in found],
    }
    figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.45 * len(found)), layout="constrained")
    names, left = [path.stem for path in measured], [0.0] * len(found)
    for room, took in rooms.items():
        axes.barh(names, took, left=left, label=room, height=0.6)
        left = [start + each for start, each in zip(left, took, strict=True)]
    for row, total in enumerate(left):
        axes.text(total + 1, row, f"{total:.0f}", va="center")
    axes.axvline(_FRAME_MS, color="gray", linestyle=":")
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("ms a frame of 80 ms (dotted: real time)")
    axes.legend(loc="lower right", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
