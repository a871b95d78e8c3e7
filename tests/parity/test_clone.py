"""Cloned voices: codes and sound are the official package's, from drawn numbers and from audio.

The official package cuts the reference off the decoded sound by a share of its length, in floating
point: for some lengths that is one sample too little, and its speech begins with the last sample of
the reference. Ours begins with the first sample after it, always.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle import Case
from oracle.answers import AskedOnce
from oracle.cases import BASE_CASES, LONG, Reference
from parity.spoken import drawn_clone, request
from parity.test_loop import assert_equal_codes
from parity.tolerances import assert_close, count
from qwen3_tts_edge import Audio, Sampling, Synthesizer, Voice
from qwen3_tts_edge.voices.reference import read_reference

Judge = Callable[[Path], AskedOnce]
PER_FRAME = 1920
FRAMES, SOME, FEW = 64, 20, 8


@pytest.fixture(scope="module")
def synthesizer(tiny_bundle: Callable[..., Path]) -> Callable[[str], Synthesizer]:
    @functools.cache
    def opened(predictor: str) -> Synthesizer:
        return Synthesizer.open(tiny_bundle("base", predictor), threads=1, verify=False)

    return opened


def spoken(tts: Synthesizer, case: Case, frames: int) -> Audio:
    """What we make of a case, greedy."""
    asked = request(case)
    seconds = frames / tts.manifest.frames_per_second
    greedy = {"sampling": Sampling.greedy(), "seed": 0, "max_seconds": seconds}
    return tts.speak(asked.text, asked.voice, verbatim=True, **greedy, **asked.options)


def official_cut(reference: int, frames: int) -> int:
    """How many samples the official package takes for the reference.

    Source: `Qwen3TTSModel.generate_voice_clone`, qwen_tts/inference/qwen3_tts_model.py.
    """
    total = reference + frames
    return int(reference / max(total, 1) * (total * PER_FRAME))


def assert_equal_speech(found: np.ndarray, expected: np.ndarray, reference: int, at: str) -> None:
    """Compare sound, but for the sample that the official cut may leave."""
    frames = len(found) // PER_FRAME
    early = reference * PER_FRAME - official_cut(reference, frames)
    assert early in (0, 1)
    assert len(expected) == len(found) + early, f"{at}: {len(expected)} and {len(found)} samples"
    assert_close("clone.samples", found, expected[early:], at)
    count("clone: cuts one sample early in the official package", early)


@pytest.mark.parametrize("case", BASE_CASES, ids=str)
def test_codes_and_sound_are_the_official_ones(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    synthesizer: Callable[[str], Synthesizer],
    case: Case,
) -> None:
    """Sound is decoded in the light of the reference, and cut behind it."""
    oracle, tts = judge(tiny_checkpoint("base", case.predictor)), synthesizer(case.predictor)
    expected, codes = oracle.speech(case, FRAMES)
    audio = spoken(tts, case, FRAMES)
    if not np.array_equal(audio.codes, codes):
        assert_equal_codes(oracle, case, tts.bundle.folder, audio.codes, FRAMES)
        return  # a tie went the other way, and with it the sound
    count("clone: codes equal", codes.size)
    assert case.reference is not None
    assert_equal_speech(audio.samples, expected, case.reference.frames, str(case))


def test_a_cut_that_the_official_package_makes_one_sample_early(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    synthesizer: Callable[[str], Synthesizer],
) -> None:
    pairs = [
        (r, f) for f in range(3, 9) for r in range(1, 40) if official_cut(r, f) < r * PER_FRAME
    ]
    assert pairs
    oracle, tts = judge(tiny_checkpoint("base", "same")), synthesizer("same")
    for heard, frames in pairs[:3]:
        reference = Reference("Who is it?", heard, seed=11)
        case = Case("base", "same", "Hello there.", None, "english", None, False, reference)
        expected, _ = oracle.speech(case, frames)
        found = spoken(tts, case, frames).samples
        assert len(expected) == frames * PER_FRAME + 1
        assert_equal_speech(found, expected, heard, str(case))
        codes = drawn_clone(reference).codes
        assert codes is not None
        assert_close("clone.samples", expected[:1], oracle.decode(codes)[-1:], "the last of it")


@pytest.mark.parametrize("non_streaming", [False, True])
@pytest.mark.parametrize("text", ["b", "Hello there, my friend.", LONG])
@pytest.mark.parametrize("heard", [1, 9, 130])
def test_any_ratio_of_reference_to_text(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    synthesizer: Callable[[str], Synthesizer],
    heard: int,
    text: str,
    non_streaming: bool,
) -> None:
    """Text that outlasts the reference many times, a reference that outlasts the text."""
    reference = Reference("Who?" if heard < 9 else LONG, heard, seed=heard)
    case = Case("base", "same", text, None, "auto", None, non_streaming, reference)
    expected, _ = judge(tiny_checkpoint("base", "same")).speech(case, FEW)
    found = spoken(synthesizer("same"), case, FEW).samples
    assert_equal_speech(found, expected, heard, str(case))


def test_chunks_of_a_clone_are_its_whole(synthesizer: Callable[[str], Synthesizer]) -> None:
    """The codec is primed with the reference whatever the chunks, and by nothing of the last."""
    tts = synthesizer("same")
    case = next(case for case in BASE_CASES if case.reference and case.reference.frames == 12)
    asked = request(case)
    options = {**asked.options, "sampling": Sampling.greedy(), "seed": 0, "max_seconds": 1.0}
    whole = tts.speak(asked.text, asked.voice, **options)
    plain = Voice.cloned(replace(drawn_clone(case.reference), codes=None, text=None))
    tts.speak("Something else.", plain, max_seconds=0.5)
    for sizes in ((1,), (100,), (5, 1)):
        again = list(tts.stream(asked.text, asked.voice, **options, chunk_frames=sizes))
        assert np.array_equal(np.concatenate([chunk.codes for chunk in again]), whole.codes)
        samples = np.concatenate([chunk.samples for chunk in again])
        assert_close("clone.samples", samples, whole.samples, f"{sizes}")


# From a recording


def recording(seconds: float, rate: int, channels: int, seed: int) -> np.ndarray:
    """A voice-like sound, float32 (n,) or (n, channels)."""
    draw = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate)) / rate
    pitch = 110 + 40 * np.sin(2 * np.pi * 0.8 * at + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 14))
    sound = 0.1 * tone * (1.1 + np.sin(2 * np.pi * 3.1 * at))
    sound = sound + 0.004 * draw.standard_normal(len(at))
    return np.stack([sound * 0.8**c for c in range(channels)], axis=1).squeeze().astype(np.float32)


RECORDINGS = [
    ("same", 3.0, 24000, 1, "Who is it?", False),
    ("same", 2.345, 24000, 1, "Who is it?", True),
    ("same", 3.21, 44100, 1, None, False),
    ("same", 2.5, 16000, 1, "It's me again, and I have a lot to say.", False),
    ("narrow", 1.9, 48000, 1, "Ja.", False),
    ("narrow", 4.4, 22050, 1, None, True),
]


@pytest.mark.parametrize(
    ("predictor", "seconds", "rate", "channels", "text", "non_streaming"), RECORDINGS
)
def test_from_a_recording_to_speech(
    judge: Judge,
    tiny_checkpoint: Callable[..., Path],
    synthesizer: Callable[[str], Synthesizer],
    predictor: str,
    seconds: float,
    rate: int,
    channels: int,
    text: str | None,
    non_streaming: bool,
) -> None:
    """The official `generate_voice_clone` from end to end: samples in, samples out."""
    heard = recording(seconds, rate, channels, seed=int(10 * seconds))
    expected = judge(tiny_checkpoint("base", predictor)).cloned(
        heard,
        rate,
        text,
        "Hello there, my friend.",
        frames=SOME,
        language="english",
        non_streaming=non_streaming,
    )
    tts = synthesizer(predictor)
    clone = tts.clone((heard, rate), text)
    assert clone is not None
    at = f"{seconds} s at {rate} Hz"
    assert_close("clone.vector", clone.speaker_vector, expected.vector, at)
    if text is not None:
        assert clone.codes is not None
        assert np.array_equal(clone.codes, expected.codes)
        count("clone: reference codes equal", clone.codes.size)
    audio = tts.speak(
        "Hello there, my friend.",
        Voice.cloned(clone),
        language="english",
        text_layout="upfront" if non_streaming else "streamed",
        sampling=Sampling.greedy(),
        max_seconds=SOME / tts.manifest.frames_per_second,
    )
    frames = 0 if clone.codes is None else len(clone.codes)
    assert_equal_speech(audio.samples, expected.samples, frames, at)


def test_a_file_is_read_as_the_official_package_reads_it(
    judge: Judge, tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """Stereo, 16 bits, 44.1 kHz: the samples that the encoders hear."""
    import librosa
    import soundfile

    path = tmp_path / "stereo.wav"
    soundfile.write(path, recording(2.2, 44100, 2, 1), 44100, subtype="PCM_16")
    wrapper = judge(tiny_checkpoint("base", "same")).live.wrapper
    ((samples, rate),) = wrapper._normalize_audio_inputs([str(path)])
    expected = librosa.resample(y=samples, orig_sr=rate, target_sr=24000)
    assert np.array_equal(read_reference(path).samples, expected)


def test_a_voice_that_was_kept_speaks_like_the_one_that_was_heard(
    synthesizer: Callable[[str], Synthesizer], tmp_path: Path
) -> None:
    tts = synthesizer("same")
    voice = tts.clone((recording(2, 24000, 1, 3), 24000), "Who is it?")
    voice.save(tmp_path / "anna.safetensors")
    kept = Voice.load(tmp_path / "anna.safetensors")
    one, other = (tts.speak("Hello.", v, seed=5, max_seconds=0.8) for v in (voice, kept))
    assert np.array_equal(one.codes, other.codes)
    assert np.array_equal(one.samples, other.samples)
