"""`qwen3-tts-export listen`: the words that a recogniser gets wrong of what a bundle says."""

import click

from qwen3_tts_edge.bundle.names import TEXT_LAYOUTS
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import expanded
from qwen3_tts_edge.utf8 import WORDS
from qwen3_tts_export.cli.extras import extra_needed

_EXAMPLES = """\b
Examples:
  qwen3-tts-export listen models/edge-voice/int8
  qwen3-tts-export listen models/edge-voice/int8 --kind odd --each
"""


@click.command(epilog=_EXAMPLES)
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
    with extra_needed():
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
