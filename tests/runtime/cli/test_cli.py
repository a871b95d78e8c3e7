"""The command line, in this process."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from at_a_shell import LONG, TEXT, left, numbers, run
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.bundle import bundled
from qwen3_tts_edge.bundle.head import FILE
from qwen3_tts_edge.cli.speak import speak
from qwen3_tts_edge.cli.voice import create, design
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.speech import sampling
from qwen3_tts_edge.utf8 import WORDS, decoded
from tiny import EDGE_VOICE

pytestmark = pytest.mark.usefixtures("here")

# Speaking


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("output", "way"),
    [
        ("/dev/stdout", "-o -"),
        ("/dev/null", "-o - > /dev/null"),
        ("my pipe", "-o - > 'my pipe'"),
    ],
)
def test_a_pipe_that_does_not_say_what_to_write_is_shown_the_way(output: str, way: str) -> None:
    os.mkfifo("my pipe")
    done = run("speak", TEXT, "-o", output)
    assert done.exit_code == 2
    assert f"the name {output} does not say what to write; use {way}, which is PCM" in done.output


def test_speak_writes_what_the_synthesizer_says(voice_bundle: Path) -> None:
    done = run("speak", TEXT, "--seed", "3")
    assert done.exit_code == 0, done.output
    assert left() == ["speech.wav"]
    expected = Synthesizer.open(voice_bundle).speak(TEXT, seed=3)
    numbers, rate = soundfile.read("speech.wav", dtype="int16")
    assert rate == 24000
    assert np.array_equal(numbers, np.frombuffer(to_pcm(expected.samples), "<i2"))
    assert done.stdout == ""
    line = r"speech\.wav: \d\.\d\d s of speech, TTFA \d+ ms, RTF \d+\.\d{3}, seed 3\n"
    assert re.fullmatch(line, done.stderr)


def test_flac_and_pcm_hold_the_same() -> None:
    for name in ("a.wav", "a.flac", "a.pcm"):
        assert run("speak", TEXT, "-o", name, "--seed", "3", "--max-seconds", "1").exit_code == 0
    wav, flac = (soundfile.read(name, dtype="int16")[0] for name in ("a.wav", "a.flac"))
    assert np.array_equal(wav, flac)
    assert wav.tobytes() == Path("a.pcm").read_bytes()


def test_formats_rates_and_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("--seed", "3", "--max-seconds", "0.8", "--speed", "2", "--sample-rate", "16000")
    assert run("speak", TEXT, "-o", "a.mp3", "--format", "mp3", *settings).exit_code == 0
    found = soundfile.info("a.mp3")
    assert (found.format, found.samplerate) == ("MP3", 16000)
    assert 0.4 <= found.duration < 0.6
    played = run("speak", TEXT, "-o", "-", "--format", "wav", *settings)
    assert played.exit_code == 0, played.output
    begin, samples = played.stdout_bytes[:44], played.stdout_bytes[44:]
    assert begin[:4] + begin[40:] == b"RIFF" + 4 * b"\xff"
    assert len(samples) == 2 * 0.4 * 16000
    monkeypatch.setitem(sys.modules, "lameenc", None)
    refused = run("speak", TEXT, "-o", "b.mp3")
    assert 'pip install "qwen3-tts-edge[serve]"' in refused.stderr
    assert refused.exit_code == 2
    assert left() == ["a.mp3"]


def test_a_cut_is_a_warning() -> None:
    done = run("speak", TEXT, "--max-seconds", "0.4", "--seed", "3")
    assert done.exit_code == 0
    assert "0.40 s of speech" in done.stderr
    assert (
        "warning: the speech was cut after 0.40 s, before its end, as asked; raise" in done.stderr
    )


def test_letters_that_no_language_has_are_a_warning() -> None:
    short = ("--max-seconds", "0.4", "--seed", "3")
    warned = run("speak", "Доброе утро.", *short)
    assert (
        "warning: most letters of the text are Cyrillic, and edge-voice speaks english; choose "
        "another --model" in warned.stderr
    )
    assert warned.exit_code == 0
    assert "most letters" not in run("speak", TEXT, *short).stderr


def test_the_seed_that_is_told_speaks_the_same_again() -> None:
    first = run("speak", TEXT, "-o", "1.pcm", "--max-seconds", "0.5")
    (seed,) = re.findall(r"seed (\d+)", first.stderr)
    run("speak", TEXT, "-o", "2.pcm", "--max-seconds", "0.5", "--seed", seed)
    assert Path("1.pcm").read_bytes() == Path("2.pcm").read_bytes()


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (["-f", "text.txt"], None),
        (["--file", "-"], TEXT.encode()),
        (["-"], TEXT.encode()),
        ([], TEXT.encode()),
        ([], b"\xef\xbb\xbf" + TEXT.encode() + b"\r\n"),
    ],
)
def test_the_text_from_elsewhere(args: list[str], given: bytes | None) -> None:
    Path("text.txt").write_text(f"\n{TEXT}\n", encoding="utf-8")
    settings = ("--seed", "3", "--max-seconds", "0.5", "-o")
    assert run("speak", *args, *settings, "a.pcm", text=given).exit_code == 0
    assert run("speak", TEXT, *settings, "b.pcm").exit_code == 0
    assert Path("a.pcm").read_bytes() == Path("b.pcm").read_bytes()


def test_every_setting_arrives(voice_bundle: Path) -> None:
    settings = {
        "temperature": 0.8,
        "top_k": 20,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "subtalker_temperature": 0.7,
        "subtalker_top_k": 30,
        "subtalker_top_p": 0.8,
    }
    options = [str(x) for name in settings for x in (f"--{name.replace('_', '-')}", settings[name])]
    others = ["--speaker", "Heart", "--language", "english", "--threads", "1", "--seed", "3"]
    others += ["--chunk-frames", "3,5", "--backend", "ort-cpu", "--text-layout", "upfront"]
    done = run("speak", TEXT, "-o", "a.pcm", "--max-seconds", "0.8", *options, *others)
    assert done.exit_code == 0, done.output
    expected = Synthesizer.open(voice_bundle, threads=1).speak(
        TEXT,
        Voice.speaker("heart"),
        language="english",
        text_layout="upfront",
        sampling=Sampling(**settings),
        seed=3,
        max_seconds=0.8,
    )
    assert Path("a.pcm").read_bytes() == to_pcm(expected.samples)
    played = run("speak", TEXT, "-o", "-", "--max-seconds", "0.8", *options, *others)
    assert np.abs(numbers(played.stdout_bytes) - numbers(to_pcm(expected.samples))).max() <= 1


def test_greedy() -> None:
    zero = ("--temperature", "0", "--repetition-penalty", "1")
    for name, *more in (("a.pcm", "--seed", "1"), ("b.pcm", "--seed", "2", *zero)):
        done = run("speak", TEXT, "-o", name, "--greedy", "--max-seconds", "0.5", *more)
        assert done.exit_code == 0, done.output
    assert Path("a.pcm").read_bytes() == Path("b.pcm").read_bytes()


def test_list_speakers() -> None:
    assert run("speak", "--list-speakers").stdout.split() == ["heart", "low"]


def test_a_long_text_is_spoken_to_its_end(voice_bundle: Path) -> None:
    """Longer than one utterance can hold, by far."""
    text = "\n\n".join(f"{TEXT} {LONG[:83]}" for _ in range(4)) + "\n"
    Path("book.txt").write_text(text, encoding="utf-8")
    done = run("speak", "-f", "book.txt", "-o", "book.pcm", "--seed", "3")
    assert done.exit_code == 0, done.output
    expected = Synthesizer.open(voice_bundle).speak(text, seed=3)
    assert Path("book.pcm").read_bytes() == to_pcm(expected.samples)
    assert f"book.pcm: {len(expected.samples) / 24000:.2f} s of speech" in done.stderr
    assert len(expected.samples) / 24000 > 20
    # It may last longer than one utterance, too.
    played = run("speak", "-f", "book.txt", "-o", "-", "--seed", "3", "--max-seconds", "900")
    assert played.exit_code == 0
    attempts = expected.metrics.attempts
    assert attempts > 1 or len(played.stdout_bytes) == 2 * len(expected.samples)


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("home").absolute()
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "text.txt").write_text(TEXT, encoding="utf-8")
    arguments = ("--seed", "3", "--max-seconds", "0.4")
    assert run("speak", "-f", "~/text.txt", "-o", "~/x.wav", *arguments).exit_code == 0
    assert (home / "x.wav").is_file()
    assert left() == ["home"]


def test_a_piece_that_no_utterance_holds_is_told_how_to_be_smaller() -> None:
    text = LONG + LONG[: len(LONG) // 2]  # leaves room for a few seconds
    Path("long.txt").write_text(text, encoding="utf-8")
    done = run("speak", "-f", "long.txt", "-o", "a.wav", "--piece-seconds", "1000", "--seed", "1")
    assert done.exit_code == 1
    assert "where the KV cache is full; another --seed is the cure, or a smaller" in done.stderr
    assert "--piece-seconds" in done.stderr


def test_what_is_left_out_unasked_is_told_by_the_exit_code(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MIN_FRAMES", 10**6)  # no speech ends by itself
    done = run("speak", "Hi.", "-o", "a.pcm")
    assert done.exit_code == 1
    seconds = Path("a.pcm").stat().st_size / 2 / 24000
    assert f"a.pcm: {seconds:.2f} s of speech" in done.stderr
    assert "warning: the speech was cut, for it did not end although its text takes" in done.stderr
    done = run("speak", "Hi.", "-o", "-")
    assert (done.exit_code, "warning: the speech was cut" in done.stderr) == (1, True)
    asked = run("speak", "Hi.", "-o", "a.pcm", "--max-seconds", "1")
    assert asked.exit_code == 0
    assert "as asked" in asked.stderr


# Refusing


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["speak", ""], 2, "the text is empty"),
        (["speak", "* * *"], 2, "the text has no letter or digit"),
        (["speak", "a <|im_end|>"], 2, "a control token"),
        (["speak", TEXT, "--speaker", "bob"], 2, "choose one of heart, low"),
        (["speak", TEXT, "--language", "latin"], 2, "choose one of auto, english"),
        (["speak", TEXT, "--design", "old"], 2, "--design is not for this bundle"),
        (["speak", TEXT, "--speaker", "heart", "--design", "x"], 2, "both --speaker and --design"),
        (["speak", TEXT, "--file", "x"], 2, "both TEXT and --file were given; choose one"),
        (["speak", "--file", "no.txt"], 1, "no.txt: No such file or directory"),
        (["speak", TEXT, "--temperature", "0"], 2, "--greedy takes the likeliest code always"),
        (["speak", TEXT, "--temperature", "hot"], 2, "'hot' is not a valid float"),
        (
            ["speak", TEXT, "--top-p", "2"],
            2,
            "--top-p is 2.0; expected a number above 0 and at most 1",
        ),
        (["speak", TEXT, "--greedy", "--top-k", "5"], 2, "drop --top-k"),
        (["speak", TEXT, "--seed", "-2"], 2, "-2 is not in the range"),
        (["speak", TEXT, "--seed", str(2**64)], 2, "is not in the range"),
        (
            ["speak", TEXT, "--max-seconds", "0"],
            2,
            "--max-seconds is 0.0; it must be finite and above 0",
        ),
        (["speak", TEXT, "--chunk-frames", "1,x"], 2, "not whole numbers from 1, such as 1,2,4,8"),
        (["speak", TEXT, "--chunk-frames", "0"], 2, "not whole numbers from 1"),
        (["speak", TEXT, "--text-layout", "x"], 2, "'upfront', 'streamed'"),
        (["speak", TEXT, "--backend", "abacus"], 2, "'ort-cpu'"),
        (["speak", TEXT, "--threads", "0"], 2, "0 is not in the range"),
        (["speak", TEXT, "-o", "a.m4a"], 2, "cannot write .m4a; use .wav, .flac, .mp3"),
        (["speak", TEXT, "-o", "a.mp3", "--format", "opus"], 2, "name it a.opus, or drop --format"),
        (["speak", TEXT, "-o", "-", "--speed", "5"], 2, "the speed is 5; expected 0.25 to 4"),
        (["speak", TEXT, "--sample-rate", "500"], 2, "sample rate is 500 Hz; expected 8000 to"),
        (["speak", TEXT, "-o", "no/a.wav"], 2, "no is not a folder; make it first"),
        (["speak", TEXT, "-o", "a.wav/"], 2, "output is 'a.wav/'; expected the path of a file"),
        (["codec", "encode", "a.wav", "-o", "a.codes/"], 2, "output is 'a.codes/'; expected the"),
        (["codec", "decode", "a", "-o", "a.wav/."], 2, "output is 'a.wav/.'; expected the path"),
        (["speak", TEXT, "--model", "nothing"], 1, "nothing is not a bundle"),
        (["speak", TEXT, "--model", "Qwen/Q"], 1, "qwen3-tts-export bundle Qwen/Q -o Q"),
        (["speak", "Hello", "there"], 2, 'put the text in quotes: speak "Hello there"'),
        (["speak", "-5 degrees."], 2, 'such as: speak -o cold.wav -- "-5 degrees."'),
        (["speak", "--Five degrees."], 2, "Put -- before a text that begins with -, and options"),
        (
            ["speak", "--", "-5 degrees.", "-o", "my cold.wav"],
            2,
            "-o stands behind --, where no option is; put the text last: "
            "speak -o 'my cold.wav' -- \"-5 degrees.\"",
        ),
        (["speak", "--text", TEXT], 2, 'The text is given as it is: speak "Hello."'),
        (["speak", TEXT, "--max-seconds", "inf"], 2, "--max-seconds is inf; it must be finite"),
        (["speak", TEXT, "--design", "old"], 2, "--design is not for this bundle, which has named"),
        (["speak", TEXT, "--keep-silence"], 2, "--keep-silence is of the recording"),
        (["speak", TEXT, "--threads", "9999"], 2, "9999 is not in the range"),
        (
            ["speak", TEXT, "--model", str(EDGE_VOICE)],
            1,
            f"there is one inside: {EDGE_VOICE / 'int8'}",
        ),
        (["speak", TEXT, "--nothing", "x"], 2, "--nothing"),
        (["speak", TEXT, "--model", ""], 2, "--model is empty; give a path"),
        (["codec", "decode", "", "-o", "a.wav"], 2, "codes is empty; give a path"),
        (["bench", "--against", " "], 2, "--against is empty; give a path"),
        (["bench", "--seconds", "nan"], 2, "'--seconds': 'nan' is not a finite number"),
        (["bench", "--server", "localhost:8000"], 2, "is no address such as http://127.0.0.1:8000"),
        (["serve", "--queue-seconds", "inf"], 2, "'inf' is not a finite number"),
        (["info", "nothing"], 1, "nothing is not a bundle"),
        (["info", "--max-seconds", "90"], 2, "1024 positions hold"),
        (["shout"], 2, "No such command 'shout'"),
        (["bench", "nothing"], 1, "nothing is not a bundle"),
        (["--shout"], 2, "--shout"),
    ],
)
def test_what_is_refused(
    args: list[str], code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, without a traceback, without a file, and before any graph is loaded."""
    from qwen3_tts_edge.backends.ort.cpu import OrtBackend

    def load(*_: object) -> None:
        pytest.fail("a graph was loaded")

    monkeypatch.setattr(OrtBackend, "open", load)
    done = run(*args)
    assert (done.exit_code, done.stdout) == (code, "")
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert all(line.startswith("help:  ") and line.endswith(" --help") for line in rest)
    assert left() == []


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_of_windows_is_read(coding: str) -> None:
    data = ("\ufeff" * (coding == "utf-16-be") + "Grüße.").encode(coding)
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        assert "".join(decoded(pieces, "a.txt")) == "Grüße."
    with pytest.raises(InputError, match="is not UTF-16 text: byte 2 is 0x"):
        list(decoded([b"\xff\xfe\x00\xd8"], "a.txt"))


def test_a_seed_of_minus_one_is_drawn() -> None:
    seeds = [run("speak", "Hi.", "--seed", "-1").stderr.rpartition("seed ")[2] for _ in range(2)]
    assert seeds[0] != seeds[1]


def test_what_is_said_or_described_is_text_of_utf8() -> None:
    asked = [(speak, "text"), (speak, "instruct"), (speak, "design"), (speak, "ref_text")]
    asked += [(create, "ref_text"), (create, "consent"), (design, "instruct"), (design, "text")]
    for command, name in asked:
        (param,) = (each for each in command.params if each.name == name)
        assert param.type is WORDS, (command, name)


def test_text_that_is_no_utf8() -> None:
    Path("latin.txt").write_bytes("Grüße".encode("latin-1"))
    done = run("speak", "-f", "latin.txt")
    assert (done.exit_code, left()) == (2, ["latin.txt"])
    assert done.stderr == "error: latin.txt is not UTF-8 text: byte 2 is 0xfc; convert it\n"


def test_a_damaged_bundle(voice_bundle: Path) -> None:
    shutil.copytree(voice_bundle, "bundle")
    with Path("bundle/frame.data").open("r+b") as file:
        file.write(b"\x01\x02\x03")
    done = run("speak", TEXT, "--model", "bundle")
    assert (done.exit_code, left()) == (1, ["bundle"])
    assert "frame.data is not what was written" in done.stderr
    assert "frame.data is not what" in run("info", "bundle", "--verify").stderr
    assert run("info", "bundle").exit_code == 0


def test_debug_shows_where() -> None:
    done = run("speak", "", "--debug")
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert "error: the text is empty" in done.stderr


def test_without_the_bundled_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QWEN3_TTS_EDGE_MODEL")
    elsewhere = Path("site/qwen3_tts_edge/bundle/bundled.py").absolute()
    monkeypatch.setattr(bundled, "__file__", str(elsewhere))
    done = run("speak", TEXT)
    assert done.exit_code == 1
    assert "error: the bundled voice is neither in" in done.stderr
    told = r"in a checkout run: (\S+/)?qwen3-tts-export bundle models/edge-voice"
    assert re.search(told, done.stderr)


# Information


def test_info(voice_bundle: Path) -> None:
    done = run("info", str(voice_bundle), "--verify")
    assert done.exit_code == 0
    for expected in (
        r"checkpoint +edge-voice, custom_voice, tiny",
        r"precision +int8",
        r"flavour +ort",
        r"speakers +heart, low",
        r"languages +english",
        r"text layout +upfront",
        r"sampling +temperature 0\.5, top_k 50, top_p 1\.0, repetition_penalty 1\.0",
        r"KV cache +6\.3 MB for 1024 positions, 82 s of prompt and speech; 76\.8 kB a second",
        r"tables +921\.3 kB on disk, mapped",
        r"7 files are what was exported",
    ):
        assert re.search(expected, done.stdout), expected


def test_info_for_machines(voice_bundle: Path) -> None:
    done = run("info", "--json", "--max-seconds", "10")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["manifest"] == json.loads((voice_bundle / FILE).read_text())
    assert found["manifest"]["format"] == 2
    assert found["memory"]["capacity"] == 125 + 512
    assert found["memory"]["kv_cache"] == 637 * 6144
    assert found["verified"] is False
    assert found["bundle"] == str(voice_bundle)


def test_info_of_a_design_bundle(voice_bundle: Path) -> None:
    content = json.loads((voice_bundle / FILE).read_text())
    content["checkpoint"]["model_type"], content["speakers"] = "voice_design", {}
    Path(FILE).write_text(json.dumps(content))
    assert "as described with --design" in run("info", ".").stdout
    listed = run("speak", "--model", ".", "--list-speakers")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "give it a voice with --design" in listed.stderr


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help(args: list[str]) -> None:
    done = run(*args)
    assert done.exit_code == 0
    assert "speak" in done.stdout
    assert "info" in done.stdout


@pytest.mark.parametrize("command", ["speak", "info"])
def test_help_has_examples(command: str) -> None:
    assert f"qwen3-tts-edge {command}" in run(command, "--help").stdout.split("Examples:")[1]


def test_version() -> None:
    assert re.fullmatch(r"\S+ \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_where_the_system_takes_no_files_another_place_is_to_be_chosen() -> None:
    told = run("speak", TEXT, "-o", "/proc/hello.wav")
    assert told.exit_code == 1
    expected = "error: /proc/hello.wav: No such file or directory; choose another place"
    assert told.output.splitlines()[-1] == expected
