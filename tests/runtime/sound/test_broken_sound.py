"""Sound files that are cut, wrong in their header or no sound: read with a word, or refused."""

import io
import re
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_tts_edge import InputError
from qwen3_tts_edge.sound import mpeg, reading
from qwen3_tts_edge.sound.mp3 import Mp3Coder
from qwen3_tts_edge.sound.reading import open_sound, read_blocks
from qwen3_tts_edge.voices.reference import read_reference
from recordings import RATE, voice, wav


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64"])
def test_a_cut_file_is_used_with_a_word(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = wav(voice(4), subtype="PCM_16", kind=kind)
    assert read_reference(whole).seconds == 4
    assert not caplog.records
    assert read_reference(whole[: len(whole) // 2]).seconds == pytest.approx(2, abs=0.01)
    assert "is cut: its header tells of more, 50 % is missing and 2.0 s are there" in caplog.text


@pytest.mark.parametrize(
    ("kind", "subtype", "said"),
    [
        ("FLAC", "PCM_16", r"its header tells of more, 5\d % is missing and 3\.\d s are there"),
        ("MP3", "MPEG_LAYER_III", r"its header tells of more, 5\d % is missing and [34]\.\d s are"),
        ("OGG", "VORBIS", r"the last page is missing, and [34]\.\d s are there"),
        ("OGG", "OPUS", r"the last page is missing, and [23]\.\d s are there"),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_cut_file_of_a_packed_format_is_used_with_a_word(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    subtype: str,
    said: str,
    *,
    as_file: bool,
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 8 * RATE).astype(np.float32)
    whole = wav(noise * np.abs(np.sin(np.arange(8 * RATE) / 3000)), RATE, subtype, kind)

    def read(data: bytes) -> float:
        path = tmp_path / "a"
        path.write_bytes(data)
        blocks = read_blocks(open_sound(path if as_file else io.BytesIO(data), "a"), "a")
        return sum(map(len, blocks)) / RATE

    assert read(whole) == pytest.approx(8, abs=0.1)
    assert not caplog.records
    assert 2.5 < read(whole[: len(whole) // 2]) < 4.1
    assert re.search(f"a is cut: {said}", caplog.text)


@pytest.mark.parametrize("rate", [48000, 24000, 8000])  # MPEG 1, 2 and 2.5
@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)])
def test_an_mp3_without_a_header_is_cut_within_a_frame_with_a_word(
    rate: int, tag: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    coder = Mp3Coder(rate, 64_000)
    whole = coder.encode(voice(3, rate)) + coder.finish() + tag
    assert b"Xing" not in whole
    assert b"Info" not in whole
    assert read_reference(whole).seconds == pytest.approx(3, abs=0.2)
    assert not caplog.records
    length = 64_000 * (1152 if rate > 32000 else 576) // 8 // rate
    whole_frames = len(whole) // length // 2 * length
    for more in (1, 3, 4, length - 1):
        caplog.clear()
        read_reference(whole[: whole_frames + more])
        assert "is cut: the last frame is not whole, and 1." in caplog.text, more
    caplog.clear()
    read_reference(whole[:whole_frames] + tag)
    assert not caplog.records


@pytest.mark.parametrize("path", [None, ""])
@pytest.mark.parametrize("bitrates", [(128_000, 32_000), (32_000, 128_000)])
def test_an_mp3_of_two_bitrates_that_does_not_say_how_long_it_is_is_read_whole(
    bitrates: tuple[int, int],
    path: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of what libsndfile reads of it one half was missing, or was said to be."""
    if path is not None:
        monkeypatch.setenv("PATH", path)
    whole = b""
    for bitrate in bitrates:
        coder = Mp3Coder(RATE, bitrate)
        whole += coder.encode(voice(2)) + coder.finish()
    tag = b"ID3\x04\0\0\0\0\x07\x68" + bytes(7 << 7 | 0x68)
    for data in (whole, tag + whole):
        assert read_reference(data).seconds == pytest.approx(4.1, abs=0.15)
    assert not caplog.records
    monkeypatch.setattr(reading, "converted", lambda *_: None)
    with open_sound(io.BytesIO(whole), "a") as sound:
        there = sound.frames / RATE
    said = f"a is read up to {there:.1f} of 4.1 s, for it does not say how long it is"
    assert (said in caplog.text) is (there < 4)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")],
)
def test_a_tag_in_front_takes_nothing_away(
    kind: str, subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = wav(voice(3.0), subtype=subtype, kind=kind)
    length = 10_000
    sizes = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3\x04\0\0" + sizes + bytes(length)
    expected = read_reference(whole)
    assert np.array_equal(read_reference(tag + whole).samples, expected.samples)
    assert not caplog.records


@pytest.mark.parametrize("subtype", ["PCM_16", "IMA_ADPCM", "MS_ADPCM"])
def test_a_wrong_number_of_bytes_a_second_is_no_cut(
    subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As ffmpeg writes it, for one."""
    data = bytearray(wav(voice(), subtype=subtype))
    at = data.index(b"fmt ") + 16
    data[at : at + 4] = struct.pack("<I", 1 << 20)
    assert read_reference(bytes(data)).seconds == pytest.approx(2, abs=0.05)
    assert not caplog.records


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_what_a_stopped_recorder_left_is_read_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its header still says what was true at the beginning."""
    whole = wav(voice(), subtype="PCM_16")
    data = bytearray(whole)
    at = data.index(b"data") + 4
    data[at : at + 4] = bytes(4)
    found = read_reference(bytes(data))
    assert np.array_equal(found.samples, read_reference(whole).samples)
    assert "its header says that it is empty, and 2.0 s are there" in caplog.text
    with pytest.raises(InputError, match=r"is 0\.00 s"):
        read_reference(whole[: at + 4])


def test_a_header_that_was_written_before_the_sound_claims_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = bytearray(wav(voice(), subtype="PCM_16"))
    at = data.index(b"data") + 4
    for most in (0x7FFFFFFF, 0xFFFFFFFF):
        data[4:8] = data[at : at + 4] = struct.pack("<I", most)
        assert read_reference(bytes(data)).seconds == 2
    assert not caplog.records


HEADER = wav(voice(1.1, 8000), 8000, "PCM_16")


@st.composite
def broken_wavs(draw: st.DrawFn) -> bytes:
    """Bytes of a header changed at will, and the rest of the file or a part of it."""
    broken = bytearray(HEADER)
    for _ in range(draw(st.integers(1, 6))):
        broken[draw(st.integers(0, 47))] = draw(st.integers(0, 255))
    return bytes(broken[: draw(st.just(len(broken)) | st.integers(0, len(broken)))])


# A program is started for whatever libsndfile refuses, so most examples are read without one.
READERS = [
    None,
    pytest.param(
        "ffmpeg",
        marks=pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on PATH"),
    ),
]


@pytest.fixture
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read by ffmpeg, or without it; give how many examples that is worth."""
    if request.param is None:
        monkeypatch.setattr("shutil.which", lambda program: None)
    return 15 if request.param else 400


@pytest.mark.parametrize("reader", READERS, indirect=True)
def test_a_broken_wav_is_an_error_or_a_sound(reader: int) -> None:
    """No crash, no memory that the header claims to need."""

    @settings(max_examples=reader)
    @given(broken_wavs())
    def check(broken: bytes) -> None:
        try:
            found = read_reference(broken)
        except InputError:
            return
        assert 1 <= found.seconds <= 60.01
        assert np.isfinite(found.samples).all()

    check()


@pytest.mark.parametrize("reader", READERS, indirect=True)
def test_any_bytes_are_refused(reader: int) -> None:
    kinds = st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM"])

    @settings(max_examples=reader)
    @given(st.binary(max_size=300), kinds)
    def check(data: bytes, magic: bytes) -> None:
        with pytest.raises(InputError):
            read_reference(magic + data)

    check()


def test_a_header_that_leads_before_the_beginning_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    path = tmp_path / "anna"
    path.write_bytes(wav(voice(), subtype="PCM_16", kind="AIFF").partition(b"SSND")[0])
    with pytest.raises(InputError, match="anna is not a sound file") as by_path:
        open_sound(path, "anna")
    with path.open("rb") as file:
        for given_file in (file, io.BytesIO(path.read_bytes())):
            with pytest.raises(InputError) as caught:
                open_sound(given_file, "anna")
            assert str(caught.value).partition(";")[0] == str(by_path.value).partition(";")[0]
    assert not printed


def test_a_header_that_promises_gigabytes_needs_no_gigabytes() -> None:
    body = (voice(1.5) * 32767).astype("<i2").tobytes()
    format_chunk = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    header = b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + format_chunk
    found = read_reference(header + b"data" + struct.pack("<I", 0xFFFFFFF0) + body)
    assert found.seconds == 1.5


def test_of_an_mp3_only_its_own_frames_are_counted() -> None:
    """Frames of AAC behind them may have six bytes each: a small file would be read for long."""
    frame = bytes.fromhex("fff34404") + bytes(92)
    small = bytes.fromhex("fff1500000c0")
    assert mpeg.untold(io.BytesIO(6 * frame + 9 * small)) == 6 * 576
