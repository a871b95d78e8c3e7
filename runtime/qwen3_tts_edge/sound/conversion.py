"""Sound files that libsndfile does not read, such as M4A, WebM or WMA → one that it does.

The program `ffmpeg` does it where it is on PATH, as for the official package, which then has the
same samples: channels and rate stay, and they become 16-bit PCM. Else the libraries do it that PyAV
brings, and at the end the coder's padding may stay.

Files may come from strangers. Formats that name other files, such as playlists, are not opened; no
shell is used; and what a small file may unpack to has a limit.
"""

import logging
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import soundfile

from qwen3_tts_edge.errors import reason, shortened
from qwen3_tts_edge.sound.cut import DELAY
from qwen3_tts_edge.sound.torn import torn_end

if TYPE_CHECKING:
    from av.container import InputContainer

_PATIENCE = 60.0
"""Seconds that `ffmpeg` may take for a bounded length; an hour of sound takes it less than that."""

_PATIENCE_FOR_ALL = 3600.0
_MOST_SAID = 1 << 16
"""Bytes that are read of what `ffmpeg` has to say."""

_COMPLAINT = re.compile(
    r"^(?!\[au @)(?:\[[^\]]*\] )*(?:\[(?:error|fatal)\] |(?=.*corrupt))(.+)", re.MULTILINE
)
"""What it says of what it reads, behind the part of it that speaks, and the level: a packet that
is not whole is a warning. `au` is what it writes."""

_log = logging.getLogger(__name__)

_LARGEST = 1 << 28
"""Bytes: 60 s of eight channels at 192 kHz, and more."""

_TOLD = ("mov", "matroska")
"""How the names of formats begin whose header tells the length."""

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,"
    "w64,wav,wv"
)


def converted(file: Path | BinaryIO, name: str, seconds: float | None) -> BinaryIO | None:
    """Convert a file's first sound track. Where it is cut or damaged, the log has a warning.

    Args:
        file: A path, or an open binary file that can seek.
        name: What the log calls it.
        seconds: How much is wanted; None is all of it.

    Returns:
        A temporary file that libsndfile reads, gone when it is closed; None where nothing here can
        read the sound.
    """
    program = shutil.which("ffmpeg")
    found: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (it is given to the caller)
    try:
        if program is not None:
            done = _by_program(program, file, name, found, seconds)
        else:
            done = _by_libraries(file, name, found, seconds)
    except BaseException:
        found.close()
        raise
    if not done:
        found.close()
        return None
    found.seek(0)
    return found


def _by_program(
    program: str, file: Path | BinaryIO, name: str, to: BinaryIO, seconds: float | None
) -> bool:
    if not isinstance(file, Path):  # some formats are read by seeking, so no pipe will do
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "sound")
            file.seek(0)
            with copy.open("wb") as opened:
                shutil.copyfileobj(file, opened)
            return _by_program(program, copy, name, to, seconds)
    limits = [] if seconds is None else ["-t", f"{seconds:g}", "-fs", str(_LARGEST)]
    opening = ["-protocol_whitelist", "file", "-format_whitelist", _FORMATS]
    track = ["-map", "0:a:0", "-c:a", "pcm_s16be", "-f", "au"]
    with suppress(OSError, subprocess.TimeoutExpired), tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [
                *(program, "-nostdin", "-v", "level+warning", *opening),
                *("-i", _url(file), *track, *limits, "pipe:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=to,
            stderr=said,
            timeout=_PATIENCE_FOR_ALL if seconds is None else _PATIENCE,
            check=False,
        )
        if done.returncode == 0:
            _warn(said, file, name)
        return done.returncode == 0
    return False


def _url(file: Path) -> str:
    return f"file:{file.absolute()}"


def _warn(said: BinaryIO, file: Path, name: str) -> None:
    """Tell what `ffmpeg` complained of although it went on: a file that was cut is read so far."""
    said.seek(0)
    if complaint := _COMPLAINT.search(said.read(_MOST_SAID).decode(errors="replace")):
        what = complaint[1].removeprefix(f"{_url(file)}: ").rstrip(".")
        _warn_of(name, f"ffmpeg: {what}")
        return
    with file.open("rb") as opened:
        torn = torn_end(opened)
    if torn is not None:
        _warn_of(name, torn)


def _warn_of(name: str, what: str) -> None:
    _log.warning(
        "%s is cut or damaged, and used as far as it goes (%s); copy it again",
        name,
        shortened(what),
    )


def _by_libraries(file: Path | BinaryIO, name: str, to: BinaryIO, seconds: float | None) -> bool:
    try:
        import av
    except ImportError:
        return False
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return _by_libraries(opened, name, to, seconds)
    file.seek(0)
    wrong = None
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    target: soundfile.SoundFile | None = None
    try:
        with av.open(file, options=options) as container:
            # PyAV 17, the last for Python 3.10, crashes where there is nothing to decode it with.
            if container.streams.audio[0].codec_context is None:
                return False
            packed = av.AudioResampler(format="s16")
            for packet in container.demux(audio=0):
                if packet.is_corrupt:
                    wrong = "a packet is not whole"
                decoded = packet.decode()
                if any(each.is_corrupt for each in decoded):
                    wrong = "a frame is not whole"
                for each in chain.from_iterable(map(packed.resample, decoded)):
                    rate, channels = each.sample_rate, each.layout.nb_channels
                    if target is None:
                        target = soundfile.SoundFile(
                            to, "w", rate, channels, "PCM_16", format="AU", endian="BIG"
                        )
                    target.write(each.to_ndarray().reshape(-1, channels))
                if target is not None and _enough(target, seconds):
                    break
            else:
                wrong = wrong or _missing(container, target) or torn_end(file)
    except IndexError:  # no track, or behind a cut one that was not there
        wrong = wrong or "the last packet is of no track"
    except (av.FFmpegError, OSError, ValueError) as error:
        wrong = wrong or getattr(error, "strerror", None) or reason(error)
    if target is None:
        return False
    target.close()
    if wrong is not None:
        _warn_of(name, wrong)
    return True


def _missing(container: "InputContainer", target: soundfile.SoundFile | None) -> str | None:
    """Say what a header tells of that is not there. Of other formats the length is estimated."""
    track = container.streams.audio[0]
    told = container.duration and container.duration / 1e6
    if track.duration is not None and track.time_base is not None:
        told = float(track.duration * track.time_base)
    elif len(container.streams) > 1:
        return None  # the others may be longer
    if target is None or told is None or not container.format.name.startswith(_TOLD):
        return None
    there = target.frames / target.samplerate
    return f"{there:.1f} of {told:.1f} s are there" if told - there > DELAY else None


def _enough(target: soundfile.SoundFile, seconds: float | None) -> bool:
    return seconds is not None and (
        target.frames >= seconds * target.samplerate
        or target.frames * target.channels * 2 >= _LARGEST
    )
