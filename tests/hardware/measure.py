"""Measure this machine: every row of speed, memory and agreement that fits it, into one JSON file.

PYTHONPATH=tests python -m hardware.measure --help
"""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from hardware import agreement, aside, ceilings, kernels, official, place, rows
from hardware.case import CPU, Case, Counts, ready_for_a_gpu
from hardware.record import Figures, NotRun, ran
from qwen3_tts_edge.backends import BACKENDS
from qwen3_tts_edge.bundle.bundled import bundled_voice
from qwen3_tts_edge.errors import Qwen3TTSError

Rows = dict[str, Callable[[], Figures]]

OF_THE_MACHINE = ("bandwidth", "matmul")
OF_A_BUNDLE = {
    "memory": rows.memory,  # first: it opens the bundle and sees what that takes
    "frame": rows.frame,
    "first audio": rows.first_audio,
    "codec": rows.codec,
    "uncaptured": rows.uncaptured,
    "batch": rows.batch,
    "agreement": agreement.agreement,
    "profile": kernels.profile,
}
OF_A_CHECKPOINT = ("official",)
ROWS = (*OF_THE_MACHINE, *OF_A_BUNDLE, *OF_A_CHECKPOINT)


class Job(NamedTuple):
    """Rows that one process measures.

    Attributes:
        subject: The bundle, the checkpoint or the machine.
        description: Of a bundle.
        prepare: What gives the rows there, called with `arguments`.
        arguments: For it.
        names: The rows.
    """

    subject: str
    description: Figures | None
    prepare: Callable[..., Rows]
    arguments: Sequence[object]
    names: Sequence[str]


@click.command()
@click.argument("bundles", nargs=-1, type=Path)
@click.option("--only", multiple=True, type=click.Choice(ROWS), help="These rows; default: all.")
@click.option("--missing", is_flag=True, help="Only what today's file has no figures for.")
@click.option(
    "--reference", "references", multiple=True, type=Path, help="An fp32 bundle for the CPU."
)
@click.option("--checkpoint", "checkpoints", multiple=True, type=Path, help="For qwen-tts.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; one per physical core.")
@click.option(
    "--frames", type=click.IntRange(min=2), default=60, show_default=True, help="Launches."
)
@click.option("--requests", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--sentences", type=click.IntRange(1), default=10, show_default=True)
@click.option("--row-seconds", type=float, default=300.0, show_default=True, help="For one row.")
@click.option("--commit", help="Where git cannot tell.")
@click.option("--folder", type=Path, default=Path(__file__).parent, help="Where the file goes.")
def main(
    bundles: Sequence[Path],
    only: Sequence[str],
    missing: bool,
    references: Sequence[Path],
    checkpoints: Sequence[Path],
    backend: str,
    threads: int | None,
    frames: int,
    requests: int,
    sentences: int,
    row_seconds: float,
    commit: str | None,
    folder: Path,
) -> None:
    """Measure BUNDLES on this machine; without any, the voice that comes along.

    The file is written again after each row, and a command on the same day adds to it. The row
    `agreement` needs a --reference: the same checkpoint in fp32 for the CPU. The row `official`
    needs a --checkpoint and the official package.
    """
    counts = Counts(frames, requests, sentences)
    jobs = [
        Job("machine", None, of_the_machine, (threads,), OF_THE_MACHINE),
        *(
            _of_bundle(path, backend, threads, counts, references)
            for path in bundles or (bundled_voice(),)
        ),
        *(Job(path.name, None, of_a_checkpoint, (path,), OF_A_CHECKPOINT) for path in checkpoints),
    ]
    on_the_gpu = any(job.description and job.description["backend"] != CPU for job in jobs)
    record = place.here(on_the_gpu=on_the_gpu).resumed(folder)
    record.runs.append(
        {
            "command": shlex.join(["python", "-m", "hardware.measure", *sys.argv[1:]]),
            "commit": commit or place.commit(),
            "started": place.now(),
            "versions": place.versions(),
        }
    )
    for job in jobs:
        names = [name for name in job.names if name in (only or ROWS)]
        names = [name for name in names if not (missing and record.has(name, job.subject))]
        if names and job.description:
            record.bundles[job.subject] = job.description
        started = time.perf_counter()
        for name, figures in aside.measured(job.prepare, job.arguments, names, row_seconds):
            record.note(name, job.subject, figures)
            record.save(folder)
            now = time.perf_counter()
            said = "" if ran(figures) else f": not run: {figures['not run']}"
            click.echo(f"{job.subject}, {name}, {now - started:.1f} s{said}", err=True)
            started = now
    click.echo(folder / record.name)


def _of_bundle(path: Path, *how: Any) -> Job:
    try:
        case = Case(path, *how)
    except Qwen3TTSError as error:
        return Job(path.name, None, not_a_bundle, (str(error),), list(OF_A_BUNDLE))
    names = ["codec"] if case.holds_the_codec_alone else list(OF_A_BUNDLE)
    return Job(case.subject, case.description, of_a_bundle, (case,), names)


def of_the_machine(threads: int | None) -> Rows:
    """Its rows."""
    return {"bandwidth": partial(ceilings.bandwidth, threads), "matmul": ceilings.matmul}


def of_a_bundle(case: Case) -> Rows:
    """Its rows."""
    if case.backend != CPU:
        ready_for_a_gpu()
    return {name: partial(row, case) for name, row in OF_A_BUNDLE.items()}


def not_a_bundle(why: str) -> Rows:
    """Its rows, which cannot be measured."""

    def refuse() -> Figures:
        raise NotRun(why)

    return dict.fromkeys(OF_A_BUNDLE, refuse)


def of_a_checkpoint(checkpoint: Path) -> Rows:
    """Its rows."""
    return {"official": partial(official.official, checkpoint)}


if __name__ == "__main__":
    main()
