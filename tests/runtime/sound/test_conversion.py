"""What libsndfile does not read is read by FFmpeg, and by nothing that could fetch or run."""

import os
import shutil
import sys
from io import BytesIO
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from av.audio import AudioStream
from av.container import OutputContainer

from qwen3_tts_edge import InputError
from qwen3_tts_edge.sound import conversion
from qwen3_tts_edge.sound.reading import open_sound, read_blocks
from qwen3_tts_edge.sound.torn import torn_end
from qwen3_tts_edge.voices.reference import read_reference

RATE = 48000


def swell(seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(440 * np.pi * at) * (0.6 + 0.4 * np.sin(6 * np.pi * at))).astype("f4")


def coded(kind: str, codec: str, seconds: float = 2.0) -> bytes:
    target = BytesIO()
    with av.open(target, "w", kind) as container:
        _mux(container, codec, seconds)
    return target.getvalue()


def _mux(container: OutputContainer, codec: str, seconds: float) -> None:
    stream = container.add_stream(codec, RATE, layout="mono", bit_rate=64_000)
    assert isinstance(stream, AudioStream)
    frame = av.AudioFrame.from_ndarray(swell(seconds)[None], "fltp", "mono")
    frame.sample_rate = RATE
    for each in av.AudioResampler(stream.format.name, "mono", RATE).resample(frame):
        container.mux(stream.encode(each))
    container.mux(stream.encode(None))


@pytest.fixture
def by_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is on PATH."""
    monkeypatch.setenv("PATH", "")


KINDS = [("ipod", "aac"), ("adts", "aac"), ("webm", "libopus"), ("asf", "wmav2"), ("ac3", "ac3")]


@pytest.mark.usefixtures("by_libraries")
@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_what_people_record_is_read(kind: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / "anna"
    path.write_bytes(coded(kind, codec))
    for given in (path, BytesIO(path.read_bytes())):
        with open_sound(given, "anna") as sound:
            heard = sound.read(dtype="float32")
        assert (sound.samplerate, sound.channels) == (RATE, 1)
        early = np.correlate(heard[:RATE], swell(1)[: RATE // 2]).argmax()  # the coder's delay
        middle = slice(RATE // 2, RATE)
        assert np.corrcoef(heard[early:][middle], swell(2)[middle])[0, 1] > 0.99


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on PATH")
@pytest.mark.parametrize(
    ("kind", "codec"), [("webm", "libopus"), ("adts", "aac"), ("ac3", "ac3"), ("mpeg", "mp2")]
)
def test_a_cut_file_is_used_with_a_word(
    kind: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = coded(kind, codec, 4.0)
    assert read_reference(whole).seconds == pytest.approx(4, abs=0.1)
    assert not caplog.records
    assert 1.2 < read_reference(whole[: len(whole) // 2 - 80]).seconds < 2.2
    assert "the reference is cut or damaged, and used as far as it goes (ffmpeg: " in caplog.text
    assert len(caplog.messages) == 1


@pytest.mark.usefixtures("by_libraries")
@pytest.mark.parametrize(
    ("kind", "codec", "said"),
    [
        ("webm", "libopus", "2.0 of 4.0 s are there"),
        ("matroska", "libopus", "2.0 of 4.0 s are there"),
        ("adts", "aac", "Invalid data found"),
        ("ipod", "aac", "a packet is not whole"),
        ("ipod", "alac", "a packet is not whole"),
        ("ac3", "ac3", "a frame is not whole"),
        ("eac3", "eac3", "a frame is not whole"),
    ],
)
def test_a_cut_file_is_used_with_a_word_by_the_libraries_too(
    kind: str, codec: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "anna"
    with av.open(path, "w", kind, options={"movflags": "faststart"} if kind == "ipod" else {}) as c:
        _mux(c, codec, 4.0)
    whole = path.read_bytes()
    assert read_reference(path).seconds == pytest.approx(4, abs=0.1)
    assert not caplog.records
    path.write_bytes(whole[: len(whole) // 2])
    assert read_reference(path).seconds == pytest.approx(2, abs=0.2)
    assert "anna is cut or damaged, and used as far as it goes (" + said in caplog.text
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("program", [True, False])
@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("webm", "libopus", {"live": "1"}),
        ("mpegts", "aac", {}),
        ("asf", "wmav2", {}),
    ],
)
def test_a_stream_that_tells_no_length_is_cut_anywhere_with_a_word(
    kind: str,
    codec: str,
    options: dict[str, str],
    program: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not program:
        monkeypatch.setenv("PATH", "")
    elif shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg on PATH")
    target = BytesIO()
    with av.open(target, "w", kind, options=options) as container:
        _mux(container, codec, 4.0)
    whole = target.getvalue()
    read_reference(whole)
    assert not caplog.records
    for cut in range(len(whole) // 2 | 1, len(whole), 2 * (len(whole) // 12)):  # odd, as no packet
        caplog.clear()
        read_reference(whole[:cut])
        assert "the reference is cut or damaged, and used as far as it goes (" in caplog.text, cut
        assert len(caplog.messages) == 1


def test_a_stream_ends_with_a_whole_part() -> None:
    head, segment = b"\x1a\x45\xdf\xa3\x80", b"\x18\x53\x80\x67\xff"
    cluster = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7  # of a size that is not told, as the segment
    elements, whole = head + segment + cluster, {5, 10, 22, 27, 32}
    elements += b"\xa3\x40\x02ab" * 2
    for size in range(5, len(elements) + 1):
        torn = None if size in whole else "the last element is not whole"
        assert torn_end(BytesIO(elements[:size])) == torn, size
    for packet in (b"G" + bytes(187), bytes(4) + b"G" + bytes(187), b"G" + bytes(203)):
        assert torn_end(BytesIO(packet * 12)) is None
        assert torn_end(BytesIO(packet * 12 + b"G")) == "the last packet is not whole"


def test_a_file_of_aac_ends_with_a_whole_frame() -> None:
    whole = coded("adts", "aac")
    assert torn_end(BytesIO(whole)) is None
    for cut in (1, 6, 7, 40):
        assert torn_end(BytesIO(whole + whole[:cut])) == "the last frame is not whole", cut


@pytest.mark.parametrize(
    "data", [b"", b"G", b"\x1a\x45\xdf\xa3\x80" + bytes(9), b"RIFF" + bytes(99)]
)
def test_of_what_is_no_such_stream_no_end_is_known(data: bytes) -> None:
    assert torn_end(BytesIO(data)) is None


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on PATH")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_with_the_program_the_samples_are_the_official_ones(
    kind: str, codec: str, tmp_path: Path
) -> None:
    librosa = pytest.importorskip("librosa")
    path = tmp_path / "anna"
    path.write_bytes(coded(kind, codec))
    expected, rate = librosa.load(path, sr=None)  # as qwen_tts does, by audioread and ffmpeg
    for given in (path, BytesIO(path.read_bytes())):
        sound = open_sound(given, "anna")
        assert sound.samplerate == rate
        assert np.array_equal(np.concatenate(list(read_blocks(sound, "anna")))[:, 0], expected)


@pytest.mark.skipif(os.name == "nt", reason="a script is a program here")
def test_the_program_is_started_without_a_shell_and_with_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, asked = tmp_path / "ffmpeg", tmp_path / "asked"
    answer = b".snd" + b"".join(n.to_bytes(4, "big") for n in (24, 2**32 - 1, 3, 8000, 1))
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(asked)!r}, 'w').write(repr(sys.argv))\n"
        f"sys.stdout.buffer.write({answer!r} + bytes(8000))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "-x $(id); a.m4a"
    path.write_bytes(b"no sound that libsndfile reads")
    with open_sound(path, "a", seconds=61) as sound:
        assert (sound.frames, sound.samplerate) == (4000, 8000)
    given = eval(asked.read_text())
    assert f"file:{path}" in given
    assert given[given.index("-t") + 1] == "61"
    for each in ("-protocol_whitelist", "file", "-nostdin", "-fs"):
        assert each in given


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(("kind", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), *KINDS[:1]])
def test_what_comes_out_of_a_named_pipe_is_read_whole(
    kind: str, codec: str, tmp_path: Path
) -> None:
    data, pipe = coded(kind, codec), tmp_path / "pipe"
    with open_sound(BytesIO(data), "anna") as sound:
        expected = sound.read()
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    with open_sound(pipe, "anna") as sound:
        assert np.array_equal(sound.read(), expected)
    writer.join(10)
    assert not writer.is_alive()


@pytest.mark.usefixtures("by_libraries")
def test_a_minute_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    long = BytesIO(coded("adts", "aac", 20))
    with open_sound(long, "long", seconds=5) as sound:
        assert 5 <= sound.frames / RATE < 6
    monkeypatch.setattr(conversion, "_LARGEST", 2 * RATE)
    with open_sound(long, "long", seconds=5) as sound:
        assert 1 <= sound.frames / RATE < 2


@pytest.mark.usefixtures("by_libraries")
def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secret.aac"
    path.write_bytes(coded("adts", "aac"))
    for words in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nfile:{path}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile 'file:{path}'\n",
    ):
        with pytest.raises(InputError, match="is not a sound file"):
            read_reference(words.encode())


def test_without_ffmpeg_the_command_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "my voice.m4a"
    path.write_bytes(coded("ipod", "aac"))
    command = f"ffmpeg -i '{path}' '{tmp_path}/my voice-converted.wav'"
    with pytest.raises(InputError, match="install ffmpeg") as caught:
        open_sound(path, "my voice.m4a")
    assert str(caught.value).endswith(command)


@pytest.mark.usefixtures("by_libraries")
def test_a_header_that_leads_before_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged header has PyAV seek to where no file goes, and that is an error of the system."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(InputError, match="anna is not a sound file that can be read"):
        open_sound(BytesIO(b"fLaC"), "anna")
