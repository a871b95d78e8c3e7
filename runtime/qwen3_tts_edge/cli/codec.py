"""`qwen3-tts-edge codec`: sound ↔ codes, without any speaking."""

from collections.abc import Iterator

import click
import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CODEC_ENCODER
from qwen3_tts_edge.cli.options import model_option, running_options
from qwen3_tts_edge.cli.progress import progressed
from qwen3_tts_edge.cli.sink import format_option, sink_of
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.codec.encoder import CodecEncoder
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.paths import check_target, expanded
from qwen3_tts_edge.program import Program
from qwen3_tts_edge.sound.reading import mixed, open_sound, read_blocks, resampled_blocks

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge codec encode talk.flac -o talk.codes --model my-base-bundle
  qwen3-tts-edge codec decode talk.codes -o talk.wav --model my-base-bundle
  qwen3-tts-edge codec decode talk.codes -o - --model my-base-bundle | aplay -f S16_LE -r 24000
"""

_model = model_option("A bundle; to encode, one of a Base checkpoint or of the codec alone.")


@click.group(cls=Program, epilog=_EXAMPLES)
def codec() -> None:
    """Turn sound into codes, 12.5 frames of 16 a second, and codes into sound.

    A code file is a safetensors file with the tensor `codes`, int16 (frames, 16), and a
    description in its metadata; an hour is 1.4 MB.
    """


@codec.command()
@click.argument("sound")
@click.option("-o", "--output", required=True, metavar="CODES", help="The code file.")
@_model
@running_options
def encode(sound: str, output: str, model: str | None, backend: str, threads: int | None) -> None:
    """Encode a SOUND file of any format, rate, channel count and length.

    Channels are averaged, and the rate becomes 24 kHz. Up to 60 s the codes are those of the
    official tokenizer. The codec encoder attends to all that came before, so what is longer is
    encoded in windows of 60 s, of which 40 s are context that is coded already. Memory is constant
    and each second is worked on three times. Codes after the first minute are close to those of
    the whole, not always equal.
    """
    bundle = CodecBundle.open(model)
    manifest = bundle.manifest
    opener = open_backend(backend, flavour=manifest.flavour, threads=threads)
    check_target(expanded(output, "output", file=True))
    bundle.verify(CODEC_ENCODER)
    encoder = CodecEncoder.open(bundle, opener)
    file = open_sound(expanded(sound, "sound", file=True), sound)
    length, rate = file.frames / file.samplerate, file.samplerate
    samples = 0

    def mono() -> Iterator[Samples]:
        nonlocal samples
        blocks = (mixed(block) for block in read_blocks(file, sound))
        for block in resampled_blocks(blocks, rate, manifest.sample_rate):
            samples += len(block)
            yield block

    per_frame = manifest.samples_per_frame / manifest.sample_rate
    pieces = list(progressed(encoder.windows(mono()), lambda codes: len(codes) * per_frame, length))
    if not pieces:
        raise InputError(f"{sound} has no samples; nothing to encode")
    codes = np.concatenate(pieces)
    CodeFile.of(codes, samples, manifest).save(output)
    click.echo(f"{output}: {len(codes)} frames, {samples / manifest.sample_rate:.2f} s", err=True)


@codec.command()
@click.argument("codes")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="SOUND",
    help="A .wav, .flac, .mp3, .opus, .aac or .pcm file; - streams to stdout.",
)
@format_option
@_model
@running_options
def decode(
    codes: str,
    output: str,
    form: str | None,
    model: str | None,
    backend: str,
    threads: int | None,
) -> None:
    """Decode a file of CODES; any bundle with the codec that encoded them can.

    The sound streams into the file, or to stdout, in constant memory, exact at any length, and is
    as long as what was encoded.
    """
    bundle = CodecBundle.open(model)
    manifest = bundle.manifest
    target = sink_of(output, form, manifest.sample_rate)
    found = CodeFile.load(codes)
    found.check(manifest)
    opener = open_backend(backend, flavour=manifest.flavour, threads=threads)
    bundle.verify(CODEC_DECODER)
    decoder = CodecDecoder.open(bundle, opener)
    seconds = found.content.samples / manifest.sample_rate
    with target:
        spoken = _decoded(decoder, found)
        for samples in progressed(spoken, lambda s: len(s) / manifest.sample_rate, seconds):
            target.write(samples)
    click.echo(f"{'stdout' if output == '-' else output}: {seconds:.2f} s", err=True)


def _decoded(decoder: CodecDecoder, found: CodeFile) -> Iterator[Samples]:
    left = found.content.samples
    for piece in decoder.begin().pieces(found.codes):
        yield piece[:left]
        left -= len(piece[:left])
