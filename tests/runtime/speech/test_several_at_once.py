"""Several streams at once: slots, turns, threads, and batches."""

import contextlib
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qwen3_tts_edge import (
    BusyError,
    CapacityError,
    Chunk,
    InputError,
    Request,
    Synthesizer,
    Voice,
)
from qwen3_tts_edge.speech import scheduler
from qwen3_tts_edge.speech.stream import Stream
from qwen3_tts_edge.speech.utterance import UNREAD_SECONDS
from streamed import LONG, TEXT, codes_of, samples_of

pytestmark = pytest.mark.usefixtures("all_cores")


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


def test_a_batch_is_of_requests(tts: Synthesizer) -> None:
    for given in (None, TEXT, Request(TEXT)):
        with pytest.raises(InputError, match=r"^requests is .*; expected a list of Request"):
            tts.speak_batch(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"one of requests is 'Hi.'; expected a Request"):
        tts.speak_batch([Request(TEXT), "Hi."])  # type: ignore[list-item]
    one = Request("Hi.", seed=1, max_seconds=0.08)
    (alone,), both = tts.speak_batch([one]), tts.speak_batch(one for _ in range(2))
    assert [np.array_equal(alone.codes, each.codes) for each in both] == [True, True]


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


@pytest.mark.parametrize("slots", [10**12, 10**30])
def test_slots_that_no_memory_holds(voice_bundle: Path, slots: int) -> None:
    with pytest.raises(CapacityError, match=f"no memory for the KV caches of {slots} slots; ask"):
        Synthesizer.open(voice_bundle, slots=slots, verify=False)
