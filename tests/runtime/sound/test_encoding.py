"""Encoders: nothing is lost, pieces make the same bytes, and little is held back."""

import gc
import io
import struct
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.sound.formats import FORMATS
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.sound.reading import resampled
from qwen3_tts_edge.sound.wav import WavCoder

RATE = 24000
UNKNOWN = 0xFFFFFFFF
RAW = {"pcm": "s16le", "pcm_s16le": "s16le", "pcm_f32le": "f32le"}
RAW |= {"pcm_mulaw": "mulaw", "pcm_alaw": "alaw"}
TELEPHONE = ("pcm_mulaw", "pcm_alaw", "wav_mulaw", "wav_alaw")
LOSSLESS = ("wav", "wav_s16le", "flac", "pcm", "pcm_s16le")


def spoken(seconds: float) -> Samples:
    """A voice-like sound below 3 kHz that is as loud at its end as anywhere, float32 (n,)."""
    at = np.arange(round(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(110 + 25 * np.sin(2 * np.pi * 1.3 * at)) / RATE
    voice = sum(np.sin(number * pitch + number) / number for number in range(1, 18))
    return (0.25 * voice * (1.1 + np.sin(2 * np.pi * 3.1 * at))).astype(np.float32)


def encoded(name: str, samples: Samples, *cuts: int, **changed: float) -> bytes:
    made = encoder(name, RATE, **changed)
    return b"".join(map(made.encode, np.split(samples, cuts))) + made.finish()


def decoded(name: str, data: bytes, rate: int = RATE) -> tuple[Samples, int]:
    """Decode with FFmpeg; only of raw formats must the rate be known. Also gives the rate."""
    options = {"sample_rate": str(rate), "ch_layout": "mono"} if name in RAW else {}
    pieces = [np.zeros(0, np.float32)]
    with av.open(io.BytesIO(data), format=RAW.get(name), options=options) as file:
        same = av.AudioResampler("flt", "mono", file.streams.audio[0].rate)
        for frame in file.decode(audio=0):
            pieces += [each.to_ndarray()[0] for each in same.resample(frame)]
        return np.concatenate(pieces), same.rate


def placed(heard: Samples, samples: Samples) -> Samples:
    """Cut what was heard to what was fed, at the place where they are most alike."""
    size = 1 << (len(heard) + len(samples)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(samples, size)))
    shift = int(alike[: max(1, len(heard) - len(samples) + 1)].argmax())
    return heard[shift : shift + len(samples)]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        *((name, {}) for name in FORMATS),
        ("flac", {"rate_out": 8000}),
        ("pcm", {"rate_out": 44100}),
        ("mp3", {"rate_out": 48000, "bitrate": 128_000}),
        ("opus", {"rate_out": 16000, "speed": 1.5}),
        ("pcm", {"speed": 0.25}),
        ("pcm_f32le", {"speed": 3.3, "rate_out": 8000}),
    ],
)
@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 12_001), max_size=30))
def test_pieces_make_the_same_bytes(name: str, changed: dict, cuts: list[int]) -> None:
    samples = spoken(0.5)
    assert encoded(name, samples, *sorted(cuts), **changed) == encoded(name, samples, **changed)


@pytest.mark.parametrize("changed", [{}, {"rate_out": 16000, "speed": 1.5}])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_encoded_after_the_end_is_another_file(name: str, changed: dict) -> None:
    samples, made = spoken(0.3), encoder(name, RATE, **changed)
    first = made.encode(samples) + made.finish()
    assert made.finish() == b""  # nothing is left
    assert made.encode(samples) + made.finish() == first == encoded(name, samples, **changed)


def test_single_samples_make_the_same_bytes() -> None:
    samples = spoken(0.1)
    for name in FORMATS:
        single = encoded(name, samples, *range(1, len(samples)), rate_out=16000)
        assert single == encoded(name, samples, rate_out=16000), name


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_hold_the_same_numbers(name: str) -> None:
    samples = 2 * spoken(1.3)  # some are clipped
    heard, _ = decoded(name, encoded(name, samples, 1, 5000))
    assert np.array_equal(heard * 2**15, np.frombuffer(to_pcm(samples), "<i2"))


@pytest.mark.parametrize("name", ["pcm_f32le", "wav_f32le"])
def test_floats_are_the_samples(name: str) -> None:
    samples = 3 * spoken(0.2)
    assert np.array_equal(decoded(name, encoded(name, samples))[0], samples.clip(-1, 1))


@pytest.mark.parametrize("name", TELEPHONE)
def test_telephone_samples_are_within_half_a_step(name: str) -> None:
    samples = np.linspace(-0.98, 0.98, 10_000, dtype=np.float32)
    heard, _ = decoded(name, encoded(name, samples, rate_out=RATE))
    # A segment has sixteen steps and ends at twice its beginning; 13 or 14 bits are coded.
    assert (np.abs(heard - samples) <= np.abs(samples) / 32 + 1 / 2**11).all()


@pytest.mark.parametrize("name", TELEPHONE)
def test_of_telephones_everybody_takes_8000_hz_for_granted(name: str) -> None:
    samples = spoken(0.3)
    assert encoder(name, RATE).sample_rate == 8000
    assert encoded(name, samples) == encoded(name, samples, rate_out=8000)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_lost_at_any_rate(name: str, rate: int) -> None:
    samples = spoken(1.5)
    made = encoder(name, RATE, rate_out=rate)
    data = b"".join(map(made.encode, np.split(samples, range(1920, len(samples), 1920))))
    heard, its_rate = decoded(name, data + made.finish(), rate)
    assert made.sample_rate == rate
    assert its_rate == (48000 if name == "opus" else rate)
    more = len(heard) / its_rate - 1.5
    assert 0 <= more < 0.17 if name in ("mp3", "aac") else more == 0
    found = placed(resampled(heard, its_rate, RATE), samples)
    for part in (slice(None), slice(-600, None)):
        assert np.corrcoef(found[part], samples[part])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("name", "most"), [("wav", 0), ("flac", 50), ("mp3", 90), ("opus", 30), ("aac", 90)]
)
def test_what_is_held_back(name: str, most: float) -> None:
    """Milliseconds that were fed and cannot be decoded yet."""
    made, data, fed, held = encoder(name, RATE), b"", 0, []
    for chunk in np.split(spoken(2), range(1920, 48000, 1920)):
        data, fed = data + made.encode(chunk), fed + len(chunk)
        if fed >= 3 * 1920:
            heard, rate = decoded(name, data)
            held.append(1000 * (fed / RATE - len(heard) / rate))
    assert max(held) <= most


def test_a_wav_of_unknown_length_and_a_whole_one() -> None:
    samples = spoken(0.1)
    sizes = [struct.unpack_from("<I", encoded("wav", samples), at)[0] for at in (4, 40)]
    assert sizes == [UNKNOWN, UNKNOWN]
    whole = encoder("wav", RATE).whole(samples)
    sizes = [struct.unpack_from("<I", whole, at)[0] for at in (4, 40)]
    assert sizes == [len(whole) - 8, len(whole) - 44]
    assert soundfile.info(io.BytesIO(encoder("flac", RATE).whole(samples))).frames == len(samples)
    assert encoder("mp3", RATE).whole(samples) == encoded("mp3", samples)


@pytest.mark.parametrize(
    ("name", "subtype"), [("wav_f32le", "FLOAT"), ("wav_mulaw", "ULAW"), ("wav_alaw", "ALAW")]
)
def test_a_wav_says_how_its_samples_stand_and_has_those_of_the_raw_format(
    name: str, subtype: str
) -> None:
    samples = spoken(0.1)
    raw = encoded(name.replace("wav", "pcm"), samples, rate_out=16000)
    streamed = encoded(name, samples, rate_out=16000)
    whole = encoder(name, RATE, rate_out=16000).whole(samples)
    assert streamed[58:] == whole[58:] == raw
    assert struct.unpack_from("<I", streamed, 4)[0] == UNKNOWN
    assert struct.unpack_from("<I", whole, 4)[0] == len(whole) - 8
    for data in (streamed, whole):
        found = soundfile.info(io.BytesIO(data))
        assert (found.format, found.subtype) == ("WAV", subtype)
        assert (found.samplerate, found.channels, found.frames) == (16000, 1, 1600)
        assert len(decoded(name, data)[0]) == 1600


def test_bit_rate_is_heeded() -> None:
    for name in ("mp3", "opus", "aac"):
        sizes = [len(encoded(name, spoken(2), bitrate=rate)) for rate in (24_000, 64_000)]
        assert 1.5 < sizes[1] / sizes[0] < 4.5, name


@pytest.mark.parametrize("name", ["opus", "aac"])
def test_encoders_that_are_left_cost_nothing(name: str) -> None:
    """A crash of PyAV before 17, and a leak since."""
    import psutil

    def leave(times: int) -> int:
        for _ in range(times):
            encoder(name, RATE).encode(samples)
        gc.collect()
        return psutil.Process().memory_info().rss

    samples = spoken(0.08)
    before = leave(100)
    assert leave(500) - before < 500 * 3000


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_coder_is_held_from_the_first_samples_to_the_end(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: weakref.WeakSet[WavCoder] = weakref.WeakSet()

    class Noted(WavCoder):
        def __init__(self, rate: int) -> None:
            super().__init__(rate)
            held.add(self)

    monkeypatch.setitem(FORMATS, "wav", replace(FORMATS["wav"], coder=Noted))
    made = encoder("wav", RATE)
    assert len(held) == 0
    first = made.encode(spoken(0.1))
    assert len(held) == 1
    getattr(made, end)()
    assert len(held) == 0
    assert made.finish() == b""
    assert made.encode(spoken(0.1)) == first  # of another file


SPEEDS = pytest.mark.parametrize("speed", [0.25, 0.4, 0.5, 0.8, 1.25, 2.0, 3.0, 4.0])


def tone(*loud: tuple[float, float], seconds: float) -> Samples:
    """220 Hz that fades in and out in 0.1 s, silence elsewhere."""
    at = np.arange(round(seconds * RATE)) / RATE
    level = sum(np.clip(np.minimum(at - begin, end - at) / 0.1, 0, 1) for begin, end in loud)
    return (0.4 * np.sin(np.pi / 2 * level) ** 2 * np.sin(2 * np.pi * 220 * at)).astype(np.float32)


def faster(samples: Samples, speed: float) -> Samples:
    cuts = range(1920, len(samples), 1920)
    return np.frombuffer(encoded("pcm_f32le", samples, *cuts, speed=speed), "<f4")


@SPEEDS
def test_speed_keeps_the_pitch_and_makes_no_clicks(speed: float) -> None:
    samples = tone((0, 3), seconds=3)
    heard = faster(samples, speed)
    assert len(heard) == round(len(samples) / speed)
    strength = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 20))
    assert abs(strength.argmax() * RATE / (1 << 20) - 220) < 0.5
    bends = [np.abs(np.diff(each, 2)).max() for each in (heard, samples)]
    assert bends[0] < 1.2 * bends[1]


@SPEEDS
def test_speed_keeps_everything_at_its_time(speed: float) -> None:
    heard = faster(tone((0.5, 1), (1.5, 2), seconds=2), speed)
    loud = np.sqrt(np.convolve(heard**2, np.ones(480) / 480, "same")) > 0.14  # half of the tone
    between = round(1.25 * RATE / speed)
    first, second = (np.flatnonzero(loud[part]) for part in np.s_[:between, between:])
    edges = np.array([first[0], first[-1], second[0] + between, second[-1] + between]) / RATE
    assert np.abs(edges - np.array([0.55, 0.95, 1.55, 1.95]) / speed).max() < 0.03


@pytest.mark.parametrize(
    ("module", "asked", "extra"),
    [
        ("lameenc", {"name": "mp3"}, "serve"),
        ("av", {"name": "opus"}, "serve-codecs"),
        ("av", {"name": "aac"}, "serve-codecs"),
        ("av", {"name": "wav", "speed": 1.5}, "serve-codecs"),
    ],
)
def test_a_missing_extra_says_what_to_install(
    module: str, asked: dict, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"needs a package that is not installed") as caught:
        encoder(sample_rate=RATE, **asked)
    assert caught.value.remedy == f'run: pip install "qwen3-tts-edge[{extra}]"'


def test_a_library_that_is_broken_is_not_said_to_be_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lameenc.py").write_text("raise ImportError('DLL load failed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lameenc", raising=False)
    with pytest.raises(InputError, match=r"mp3 needs a package that cannot be loaded \(DLL load"):
        encoder("mp3", RATE)
    assert encoded("flac", spoken(0.1), rate_out=8000)  # needs none


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "ogg"}, r"'ogg' is not a sound format; use one of wav, flac, mp3, opus"),
        ({"name": "wav", "rate_out": 7999}, r"is 7999 Hz; expected 8000 to 48000 Hz"),
        ({"name": "opus", "rate_out": 44100}, r"opus has no .* 44100 Hz; use one of 8000, 12000"),
        ({"name": "mp3", "rate_out": 24001}, r"mp3 has no sample rate of 24001 Hz"),
        ({"name": "wav", "speed": 0.2}, r"the speed is 0\.2; expected 0\.25 to 4"),
        ({"name": "wav", "speed": float("nan")}, r"the speed is nan"),
        ({"name": "mp3", "bitrate": 500_000}, r"is 500000 bit/s; mp3 has 8000 to 320000"),
        ({"name": "flac", "bitrate": 64_000}, r"flac has no bit rate to choose"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder(sample_rate=RATE, **asked)
