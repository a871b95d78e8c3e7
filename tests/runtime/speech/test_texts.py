"""Texts of several pieces, and texts that come bit by bit."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge import BusyError, Chunk, InputError, Request, Synthesizer
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.speech.stream import Stream
from qwen3_tts_edge.text.lines import PARAGRAPH_PAUSE, SECTION_PAUSE, SENTENCE_PAUSE
from streamed import LONG, TEXT, codes_of, samples_of


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


def _after_each_pause(pieces: list[Chunk]) -> list[list[Chunk]]:
    parts: list[list[Chunk]] = [[]]
    for piece in pieces:
        parts[-1].append(piece)
        if not len(piece.codes):
            parts.append([])
    return parts


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


def until_it_starves(stream: Stream) -> list[Chunk]:
    pieces: list[Chunk] = []
    with contextlib.suppress(BusyError):
        pieces.extend(stream)
        pytest.fail("it ended")
    return pieces


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
