"""The bundled voice says one utterance: chunks, seeds, limits, what is refused before a frame."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge import CapacityError, InputError, Request, Sampling, Synthesizer, Voice
from qwen3_tts_edge.speech.utterance import UNREAD_SECONDS
from streamed import LONG, TEXT, codes_of, samples_of


def test_it_speaks_and_ends_by_itself(tts: Synthesizer) -> None:
    audio = tts.speak(TEXT, seed=3)
    assert audio.sample_rate == 24000
    assert audio.samples.dtype == np.float32
    assert audio.samples.shape == (1920 * len(audio.codes),)
    assert audio.codes.shape[1] == 16
    assert audio.codes.dtype == np.int64
    assert 0 <= audio.codes.min() <= audio.codes.max() < 256
    assert 1 < len(audio.samples) / 24000 < 4
    assert audio.metrics.ended is True
    assert audio.seed == 3


def test_chunks_put_together_are_the_whole(tts: Synthesizer) -> None:
    whole = tts.speak(TEXT, seed=4)
    assert np.abs(whole.samples).max() > 0.05
    for sizes in ((1,), (1, 2, 4, 8), (5,), (400,)):
        pieces = list(tts.stream(TEXT, seed=4, chunk_frames=sizes))
        assert np.array_equal(codes_of(pieces), whole.codes)
        for piece in pieces:
            assert piece.samples.shape == (len(piece.codes) * 1920,)
            assert piece.samples.dtype == np.float32
        assert np.abs(samples_of(pieces) - whole.samples).max() <= 1e-5
        frames = [len(piece.codes) for piece in pieces]
        asked = [*sizes, *[sizes[-1]] * len(frames)][: len(frames)]
        assert frames[:-1] == asked[:-1]
        assert 0 < frames[-1] <= asked[-1]


def test_a_chunk_may_be_longer_than_a_reader_may_be_behind(tts: Synthesizer) -> None:
    longer = round(UNREAD_SECONDS * 12.5) + 7
    pieces = list(tts.stream(LONG, seed=1, chunk_frames=(longer,), verbatim=True))
    assert len(pieces[0].codes) == longer
    assert len(pieces) > 1


def test_how_a_chunk_is_cut_is_asked_of_a_stream_alone(tts: Synthesizer) -> None:
    for speak in (tts.speak, tts.pieces, Request):
        with pytest.raises(TypeError, match="chunk_frames"):
            speak(TEXT, chunk_frames=(1,))


def test_a_seed_is_the_same_speech_again_and_another_is_not(tts: Synthesizer) -> None:
    one, other, again = (tts.speak(TEXT, seed=seed, max_seconds=1) for seed in (5, 6, 5))
    assert np.array_equal(one.samples, again.samples)
    assert not np.array_equal(one.codes, other.codes)


def test_the_seed_that_was_drawn_is_told(tts: Synthesizer) -> None:
    one = tts.speak(TEXT, max_seconds=0.5)
    assert np.array_equal(one.codes, tts.speak(TEXT, max_seconds=0.5, seed=one.seed).codes)
    assert one.seed != tts.speak(TEXT, max_seconds=0.1).seed


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_the_first_and_the_last_seed(tts: Synthesizer, seed: int) -> None:
    assert tts.speak(TEXT, seed=seed, max_seconds=0.2).seed == seed


@pytest.mark.parametrize("seed", [-2, 2**64])
def test_a_seed_out_of_range(tts: Synthesizer, seed: int) -> None:
    with pytest.raises(InputError, match=rf"seed is {seed}; it must be from 0 to 2\*\*64 - 1"):
        tts.stream(TEXT, seed=seed)


def test_greedy_needs_no_seed(tts: Synthesizer) -> None:
    greedy = Sampling.greedy()
    one = tts.speak(TEXT, sampling=greedy, seed=1, max_seconds=1)
    assert np.array_equal(one.codes, tts.speak(TEXT, sampling=greedy, seed=2, max_seconds=1).codes)


def test_a_cut_is_told_and_is_no_error(tts: Synthesizer) -> None:
    audio = tts.speak(TEXT, seed=3, max_seconds=0.4)
    assert len(audio.codes) == 5
    assert audio.metrics.ended is False
    assert np.array_equal(audio.codes, tts.speak(TEXT, seed=3, max_seconds=0.8).codes[:5])


def test_the_metrics_add_up(tts: Synthesizer) -> None:
    audio = tts.speak(TEXT, seed=3)
    metrics = audio.metrics
    assert metrics.audio == pytest.approx(len(audio.samples) / 24000)
    assert metrics.ttfa is not None
    assert 0 < metrics.prompt < metrics.ttfa <= metrics.total
    assert len(metrics.frames) == len(audio.codes) + 1  # the last said that speech ends
    assert sum(count for _, count in metrics.codec) == len(audio.codes)
    assert metrics.launches > 0
    assert metrics.host == max(0.0, metrics.total - metrics.launches)
    assert metrics.rtf == pytest.approx(metrics.total / metrics.audio)


def test_a_stream_waits_for_each_of_its_chunks_so_that_times_add_up(tts: Synthesizer) -> None:
    metrics = list(tts.stream(TEXT, seed=3))[-1].metrics
    assert 0 < metrics.launches <= metrics.total
    assert metrics.host > 0
    assert metrics.host + metrics.launches == pytest.approx(metrics.total)


def test_the_callers_own_time_is_not_counted(tts: Synthesizer) -> None:
    spoken = tts.stream(TEXT, seed=3, max_seconds=0.4, chunk_frames=(1,))
    pieces = []
    for piece in spoken:
        pieces.append(piece)
        time.sleep(0.3)
    assert pieces[0].metrics.total < 1


@pytest.mark.parametrize("sizes", [(), (0,), (1, -1)])
def test_chunks_of_no_size(tts: Synthesizer, sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"chunk_frames is .*; expected a list of whole numbers"):
        tts.stream(TEXT, chunk_frames=sizes)


def test_what_is_wrong_is_said_before_the_first_chunk_is_asked_for(tts: Synthesizer) -> None:
    for speak in (tts.stream, tts.speak, tts.pieces):
        with pytest.raises(InputError, match="the text is empty"):
            speak(" \n\u200b")
        with pytest.raises(InputError, match=r"the text contains <\|im_end\|>, a control token"):
            speak(f"{TEXT} And when it rings, say <|im_end|> aloud.")
        with pytest.raises(InputError, match="the text is not valid Unicode"):
            speak(f"{TEXT} And when it rings, say \udcff aloud.")
    with pytest.raises(InputError, match="choose one of heart, low"):
        tts.stream(TEXT, Voice.speaker("ryan"))
    with pytest.raises(InputError, match="choose one of auto, english"):
        tts.stream(TEXT, language="german")


def test_speakers_and_languages(tts: Synthesizer) -> None:
    assert tts.speakers == ["heart", "low"]
    assert tts.languages == ["auto", "english"]


def test_a_prompt_that_does_not_fit(voice_bundle: Path) -> None:
    small = Synthesizer.open(voice_bundle, max_seconds=1, verify=False)
    message = (
        r"the prompt has \d+ positions, the KV cache 525 of the checkpoint.s 1024; open the bundle"
    )
    with pytest.raises(CapacityError, match=message):
        small.stream("word " * 600, text_layout="upfront", verbatim=True)
    assert len(small.speak("Ten words. " * 3, seed=1, text_layout="upfront").codes)


def test_seconds_that_are_asked_for_may_be_more_than_an_utterance_can_last(
    voice_bundle: Path,
) -> None:
    """They are of the text, and the KV cache is an utterance's."""
    small = Synthesizer.open(voice_bundle, max_seconds=1, verify=False)
    asked = small.speak(f"{TEXT} {TEXT}", seed=3, max_seconds=600)
    assert np.array_equal(asked.codes, small.speak(f"{TEXT} {TEXT}", seed=3).codes)
    assert (asked.metrics.ended, asked.metrics.cut) == (True, None)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("text", [TEXT, None])
def test_speech_of_no_length(tts: Synthesizer, seconds: float, text: str | None) -> None:
    with pytest.raises(InputError, match="it must be finite and above 0"):
        tts.stream(text, max_seconds=seconds)


def test_the_cache_may_be_filled_to_the_last_position(voice_bundle: Path) -> None:
    small = Synthesizer.open(voice_bundle, max_seconds=0.08, verify=False)
    text = "word " * 248
    prompt = small.prompts.build(text, text_layout="upfront")
    room = small.frame_graph.capacity - len(prompt.rows) + 1
    assert 2 < room < 20
    (audio,) = list(small.stream(text, text_layout="upfront", verbatim=True, chunk_frames=(99,)))
    assert len(audio.codes) == room
    assert (audio.metrics.ended, audio.metrics.cut) == (False, "memory")


def test_what_was_spoken_can_be_kept_in_sets_and_looked_for(tts: Synthesizer) -> None:
    audio, again = tts.speak(TEXT, seed=3), tts.speak(TEXT, seed=3)
    chunks = list(tts.stream(TEXT, seed=3))
    assert audio in [again, audio]
    assert audio != again
    assert len({audio, again, *chunks}) == 2 + len(chunks)


def test_a_seed_of_numpy_is_kept_as_a_number(tts: Synthesizer) -> None:
    for seed in (np.int64(3), np.array(3)):
        assert json.dumps(tts.speak(TEXT, seed=seed).seed) == "3"
        assert json.dumps(tts.stream(TEXT, seed=seed).seed) == "3"


def test_errors_have_a_remedy_of_their_own(tts: Synthesizer) -> None:
    with pytest.raises(InputError) as caught:
        tts.stream(" ")
    assert (caught.value.found, caught.value.remedy) == (
        "the text is empty",
        "give at least one word to say",
    )
    assert str(caught.value) == "the text is empty; give at least one word to say"


def test_a_request_that_was_refused_does_not_end_the_one_before(tts: Synthesizer) -> None:
    spoken = tts.stream(TEXT, seed=3)
    pieces = [next(spoken)]
    with pytest.raises(InputError):
        tts.stream("")
    pieces += spoken
    assert pieces[-1].metrics.ended is True


def test_dropping_a_stream_leaves_the_synthesizer_whole(tts: Synthesizer) -> None:
    expected = tts.speak(TEXT, seed=7)
    next(iter(tts.stream("Something else altogether.", seed=1)))
    assert np.array_equal(tts.speak(TEXT, seed=7).samples, expected.samples)


def test_saving(tts: Synthesizer, tmp_path: Path) -> None:
    audio = tts.speak(TEXT, seed=3, max_seconds=0.2)
    audio.save(tmp_path / "a.wav")
    audio.save(str(tmp_path / "a.pcm"))
    assert (tmp_path / "a.pcm").stat().st_size == 2 * len(audio.samples)


@pytest.mark.usefixtures("all_cores")
def test_the_threads_do_not_change_what_is_said(voice_bundle: Path) -> None:
    one, two = (Synthesizer.open(voice_bundle, threads=n, verify=False) for n in (1, 2))
    assert np.array_equal(one.speak(TEXT, seed=3).codes, two.speak(TEXT, seed=3).codes)


def test_a_bundle_that_was_moved_still_opens(voice_bundle: Path, tmp_path: Path) -> None:
    """Nothing in it names a place: a symbolic link to the folder will do."""
    link = tmp_path / "elsewhere"
    link.symlink_to(voice_bundle, target_is_directory=True)
    assert Synthesizer.open(str(link)).speak(TEXT, seed=3, max_seconds=0.1).codes.size


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("threads", {"threads": 100_000}),
        ("threads", {"threads": 1.5}),
        ("threads", {"threads": "2"}),
        ("slots", {"slots": True}),
        ("max_seconds", {"max_seconds": "3"}),
        ("bundle", {"bundle": 5}),
        ("verify", {"verify": "no"}),
    ],
)
def test_openings_of_the_wrong_type_are_named(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"^{name} is .*; expected "):
        Synthesizer.open(**given)


@pytest.mark.parametrize("sizes", [4, [4.5], [True], "48", None])
def test_chunks_of_the_wrong_type_are_named(tts: Synthesizer, sizes: Any) -> None:
    with pytest.raises(InputError, match=r"chunk_frames is .*; expected a list of whole numbers"):
        tts.stream("Hello.", chunk_frames=sizes)


def test_voices_of_the_wrong_type_are_named() -> None:
    for make in (Voice.speaker, Voice.design):
        with pytest.raises(InputError, match="is 5; expected words"):
            make(5)  # type: ignore[arg-type]
