"""Who joins, rests and leaves: one launch a frame for all who speak."""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from qwen3_tts_edge.arrays import Rows
from qwen3_tts_edge.errors import BusyError, Qwen3TTSError
from qwen3_tts_edge.forks import shared
from qwen3_tts_edge.speech.openings import Openings
from qwen3_tts_edge.speech.slots import Pending, Slots
from qwen3_tts_edge.speech.utterance import Utterance

_PATIENCE = 30.0
"""Seconds in which another thread may free a slot."""

_READING = 0.25
"""Of a frame's sound: so long may prompts be read between two frames. The one during which that is
over is the last, so a large model reads one, and a small one with many listeners those who came."""

_LOOK = 0.1
"""Seconds between two looks at what others have done: who forgets a stream tells nobody."""


@dataclass
class _Launch:
    """A launch whose codes are not read yet: for each of its slots who spoke there."""

    utterances: Sequence[Utterance | None]
    pending: Pending
    seconds: float


class Scheduler:
    """Utterances that wait for a slot, those that speak in one, and what is launched.

    It has no thread: whoever wants a chunk calls `step` until there is one, which moves everybody.
    Several threads may do so; `lock` lets one of them in at a time.

    Attributes:
        lock: Held while anything here or in the utterances changes.
        most: How many may speak at once.
    """

    def __init__(self, slots: Slots) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.most = slots.most
        self._slots = slots
        self._openings = Openings(slots)
        self._waiting: deque[Utterance] = deque()
        self._speaking: list[Utterance] = []
        self._launches: deque[_Launch] = deque()
        self._process = os.getpid()
        shared(self)

    def acquire(self) -> None:
        """Let nobody move until `release`."""
        self.lock.acquire()

    def release(self) -> None:
        """Let others move; in a process that was forked since, those who spoke have to say why not.

        They go on in the other one.
        """
        if self._process != os.getpid():
            self._process = os.getpid()
            error = Qwen3TTSError("the process was forked while this was spoken", "speak it again")
            self._speaking += self._waiting
            self._waiting.clear()
            self._fail(error)
        self.lock.release()

    def add(self, utterance: Utterance) -> None:
        """Let an utterance wait for a slot, and for its text if that is yet to come."""
        with self.lock:
            self._waiting.append(utterance)

    def step(self) -> bool:
        """Make one frame of everybody who can speak on.

        An utterance that is over leaves; those who wait join, as far as there is time to read their
        prompts; everybody is launched; codes that are due are read.

        Returns:
            Whether anything moved.
        """
        with self.lock:
            try:
                self._leave()
                joined, resting = self._join()
                launched = self._launch_all(resting)
                # Where frames may be launched ahead, this one's codes are read after the next.
                read = self._read_all_but(self._slots.ahead if launched else 0)
            except BaseException as error:  # Ctrl-C: nobody knows how far a launch has got
                self._fail(error)
                raise
            moved = joined or launched or read
            if moved:
                self.lock.notify_all()
            return moved

    def wait(self, utterance: Utterance) -> None:
        """Wait, where other threads that read their streams can go on, or until it is over.

        Raises:
            BusyError: No other thread can, or none did for some time.
        """
        with self.lock:
            until = time.monotonic() + _PATIENCE
            while self._read_elsewhere(utterance) and time.monotonic() < until:
                if self.lock.wait(_LOOK) or self.step():
                    return
            if utterance.over:
                return
        if utterance.prompt is None or utterance in self._speaking:
            raise BusyError(
                "there is nothing to say yet: the text has neither gone on nor ended",
                "feed the stream, or finish it",
            )
        raise BusyError(
            f"all {self.most} slots are taken by streams that nobody reads",
            "read one of them to its end or close it, or open the bundle with more slots",
        )

    def _read_elsewhere(self, utterance: Utterance) -> bool:
        """Whether another thread reads somebody else who speaks."""
        here = threading.current_thread()
        readers = {each.reader for each in self._speaking if each is not utterance} - {here}
        return any(reader is not None and reader.is_alive() for reader in readers)

    def _leave(self) -> None:
        self._waiting = deque(each for each in self._waiting if not each.over)
        for slot in reversed(range(len(self._speaking))):
            if self._speaking[slot].over:
                self._slots.leave(slot)
                last = self._speaking.pop()
                if slot < len(self._speaking):
                    self._speaking[slot] = last

    def _join(self) -> tuple[bool, list[Utterance]]:
        """Give slots to those who have enough text, in the order in which they came.

        But first to those of whom somebody has asked for sound: others may never be read, and would
        keep their slots. Up to the one whose prompt takes longer than there is time for.

        Returns:
            Whether anybody joined, and who has just read a prompt and has a frame already.
        """
        joined, resting = False, list[Utterance]()
        until = time.perf_counter() + _READING / self._slots.manifest.frames_per_second
        while self._slots.count < self.most:
            able = (each for each in self._waiting if each.prompt is not None)
            ready = min(able, key=lambda each: each.reader is None, default=None)
            if ready is None:
                break
            joined = True
            launched = self._let_in(ready)
            if ready.begun:
                resting.append(ready)
            if launched and time.perf_counter() >= until:
                break
        return joined, resting

    def _let_in(self, utterance: Utterance) -> bool:
        """Give an utterance the next slot; return whether that took a launch.

        What is left of its prompt is read now, unless it is one row, which goes with everybody's.
        What is wrong with a prompt is its utterance's trouble alone.
        """
        self._read_all_but(0)
        self._waiting.remove(utterance)
        prompt = utterance.prompt
        assert prompt is not None
        start, taken = time.perf_counter(), self._slots.count
        launches = not self._openings.known(prompt)
        try:
            opening = self._openings.of(prompt, utterance.settings)
            self._slots.join(utterance.settings, utterance.seed, opening)
            rest = prompt.rows[opening[1] :]
            if len(rest) > 1:
                launches = True
                utterance.next_rows()
                self._start(self._slots.read(rest), [utterance], start)
        except Exception as error:
            utterance.error = error
            if self._slots.count > taken:
                self._slots.leave(taken)
            return launches
        except BaseException as error:
            utterance.error = _of_others(error)
            raise
        self._speaking.append(utterance)
        return launches

    def _launch_all(self, resting: Sequence[Utterance]) -> bool:
        """Launch a frame of everybody who has a row.

        Who has just read a prompt rests: its first samples shall not wait for another frame.
        """
        self._read_all_but(self._slots.ahead)
        rows = [None if each in resting else self._rows(each) for each in self._speaking]
        if all(row is None for row in rows):
            return False
        start = time.perf_counter()
        spoke = [
            each if row is not None else None
            for each, row in zip(self._speaking, rows, strict=True)
        ]
        try:
            self._start(self._slots.step(rows), spoke, start)
        except Exception as error:
            self._fail(error)
        return True

    def _rows(self, utterance: Utterance) -> Rows | None:
        """A prompt of which all but the last row was read with its opening is a row like others."""
        rows = utterance.next_rows()
        return None if rows is None else rows[-1:]

    def _start(
        self, pending: Pending, utterances: Sequence[Utterance | None], start: float
    ) -> None:
        self._launches.append(_Launch(utterances, pending, time.perf_counter() - start))

    def _read_all_but(self, ahead: int) -> bool:
        """Read the codes of all launches but the last few; return whether there were any."""
        due = len(self._launches) > ahead
        while len(self._launches) > ahead:
            self._read(self._launches.popleft())
        return due

    def _read(self, launch: _Launch) -> None:
        start = time.perf_counter()
        try:
            codes = launch.pending()
        except Exception as error:
            self._fail(error)
            return
        seconds = launch.seconds + time.perf_counter() - start
        for utterance, frame in zip(launch.utterances, codes, strict=True):
            if utterance is not None:
                utterance.take(frame, seconds)

    def _fail(self, error: BaseException) -> None:
        """A launch that fails is everybody's: nobody's state can be trusted any more."""
        for utterance in self._speaking:
            if not utterance.over:
                utterance.error = _of_others(error)
        self._speaking.clear()
        self._launches.clear()
        self._slots.clear()


def _of_others(error: BaseException) -> Exception:
    """What those hear whom it befell: Ctrl-C is for the thread that it interrupted."""
    if isinstance(error, Exception):
        return error
    return Qwen3TTSError("the frame that was being made was interrupted", "speak it again")
