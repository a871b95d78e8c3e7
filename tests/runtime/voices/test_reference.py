"""Recordings of every kind become the same samples; what is no material for a clone is refused."""

import hashlib
import io
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from qwen3_tts_edge import InputError
from qwen3_tts_edge.sound.reading import open_sound, read_blocks, resampled, resampled_blocks
from qwen3_tts_edge.voices.reference import read_reference
from recordings import RATE, voice, wav

# What may be given


def test_a_path_bytes_an_open_file_and_an_array_are_the_same(tmp_path: Path) -> None:
    samples = voice()
    path = tmp_path / "anna.wav"
    path.write_bytes(wav(samples))
    with path.open("rb") as file:
        found = [read_reference(x) for x in (path, str(path), path.read_bytes(), file)]
    found.append(read_reference((samples, RATE)))
    for each in found:
        assert np.array_equal(each.samples, samples)
        assert each.samples.dtype == np.float32
        assert each.seconds == 2.0
    assert [each.name for each in found] == ["anna.wav", "anna.wav", None, "anna.wav", None]
    file_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    sample_hash = hashlib.sha256(samples.tobytes()).hexdigest()
    assert [each.sha256 for each in found] == [file_hash] * 4 + [sample_hash]


@pytest.mark.parametrize(
    ("kind", "scale"),
    [("int8", 128), ("uint8", 128), ("int16", 2**15), ("int32", 2**31)],
)
def test_integer_pcm_is_scaled(kind: str, scale: int) -> None:
    samples = voice()
    offset = 128 if kind == "uint8" else 0
    pcm = np.rint(samples.astype(np.float64) * (scale - 1) + offset).astype(kind)
    found = read_reference((pcm, RATE)).samples
    assert np.abs(found - samples).max() <= 1.2 / scale + 1e-7
    assert np.array_equal(found, ((pcm.astype(np.float64) - offset) / scale).astype(np.float32))


def test_an_array_of_pcm_is_what_its_file_is() -> None:
    pcm = np.rint(voice() * 32767).astype(np.int16)
    assert np.array_equal(
        read_reference((pcm, RATE)).samples, read_reference(wav(pcm, subtype="PCM_16")).samples
    )


@pytest.mark.parametrize("kind", ["i2", "i4", "f4"])
def test_the_order_of_bytes_is_no_other_type(kind: str) -> None:
    full = 1.0 if kind == "f4" else float(np.iinfo(kind).max)
    native = (voice().astype(np.float64) * full).astype(kind)
    found = [
        read_reference((each, RATE), keep_silence=True)
        for each in (native, native.astype(f">{kind}"))
    ]
    assert np.array_equal(*(each.samples for each in found))


def test_a_tensor_is_an_array() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(voice()).requires_grad_()
    assert np.array_equal(read_reference((tensor, RATE)).samples, voice())
    assert np.abs(read_reference((tensor.bfloat16(), RATE)).samples - voice()).max() < 0.01


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floating_point_stays_as_it_is(kind: str) -> None:
    samples = voice().astype(kind)
    assert np.array_equal(read_reference((samples, RATE)).samples, samples.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_channels_are_averaged_whichever_axis_they_are(channels: int) -> None:
    samples = np.stack([voice() * 0.8**c for c in range(channels)], axis=1)
    expected = samples.mean(axis=1, dtype=np.float32)
    for given_ in (samples, samples.T, np.asfortranarray(samples)):
        assert np.allclose(read_reference((given_, RATE)).samples, expected, atol=1e-7)
    assert np.array_equal(read_reference(wav(samples)).samples, expected)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_becomes_24_khz(rate: int) -> None:
    found = read_reference((voice(1.7, rate), rate)).samples
    assert len(found) == math.ceil(round(1.7 * rate) * (24000 / rate))
    middle = slice(2400, -2400)
    expected = voice(1.7)[: len(found)][middle]
    assert np.abs(found[: len(expected) + 4800][middle][: len(expected)] - expected).max() < 0.01


@pytest.mark.parametrize("rate", [8000, 44100, 44101, 48000, 192000])
def test_a_rate_is_converted_the_same_piece_by_piece(rate: int) -> None:
    samples = voice(1.3, rate)
    whole = resampled(samples, rate, 24_000)
    for size in (1000, 4321, len(samples)):
        blocks = (samples[i : i + size] for i in range(0, len(samples), size))
        pieces = np.concatenate(list(resampled_blocks(blocks, rate, 24_000)))
        assert pieces.shape == whole.shape
        assert np.abs(pieces - whole).max() <= 1e-6


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_24"), ("OGG", "VORBIS")])
def test_other_formats(kind: str, subtype: str) -> None:
    found = read_reference(wav(voice(), subtype=subtype, kind=kind)).samples
    assert np.abs(found - voice()).max() < (1e-6 if kind == "FLAC" else 0.2)


# What is refused


@pytest.mark.parametrize(
    ("seconds", "found"), [(0.99, "is 0.99 s"), (60.01, "is longer than 60 s")]
)
def test_too_short_and_too_long(seconds: float, found: str) -> None:
    message = f"the reference {found}; a voice is cloned from 1 to 60 s of speech, 5 to 15 s"
    for given_ in ((voice(seconds), RATE), wav(voice(seconds)), wav(voice(seconds, 8000), 8000)):
        with pytest.raises(InputError, match=message):
            read_reference(given_)


def test_the_shortest_and_the_longest() -> None:
    for seconds in (1, 60):
        assert read_reference(wav(voice(seconds, 8000), 8000)).seconds == seconds


NOISE = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)


def click_in_silence() -> np.ndarray:
    samples = np.zeros(5 * RATE, np.float32)
    samples[100] = 1.0
    return samples


@pytest.mark.parametrize(
    "samples",
    [
        0 * NOISE,
        0 * NOISE + 0.01,  # an offset is no sound
        5e-4 * NOISE,
        5e-4 * NOISE + 0.2,
        np.full(2 * RATE, 127, np.uint8),
        (128 + np.rint(NOISE).clip(-1, 1)).astype(np.uint8),  # dither
        click_in_silence(),
    ],
)
def test_silence(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the reference is silent: in .\.00 s are no 0\.5 s that"):
        read_reference((samples, RATE))
    kind = "PCM_U8" if samples.dtype == np.uint8 else "FLOAT"
    plain = (samples.astype(np.float32) - 128) / 128 if kind == "PCM_U8" else samples
    with pytest.raises(InputError, match="the reference is silent"):
        read_reference(wav(plain, subtype=kind))


@pytest.mark.parametrize("decibels", [-50, -65])
def test_quiet_speech_is_speech(decibels: int) -> None:
    quiet = voice() * 10 ** (decibels / 20) / voice().std() + 1e-6 * NOISE
    assert np.array_equal(read_reference((quiet, RATE)).samples, quiet)


def test_a_long_silence_at_an_end_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    silence = np.zeros(5 * RATE, np.float32)
    samples = np.concatenate([silence, voice(2), silence[:RATE]])
    found = read_reference((samples, RATE))
    quarter = RATE // 4
    assert np.array_equal(found.samples, samples[5 * RATE - quarter : 7 * RATE + quarter])
    assert "5.5 s are left out, 4.8 s before the speech and 0.8 s after it" in caplog.text
    assert np.array_equal(read_reference((samples, RATE), keep_silence=True).samples, samples)


def test_a_silence_of_half_a_second_is_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    samples = np.pad(voice(2), RATE // 2)
    assert np.array_equal(read_reference((samples, RATE)).samples, samples)
    assert not caplog.records


def test_a_word_in_a_long_silence_is_too_little() -> None:
    samples = click_in_silence()
    samples[2 * RATE : 2 * RATE + RATE // 2] = voice(0.5)
    samples[100] = 0
    assert read_reference((samples, RATE)).seconds == pytest.approx(1, abs=0.02)
    samples = samples[: round(2.4 * RATE)]
    with pytest.raises(InputError, match="silent"):
        read_reference((samples, RATE))


def test_channels_that_cancel_are_silent() -> None:
    with pytest.raises(InputError, match="that its channels do not cancel each other"):
        read_reference((np.stack([voice(), -voice()], axis=1), RATE))


def test_clipping_is_a_warning_and_a_fact(caplog: pytest.LogCaptureFixture) -> None:
    loud = np.clip(4 * voice(), -1, 1)
    with caplog.at_level(logging.WARNING):
        found = read_reference((loud, RATE))
    share = (np.abs(loud) == 1).mean()
    assert found.clipped == pytest.approx(share, rel=0.1)
    (record,) = caplog.records
    assert record.name == "qwen3_tts_edge.voices.reference"
    assert f"{100 * found.clipped:.1f} % of it is clipped" in record.getMessage()


def test_clipping_of_one_channel_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    one = np.clip(4 * voice(), -1, 1)
    found = read_reference((np.stack([one, 0 * one], axis=1), RATE))
    assert found.clipped == pytest.approx((np.abs(one) == 1).mean() / 2, rel=0.1)
    assert len(caplog.records) == 1


def test_full_scale_is_not_clipping(caplog: pytest.LogCaptureFixture) -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)
    for given_ in (tone, np.rint(tone * 32767).astype(np.int16)):
        assert read_reference((given_, RATE)).clipped == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (voice(), 24000.0, "the sample rate is 24000.0; expected a whole number"),
        (voice(), True, "the sample rate is True"),
        (voice(), "24000", "the sample rate is '24000'"),
        (voice(), 0, "sample rate of 0 Hz; expected 1000 to 768000 Hz"),
        (voice(), -1, "sample rate of -1 Hz"),
        (voice(), 10**7, "sample rate of 10000000 Hz"),
        (voice(), 10**40, "sample rate of 10+ Hz"),
        (np.zeros((2, 2, 30000)), RATE, r"shape \(2, 2, 30000\); expected \(n,\), \(n, channels\)"),
        (np.zeros(()), RATE, r"has shape \(\)"),
        (np.zeros((0, 2)), RATE, r"has shape \(0, 2\)"),
        (voice() > 0, RATE, "samples are bool; expected floating point"),
        (voice().astype(complex), RATE, "samples are complex128"),
        (np.array(["a"] * 30000), RATE, "samples are <U1"),
        (voice() * np.nan, RATE, "samples that are no numbers"),
        (voice().astype(np.float64) * 1e300, RATE, "samples that are no numbers"),
        (voice() * 32767, RATE, "divide integer PCM by its full range"),
        (voice().astype(np.int64), RATE, "samples are int64"),
        ([[0.0], [0.0, 0.1]], RATE, "the reference cannot be read as an array"),
        (RATE, np.zeros(900), r"^the sample rate is array\(.{0,60}\.\.\.; expected a whole"),
    ],
)
def test_samples_that_are_no_sound(samples: Any, rate: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_reference((samples, rate))


def test_what_is_no_reference_at_all(tmp_path: Path) -> None:
    for given_, message in (
        (7, "the reference is a int; expected a path, bytes, an open file"),
        (None, "the reference is a NoneType"),
        ((voice(),), r"1 values; expected \(samples, rate\)"),
        (voice(), "the reference is a ndarray"),
        (io.StringIO("text"), "is open as text; open it in binary mode"),
        (b"", "the reference is empty: it has no bytes; copy or record it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "the reference is a Git LFS pointer"),
        (b"hello", "the reference is not a sound file that can be read"),
    ):
        with pytest.raises(InputError, match=message):
            read_reference(given_)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="keep_silence is 'no'; expected True or False"):
        read_reference((voice(), RATE), keep_silence="no")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        read_reference(tmp_path / "none.wav")
    with pytest.raises(IsADirectoryError):
        read_reference(tmp_path)


def test_a_file_in_blocks_is_the_file(tmp_path: Path) -> None:
    samples = np.stack([voice(50), voice(50) * 0.5], axis=1)
    path = tmp_path / "a.flac"
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    blocks = list(read_blocks(open_sound(path, "a"), "a"))
    assert len(blocks) > 2
    assert np.array_equal(np.concatenate(blocks), soundfile.read(path, dtype="float32")[0])
