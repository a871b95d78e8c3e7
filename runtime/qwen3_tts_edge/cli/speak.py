"""`qwen3-tts-edge speak`: text → a sound file, or raw PCM on stdout while it is made."""

import re
import shlex
from typing import Any

import click

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.memory import MAX_SECONDS, longest
from qwen3_tts_edge.bundle.names import BASE, CUSTOM_VOICE, TEXT_LAYOUTS, VOICE_DESIGN
from qwen3_tts_edge.cli.next_step import tell_next_step
from qwen3_tts_edge.cli.options import language_option, model_option, running_options
from qwen3_tts_edge.cli.progress import counted, report, shown
from qwen3_tts_edge.cli.sampling_options import sampling_of, sampling_options
from qwen3_tts_edge.cli.sink import format_option, sink_of
from qwen3_tts_edge.cli.text import text_of
from qwen3_tts_edge.cli.voice_choice import VoiceChoice, voice_options
from qwen3_tts_edge.sound.writing import AudioFile, AudioStream
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.prompt import PromptBuilder
from qwen3_tts_edge.speech.request import Asked, Request
from qwen3_tts_edge.speech.stream import RAMP, Stream
from qwen3_tts_edge.speech.whole import Pieces
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.text.scripts import foreign_script
from qwen3_tts_edge.text.sentences import check_text
from qwen3_tts_edge.utf8 import WORDS

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge speak "The kettle is on."
  qwen3-tts-edge speak -f article.txt -o article.flac
  llm "Tell me a story." | qwen3-tts-edge speak - -o - | aplay -f S16_LE -r 24000
  qwen3-tts-edge speak "Hello." -o - --format mp3 --speed 1.25 | ffplay -
  qwen3-tts-edge speak "Hello." --model my-bundle --speaker ryan \\
      --instruct "cheerful, a little out of breath" --seed 7
  qwen3-tts-edge speak "Hello." --model my-design-bundle \\
      --design "an old man with a deep, slow voice"
  qwen3-tts-edge speak "Hello." --model my-base-bundle \\
      --ref-audio anna.wav --ref-text "This is what Anna says in the recording."
"""


def _chunk_frames(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in value.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise click.BadParameter(f"{value!r} are not whole numbers from 1, such as 1,2,4,8")
    return sizes


class _Speak(click.Command):
    """`speak`, whose usual slips have their remedies."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            remedy = _SLIPS.get(error.option_name)
            if remedy is None and not _OPTION.match(error.option_name):
                remedy = _DASH
            if remedy is None:
                raise
            raise click.UsageError(f"No such option '{error.option_name}'. {remedy}", ctx) from None


_SLIPS = {
    "--text": 'The text is given as it is: speak "Hello."',
    "--list-languages": "Languages are named by: qwen3-tts-edge info",
}
_OPTION = re.compile(r"--\S+$")
_DASH = (
    "Put -- before a text that begins with -, and options before that, such as: "
    'speak -o cold.wav -- "-5 degrees."'
)


def _one_text(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str | None:
    if len(words) > 1 and words[1].startswith("-"):
        raise click.UsageError(
            f"{words[1]} stands behind --, where no option is; put the text last: speak "
            f'{shlex.join(words[1:])} -- "{words[0]}"'
        )
    if len(words) > 1:
        raise click.UsageError(
            f'{len(words)} texts were given; put the text in quotes: speak "{" ".join(words)}"'
        )
    return words[0] if words else None


@click.command(cls=_Speak, epilog=_EXAMPLES)
@click.argument("text", type=WORDS, nargs=-1, metavar="[TEXT]", callback=_one_text)
@click.option("-f", "--file", help="Read the text from a file, UTF-8 or UTF-16.", metavar="FILE")
@click.option(
    "-o",
    "--output",
    default="speech.wav",
    show_default=True,
    metavar="PATH",
    help="A .wav, .flac, .mp3, .opus, .aac or .pcm file; - streams to stdout.",
)
@format_option
@click.option("--sample-rate", type=int, metavar="HZ", help="8000 to 48000; without it 24000.")
@click.option(
    "--speed", type=float, default=1.0, show_default=True, help="0.25 to 4.0, at the same pitch."
)
@model_option("A bundle; without it the voice that comes with the package speaks.")
@voice_options
@language_option
@click.option(
    "--instruct", type=WORDS, metavar="WORDS", help="How to say it, where the bundle takes it."
)
@click.option(
    "--text-layout",
    type=click.Choice(TEXT_LAYOUTS),
    help="The whole text upfront, or one token a frame; without it as the checkpoint was made for.",
)
@click.option(
    "--seed",
    type=click.IntRange(-1, 2**64 - 1),
    metavar="INTEGER",
    help="Speak the same again: the seed that was reported. Without it, or with -1, one is drawn.",
)
@sampling_options
@click.option(
    "--max-seconds",
    type=float,
    help="Cut the speech after this long; without it when it has run away.",
)
@click.option(
    "--piece-seconds",
    type=float,
    help="Cut a long text into pieces of so much speech; without it of what the model speaks well.",
)
@click.option(
    "--chunk-frames",
    callback=_chunk_frames,
    metavar="N,N,...",
    default=",".join(map(str, RAMP)),
    show_default=True,
    help="Frames of 80 ms from sound to sound; the last number goes on.",
)
@running_options
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
@click.option("--list-speakers", is_flag=True, help="Name the bundle's speakers, and end.")
def speak(
    text: str | None,
    file: str | None,
    output: str,
    form: str | None,
    sample_rate: int | None,
    speed: float,
    model: str | None,
    speaker: str | None,
    design: str | None,
    voice: str | None,
    ref_audio: str | None,
    ref_text: str | None,
    language: str,
    instruct: str | None,
    text_layout: str | None,
    seed: int | None,
    max_seconds: float | None,
    piece_seconds: float | None,
    chunk_frames: tuple[int, ...],
    backend: str,
    threads: int | None,
    *,
    keep_silence: bool,
    greedy: bool,
    quiet: bool,
    list_speakers: bool,
    **settings: Any,
) -> int:
    """Speak TEXT, of any length, into a sound file.

    Without TEXT, or with -, the text comes from stdin; with -o - too, it is spoken as it arrives.
    Ends with 1 where some of the text could not be spoken.
    """
    bundle = Bundle.open(model)
    if list_speakers:
        _list_speakers(bundle.manifest)
        return 0
    # Loading graphs can take seconds. All that was asked for is checked before.
    choice = VoiceChoice(speaker, design, voice, ref_audio, ref_text, keep_silence)
    choice.check(bundle.manifest)
    asked: Asked = {
        "language": language,
        "instruct": instruct,
        "text_layout": text_layout,
        "sampling": sampling_of(settings, greedy=greedy),
        "seed": seed,
        "max_seconds": max_seconds,
        "piece_seconds": piece_seconds,
    }
    Request(None, **asked)  # refuses what is no length
    sink = sink_of(output, form, bundle.manifest.sample_rate, sample_rate, speed)
    if ref_audio == "-" and ((text or file) in (None, "-")):
        raise click.UsageError("the text and --ref-audio - both come from stdin; choose one")
    words = text_of(text, file, arrives=output == "-")
    if isinstance(words, str):
        check_text(words)
        bundle.tokenizer.encode(words)
        _warn_if_foreign(words, bundle.manifest)
    who = choice.find(bundle, backend, threads)
    PromptBuilder(bundle).start(who, language=language, instruct=instruct, text_layout=text_layout)
    # Shorter than usual needs no smaller KV cache: its memory is taken only as it fills.
    larger = None
    if max_seconds is not None and max_seconds > MAX_SECONDS:
        larger = min(max_seconds, longest(bundle.manifest))
    tts = Synthesizer.open(bundle, backend=backend, threads=threads, max_seconds=larger)
    if isinstance(sink, AudioStream):
        stream = tts.stream(words, who, chunk_frames=chunk_frames, **asked)
        code = _play(stream, sink, quiet=quiet)
    else:
        code = _write(tts.pieces(words, who, **asked), sink, output, quiet=quiet)
    if not (code or quiet):
        tell_next_step()
    return code


def _play(stream: Stream, sink: AudioStream, *, quiet: bool) -> int:
    """Send chunks to stdout as they are made. What was heard already cannot be begun anew."""
    with sink:
        for chunk in stream if quiet else shown(stream):
            sink.write(chunk.samples)
    return report("stdout", [stream.metrics], stream.seed, quiet=quiet)


def _write(pieces: Pieces, sink: AudioFile, output: str, *, quiet: bool) -> int:
    """Write pieces into a file as they are made; only what was measured of them is kept."""
    spoken: list[Metrics] = []
    with sink:
        for _, audio in pieces if quiet else counted(pieces):
            sink.write(audio.samples)
            spoken.append(audio.metrics)
    return report(output, spoken, pieces.seeds[0], quiet=quiet)


def _warn_if_foreign(text: str, manifest: Manifest) -> None:
    """Say that nobody will understand it: a checkpoint takes a text in any script."""
    languages = manifest.language_names
    if script := foreign_script(text, languages):
        click.echo(
            f"warning: most letters of the text are {script}, and {manifest.checkpoint.name} "
            f"speaks {', '.join(languages)}; choose another --model",
            err=True,
        )


def _list_speakers(manifest: Manifest) -> None:
    for name in manifest.speaker_names:
        click.echo(name)
    if not manifest.speakers:
        way = _VOICES[manifest.checkpoint.model_type]
        click.echo(f"this bundle has no named speakers; {way}", err=True)


_VOICES = {
    CUSTOM_VOICE: "without --speaker it chooses a voice itself",
    VOICE_DESIGN: "give it a voice with --design",
    BASE: "give it a voice with --voice or --ref-audio",
}
