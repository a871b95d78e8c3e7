"""The bundled voice speaks: chunks, seeds, slots, limits, and what is refused before a frame."""

import contextlib
import gc
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge import (
    BusyError,
    CapacityError,
    Chunk,
    InputError,
    Request,
    Sampling,
    Synthesizer,
    Voice,
)
from qwen3_tts_edge.speech import scheduler
from qwen3_tts_edge.speech.lines import PARAGRAPH_PAUSE, SECTION_PAUSE, SENTENCE_PAUSE
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.speech.stream import Stream
from qwen3_tts_edge.speech.utterance import UNREAD_SECONDS

TEXT = "Set a timer for ten minutes."
LONG = (
    "The train to the coast leaves at seven, and the last one back is before midnight, "
    "and nobody knows whether we will be on it or not, for it is late already"
)
"""Spoken as one utterance it takes longer than a reader may be behind."""


@pytest.fixture(scope="module")
def tts(voice_bundle: Path) -> Synthesizer:
    return Synthesizer.open(voice_bundle)


@pytest.fixture
def alone(voice_bundle: Path) -> Synthesizer:
    """One slot."""
    return Synthesizer.open(voice_bundle, slots=1, verify=False)


def codes_of(pieces: list[Chunk]) -> np.ndarray:
    return np.concatenate([piece.codes for piece in pieces])


def until_it_starves(stream: Stream) -> list[Chunk]:
    pieces: list[Chunk] = []
    with contextlib.suppress(BusyError):
        pieces.extend(stream)
        pytest.fail("it ended")
    return pieces


def samples_of(pieces: list[Chunk]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


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


# Several at once


def test_two_streams_read_in_turns_on_one_thread_speak_as_alone(tts: Synthesizer) -> None:
    expected = [tts.speak(TEXT, seed=seed) for seed in (3, 4)]
    streams = [tts.stream(TEXT, seed=seed) for seed in (3, 4)]
    spoken: list[list[Chunk]] = [[], []]
    while any(chunks := [next(stream, None) for stream in streams]):
        for pieces, chunk in zip(spoken, chunks, strict=True):
            pieces += [chunk] if chunk else []
    for pieces, whole in zip(spoken, expected, strict=True):
        assert np.array_equal(codes_of(pieces), whole.codes)
        assert np.abs(samples_of(pieces) - whole.samples).max() <= 1e-5
        assert pieces[-1].metrics.ended is True


def test_a_stream_that_is_not_read_yet_disturbs_nobody(tts: Synthesizer) -> None:
    expected = [tts.speak(TEXT, seed=seed).codes for seed in (3, 4)]
    first, second = tts.stream(TEXT, seed=3), tts.stream(TEXT, seed=4)
    assert np.array_equal(codes_of(list(second)), expected[1])
    assert np.array_equal(codes_of(list(first)), expected[0])


def test_beside_a_half_read_stream_others_speak(tts: Synthesizer) -> None:
    first = tts.stream(TEXT, seed=3)
    pieces = [next(first)]
    assert np.array_equal(tts.speak(TEXT, seed=4).codes, tts.speak(TEXT, seed=4).codes)
    assert np.array_equal(codes_of(pieces + list(first)), tts.speak(TEXT, seed=3).codes)


def test_with_one_slot_a_second_stream_waits_for_it(alone: Synthesizer) -> None:
    expected = alone.speak(TEXT, seed=4).codes
    first, second = alone.stream(TEXT, seed=3), alone.stream(TEXT, seed=4)
    next(first)
    assert np.array_equal(codes_of(list(second)), expected)  # short enough to end unread
    assert len(list(first)) > 1


def test_a_slot_that_nobody_reads_is_told_and_reading_or_closing_it_helps(
    alone: Synthesizer,
) -> None:
    expected = alone.speak(TEXT, seed=4).codes
    first = alone.stream(LONG, seed=1, verbatim=True)
    pieces = [next(first)]
    second = alone.stream(TEXT, seed=4)
    for speak in (lambda: next(second), lambda: alone.speak(TEXT)):
        with pytest.raises(BusyError) as caught:
            speak()
        assert caught.value.found == "all 1 slots are taken by streams that nobody reads"
        assert caught.value.remedy == (
            "read one of them to its end or close it, or open the bundle with more slots"
        )
    frames = len(first.metrics.frames)
    assert frames == round(UNREAD_SECONDS * 12.5) + 1  # it rests
    pieces.append(next(first))
    assert len(first.metrics.frames) == frames
    first.close()
    assert np.array_equal(codes_of(list(second)), expected)
    assert list(first) == []


def test_a_stream_that_nobody_reads_takes_no_slot_from_one_that_is_read(
    alone: Synthesizer,
) -> None:
    expected = alone.speak(f"{TEXT} {TEXT}", seed=4).codes
    read, unread = alone.stream(f"{TEXT} {TEXT}", seed=4), alone.stream(LONG, verbatim=True)
    later = alone.stream(TEXT, seed=4)
    assert np.array_equal(codes_of(list(read)), expected)
    assert np.array_equal(codes_of(list(later)), alone.speak(TEXT, seed=4).codes)
    unread.close()


def test_another_thread_that_reads_is_waited_for(alone: Synthesizer) -> None:
    expected = [alone.speak(text, seed=1, verbatim=True).codes for text in (LONG, TEXT)]
    first = alone.stream(LONG, seed=1, verbatim=True, chunk_frames=(8,))
    pieces = [next(first)]

    def read() -> None:
        for chunk in first:
            pieces.append(chunk)
            time.sleep(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    second = alone.stream(TEXT, seed=1, verbatim=True)
    assert np.array_equal(codes_of(list(second)), expected[1])
    reader.join()
    assert np.array_equal(codes_of(pieces), expected[0])


def test_threads_that_wait_do_not_wake_each_other_for_ever(
    alone: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slot is another thread's, who reads no more: whoever waits for it is told, in the end."""
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.3)
    first = alone.stream(LONG, seed=1, verbatim=True)
    told: list[BusyError] = []

    def wait() -> None:
        try:
            next(alone.stream(TEXT, seed=2))
        except BusyError as error:
            told.append(error)

    with reading_elsewhere(first):
        waiting = [threading.Thread(target=wait, daemon=True) for _ in range(2)]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(20)
    assert len(told) == 2


def test_a_stream_that_another_thread_forgets_frees_its_slot(alone: Synthesizer) -> None:
    """It tells nobody, and the thread lives on: whoever waits looks for itself."""
    expected = alone.speak(TEXT, seed=4).codes
    streams = [alone.stream(LONG, seed=1, verbatim=True)]
    with reading_elsewhere(streams[0]):
        threading.Timer(0.3, streams.clear).start()
        begun = time.monotonic()
        assert np.array_equal(codes_of(list(alone.stream(TEXT, seed=4))), expected)
    assert time.monotonic() - begun < scheduler._PATIENCE / 2


@contextlib.contextmanager
def reading_elsewhere(stream: Stream) -> Iterator[None]:
    """A thread that takes one chunk, and then does something else."""
    begun, done = threading.Event(), threading.Event()

    def read(chunks: list[Stream]) -> None:
        next(chunks.pop())
        begun.set()
        done.wait()

    thread = threading.Thread(target=read, args=([stream],))
    thread.start()
    del stream
    begun.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_stream_that_is_closed_or_dropped_frees_its_slot(alone: Synthesizer, how: str) -> None:
    expected = alone.speak(TEXT, seed=4).codes
    first = alone.stream(LONG, seed=1, verbatim=True)
    next(first)
    if how == "close":
        first.close()
    del first
    gc.collect()
    before = len(expected) + 2
    second = alone.stream(TEXT, seed=4)
    assert np.array_equal(codes_of(list(second)), expected)
    assert len(second.metrics.frames) < before


def test_more_requests_than_slots(voice_bundle: Path) -> None:
    two = Synthesizer.open(voice_bundle, slots=2, verify=False)
    requests = [Request(TEXT[: 9 + 3 * n], seed=n) for n in range(7)]
    spoken = two.speak_batch(requests)
    assert [audio.seed for audio in spoken] == list(range(7))
    for request, audio in zip(requests, spoken, strict=True):
        expected = two.speak(request.text, seed=request.seed)
        assert np.array_equal(audio.codes, expected.codes)
        assert np.abs(audio.samples - expected.samples).max() <= 1e-5


def test_of_no_requests_nothing(tts: Synthesizer) -> None:
    assert tts.speak_batch([]) == []


def test_in_a_batch_all_is_checked_before_anything_is_spoken(tts: Synthesizer) -> None:
    before = tts.frame_graph.seconds
    for wrong in (Request(" "), Request(TEXT, Voice.speaker("ryan")), Request("a <|im_end|> b")):
        with pytest.raises(InputError):
            tts.speak_batch([Request(TEXT), wrong])
    assert tts.frame_graph.seconds == before


def test_two_threads_take_turns(tts: Synthesizer) -> None:
    expected = [tts.speak(TEXT, seed=seed).codes for seed in range(3)]
    found: dict[int, np.ndarray] = {}

    def speak(seed: int) -> None:
        found[seed] = codes_of(list(tts.stream(TEXT, seed=seed)))

    threads = [threading.Thread(target=speak, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[seed], expected[seed]) for seed in range(3))


@pytest.mark.parametrize("slots", [0, -1])
def test_slots_that_are_none(voice_bundle: Path, slots: int) -> None:
    with pytest.raises(InputError, match=f"slots is {slots}; expected a whole number from 1"):
        Synthesizer.open(voice_bundle, slots=slots)


# Texts of any length, and texts that come


def test_pieces_of_a_text_stream_as_they_are_spoken_whole(tts: Synthesizer) -> None:
    text = "Hello there. How are you?\n\nWe are fine!"
    whole = tts.speak(text, seed=2)
    pieces = list(tts.stream(text, seed=2))
    assert np.array_equal(codes_of(pieces), whole.codes)
    assert np.abs(samples_of(pieces) - whole.samples).max() <= 1e-5
    pauses = [len(piece.samples) / 24000 for piece in pieces if not len(piece.codes)]
    assert pauses == [SENTENCE_PAUSE, PARAGRAPH_PAUSE]
    assert [len(audio.samples) for _, audio in tts.pieces(text, seed=2)] == [
        sum(len(piece.samples) for piece in part) for part in _after_each_pause(pieces)
    ]
    assert whole.metrics.audio == pytest.approx(len(whole.samples) / 24000)


def test_pieces_can_be_taken_by_who_steps_for_all(tts: Synthesizer) -> None:
    """One at a time, so that it takes one slot; somebody else speaks beside it."""
    text = "Hello there. How are you?\n\nWe are fine!"
    expected = [audio.samples for _, audio in tts.pieces(text, seed=2)]
    beside = tts.speak(TEXT, seed=3).codes
    pieces, stream = tts.pieces(text, seed=2, at_once=1), tts.stream(TEXT, seed=3)
    found: list[np.ndarray] = []
    chunks: list[Chunk] = []
    while not (pieces.over and stream.over):
        tts.step()
        assert len(tts._scheduler._speaking) <= 2
        if (piece := pieces.take()) is not None:
            found.append(piece[1].samples)
        if (chunk := stream.take()) is not None:
            chunks.append(chunk)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert np.array_equal(codes_of(chunks), beside)
    left = tts.pieces(text, seed=2)
    left.close()
    assert left.over
    assert list(left) == []
    for at_once in (0, 1.5, "2"):
        with pytest.raises(InputError, match=r"at_once is .*; expected a whole number from 1"):
            tts.pieces(text, at_once=at_once)  # type: ignore[arg-type]


def test_a_batch_is_of_requests(tts: Synthesizer) -> None:
    for given in (None, TEXT, Request(TEXT)):
        with pytest.raises(InputError, match=r"^requests is .*; expected a list of Request"):
            tts.speak_batch(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"one of requests is 'Hi.'; expected a Request"):
        tts.speak_batch([Request(TEXT), "Hi."])  # type: ignore[list-item]
    one = Request("Hi.", seed=1, max_seconds=0.08)
    (alone,), both = tts.speak_batch([one]), tts.speak_batch(one for _ in range(2))
    assert [np.array_equal(alone.codes, each.codes) for each in both] == [True, True]


def _after_each_pause(pieces: list[Chunk]) -> list[list[Chunk]]:
    parts: list[list[Chunk]] = [[]]
    for piece in pieces:
        parts[-1].append(piece)
        if not len(piece.codes):
            parts.append([])
    return parts


@pytest.mark.parametrize(
    "text",
    [
        "Hello there. How are you?\n\nFine!",
        f"{TEXT}\n\n",
        TEXT,
        f"***\n{TEXT}\n\n* * *\n\n---\n\n{TEXT}\n😀\n\n...",
    ],
)
def test_a_text_that_comes_in_bits_is_spoken_as_the_whole(tts: Synthesizer, text: str) -> None:
    whole = tts.speak(text, seed=2, text_layout="streamed")
    pieces = list(tts.stream(iter(text), seed=2))
    assert np.array_equal(codes_of(pieces), whole.codes)
    assert np.abs(samples_of(pieces) - whole.samples).max() <= 1e-5
    assert len(samples_of(pieces)) == len(whole.samples)
    assert pieces[-1].metrics.ended is True


@pytest.mark.parametrize("heard", [False, True])
def test_a_pause_grows_while_it_is_waited_for(tts: Synthesizer, heard: bool) -> None:
    stream = tts.stream(None, seed=2)
    stream.feed(f"{TEXT}\n\n")
    pieces = until_it_starves(stream) if heard else []
    stream.feed("* * *\n\n")
    stream.feed(TEXT)
    stream.finish()
    pieces += list(stream)
    pauses = [len(piece.samples) / 24000 for piece in pieces if not len(piece.codes)]
    assert pauses == [SECTION_PAUSE]


def test_a_text_is_spoken_while_it_comes(tts: Synthesizer) -> None:
    taken: list[str] = []

    def words() -> Iterator[str]:
        for word in f"{TEXT} {LONG}.".split(" "):
            taken.append(word)
            yield word + " "

    stream = tts.stream(words(), seed=2)
    assert taken == []
    next(stream)
    assert 0 < len(taken) < 6
    assert len(list(stream)) > 3


def test_a_text_is_fed(tts: Synthesizer) -> None:
    expected = tts.speak(f"{TEXT} How are you?", seed=2, text_layout="streamed")
    stream = tts.stream(None, seed=2)
    with pytest.raises(BusyError, match=r"nothing to say yet: .*; feed the stream, or finish it"):
        next(stream)
    stream.feed(f"{TEXT} How")
    pieces = until_it_starves(stream)
    stream.feed(" are you?")
    stream.finish()
    stream.finish()
    with pytest.raises(InputError, match="the text has ended; start another stream for more"):
        stream.feed("more")
    assert 0 < len(stream.metrics.frames) < len(expected.codes)
    pieces += list(stream)
    assert np.array_equal(codes_of(pieces), expected.codes)
    assert stream.metrics.samples == len(expected.samples)
    assert stream.metrics.ended is True


@pytest.mark.parametrize("wrong", [OSError("the line is dead"), KeyboardInterrupt()])
def test_what_brings_the_text_may_fail_and_ends_the_stream(
    alone: Synthesizer, wrong: BaseException
) -> None:
    def words() -> Iterator[str]:
        yield f"{TEXT} And then we"
        raise wrong

    stream = alone.stream(words(), seed=2)
    with pytest.raises(type(wrong)):
        list(stream)
    assert list(stream) == [], "what came before it is not all of the text"
    assert stream.metrics.ended is not True
    assert len(alone.speak(TEXT, seed=2).codes), "its slot is free"


@pytest.mark.parametrize("wrong", [None, b"five", 5])
def test_a_piece_that_is_no_text_does_not_end_it(tts: Synthesizer, wrong: Any) -> None:
    """None is what a language model's client gives where it has nothing to say."""
    pieces = [TEXT, wrong, " How are you?"]
    for speak in (tts.speak, lambda text: list(tts.stream(text))):
        with pytest.raises(InputError, match=r"text is a .*; expected a string"):
            speak(iter(pieces))


@pytest.mark.parametrize("text", [TEXT, None])
def test_a_stream_may_be_closed_while_its_reader_waits_for_its_turn(
    tts: Synthesizer, text: str | None
) -> None:
    stream, heard = tts.stream(text, seed=2), []
    thread = threading.Thread(target=lambda: heard.append(list(stream)))
    with tts._scheduler.lock:
        thread.start()
        time.sleep(0.2)
        stream.close()
    thread.join()
    assert heard == [[]]


def test_a_stream_may_be_closed_while_its_text_is_waited_for(tts: Synthesizer) -> None:
    asked, closed = threading.Event(), threading.Event()

    def words() -> Iterator[str]:
        asked.set()
        closed.wait()
        yield TEXT

    stream = tts.stream(words(), seed=2)

    def close() -> None:
        asked.wait()
        stream.close()
        closed.set()

    thread = threading.Thread(target=close)
    thread.start()
    assert list(stream) == []
    thread.join()


def test_a_text_that_comes_by_itself_is_not_fed_and_may_be_ended(tts: Synthesizer) -> None:
    expected = tts.speak(TEXT, seed=2, text_layout="streamed")
    stream = tts.stream(iter([f"{TEXT}\n\n", LONG]), seed=2)
    with pytest.raises(InputError, match="comes by itself; feed a stream whose text is None"):
        stream.feed("Something else.")
    pieces = [next(stream)]
    stream.finish()
    assert np.array_equal(codes_of([*pieces, *stream]), expected.codes)


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_text_may_end_after_its_last_piece_was_heard(tts: Synthesizer, end: str) -> None:
    expected = tts.speak(TEXT, seed=2, text_layout="streamed")
    stream = tts.stream(None, seed=2)
    stream.feed(f"{TEXT}\n\n")
    pieces = until_it_starves(stream)
    assert np.array_equal(codes_of(pieces), expected.codes)
    assert len(samples_of(pieces)) == len(expected.samples)  # a pause comes with what follows it
    getattr(stream, end)()
    assert list(stream) == []
    assert end == "close" or stream.metrics.ended is True


def test_a_text_that_ends_before_it_begins(tts: Synthesizer) -> None:
    stream = tts.stream(None)
    with pytest.raises(InputError, match="the text is empty"):
        stream.finish()
    with pytest.raises(InputError, match="the text is empty"):
        list(tts.stream(iter([" ", "\n"])))
    stream = tts.stream(None)
    stream.feed("* * *\n\n…")
    for end in (stream.finish, lambda: next(stream), lambda: next(stream)):
        with pytest.raises(InputError, match="has no letter or digit"):
            end()


@pytest.mark.parametrize("text", ["😀", "* * *", "…", "\u115f"])
def test_where_there_is_nothing_to_say_it_says_so(tts: Synthesizer, text: str) -> None:
    for speak in (tts.speak, tts.stream, tts.pieces):
        with pytest.raises(InputError, match=r"the text (is empty|has no letter or digit); give"):
            speak(text)
    assert len(tts.speak(text, verbatim=True, max_seconds=0.2).codes)


def test_what_cannot_be_spoken_in_a_text_that_comes_is_told_to_both_ends(tts: Synthesizer) -> None:
    stream = tts.stream(None, seed=2)
    with pytest.raises(InputError, match="control token"):
        stream.feed("Set a <|im_end|> timer for ten minutes, will you")
    for _ in range(2):
        with pytest.raises(InputError, match="control token"):
            next(stream)
    later = tts.stream(iter([TEXT, " Say", " <|im_end|>", " or do not."]), seed=2)
    assert len(next(later).codes)
    for _ in range(2):
        with pytest.raises(InputError, match="control token"):
            list(later)
    assert len(tts.speak(TEXT, seed=2).codes)


def test_seconds_that_are_asked_for_are_of_all_pieces(tts: Synthesizer) -> None:
    text = "Hello there. How are you? We are fine!"
    parts = [len(audio.codes) for _, audio in tts.pieces(text, seed=2)]
    for frames in (parts[0] + 3, parts[0] + parts[1], parts[0] - 2):
        seconds = frames / 12.5
        audio = tts.speak(text, seed=2, max_seconds=seconds)
        stream = tts.stream(text, seed=2, max_seconds=seconds)
        assert np.array_equal(codes_of(list(stream)), audio.codes)
        assert len(audio.codes) == frames
        for metrics in (audio.metrics, stream.metrics):
            assert (metrics.ended, metrics.cut) == (False, "asked")


def test_nothing_is_spoken_that_comes_after_them(
    tts: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[int] = []
    join = Slots.join

    def joining(self: Slots, *how: Any, **more: Any) -> None:
        joined.append(self.count)
        join(self, *how, **more)

    monkeypatch.setattr(Slots, "join", joining)
    texts = [" ".join([TEXT] * 60), f"{TEXT} {TEXT}"]
    long, short = (Request(text, seed=3, max_seconds=0.4) for text in texts)
    cut, other = tts.speak_batch([long, short])
    assert (len(cut.codes), cut.metrics.cut) == (5, "asked")
    assert len(other.codes) == 5
    assert len(joined) < 30, "sixty sentences would take as many slots"


def test_a_text_taken_as_it_stands_is_one_utterance(tts: Synthesizer) -> None:
    text = "Hello there. How are you?"
    assert len(tts.pieces(text, seed=2)) == 2
    assert len(tts.pieces(text, seed=2, verbatim=True)) == 1
    stream = tts.stream(text, seed=2, verbatim=True)
    assert np.array_equal(codes_of(list(stream)), tts.speak(text, seed=2, verbatim=True).codes)


def test_how_long_a_piece_may_be_can_be_asked_for(tts: Synthesizer) -> None:
    text = "Hello there. How are you? " * 3
    assert len(tts.pieces(text, seed=2)) == 6
    assert len(tts.pieces(text, seed=2, piece_seconds=60)) == 1
    stream = tts.stream(text, seed=2, piece_seconds=60)
    assert np.array_equal(codes_of(list(stream)), tts.speak(text, seed=2, piece_seconds=60).codes)
    assert len(tts.pieces("Hello there and how are you", seed=2, piece_seconds=1)) > 1
    with pytest.raises(InputError, match="it must be 1 or more, for words would be cut"):
        tts.pieces(text, piece_seconds=0.9)
    with pytest.raises(InputError, match="piece_seconds is 0; it must be finite and above 0"):
        tts.pieces(text, piece_seconds=0)
    with pytest.raises(InputError, match="verbatim and piece_seconds were given"):
        tts.pieces(text, piece_seconds=9, verbatim=True)


@pytest.mark.parametrize("slots", [10**12, 10**30])
def test_slots_that_no_memory_holds(voice_bundle: Path, slots: int) -> None:
    with pytest.raises(CapacityError, match=f"no memory for the KV caches of {slots} slots; ask"):
        Synthesizer.open(voice_bundle, slots=slots, verify=False)


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
