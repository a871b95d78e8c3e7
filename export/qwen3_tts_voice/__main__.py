"""The commands: `python -m qwen3_tts_voice STAGE --work FOLDER`, in the order of the README."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

SHARD = 1000


@click.group()
def main() -> None:
    """Make the bundled voice, one stage a command; every stage resumes where it stopped."""


work_folder = click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder of all intermediate files.",
)


def held_out() -> list[str]:
    """Read what the judge's sentences say, which is never trained on."""
    from qwen3_tts_export.parity import judge

    return [part for one in judge.sentences() for part in judge.parts(one)]


@main.command()
@work_folder
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--sentences", "count", type=int, help="So many of them, in place of all.")
@click.option("--seed", default=7)
def text(work: Path, sources: Path, count: int | None, seed: int) -> None:
    """Write the sentences to be read."""
    from qwen3_tts_voice import text as stage

    sentences = stage.corpus(sources, held_out(), seed)[:count]
    work.mkdir(parents=True, exist_ok=True)
    (work / "text.txt").write_text("\n".join(sentences) + "\n", "utf-8")
    click.echo(f"{len(sentences)} sentences, {sum(len(s.split()) for s in sentences)} words")


@main.command()
@work_folder
@click.option("--part", default="1/1", help="K/N: this process makes every Nth shard, from K.")
def speech(work: Path, part: str) -> None:
    """Let the teacher read the sentences."""
    from qwen3_tts_voice import speakers
    from qwen3_tts_voice import speech as stage

    teacher = stage.Teacher()
    sentences = (work / "text.txt").read_text("utf-8").splitlines()
    folder = work / "speech"
    folder.mkdir(exist_ok=True)
    for shard, start in _part(range(0, len(sentences), SHARD), part):
        path = folder / f"{shard:04d}.npz"
        if path.exists():
            continue
        began = time.perf_counter()
        numbers = range(start, min(start + SHARD, len(sentences)))
        read = [teacher.read(sentences[i], i, speakers.reader(i)) for i in numbers]
        kept = [utterance for utterance in read if utterance is not None]
        stage.write_shard(path, kept)
        hours = sum(len(u.samples) for u in kept) / stage.RATE / 3600
        speed = hours * 3600 / (time.perf_counter() - began)
        click.echo(f"{path.name}: {len(kept)} utterances, {hours:.2f} h, {speed:.0f}x real time")


@main.command()
@work_folder
def teacher(work: Path) -> None:
    """Let the teacher read the judge's sentences: how long they take, and how they are understood.

    Its speech is in `teacher/*.npy`, its seconds in `teacher_seconds.json`.
    """
    from qwen3_tts_voice import teacher as stage

    for line in stage.read(work):
        click.echo(line)


@main.command()
@work_folder
@click.option("--shards", default=6, help="How many speech shards the codebooks are made from.")
@click.option("--seed", default=0)
def codebooks(work: Path, shards: int, seed: int) -> None:
    """Make the codebooks, if there are none yet: all that is trained depends on them."""
    from qwen3_tts_voice import codes as stage

    if (work / stage.CODEBOOKS).exists():
        click.echo("there are codebooks already")
        return
    spoken = [
        utterance
        for path in stage.evenly(work / "speech", shards)
        for utterance in stage.utterances(stage.load_shard(path))
    ]
    for step in stage.fit(spoken, seed):
        if isinstance(step, stage.Quantiser):
            step.save(work / stage.CODEBOOKS)
        else:
            click.echo(step)


@main.command()
@work_folder
def codes(work: Path) -> None:
    """Turn the speech into codes."""
    from qwen3_tts_voice import codes as stage

    quantiser = stage.Quantiser.load(work / stage.CODEBOOKS)
    folder = work / "codes"
    folder.mkdir(exist_ok=True)
    for path in sorted((work / "speech").glob("????.npz")):
        target = folder / path.name
        if not target.exists():
            frames = stage.encode_shard(stage.load_shard(path), quantiser, target)
            click.echo(f"{path.name}: {frames} frames")


@main.command()
@work_folder
def references(work: Path) -> None:
    """Cut out of the speech what the speaker encoder is shown."""
    from qwen3_tts_voice import references as stage

    click.echo(stage.write(work))


@main.command()
@work_folder
@click.option("--tokenizer", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--steps", default=60_000)
@click.option("--fall", default=40_000, help="Last steps, over which the learning rate falls.")
@click.option("--frames", default=900, help="Of speech in a step, at most.")
@click.option("--matrix-rate", default=0.01)
@click.option("--rate", default=2e-3)
@click.option("--threads", default=1)
def talker(work: Path, tokenizer: Path, threads: int, **recipe: Any) -> None:
    """Train the talker and the code predictor."""
    import torch

    from qwen3_tts_voice import talker as stage

    torch.set_num_threads(threads)
    stage.Training(work, tokenizer, stage.Recipe(**recipe)).run(click.echo)


@main.command()
@work_folder
@click.option("--voice", type=click.Path(path_type=Path, exists=True), required=True)
def begin(work: Path, voice: Path) -> None:
    """Begin with the codebooks and the weights of a checkpoint that was made here (optional)."""
    from qwen3_tts_voice import begin as stage

    stage.begin(work, voice)


@main.command()
@work_folder
@click.option("--voice", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--sentences", default=250)
@click.option("--steps", default=2500)
@click.option("--shards", default=8, help="How many shards are read.")
def adopt(work: Path, voice: Path, bundle: Path, sentences: int, steps: int, shards: int) -> None:
    """Begin the codec decoder with an earlier voice's (optional)."""
    import json

    import torch
    from safetensors.torch import load_file

    from qwen3_tts_edge import Synthesizer
    from qwen3_tts_voice import adopt as stage

    speaker = Synthesizer.open(bundle, threads=1)
    said = (work / "text.txt").read_text("utf-8").splitlines()[:sentences]
    spoken = [speaker.speak(one, seed=i, max_seconds=7) for i, one in enumerate(said)]
    stored = load_file(voice / "speech_tokenizer" / "model.safetensors")
    state = {
        name.removeprefix("decoder."): value.float()
        for name, value in stored.items()
        if name.startswith("decoder.")
    }
    config = json.loads((voice / "speech_tokenizer" / "config.json").read_text("utf-8"))
    pairs = [(one.codes, one.samples) for one in spoken]
    for step in stage.start(work, state, config["decoder_config"], pairs, steps, shards):
        if isinstance(step, str):
            click.echo(step)
        else:
            torch.save(step, work / "decoder_start.pt")


@main.command()
@work_folder
@click.option("--tokenizer", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--shards", default=12, help="Of how many shards.")
def guess(work: Path, tokenizer: Path, shards: int) -> None:
    """Let the talker guess the residual codebooks, for the decoder to learn from."""
    from qwen3_tts_voice import guess as stage

    for line in stage.guess(work, tokenizer, shards):
        click.echo(line)


@main.command()
@work_folder
@click.option("--shards", default=12, help="Of how many shards.")
def hear(work: Path, shards: int) -> None:
    """Let the codec encoder hear the speech, for the decoder to learn from."""
    from qwen3_tts_voice import hear as stage

    for line in stage.hear(work, shards):
        click.echo(line)


@main.command()
@work_folder
@click.option("--steps", default=12_000)
@click.option("--fall", default=9000, help="Last steps, over which the learning rate falls.")
@click.option("--shards", default=12, help="How many shards are read.")
@click.option("--rate", default=1e-3)
@click.option("--threads", default=1)
def decoder(work: Path, threads: int, **recipe: Any) -> None:
    """Train the codec decoder."""
    import torch

    from qwen3_tts_voice import decoder as stage

    torch.set_num_threads(threads)
    stage.Training(work, stage.Recipe(**recipe)).run(click.echo)


@main.command()
@work_folder
@click.option("--steps", default=40_000)
@click.option("--fall", default=25_000, help="Last steps, over which the learning rate falls.")
@click.option("--shards", default=12, help="How many shards are read.")
@click.option("--rate", default=2e-4)
@click.option("--threads", default=1)
def polish(work: Path, threads: int, **recipe: Any) -> None:
    """Train the codec decoder on, against discriminators."""
    import torch

    from qwen3_tts_voice import polish as stage

    torch.set_num_threads(threads)
    stage.Training(work, stage.Recipe(**recipe)).run(click.echo)


@main.command()
@work_folder
@click.option("--steps", default=5000)
@click.option("--fall", default=3000, help="Last steps, over which the learning rate falls.")
@click.option("--shards", default=16, help="How many shards are read.")
@click.option("--threads", default=1)
def encoder(work: Path, threads: int, **recipe: Any) -> None:
    """Train the codec encoder."""
    import torch

    from qwen3_tts_voice import encoder as stage

    torch.set_num_threads(threads)
    stage.Training(work, stage.Recipe(**recipe)).run(click.echo)


@main.command()
@work_folder
@click.option("--tokenizer", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Sampling defaults.")
@click.option("--base", is_flag=True, help="Of the type that clones, not of the one with speakers.")
def checkpoint(
    work: Path, tokenizer: Path, output: Path, settings: tuple[str, ...], base: bool
) -> None:
    """Write what is trained so far as a checkpoint in the official format."""
    import json

    from qwen3_tts_voice import checkpoint as stage

    named = (setting.split("=", 1) for setting in settings)
    model_type = stage.BASE if base else stage.CUSTOM_VOICE
    chosen = {name: json.loads(value) for name, value in named}
    stage.write(work, tokenizer, output, model_type, chosen)


@main.command()
@work_folder
def curves(work: Path) -> None:
    """Draw the losses of the trainings that ran: `talker.png` and so on."""
    from qwen3_tts_voice import curves as stage

    for name in ("talker", "decoder", "polish", "encoder"):
        if (table := work / f"{name}.csv").exists():
            stage.draw(table, table.with_suffix(".png"))


@main.command(name="judge")
@work_folder
@click.option("--every", default=5, show_default=True, help="Of the judge's sentences.")
def judge_codec(work: Path, every: int) -> None:
    """Judge codec and encoder on unseen sentences, by ear and by code."""
    from qwen3_tts_voice import judged as stage

    for judgement in stage.judgements(work, every):
        click.echo(str(judgement))


@main.command(name="judge-clones")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--speakers", default=10, show_default=True, help="How many are cloned.")
@click.option("--every", default=10, show_default=True, help="Of the judge's sentences.")
def judge_clones(bundle: Path, speakers: int, every: int) -> None:
    """Judge what BUNDLE makes of recordings of speakers that it never heard."""
    from qwen3_tts_voice import cloned as stage

    for line in stage.judge_clones(bundle, speakers, every):
        click.echo(line)


def _part(starts: range, part: str) -> Iterator[tuple[int, int]]:
    which, parts = (int(number) for number in part.split("/"))
    return itertools.islice(enumerate(starts), which - 1, None, parts)


if __name__ == "__main__":
    main()
