"""Slots and their scheduler over a graph that says what it is told: what is launched, what is read.

The graph is not one network but a script; what networks make of it is `test_slots`'s.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.names import STREAMED
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.errors import Qwen3TTSError
from qwen3_tts_edge.speech import sampling, scheduler
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.prompt import PromptBuilder
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.sampling import Sampling
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.slots import Slots
from qwen3_tts_edge.speech.utterance import UNREAD_SECONDS, Tools, Utterance

PROMPT = 5


class ScriptState:
    """Slots by number, so that a launch knows whose it is."""

    def __init__(self, owner: "Script", numbers: range) -> None:
        self.owner, self.numbers, self.slots = owner, numbers, len(numbers)

    def view(self, first: int, slots: int = 1) -> "ScriptState":
        assert 0 <= first <= first + slots <= self.slots
        return ScriptState(self.owner, self.numbers[first : first + slots])

    def clear(self, *names: str) -> None:
        self.owner.events.append(("clear", tuple(self.numbers), names))

    def copy(self, other: "ScriptState", positions: int | None = None) -> None:
        self.owner.events.append(("copy", tuple(self.numbers), tuple(other.numbers), positions))


class Script:
    """A frame graph: whoever draws by seed s ends its speech at frame ends[s], or never.

    A frame's codes are its number, but for codebook 1, which is the seed that drew.

    Attributes:
        events: ("launch", number) and ("read", number), in order, with copies and clears.
        launches: The inputs of each, with the slots it was for.
        fails: Numbers of launches that raise, and of those whose codes cannot be waited for.
        interrupts: The same, of Ctrl-C when it is done.
    """

    capacity = 96
    seconds = 0.0
    slots = None

    def __init__(self, manifest: Manifest, ends: Mapping[int, int | None], ahead: int) -> None:
        self.ahead = ahead
        self.events: list[Any] = []
        self.launches: list[tuple[tuple[int, ...], dict[str, np.ndarray]]] = []
        self.fails: set[tuple[str, int]] = set()
        self.interrupts: set[tuple[str, int]] = set()
        self._manifest, self._ends = manifest, ends

    def state(self, slots: int, positions: int | None = None) -> ScriptState:
        return ScriptState(self, range(slots))

    def launch(self, inputs: Mapping[str, np.ndarray], state: ScriptState) -> Callable[[], Any]:
        number = len(self.launches)
        self.events.append(("launch", number))
        self.launches.append((tuple(state.numbers), dict(inputs)))
        if inputs["rows"].shape[1] > 1:
            Clock.now += Clock.reading
        if ("launch", number) in self.fails:
            raise RuntimeError(f"launch {number}")
        if ("launch", number) in self.interrupts:
            raise KeyboardInterrupt
        drawn = [self._drawn(draws) for draws in inputs["draws"]]

        def read() -> np.ndarray:
            self.events.append(("read", number))
            if ("read", number) in self.interrupts:
                raise KeyboardInterrupt
            if ("read", number) in self.fails:
                raise RuntimeError(f"read {number}")
            codes = np.zeros((len(drawn), self._manifest.codebooks), np.int32)
            for slot, (seed, frame) in enumerate(drawn):
                codes[slot] = frame
                codes[slot, 1] = seed
                if frame == self._ends.get(seed):
                    codes[slot, 0] = self._manifest.control_codes.end_of_speech
            return codes

        return read

    def _drawn(self, draws: np.ndarray) -> tuple[int, int]:
        """Whose draws these are, and of which of its frames."""
        return _DRAWN[draws.tobytes()]

    def steps(self) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
        """Of each launch the slots, and the positions and lengths of them."""
        return [
            (
                slots,
                list(
                    zip(inputs["position"].tolist(), inputs["length"].tolist(), strict=True),
                ),
            )
            for slots, inputs in self.launches
        ]


_DRAWN = {
    sampling.draws(seed, frame, 16).tobytes(): (seed, frame)
    for seed in range(8)
    for frame in range(100)
}


class Clock:
    """The time as the scheduler sees it: it goes on only while prompts are read.

    Attributes:
        now: Seconds.
        reading: What a prompt takes.
    """

    now = reading = 0.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "reading", 0.1)
    seen = SimpleNamespace(perf_counter=lambda: Clock.now, monotonic=time.monotonic)
    monkeypatch.setattr(scheduler, "time", seen)


class Silent:
    """A codec decoder's graph that makes silence."""

    seconds = 0.0
    most: Mapping[str, int] = {}
    at_once = 1

    def state(self, slots: int = 1) -> Any:
        return SimpleNamespace(slots=1, clear=lambda: None)

    def run(self, inputs: Mapping[str, np.ndarray], state: object) -> dict[str, np.ndarray]:
        return {"samples": np.zeros((1, 1920 * inputs["codes"].shape[1]), np.float32)}


class Stage:
    """Utterances over a script."""

    def __init__(
        self, bundle: Bundle, ends: Mapping[int, int | None], ahead: int, slots: int
    ) -> None:
        self.script = Script(bundle.manifest, ends, ahead)
        self.slots = Slots(self.script, bundle.manifest, slots)
        self.scheduler = Scheduler(self.slots)
        self.tools = Tools(
            bundle,
            PromptBuilder(bundle),
            CodecDecoder(Silent(), bundle.manifest, "ort-cpu"),
            self.script.capacity,
            (self.script,),
        )

    def begins(self, seed: int, text: str = "Hello.", **asked: Any) -> Utterance:
        """An utterance that waits for a slot; it never rests but for want of text."""
        rests = asked.pop("rests", False)
        request = Request(text, seed=seed, **{"text_layout": STREAMED, **asked})
        metrics = Metrics(24000)
        utterance = Utterance(self.tools, request, metrics, (400,), rests=rests)
        utterance.feed(text, ended=True)
        self.scheduler.add(utterance)
        return utterance

    def plays(self) -> None:
        """Until nobody can go on."""
        while self.scheduler.step():
            pass


def frames(utterance: Utterance) -> list[int]:
    return utterance.codes[:, 2].tolist()


@pytest.fixture(scope="module")
def bundle(voice_bundle: Path) -> Bundle:
    return Bundle.open(voice_bundle)


@pytest.fixture(params=[0, 1])
def ahead(request: pytest.FixtureRequest) -> int:
    return request.param


def test_the_end_of_speech_is_seen_as_many_frames_late_as_are_ahead(
    bundle: Bundle, ahead: int
) -> None:
    stage = Stage(bundle, {3: 7}, ahead, 1)
    spoken = stage.begins(3)
    stage.plays()
    assert (frames(spoken), spoken.ended) == (list(range(7)), True)
    opening, *steps = stage.script.steps()
    assert opening[1][0][1] > 1  # read by itself, its frame thrown away
    assert len(steps) == 8 + ahead
    events = [event for event in stage.script.events if event[0] in ("launch", "read")]
    for frame in range(8):
        read = events.index(("read", 1 + frame))
        launched = sum(what == "launch" for what, _ in events[:read])
        assert launched == 1 + frame + 1 + ahead


@pytest.mark.parametrize("limit", [1, 2, 6])
def test_nothing_is_launched_beyond_the_limit(bundle: Bundle, limit: int, ahead: int) -> None:
    stage = Stage(bundle, {}, ahead, 1)
    spoken = stage.begins(0, max_seconds=limit * 0.08)
    stage.plays()
    assert (frames(spoken), spoken.ended, spoken.cut) == (list(range(limit)), False, "asked")
    rows = len(spoken.prompt.rows)
    assert stage.script.steps() == [
        ((0,), [(0, rows - 1)]),
        *(((0,), [(rows - 1 + frame, 1)]) for frame in range(limit)),
    ]


def test_one_after_the_other_ends_and_the_last_moves_into_the_hole(
    bundle: Bundle, ahead: int
) -> None:
    stage = Stage(bundle, {0: 2, 2: 6}, ahead, 3)
    spoken = [
        stage.begins(0, max_seconds=1.6),
        stage.begins(1, max_seconds=0.32),
        stage.begins(2, max_seconds=1.6),
    ]
    stage.plays()
    assert [frames(each) for each in spoken] == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert [each.ended for each in spoken] == [True, False, True]
    assert all((each.codes[:, 1] == seed).all() for seed, each in enumerate(spoken))
    moved = [event for event in stage.script.events if event[0] == "copy" and event[2] != (0,)]
    assert moved[0][:3] == ("copy", (0,), (2,))
    assert stage.slots.count == 0


def test_all_whose_prompts_take_no_launch_join_before_the_same_frame(
    bundle: Bundle, ahead: int
) -> None:
    stage = Stage(bundle, {}, ahead, 6)
    spoken = [stage.begins(0, max_seconds=1.6)]  # reads the opening
    stage.scheduler.step()
    spoken += [stage.begins(seed, max_seconds=0.8) for seed in (1, 2)]
    spoken += [stage.begins(3, max_seconds=0.8, text_layout="upfront")]  # is read by itself
    spoken += [stage.begins(4, max_seconds=0.8)]
    taken = []
    for _ in range(2):
        stage.scheduler.step()
        taken.append(stage.slots.count)
    assert taken == [4, 5]
    stage.plays()
    assert [len(frames(each)) for each in spoken] == [20, 10, 10, 10, 10]


def test_one_prompt_joins_between_two_frames_and_who_waits_longest_first(
    bundle: Bundle, ahead: int
) -> None:
    stage = Stage(bundle, {}, ahead, 2)
    spoken = [stage.begins(seed, max_seconds=0.4) for seed in range(4)]
    stage.plays()
    assert [frames(each) for each in spoken] == [list(range(5))] * 4
    steps = [slots for slots, pairs in stage.script.steps() if pairs[0][1] <= 1]
    assert [len(slots) for slots in steps[:3]] == [1, 2, 2]  # one at a time, everybody each time
    assert max(len(slots) for slots in steps) == 2
    order = [_DRAWN[inputs["draws"][-1].tobytes()] for _, inputs in stage.script.launches]
    firsts = [seed for seed, frame in order if frame == 0][1:]  # the first is the opening
    assert list(dict.fromkeys(firsts)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("reading", "together"), [(0.1, 1), (0.02, 1), (0.012, 2), (0.008, 3)])
def test_prompts_are_read_between_two_frames_as_long_as_there_is_time(
    bundle: Bundle, ahead: int, reading: float, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of a frame, 20 ms; whoever would be behind it waits for the next frame."""
    monkeypatch.setattr(Clock, "reading", reading)
    stage = Stage(bundle, {}, ahead, 6)
    stage.begins(6, text_layout="upfront", max_seconds=0.08)  # reads the opening
    stage.plays()
    spoken = [stage.begins(n, text_layout="upfront", max_seconds=0.8) for n in range(6)]
    for step in range(1, 6 // together + 1):
        stage.scheduler.step()
        assert stage.slots.count == step * together
    stage.plays()
    assert [frames(each) for each in spoken] == [list(range(10))] * 6


def test_what_others_read_before_is_not_read_again(bundle: Bundle) -> None:
    stage = Stage(bundle, {}, 0, 2)
    for seed in range(3):
        stage.begins(seed, max_seconds=0.4)
    stage.plays()
    long = [pairs for _, pairs in stage.script.steps() if pairs[0][1] > 1]
    assert len(long) == 1  # the opening, which voice and language alone decide


def test_draws_rows_and_settings_are_those_of_who_is_in_the_slot(bundle: Bundle) -> None:
    manifest, hidden = bundle.manifest, bundle.manifest.hidden_size
    slots = Slots(script := Script(manifest, {}, 0), manifest, 3)
    quiet, loud = (Sampling(temperature=t).over(manifest.sampling) for t in (0.5, 0.9))
    rows = [np.full((1, hidden), n, np.float32) for n in range(3)]
    slots.join(quiet, 5)
    slots.read(np.ones((PROMPT, hidden), np.float32))()
    slots.join(loud, 6)
    slots.read(np.ones((PROMPT + 2, hidden), np.float32))()
    codes = slots.step([rows[1], rows[2]])()
    assert codes.dtype == np.int64
    assert codes[:, 1].tolist() == [5, 6]
    inputs = script.launches[-1][1]
    assert inputs["rows"][:, 0, 0].tolist() == [1, 2]
    assert inputs["position"].tolist() == [PROMPT, PROMPT + 2]
    assert inputs["temperature"][:, 0].tolist() == pytest.approx([0.5, 0.9])
    assert inputs["allow_end"].tolist() == [False, False]
    assert np.array_equal(inputs["draws"][0], sampling.draws(5, 1, 16))
    codes = slots.step([None, rows[0]])()  # the first rests
    inputs = script.launches[-1][1]
    assert inputs["length"].tolist() == [0, 1]
    assert inputs["allow_end"].tolist() == [True, True]
    assert slots.step([rows[0], rows[0]])().tolist()[0][1:3] == [5, 2]  # its third frame, not more
    slots.leave(0)
    assert slots.step([rows[0]])().tolist()[0][1:3] == [6, 4]
    inputs = script.launches[-1][1]
    assert inputs["position"].tolist() == [PROMPT + 2 + 3]
    assert inputs["temperature"][:, 0].tolist() == pytest.approx([0.9])


def test_no_launch_is_beyond_the_cache(bundle: Bundle) -> None:
    hidden = bundle.manifest.hidden_size
    slots = Slots(script := Script(bundle.manifest, {}, 0), bundle.manifest, 2)
    kind = bundle.manifest.sampling
    row = np.zeros((1, hidden), np.float32)
    slots.join(kind, 0)
    slots.read(row.repeat(script.capacity - 1, 0))()
    slots.join(kind, 1)
    slots.read(row)()
    slots.step([row, row])()  # fills it
    slots.step([None, row])()  # full, and at rest
    assert script.launches[-1][1]["position"].tolist() == [script.capacity - 1, 2]
    with pytest.raises(AssertionError):
        slots.step([row, row])
    with pytest.raises(AssertionError):
        slots.step([row])


@pytest.mark.parametrize("where", ["launch", "read"])
def test_an_error_in_a_launch_is_everybodys_and_the_next_request_works(
    bundle: Bundle, ahead: int, where: str
) -> None:
    stage = Stage(bundle, {0: 9, 1: 9, 2: 4, 3: 4}, ahead, 2)
    spoken = [stage.begins(0), stage.begins(1)]
    waiting = stage.begins(2)
    stage.script.fails.add((where, 5))
    stage.plays()
    for each in spoken:
        with pytest.raises(RuntimeError, match=f"{where} 5"):
            each.chunk()
    assert (frames(waiting), waiting.ended) == ([0, 1, 2, 3], True)
    after = stage.begins(3)
    stage.plays()
    assert (frames(after), after.ended) == ([0, 1, 2, 3], True)
    assert stage.slots.count == 0


@pytest.mark.parametrize(
    ("where", "number"), [("launch", 0), ("launch", 1), ("launch", 5), ("read", 1), ("read", 5)]
)
def test_after_ctrl_c_nobody_goes_on_from_what_is_not_known(
    bundle: Bundle, ahead: int, where: str, number: int
) -> None:
    """The launch may have been made or not, and its codes are lost: they would be said wrongly."""
    stage = Stage(bundle, {0: 9, 1: 9, 2: 4}, ahead, 2)
    stage.script.interrupts.add((where, number))
    spoken = [stage.begins(0, text_layout="upfront"), stage.begins(1)]
    with pytest.raises(KeyboardInterrupt):
        stage.plays()
    cut = [each for each in spoken if each.error is not None]
    for each in cut:
        with pytest.raises(Qwen3TTSError, match="was interrupted; speak it again"):
            each.chunk()
    assert spoken[0] in cut
    after = stage.begins(2)
    stage.plays()
    whole = [each for each in spoken if each not in cut]
    assert [frames(each) for each in whole] == [list(range(9))] * len(whole)
    assert (frames(after), after.ended) == ([0, 1, 2, 3], True)


def test_an_error_in_a_join_is_its_own_alone(bundle: Bundle, ahead: int) -> None:
    stage = Stage(bundle, {0: 6, 1: 6, 2: 4}, ahead, 2)
    first = stage.begins(0)
    for _ in range(3):
        stage.scheduler.step()
    wrong = stage.begins(1, text_layout="upfront")  # another prompt: it is read by itself
    stage.script.fails.add(("launch", len(stage.script.launches)))
    after = stage.begins(2)
    stage.plays()
    assert (frames(first), first.ended) == (list(range(6)), True)
    assert (frames(after), after.ended) == (list(range(4)), True)
    with pytest.raises(RuntimeError, match="launch"):
        wrong.chunk()
    assert stage.slots.count == 0


def test_an_opening_that_cannot_be_read_leaves_no_slot_taken(bundle: Bundle) -> None:
    stage = Stage(bundle, {1: 4}, 0, 1)
    stage.script.fails.add(("launch", 0))
    wrong, after = stage.begins(0), stage.begins(1)
    stage.plays()
    with pytest.raises(RuntimeError, match="launch 0"):
        wrong.chunk()
    assert (frames(after), after.ended) == (list(range(4)), True)


def test_who_is_too_far_behind_rests_and_others_go_on(bundle: Bundle, ahead: int) -> None:
    stage = Stage(bundle, {1: 60}, ahead, 2)
    unread = stage.begins(0, LONG, rests=True)
    unread._sizes = [8]
    read = stage.begins(1, LONG)
    stage.plays()
    behind = round(UNREAD_SECONDS * 12.5)
    assert frames(unread) == list(range(behind + ahead))
    assert (frames(read), read.ended) == (list(range(60)), True)
    resting = stage.script.launches[-1][1]
    assert resting["length"].tolist() in ([0, 1], [1, 0], [1])
    assert unread.chunk() is not None
    stage.plays()
    assert frames(unread) == list(range(behind + 8 + ahead))


LONG = "A sentence that takes so long that nobody's patience for it is over in this test of ours."


@pytest.mark.parametrize("closed", [True, False])
def test_who_is_closed_is_not_launched_again(bundle: Bundle, ahead: int, closed: bool) -> None:
    stage = Stage(bundle, {1: 8}, ahead, 2)
    first, second = stage.begins(0), stage.begins(1)
    for _ in range(4):
        stage.scheduler.step()
    launched = len(stage.script.launches)
    first.closed = closed
    stage.plays()
    later = stage.script.launches[launched:]
    mine = [
        _DRAWN[draws.tobytes()][0]
        for _, inputs in later
        for draws, length in zip(inputs["draws"], inputs["length"], strict=True)
        if length
    ]
    assert (0 in mine) is not closed
    assert (frames(second), second.ended) == (list(range(8)), True)


def test_who_closes_while_it_waits_never_joins(bundle: Bundle) -> None:
    stage = Stage(bundle, {}, 0, 1)
    first, second, third = (stage.begins(seed, max_seconds=0.4) for seed in range(3))
    stage.scheduler.step()
    second.closed = True
    stage.plays()
    assert frames(first) == frames(third) == list(range(5))
    assert frames(second) == []


def test_a_prompt_that_is_read_in_pieces_of_its_own_is_a_frame(bundle: Bundle, ahead: int) -> None:
    """Upfront the text stands in the prompt: the launch that reads the rest of it is frame 0."""
    stage = Stage(bundle, {0: 5}, ahead, 1)
    spoken = stage.begins(0, text_layout="upfront")
    stage.plays()
    assert (frames(spoken), spoken.ended) == (list(range(5)), True)
    opening, rest, *steps = [pairs for _, pairs in stage.script.steps()]
    assert rest[0][0] == opening[0][1] == spoken.prompt.opening
    assert sum(opening[0][1:]) + rest[0][1] == len(spoken.prompt.rows)
    assert steps[0] == [(len(spoken.prompt.rows), 1)]
