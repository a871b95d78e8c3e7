"""Samples into files and pipes: the same numbers everywhere, and no half-written file."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.sound.writing import ENDINGS as FORMAT_OF
from qwen3_tts_edge.sound.writing import AudioFile, AudioStream, save

RATE = 24000
ENDINGS = (".wav", ".flac", ".pcm")


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.2, 1.2, count).astype(np.float32)


def read(path: Path) -> np.ndarray:
    if path.suffix == ".pcm":
        return np.frombuffer(path.read_bytes(), "<i2")
    numbers, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return numbers


def test_pcm_is_rounded_and_clipped() -> None:
    samples = np.array([0, 1, -1, 2, -2, 0.5 / 32767, 0.4 / 32767, -0.6 / 32767], np.float32)
    expected = [0, 32767, -32767, 32767, -32767, 0, 0, -1]
    assert np.frombuffer(to_pcm(samples), "<i2").tolist() == expected


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-1, 1, width=32)))
def test_pcm_is_within_half_a_step(samples: np.ndarray) -> None:
    numbers = np.frombuffer(to_pcm(samples), "<i2")
    assert np.abs(numbers - samples.astype(np.float64) * 32767).max(initial=0) <= 0.5 + 1e-2


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_holds_the_same_numbers(tmp_path: Path, ending: str) -> None:
    samples = noise(5000)
    save(tmp_path / f"a{ending}", samples, RATE)
    assert np.array_equal(read(tmp_path / f"a{ending}"), np.frombuffer(to_pcm(samples), "<i2"))
    assert [path.name for path in tmp_path.iterdir()] == [f"a{ending}"]


@pytest.mark.parametrize("ending", FORMAT_OF)
def test_a_file_is_what_the_encoder_makes_of_the_whole(tmp_path: Path, ending: str) -> None:
    samples = noise(9000)
    save(tmp_path / f"a{ending}", samples, RATE)
    whole = encoder(FORMAT_OF[ending], RATE).whole(samples)
    assert (tmp_path / f"a{ending}").read_bytes() == whole


def test_rate_and_speed_of_a_file(tmp_path: Path) -> None:
    with AudioFile(tmp_path / "a.wav", RATE, rate_out=16000, speed=2) as file:
        file.write(noise(RATE))
    found = soundfile.info(tmp_path / "a.wav")
    assert (found.samplerate, found.frames) == (16000, 8000)


@pytest.mark.parametrize("ending", FORMAT_OF)
def test_chunks_make_the_same_file_as_the_whole(tmp_path: Path, ending: str) -> None:
    samples = noise(9000)
    save(tmp_path / f"whole{ending}", samples, RATE)
    with AudioFile(tmp_path / f"chunks{ending}", RATE) as file:
        for piece in np.split(samples, [1, 500, 4000]):
            file.write(piece)
    whole, chunks = (tmp_path / f"{name}{ending}" for name in ("whole", "chunks"))
    assert chunks.read_bytes() == whole.read_bytes()


def test_a_file_grows_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    with AudioFile(tmp_path / "a.wav", RATE) as file:
        for _ in range(4):
            file.write(noise(RATE))
        assert not (tmp_path / "a.wav").exists()
        assert (tmp_path / "a.wav.part").stat().st_size >= 3 * 2 * RATE


def test_an_empty_utterance_is_a_valid_file(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", np.zeros(0, np.float32), RATE)
    assert len(read(tmp_path / "a.wav")) == 0


def test_the_ending_may_be_in_capitals(tmp_path: Path) -> None:
    save(tmp_path / "A.FLAC", noise(10), RATE)
    assert soundfile.info(tmp_path / "A.FLAC").format == "FLAC"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing_and_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    old = tmp_path / "old.wav"
    save(old, noise(10), RATE)
    before = old.read_bytes()

    def interrupted() -> None:
        with AudioFile(old, RATE) as file:
            file.write(noise(1000))
            raise error

    with pytest.raises(error):
        interrupted()
    assert old.read_bytes() == before
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("/dev/full")
    message = r"No space left on device: '.*a\.wav'"
    with pytest.raises(OSError, match=message):
        save(tmp_path / "a.wav", noise(10), RATE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.m4a", r"a\.m4a: cannot write \.m4a; use \.wav, \.flac, \.mp3, \.opus, \.aac, \.pcm"),
        ("a", r"a: cannot write a file without ending; use \.wav"),
        ("nowhere/a.wav", r"nowhere is not a folder; make it first"),
        ("folder.wav", r"folder\.wav is a folder; choose another name"),
        ("folder", r"folder is a folder; choose another name"),
        ("link.wav", r"nowhere is not a folder; make it first"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused_first(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.wav").symlink_to("nowhere/a.wav")
    with pytest.raises(InputError, match=message):
        AudioFile(tmp_path / name, RATE)
    assert {path.name for path in tmp_path.iterdir()} == {"folder.wav", "folder", "link.wav"}


def test_a_link_stays_and_the_mode_is_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target.wav", tmp_path / "link.wav"
    target.touch()
    target.chmod(0o600)
    link.symlink_to("target.wav")
    save(link, noise(10), RATE)
    assert link.is_symlink()
    assert len(read(target)) == 10
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.wav", "target.wav"]


def test_a_link_to_nothing_makes_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to("target.wav")
    save(tmp_path / "link.wav", noise(10), RATE)
    assert (tmp_path / "link.wav").is_symlink()
    assert len(read(tmp_path / "target.wav")) == 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "a.wav"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    save(pipe, noise(5000), RATE)
    assert os.read(reader, 1 << 16) == encoder("wav", RATE).encode(noise(5000))
    os.close(reader)
    assert pipe.is_fifo()


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save("~/a.wav", noise(10), RATE)
    assert len(read(tmp_path / "a.wav")) == 10


def test_a_stream_sends_each_chunk_at_once() -> None:
    class Pipe(io.BytesIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    pipe, samples = Pipe(), noise(300)
    with AudioStream(pipe, encoder("pcm", RATE)) as stream:
        stream.write(samples[:100])
        assert pipe.getvalue() == to_pcm(samples[:100])
        assert pipe.flushed == 1
        stream.write(samples[100:])
    assert pipe.getvalue() == to_pcm(samples)
    assert not pipe.closed


def test_a_stream_that_ends_normally_is_finished() -> None:
    pipe, samples = io.BytesIO(), noise(9000)
    with AudioStream(pipe, encoder("mp3", RATE)) as stream:
        stream.write(samples)
    assert pipe.getvalue() == encoder("mp3", RATE).whole(samples)
