"""`qwen3-tts-edge voice`: voices that are cloned or designed once and kept."""

import json
from pathlib import Path

import click
import msgspec
import numpy as np

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.cli.options import (
    Finite,
    folder_given,
    language_option,
    model_option,
    running_options,
)
from qwen3_tts_edge.cli.progress import shown
from qwen3_tts_edge.cli.voice_choice import keep_silence_option, profile_path, recording, said
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.program import Program
from qwen3_tts_edge.speech.request import drawn
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.utf8 import WORDS
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.listener import Listener
from qwen3_tts_edge.voices.reference import read_reference
from qwen3_tts_edge.voices.voice import Clone, Voice

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge voice create anna --model my-base-bundle --ref-audio anna.wav \\
      --ref-text "This is what Anna says in the recording."
  qwen3-tts-edge speak "Good morning." --model my-base-bundle --voice anna
  qwen3-tts-edge voice design captain --instruct "an old sailor, hoarse and calm" \\
      --model my-design-bundle --base my-base-bundle
"""

_SENTENCE = (
    "The morning was quiet, and the light came slowly over the hills. I have walked this road for "
    "years, yet every day it shows me something new."
)

_consent = click.option(
    "--consent",
    type=WORDS,
    metavar="WORDS",
    help="A note kept with the voice: who allowed its use, for what.",
)
_primed = click.option(
    "--primed",
    is_flag=True,
    help="Where the recording's text is known, keep the codec's state behind it too: 5 MB. Else "
    "every command that speaks with the voice first decodes the recording, 10 s of it in over 2 s "
    "on two CPU cores. It says the same. Holds for this codec and backend; others decode.",
)
_replace = click.option("--replace", is_flag=True, help="Replace a voice of that name.")


@click.group(cls=Program, epilog=_EXAMPLES)
def voice() -> None:
    """Keep voices: clone or design them once, speak with them by name.

    Each is one file, in the folder that `voice list` names; QWEN3_TTS_EDGE_VOICES chooses another.
    A voice belongs to the Base checkpoint it was made with, in any precision.
    """


@voice.command()
@click.argument("name")
@click.option(
    "--ref-audio",
    required=True,
    metavar="FILE",
    help="A recording of the voice, 1 to 60 s; - reads stdin.",
)
@click.option(
    "--ref-text",
    type=WORDS,
    metavar="WORDS",
    help="What it says, word for word. Without it only the sound of the voice is copied, not its "
    "way of speaking.",
)
@keep_silence_option
@model_option("The bundle of a Base checkpoint.")
@_primed
@_consent
@_replace
@running_options
def create(
    name: str,
    ref_audio: str,
    ref_text: str | None,
    model: str | None,
    consent: str | None,
    backend: str,
    threads: int | None,
    *,
    keep_silence: bool,
    primed: bool,
    replace: bool,
) -> None:
    """Clone the voice of a recording and keep it as NAME."""
    if primed and ref_text is None:
        raise click.UsageError("--primed is for a voice in context: give --ref-text too")
    with library.held(name, replace=replace) as path:
        listener = Listener.open(Bundle.open(model), backend=backend, threads=threads)
        made = listener.voice(
            recording(ref_audio), said(ref_text), keep_silence=keep_silence, consent=consent
        )
        _keep(name, path, listener.prime(made) if primed else made)


@voice.command()
@click.argument("name")
@click.option("--instruct", type=WORDS, required=True, metavar="WORDS", help="Describe the voice.")
@click.option(
    "--model",
    required=True,
    metavar="DIR",
    callback=folder_given,
    help="The bundle of a VoiceDesign checkpoint.",
)
@click.option(
    "--base",
    required=True,
    metavar="DIR",
    callback=folder_given,
    help="The bundle of a Base checkpoint.",
)
@click.option(
    "--text", type=WORDS, default=_SENTENCE, metavar="WORDS", help="What it says to be heard."
)
@language_option
@click.option("--seed", type=click.IntRange(-1, 2**64 - 1), help="The same voice again.")
@click.option("--max-seconds", type=Finite(1, 60), default=30, show_default=True)
@_primed
@_consent
@_replace
@running_options
def design(
    name: str,
    instruct: str,
    model: str,
    base: str,
    text: str,
    language: str,
    seed: int | None,
    max_seconds: float,
    consent: str | None,
    backend: str,
    threads: int | None,
    *,
    primed: bool,
    replace: bool,
) -> None:
    """Design a voice in words and keep it as NAME.

    A design speaks with another voice at every seed. Here it says one text, a Base bundle listens,
    and from then on speaks with the voice it heard.
    """
    library.place_for(name, replace=replace)
    listener = Listener.open(Bundle.open(base), backend=backend, threads=threads)
    listener.check()
    designer = Synthesizer.open(model, backend=backend, threads=threads)
    seed = drawn(seed)
    spoken = list(
        shown(
            designer.stream(
                text,
                Voice.design(instruct),
                language=language,
                seed=seed,
                max_seconds=max_seconds,
            )
        )
    )
    if spoken[-1].metrics.ended is False:
        raise InputError(
            f"the designed voice did not come to an end within {max_seconds:g} s",
            "try another --seed or a larger --max-seconds",
        )
    reference = read_reference(
        (np.concatenate([chunk.samples for chunk in spoken]), designer.manifest.sample_rate)
    )
    made = listener.voice(reference, text, consent=consent, design=instruct)
    made = listener.prime(made) if primed else made
    with library.held(name, replace=replace) as path:  # somebody may have taken it meanwhile
        _keep(name, path, made)
    click.echo(f"{name}: seed {seed}", err=True)


@voice.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_voices(*, as_json: bool) -> None:
    """Name the voices that are kept, with what they belong to."""
    found = {name: library.path_of(name) for name in library.names()}
    if as_json:
        rows = [{"name": name, "file": str(path)} for name, path in found.items()]
        click.echo(json.dumps(rows))
        return
    for name, path in found.items():
        try:
            click.echo(f"{name:<20} {_summary(Voice.load(path))}")
        except InputError as error:  # noqa: PERF203
            click.echo(f"{name:<20} unusable: {error}")
    if not found:
        click.echo(f"no voices in {library.folder()}; make one with `voice create`", err=True)


@voice.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def show(name: str, *, as_json: bool) -> None:
    """Say where the voice NAME comes from and what it belongs to. NAME may be a file."""
    path = profile_path(name)
    profile = Voice.load(path)
    family, provenance = (
        {} if part is None else msgspec.to_builtins(part)
        for part in (profile.family, profile.provenance)
    )
    primed = profile.primed
    content = {
        "file": str(path),
        "frames": None if profile.codes is None else len(profile.codes),
        "text": profile.text,
        "primed": None if primed is None else {"backend": primed.backend, "bytes": primed.nbytes},
        "family": family,
        "provenance": provenance,
    }
    if as_json:
        click.echo(json.dumps(content))
        return
    rows = {key: content[key] for key in ("file", "frames", "text")}
    rows["primed"] = primed and f"for {primed.backend}, {primed.nbytes / 1e6:.1f} MB"
    rows |= family | provenance
    for key, value in rows.items():
        if value is not None:
            click.echo(f"{key.replace('_', ' '):<16}{value}")


@voice.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete the voice NAME for good."""
    path = library.find(name)
    path.unlink()
    click.echo(f"{path} is deleted", err=True)


def _keep(name: str, path: Path, profile: Clone) -> None:
    profile.save(path)
    click.echo(f"{name}: {_summary(profile)}, {path}", err=True)


def _summary(profile: Clone) -> str:
    way = "speaker vector" if profile.codes is None else f"in context, {len(profile.codes)} frames"
    if profile.primed is not None:
        way += f", primed for {profile.primed.backend}"
    family = profile.family
    return way if family is None else f"{way}, {family.model_type} {family.model_size}"
