"""The commands `voice` and `codec`, and `speak` with a cloned voice, on tiny bundles."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from qwen3_tts_edge import InputError, Request, Synthesizer, Voice
from qwen3_tts_edge.backends import State
from qwen3_tts_edge.backends.ort.graph import OrtGraph
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.cli import commands
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.listener import Listener

TEXT, REFERENCE_TEXT = "Set a timer.", "Who is it?"


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest) -> Path:
    pytest.importorskip("torch")
    make: Callable[..., Path] = request.getfixturevalue("tiny_bundle")
    return make("base")


@pytest.fixture(autouse=True)
def _here(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder with a recording, with the base bundle as the default model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QWEN3_TTS_EDGE_MODEL", str(base))
    monkeypatch.setenv(library.VARIABLE, str(tmp_path / "voices"))
    soundfile.write("anna.wav", sound(2.2, 44100), 44100)


def sound(seconds: float, rate: int) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 9))
    return (0.15 * tone * (1.1 + np.sin(6 * np.pi * at))).astype(np.float32)


def run(*args: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(commands, [str(arg) for arg in args], input=given)


def good(*args: object) -> Result:
    done = run(*args)
    assert done.exit_code == 0, done.output
    return done


def create(name: str = "anna", *more: object) -> Path:
    good("voice", "create", name, "--ref-audio", "anna.wav", *more)
    return library.path_of(name)


def refused(message: str, *args: object, code: int = 2) -> None:
    done = run(*args)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


# Voices


def test_a_voice_is_created_shown_listed_and_deleted(base: Path) -> None:
    path = create("anna", "--ref-text", REFERENCE_TEXT, "--consent", "Anna, for us alone")
    assert path == Path.cwd() / "voices" / "anna.safetensors"
    assert [file.name for file in path.parent.iterdir()] == ["anna.safetensors"]
    profile = Voice.load(path)
    assert profile.codes is not None
    assert (profile.codes.shape, profile.text) == ((28, 16), REFERENCE_TEXT)
    listed = good("voice", "list").stdout
    assert re.fullmatch(r"anna +in context, 28 frames, base 0b6\n", listed)
    assert json.loads(good("voice", "list", "--json").stdout) == [
        {"name": "anna", "file": str(path)}
    ]
    shown = json.loads(good("voice", "show", "anna", "--json").stdout)
    assert shown["text"] == REFERENCE_TEXT
    assert shown["family"]["hidden_size"] == 128
    assert shown["provenance"]["consent"] == "Anna, for us alone"
    assert shown["provenance"]["source"] == "anna.wav"
    assert shown["provenance"]["checkpoint"] == Manifest.load(base).checkpoint.name
    lines = good("voice", "show", str(path)).stdout.splitlines()
    assert "consent         Anna, for us alone" in lines
    good("voice", "delete", "anna")
    assert not path.exists()
    assert "no voices in" in good("voice", "list").stderr


def test_without_its_text_only_the_vector_is_kept() -> None:
    profile = Voice.load(create())
    assert (profile.codes, profile.text) == (None, None)
    assert re.match(r"anna +speaker vector, base 0b6", good("voice", "list").stdout)


def test_a_recording_from_stdin_is_its_file() -> None:
    create()
    expected = Voice.load(library.find("anna"))
    done = run("voice", "create", "piped", "--ref-audio", "-", given=Path("anna.wav").read_bytes())
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(Voice.load(library.find("Piped")).speaker_vector, expected.speaker_vector)


def test_silence_and_a_text_of_another_recording_are_told(caplog: pytest.LogCaptureFixture) -> None:
    samples, rate = soundfile.read("anna.wav")
    soundfile.write("late.wav", np.pad(samples, (3 * rate, 0)), rate)
    Path("said.txt").write_text("It is said in here.")
    late = ("--ref-audio", "late.wav", "--ref-text", "said.txt")
    done = run("voice", "create", "late", *late)
    assert "--ref-text said.txt is the name of a file" in done.stderr
    assert "2.8 s are left out" in caplog.text
    assert run("voice", "create", "kept", *late, "--keep-silence").exit_code == 0
    frames = [len(Voice.load(library.find(name)).codes) for name in ("late", "kept")]
    assert frames[1] - frames[0] == pytest.approx(2.75 * 12.5, abs=1)


def test_a_text_that_is_none_is_named(base: Path) -> None:
    tts = Synthesizer.open(base, verify=False)
    for text in (7, b"Who is it?", [REFERENCE_TEXT]):
        with pytest.raises(InputError, match=r"^ref_text is .*; expected what the recording says"):
            tts.clone("anna.wav", text)  # type: ignore[arg-type]


def test_a_name_may_look_like_a_file() -> None:
    create("anna.safetensors")
    shown = good("voice", "show", "anna.safetensors").output
    assert "anna.safetensors.safetensors" in shown
    refused("there is no voice 'b.safetensors'", "voice", "show", "b.safetensors")


def test_a_name_that_is_taken() -> None:
    create()
    refused("there is a voice 'anna' already", "voice", "create", "anna", "--ref-audio", "anna.wav")
    create("anna", "--replace", "--ref-text", REFERENCE_TEXT)
    assert Voice.load(library.path_of("anna")).text == REFERENCE_TEXT


def test_a_damaged_voice_does_not_hide_the_others() -> None:
    create()
    (library.folder() / "old.safetensors").write_bytes(b"old")
    listed = good("voice", "list").stdout.splitlines()
    assert listed[0].startswith("anna")
    assert re.match(r"old +unusable: .*is not a voice profile", listed[1])


def test_what_voice_create_refuses(tiny_bundle: Callable[..., Path]) -> None:
    soundfile.write("short.wav", sound(0.5, 24000), 24000)
    soundfile.write("silent.wav", np.zeros(48000), 24000)
    Path("text.wav").write_text("no sound")
    ask = ("voice", "create", "anna", "--ref-audio")
    refused(r"short\.wav is 0\.50 s; a voice is cloned from 1 to 60 s", *ask, "short.wav")
    refused(r"silent\.wav is silent", *ask, "silent.wav")
    refused(r"text\.wav is not a sound file", *ask, "text.wav")
    refused(r"none\.wav: No such file", *ask, "none.wav", code=1)
    refused("--ref-audio is 'https://a.b/anna.wav'; expected a path", *ask, "https://a.b/anna.wav")
    refused("--ref-audio is empty", *ask, "")
    refused("the reference's text is empty", *ask, "anna.wav", "--ref-text", " ")
    refused("or has no letter or digit", *ask, "anna.wav", "--ref-text", "...")
    refused("control token", *ask, "anna.wav", "--ref-text", "a<|im_end|>b")
    refused("cannot name a voice", "voice", "create", "../x", "--ref-audio", "anna.wav")
    refused("there is no voice 'bob'", "voice", "delete", "bob")
    refused("there is no voice 'bob.safetensors'", "voice", "show", "bob.safetensors")
    refused("^error: bob.safetensors is not a file", "voice", "show", "./bob.safetensors")
    assert library.names() == []


# Speaking with them


def test_speak_with_a_kept_voice_and_with_a_recording(base: Path) -> None:
    path = create("anna", "--ref-text", REFERENCE_TEXT)
    options = ("--seed", 3, "--max-seconds", 0.6)
    good("speak", TEXT, "--voice", "anna", "-o", "a.pcm", *options)
    good("speak", TEXT, "--voice", path, "-o", "b.pcm", *options)
    recorded = ("--ref-audio", "anna.wav", "--ref-text", REFERENCE_TEXT)
    good("speak", TEXT, *recorded, "-o", "c.pcm", *options)
    good("speak", TEXT, "--ref-audio", "anna.wav", "-o", "d.pcm", *options)
    expected = Synthesizer.open(base).speak(TEXT, Voice.load(path), seed=3, max_seconds=0.6)
    for name in ("a.pcm", "b.pcm", "c.pcm"):
        assert Path(name).read_bytes() == to_pcm(expected.samples)
    assert Path("d.pcm").read_bytes() != to_pcm(expected.samples)


def test_a_primed_voice_says_the_same_without_decoding_its_recording(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = create("plain", "--ref-text", REFERENCE_TEXT)
    done = good(
        "voice",
        "create",
        "anna",
        "--ref-audio",
        "anna.wav",
        "--ref-text",
        REFERENCE_TEXT,
        "--primed",
    )
    path = library.path_of("anna")
    assert "in context, 28 frames, primed for ort-cpu, base 0b6" in done.stderr
    nbytes = path.stat().st_size - plain.stat().st_size
    assert json.loads(good("voice", "show", "plain", "--json").stdout)["primed"] is None
    told = json.loads(good("voice", "show", "anna", "--json").stdout)["primed"]
    assert told["backend"] == "ort-cpu"
    assert 0.9 < told["bytes"] / nbytes < 1, "the rest is the header"
    lines = good("voice", "show", "anna").stdout.splitlines()
    assert f"primed          for ort-cpu, {told['bytes'] / 1e6:.1f} MB" in lines

    decoded: list[int] = []
    run = OrtGraph.run

    def counting(self: OrtGraph, inputs: dict[str, np.ndarray], state: State) -> object:
        decoded.append(inputs["codes"].shape[1] if "codes" in inputs else 0)
        return run(self, inputs, state)

    monkeypatch.setattr(OrtGraph, "run", counting)
    said = {}
    for voice in (plain, path):
        decoded.clear()
        (audio,) = Synthesizer.open(base).speak_batch(
            [Request(TEXT, Voice.load(voice), seed=3, max_seconds=0.6)]
        )
        said[voice] = audio.samples, sum(decoded) - len(audio.codes)
    assert np.array_equal(said[plain][0], said[path][0])
    assert (said[plain][1], said[path][1]) == (28, 0)
    Synthesizer.open(base).prime(Voice.load(plain)).save("mine.safetensors")
    mine, theirs = (Voice.load(file).primed for file in ("mine.safetensors", path))
    assert mine is not None
    assert theirs is not None
    assert mine.sha256() == theirs.sha256()


def test_what_cannot_be_primed(tiny_bundle: Callable[..., Path], base: Path) -> None:
    refused(
        "--primed is for a voice in context",
        "voice",
        "create",
        "x",
        "--ref-audio",
        "anna.wav",
        "--primed",
    )
    with pytest.raises(InputError, match="only a speaker vector; clone the voice with what the"):
        Synthesizer.open(base).prime(Voice.load(create()))
    named = Synthesizer.open(tiny_bundle("custom_voice"))
    with pytest.raises(InputError, match="the voice is no clone"):
        named.prime(Voice.speaker(named.speakers[0]))


def test_what_speak_refuses(tiny_bundle: Callable[..., Path]) -> None:
    create()
    speak = ("speak", TEXT, "-o", "a.wav")
    both = "both --voice and --ref-audio were given; choose one"
    refused(both, *speak, "--voice", "anna", "--ref-audio", "anna.wav")
    refused("both come from stdin; choose one", "speak", "--ref-audio", "-")
    refused("--ref-text says what --ref-audio says", *speak, "--ref-text", "Hi")
    refused("there is no voice 'bob' in .*; there are: anna", *speak, "--voice", "bob")
    refused("this bundle clones voices; give a recording with --ref-audio", *speak)
    named = ("--model", tiny_bundle("custom_voice"))
    refused("--voice is not for this bundle, which has named", *speak, "--voice", "anna", *named)
    refused(
        "--ref-audio is not for this bundle, which has named",
        *speak,
        "--ref-audio",
        "anna.wav",
        *named,
    )
    refused("does not clone", "voice", "create", "x", "--ref-audio", "anna.wav", *named)
    refused("has no codec encoder", "codec", "encode", "anna.wav", "-o", "a.codes", *named)
    assert not Path("a.wav").exists()


def test_a_voice_of_another_size_is_refused_with_the_reason(base: Path) -> None:
    path = create()
    manifest = json.loads((base / "manifest.json").read_text())
    manifest["checkpoint"]["model_size"] = "1b7"
    other = Path("other")
    other.mkdir()
    for file in base.iterdir():
        (other / file.name).symlink_to(file)
    (other / "manifest.json").unlink()
    (other / "manifest.json").write_text(json.dumps(manifest))
    message = "the voice was cloned for a checkpoint of model size 0b6, this one has 1b7"
    refused(message, "speak", TEXT, "--voice", path, "--model", other)


def test_list_speakers_of_a_bundle_that_clones() -> None:
    assert "give it a voice with --voice or --ref-audio" in good("speak", "--list-speakers").stderr


def test_a_designed_voice_is_kept(base: Path, tiny_bundle: Callable[..., Path]) -> None:
    design = tiny_bundle("voice_design")
    ask = ("voice", "design", "--instruct", "an old sailor", "--base", base, "--model", design)
    short = ("--seed", 4, "--max-seconds", 2)
    done = run(*ask, "captain", *short)
    # Random weights end by chance. What matters: it ends well, or says that it did not.
    if done.exit_code:
        assert "did not come to an end within 2 s; try another --seed" in done.stderr
        assert library.names() == []
        return
    profile = Voice.load(library.path_of("captain"))
    assert profile.provenance is not None
    assert profile.provenance.design == "an old sailor"


@pytest.fixture
def designer(tiny_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose speech comes to an end: the one thing that random weights do not do."""
    whole = Synthesizer.stream

    def ending(self: Synthesizer, *args: object, **options: object) -> object:
        for chunk in whole(self, *args, **options):  # type: ignore[arg-type]
            chunk.metrics.ended = chunk.metrics.ended is not None or None
            yield chunk

    monkeypatch.setattr(Synthesizer, "stream", ending)
    return tiny_bundle("voice_design")


def test_a_designed_voice_that_ends(base: Path, designer: Path) -> None:
    ask = ("voice", "design", "captain", "--instruct", "an old sailor", "--base", base)
    good(*ask, "--model", designer, "--seed", 4, "--max-seconds", 2, "--text", "Aye.", "--primed")
    profile = Voice.load(library.path_of("captain"))
    assert profile.codes is not None
    assert profile.primed is not None
    assert (len(profile.codes), profile.text) == (25, "Aye.")
    assert profile.provenance is not None
    assert (profile.provenance.design, profile.provenance.source) == ("an old sailor", None)
    good("speak", TEXT, "--voice", "captain", "-o", "a.wav", "--max-seconds", 0.3)
    deaf = ("voice", "design", "x", "--instruct", "deep", "--base", designer, "--model", designer)
    refused("does not clone voices", *deaf)


def test_a_name_that_is_taken_while_a_voice_is_designed(
    base: Path, designer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Listener.voice

    def slowly(*args: object, **options: object) -> object:
        library.path_of("captain").write_bytes(b"another's")
        return hear(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Listener, "voice", slowly)
    ask = ("voice", "design", "captain", "--instruct", "deep", "--base", base, "--model", designer)
    refused("there is a voice 'captain' already", *ask, "--seed", 4, "--max-seconds", 2)
    assert library.path_of("captain").read_bytes() == b"another's"


def test_info_and_bench_know_a_base_bundle() -> None:
    told = good("info").stdout
    assert "as cloned, with --voice or --ref-audio" in told
    assert "speaker_encoder" in told
    good("bench", "--runs", 1, "--seconds", 1)


# The codec


def test_sound_to_codes_and_back(base: Path) -> None:
    done = good("codec", "encode", "anna.wav", "-o", "anna.codes")
    assert done.stderr == "anna.codes: 28 frames, 2.20 s\n"
    found = CodeFile.load("anna.codes")
    assert found.codes.shape == (28, 16)
    # One more than 2.2 s: the official resampling rounds up what is 52800.00000000001.
    assert found.content.samples == 52801
    listener = Listener.open(Bundle.open(base))
    clone = listener.voice("anna.wav", REFERENCE_TEXT)
    assert clone is not None
    assert np.array_equal(clone.codes, found.codes)
    good("codec", "decode", "anna.codes", "-o", "again.wav")
    samples, rate = soundfile.read("again.wav", dtype="int16")
    assert (rate, len(samples)) == (24000, 52801)
    whole = Synthesizer.open(base).decoder.decode(found.codes)[:52801]
    assert np.abs(np.frombuffer(to_pcm(whole), "<i2").astype(int) - samples).max() <= 1
    good("codec", "decode", "anna.codes", "-o", "again.flac")
    streamed = good("codec", "decode", "anna.codes", "-o", "-")
    assert np.array_equal(np.frombuffer(streamed.stdout_bytes, "<i2"), samples)
    assert streamed.stderr == "stdout: 2.20 s\n"
    wav = good("codec", "decode", "anna.codes", "-o", "-", "--format", "wav").stdout_bytes
    assert wav[4:8] == wav[40:44] == b"\xff" * 4  # its length is not known
    assert wav[44:] == streamed.stdout_bytes
    coded = good("codec", "decode", "anna.codes", "-o", "-", "--format", "flac").stdout_bytes
    assert coded.startswith(b"fLaC")


def test_what_the_codec_refuses(tiny_bundle: Callable[..., Path]) -> None:
    good("codec", "encode", "anna.wav", "-o", "anna.codes")
    soundfile.write("empty.wav", np.zeros(0), 24000)
    refused(r"empty\.wav has no samples", "codec", "encode", "empty.wav", "-o", "x")
    refused("not a sound file", "codec", "encode", "anna.codes", "-o", "x")
    refused("No such file", "codec", "encode", "none.wav", "-o", "x", code=1)
    refused("nowhere is not a folder", "codec", "encode", "anna.wav", "-o", "nowhere/x")
    refused("is not a code file or is damaged", "codec", "decode", "anna.wav", "-o", "x.wav")
    refused("cannot write .m4a", "codec", "decode", "anna.codes", "-o", "x.m4a")
    other = ("-o", "x.wav", "--format", "flac")
    refused("would be wav and --format says flac", "codec", "decode", "anna.codes", *other)
    refused("use -o -, which is PCM", "codec", "decode", "anna.codes", "-o", "/dev/stdout")
    assert not Path("x").exists()
