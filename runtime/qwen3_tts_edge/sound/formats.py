"""The sound formats that can be written, and what each needs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.flac import FlacCoder
from qwen3_tts_edge.sound.libav import LibavCoder
from qwen3_tts_edge.sound.mp3 import Mp3Coder
from qwen3_tts_edge.sound.pcm import RawCoder, to_alaw, to_float, to_mulaw, to_pcm
from qwen3_tts_edge.sound.wav import ALAW, FLOAT, MULAW, WavCoder


class Coder(Protocol):
    """Makes the bytes of one format.

    Attributes:
        head: See `Encoder.head`.
    """

    head: bytes

    def encode(self, samples: Samples) -> bytes:
        """Take float32 (n,), n from 0, and give the bytes that are ready."""

    def finish(self) -> bytes:
        """Give what is left. Once, after the last `encode`, of which there was one at least."""


@dataclass(frozen=True)
class Format:
    """A sound format; all are mono.

    Attributes:
        content_type: Of HTTP.
        coder: Its coder for a sample rate, and for a bit rate where there is one.
        ending: Of a file's name; None for what is only sent.
        extra: Of this package, that it needs; None is none.
        rate: The usual sample rate in Hz; None is that of the samples.
        rates: Sample rates in Hz that it has; None is all.
        bitrates: The lowest, the usual and the highest, in bit/s; the nearest that it has at the
            sample rate is taken. None where it has no such setting.
    """

    content_type: str
    coder: Callable[..., Coder]
    ending: str | None = None
    extra: str | None = None
    rate: int | None = None
    rates: tuple[int, ...] | None = None
    bitrates: tuple[int, int, int] | None = None


_TELEPHONE = 8_000
"""Hz: of G.711 everybody takes it for granted, where no header says another."""


def _raw(to_bytes: Callable[[Samples], bytes]) -> Callable[[int], Coder]:
    return lambda _: RawCoder(to_bytes)


FORMATS = {
    "wav": Format("audio/wav", WavCoder, ".wav"),
    "flac": Format("audio/flac", FlacCoder, ".flac"),
    "mp3": Format(
        content_type="audio/mpeg",
        coder=Mp3Coder,
        ending=".mp3",
        extra="serve",
        rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        bitrates=(8_000, 64_000, 320_000),
    ),
    "opus": Format(
        content_type="audio/ogg",
        coder=partial(
            LibavCoder,
            codec="libopus",
            container="ogg",
            # For `voip` it would cut what lies below the voice, and shift what is near.
            codec_options={"application": "audio", "frame_duration": "20"},
            # The muxer's own pages are of a second: nothing would be heard for so long.
            container_options={"page_duration": "20000"},
        ),
        ending=".opus",
        extra="serve-codecs",
        rates=(8_000, 12_000, 16_000, 24_000, 48_000),
        bitrates=(6_000, 32_000, 256_000),
    ),
    "aac": Format(
        content_type="audio/aac",
        coder=partial(LibavCoder, codec="aac", container="adts"),
        ending=".aac",
        extra="serve-codecs",
        rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        bitrates=(16_000, 64_000, 256_000),
    ),
    "pcm": Format("audio/pcm", _raw(to_pcm), ".pcm"),
    "pcm_s16le": Format("audio/pcm", _raw(to_pcm)),
    "pcm_f32le": Format("audio/pcm", _raw(to_float)),
    "pcm_mulaw": Format("audio/mulaw", _raw(to_mulaw), rate=_TELEPHONE),
    "pcm_alaw": Format("audio/alaw", _raw(to_alaw), rate=_TELEPHONE),
    "wav_s16le": Format("audio/wav", WavCoder),
    "wav_f32le": Format("audio/wav", partial(WavCoder, coding=FLOAT)),
    "wav_mulaw": Format("audio/wav", partial(WavCoder, coding=MULAW), rate=_TELEPHONE),
    "wav_alaw": Format("audio/wav", partial(WavCoder, coding=ALAW), rate=_TELEPHONE),
}
"""Formats by name. `pcm` is `pcm_s16le`; the names with `pcm_` are Cartesia's, and `wav_` puts the
same in WAV."""
