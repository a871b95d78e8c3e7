"""Rung 3: streamed samples are the one-shot samples, whatever the chunks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.answers import AskedOnce
from parity.tolerances import assert_close
from qwen3_tts_edge import Sampling, Synthesizer
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.speech.stream import RAMP
from tiny import EDGE_VOICE

Judge = Callable[[Path], AskedOnce]
NAMES = ("tiny", "edge-voice")


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path], exact_voice_bundle: Path) -> Callable[[str], Path]:
    return lambda name: exact_voice_bundle if name == "edge-voice" else tiny_bundle()


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    return lambda name: EDGE_VOICE if name == "edge-voice" else tiny_checkpoint()


@pytest.fixture(scope="module")
def decoders(bundle: Callable) -> dict[str, CodecDecoder]:
    made = {}
    for name in NAMES:
        made[name] = CodecDecoder.open(CodecBundle.open(bundle(name)), open_backend(threads=1))
    return made


def decoded(decoder: CodecDecoder, codes: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Push chunks of the given sizes, the last size over and over."""
    stream = decoder.begin()
    pieces, at, sizes = [], 0, list(sizes)
    while at < len(codes):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        pieces.append(stream.push(codes[at : at + size]))
        at += size
    return np.concatenate(pieces)


@pytest.mark.parametrize(("name", "sizes"), [("tiny", RAMP), ("edge-voice", (300,))], ids=str)
def test_the_stream_is_the_official_full_decode(
    judge: Judge,
    checkpoint: Callable,
    decoders: dict[str, CodecDecoder],
    spoken_codes: np.ndarray,
    name: str,
    sizes: tuple[int, ...],
) -> None:
    """160 frames, random where the codec is: past the attention window of 72, twice."""
    codes = np.random.default_rng(7).integers(0, 2048, (160, 16))
    if name == "edge-voice":
        codes = spoken_codes[:160]
    expected = judge(checkpoint(name)).decode(codes)
    found = decoded(decoders[name], codes, sizes)
    assert_close("streaming.official", found, expected, f"{name}, {sizes}")


def test_speech_is_the_official_decode_of_its_codes(judge: Judge, bundle: Callable) -> None:
    """From text to samples: the bundled voice's sentence, decoded by the official codec."""
    tts = Synthesizer.open(bundle("edge-voice"), threads=1, verify=False)
    audio = tts.speak(
        "What is the weather like today?", sampling=Sampling.greedy(), seed=0, max_seconds=16.0
    )
    assert audio.metrics.ended
    oracle = judge(EDGE_VOICE)
    assert_close("streaming.official", audio.samples, oracle.decode(audio.codes), "one forward")
    assert_close("streaming.official", audio.samples, oracle.decode_chunked(audio.codes), "public")


@settings(max_examples=25)
@given(
    name=st.sampled_from(NAMES),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_chunking_of_any_codes_gives_the_same_samples(
    decoders: dict[str, CodecDecoder],
    spoken_codes: np.ndarray,
    name: str,
    sizes: list[int],
    seed: int,
) -> None:
    codes = np.random.default_rng(seed).integers(0, 2048, (sum(sizes), 16))
    if name == "edge-voice":
        codes = np.roll(spoken_codes, seed % len(spoken_codes), axis=0)[: sum(sizes)]
    whole = decoded(decoders[name], codes, [len(codes)])
    assert_close("streaming.samples", decoded(decoders[name], codes, sizes), whole, f"{sizes}")


def test_an_utterance_begins_in_silence_whatever_was_spoken_before(
    decoders: dict[str, CodecDecoder],
) -> None:
    codes = np.random.default_rng(8).integers(0, 2048, (90, 16))
    first = decoded(decoders["tiny"], codes[:5], [5])
    before = decoders["tiny"].begin()
    before.push(codes)
    state = before.state
    del before
    again = decoders["tiny"].begin()
    assert again.state is state
    assert np.array_equal(again.push(codes[:5]), first)


@settings(max_examples=15)
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), min_size=4, max_size=12))
def test_streams_that_take_turns_do_not_hear_each_other(
    decoders: dict[str, CodecDecoder], turns: list[tuple[int, int]]
) -> None:
    codes = np.random.default_rng(10).integers(0, 2048, (3, 150, 16))
    streams = [decoders["tiny"].begin() for _ in codes]
    for who, size in turns:
        at = streams[who].position
        found = streams[who].push(codes[who, at : at + size])
        whole = decoded(decoders["tiny"], codes[who, : at + size], [at + size])
        assert_close("streaming.samples", found, whole[at * 1920 :], f"{turns}")


def test_what_goes_on_from_a_sound_is_the_end_of_both(decoders: dict[str, CodecDecoder]) -> None:
    """The first time and again, from a state that was kept; ten sounds are more than are kept."""
    codes = np.random.default_rng(11).integers(0, 2048, (10, 40, 16))
    for number in (0, 0, *range(10), 0, 9):
        sound, more = codes[number, :30], codes[number, 30:]
        whole = decoded(decoders["tiny"], codes[number], [40])
        stream = decoders["tiny"].begin(sound)
        assert stream.position == 30
        assert_close("streaming.samples", stream.push(more), whole[30 * 1920 :], f"{number}")


def test_chunks_without_their_state_would_differ(decoders: dict[str, CodecDecoder]) -> None:
    """What the comparison above would say of a codec that forgets."""
    codes = np.random.default_rng(9).integers(0, 2048, (8, 16))
    whole = decoded(decoders["tiny"], codes, [8])
    halves = [decoded(decoders["tiny"], half, [4]) for half in (codes[:4], codes[4:])]
    with pytest.raises(AssertionError, match=r"streaming.samples .*> 1e-05"):
        assert_close("streaming.samples", np.concatenate(halves), whole)
