"""Rung 5: codes in company are codes alone, whoever joins, rests, leaves or breaks beside them."""

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oracle.cases import Reference
from parity.spoken import drawn_clone
from parity.tolerances import assert_close, count
from qwen3_tts_edge import BusyError, InputError, Synthesizer, Voice
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.machine.hardware import cpu_can
from qwen3_tts_edge.speech import utterance
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.speech.stream import RAMP, Stream
from qwen3_tts_edge.voices.voice import Clone

SLOTS, SECONDS = 3, 1.2
UNREAD_FRAMES = 5
"""That a reader may be behind here: a fraction of an utterance, so that streams do rest."""
TEXTS = ("Hello.", "Set a timer for ten minutes, please.", "No. I mean yes!")
CHUNKS = (RAMP, (1,), (4, 3), (40,))
BUNDLES = (
    *(f"{which} {precision}" for which in ("same", "narrow") for precision in ("fp32", "int8")),
    *("voice int8", "same int4", "voice int4", "same int4-talker"),
    *("same int8-rows", "narrow int8-rows", "voice int8-rows"),
)

IN_ANY_ORDER = ("same fp32", "narrow fp32", "same int8", "voice int8", "voice int4")
"""Of these streams come and go at will. It is the same code for the others, whose numbers a full
house holds, as it does for these."""

WHICH = st.integers(0, SLOTS + 1)
"""Of the streams that are open; hypothesis keeps what it draws, and would keep a stream."""

BundleOf = Callable[[str], Path]


@dataclass(frozen=True)
class Asked:
    """What one stream says, in values that can be compared."""

    text: str
    layout: str
    seed: int
    instruct: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        how = {"text_layout": self.layout, "instruct": self.instruct, "seed": self.seed}
        return {**how, "max_seconds": SECONDS}


Heard = tuple[np.ndarray, np.ndarray]
"""Codes and samples."""


def heard(chunks: Sequence[Any]) -> Heard:
    codes = [chunk.codes for chunk in chunks]
    return np.concatenate(codes), np.concatenate([chunk.samples for chunk in chunks])


class Alone:
    """What each request says by itself, on a synthesizer of one slot."""

    def __init__(self, folder: Path) -> None:
        tts = Synthesizer.open(folder, threads=1, slots=1, verify=False)

        @functools.cache
        def said(asked: Asked, sizes: tuple[int, ...] = RAMP) -> Heard:
            return heard(list(tts.stream(asked.text, chunk_frames=sizes, **asked.options)))

        self.said = said

    def check(self, found: Heard, asked: Asked, sizes: tuple[int, ...] = RAMP) -> None:
        codes, samples = self.said(asked, sizes)
        assert np.array_equal(found[0], codes), f"{asked}: {len(found[0])} frames, {len(codes)}"
        assert_close("streaming.samples", found[1], samples, f"{asked}, {sizes}")
        count("company: codes equal", codes.size)


@pytest.fixture(scope="module")
def bundle_of(
    tiny_bundle: Callable[..., Path], bundle_in: Callable[..., Path], voice_bundle: Path
) -> BundleOf:
    def find(name: str) -> Path:
        which, precision = name.split()
        if name == "voice int8":
            folder = voice_bundle
        elif which == "voice":
            folder = bundle_in("edge-voice", "ort", precision)
        else:
            folder = tiny_bundle("custom_voice", which, precision)
        promise, _, ability = Manifest.load(folder).in_company.partition(" with ")
        assert promise == "equal"
        if ability and not cpu_can(ability):
            pytest.skip(f"{precision} promises this to processors with {ability}")
        return folder

    return find


class Broken(Exception):  # noqa: N818
    """A launch that fails."""


@contextmanager
def launches(tts: Synthesizer, listen: Callable[[Any, Any], None]) -> Iterator[None]:
    """Hear of every launch of the frame before it is made."""
    launch = tts.frame_graph.launch

    def told(inputs: Any, state: Any) -> Any:
        listen(inputs, state)
        return launch(inputs, state)

    tts.frame_graph.launch = told
    try:
        yield
    finally:
        del tts.frame_graph.launch


@dataclass
class Open:
    """A stream that somebody holds."""

    stream: Stream
    asked: Asked
    sizes: tuple[int, ...]
    unfed: str | None = None
    chunks: list[Any] = field(default_factory=list)


class Company(RuleBasedStateMachine):
    """Streams of one synthesizer, in any order of what callers may do."""

    tts: Synthesizer
    alone: Alone

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Open] = []
        self.scheduler = self.tts._scheduler

    # what callers do

    @precondition(lambda self: len(self.open) < SLOTS + 2)
    @rule(
        text=st.sampled_from(TEXTS),
        layout=st.sampled_from(["streamed", "upfront"]),
        seed=st.integers(0, 1),
        sizes=st.sampled_from(CHUNKS),
        comes=st.sampled_from(["whole", "by itself", "fed"]),
    )
    def join(self, text: str, layout: str, seed: int, sizes: tuple[int, ...], comes: str) -> None:
        asked = Asked(text, "streamed" if comes == "fed" else layout, seed)
        given: Any = {"whole": text, "by itself": iter(text), "fed": None}[comes]
        stream = self.tts.stream(given, chunk_frames=sizes, **asked.options)
        self.open.append(Open(stream, asked, sizes, text if comes == "fed" else None))

    @precondition(lambda self: any(each.unfed is not None for each in self.open))
    @rule(at=WHICH, size=st.sampled_from([1, 5, 100]))
    def feed(self, at: int, size: int) -> None:
        growing = [each for each in self.open if each.unfed is not None]
        self._feed(growing[at % len(growing)], size)

    @precondition(lambda self: self.open)
    @rule(at=WHICH, chunks=st.integers(1, 6))
    def read(self, at: int, chunks: int) -> None:
        """The others are not read meanwhile, and some of them rest."""
        one = self.open[at % len(self.open)]
        for _ in range(chunks):
            if not self._read(one):
                return

    @precondition(lambda self: self.open)
    @rule(at=WHICH)
    def close(self, at: int) -> None:
        one = self.open.pop(at % len(self.open))
        one.stream.close()
        assert list(one.stream) == []
        self._check_beginning(one)

    @precondition(lambda self: self.open)
    @rule(at=WHICH)
    def forget(self, at: int) -> None:
        one = self.open.pop(at % len(self.open))
        spoken = one.stream._utterances.current
        self._check_beginning(one)
        del one
        gc.collect()
        assert spoken is None or spoken.closed

    @precondition(lambda self: self.open)
    @rule()
    def break_a_launch(self) -> None:
        """That of a prompt is its stream's trouble, that of a step everybody's who speaks."""
        spoke: list[Any] = []

        def fail(inputs: Any, _: Any) -> None:
            of_a_prompt = inputs["rows"].shape[1] > 1
            spoke.append([] if of_a_prompt else list(self.scheduler._speaking))
            raise Broken

        with launches(self.tts, fail):
            self.scheduler.step()
        hit = [each for each in self.open if each.stream._utterances.current is not None]
        hit = [each for each in hit if isinstance(each.stream._utterances.current.error, Broken)]
        assert len(hit) == sum(len(each) or 1 for each in spoke)
        for each in hit:
            with pytest.raises(Broken):
                next(each.stream)
            self.open.remove(each)
            self._check_beginning(each)

    @rule(text=st.sampled_from(["<tts_pad>", "a<|im_end|>b", " "]), comes=st.booleans())
    def say_what_cannot_be_said(self, text: str, comes: bool) -> None:
        with pytest.raises(InputError):
            list(self.tts.stream(iter(text) if comes else text, seed=0, max_seconds=SECONDS))

    @rule(
        asked=st.lists(
            st.builds(
                Asked,
                st.sampled_from(TEXTS),
                st.sampled_from(["streamed", "upfront"]),
                st.integers(0, 1),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def batch(self, asked: list[Asked]) -> None:
        try:
            spoken = self.tts.speak_batch([Request(one.text, **one.options) for one in asked])
        except BusyError:
            self._check_busy()
            return
        for audio, one in zip(spoken, asked, strict=True):
            self.alone.check((audio.codes, audio.samples), one)

    # what must hold

    @invariant()
    def nobody_speaks_twice(self) -> None:
        speaking = self.scheduler._speaking
        assert len(speaking) == self.scheduler._slots.count <= SLOTS
        assert len(set(map(id, speaking))) == len(speaking)

    def teardown(self) -> None:
        """All who are left say all they have to say, read in turns."""
        while self.open:
            before = sum(len(each.chunks) for each in self.open), len(self.open)
            for each in list(self.open):
                if each.unfed is not None:
                    self._feed(each, 1000)
                    self._feed(each, 0)
                self._read(each)
            after = sum(len(each.chunks) for each in self.open), len(self.open)
            assert before != after, "nobody moved"
        self.scheduler.step()
        assert self.scheduler._slots.count == 0
        assert not self.scheduler._waiting

    def _feed(self, one: Open, size: int) -> None:
        assert one.unfed is not None
        if not one.unfed:
            one.stream.finish()
            one.unfed = None
            return
        one.stream.feed(one.unfed[:size])
        one.unfed = one.unfed[size:]

    def _read(self, one: Open) -> bool:
        """Read a chunk; whether there may be more."""
        try:
            one.chunks.append(next(one.stream))
        except StopIteration:
            self.open.remove(one)
            assert one.unfed is None or len(heard(one.chunks)[0]) == round(SECONDS * 12.5)
            self.alone.check(heard(one.chunks), one.asked, one.sizes)
            return False
        except BusyError as error:
            if "nothing to say yet" in str(error):
                assert one.unfed is not None
            else:
                self._check_busy(one)
            return False
        return True

    def _check_busy(self, one: Open | None = None) -> None:
        """Every slot is held by a stream that waits for its reader or for its text."""
        speaking = self.scheduler._speaking
        assert len(speaking) == SLOTS
        assert one is None or one.stream._utterances.current not in speaking
        for each in speaking:
            assert len(each._unread) >= UNREAD_FRAMES or each.hungry
            assert any(each is held.stream._utterances.current for held in self.open)

    def _check_beginning(self, one: Open) -> None:
        """What a stream has said before its end is how it begins by itself."""
        if one.chunks:
            codes, samples = self.alone.said(one.asked, one.sizes)
            found = heard(one.chunks)
            assert np.array_equal(found[0], codes[: len(found[0])])
            assert_close("streaming.samples", found[1], samples[: len(found[1])])


@pytest.mark.parametrize("name", IN_ANY_ORDER)
def test_what_is_said_in_company_is_said_alone(
    bundle_of: BundleOf, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(utterance, "UNREAD_SECONDS", UNREAD_FRAMES / 12.5)
    folder = bundle_of(name)

    class Here(Company):
        tts = Synthesizer.open(folder, threads=1, slots=SLOTS, verify=False)
        alone = Alone(folder)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("name", BUNDLES)
def test_a_full_house_says_what_each_says_alone(bundle_of: BundleOf, name: str) -> None:
    """All slots there are by default, and more who wait: kernels are chosen by how many speak."""
    folder = bundle_of(name)
    tts = Synthesizer.open(folder, threads=1, verify=False)
    assert tts.slots == 8
    alone = Alone(folder)
    layouts = ("streamed", "upfront")
    asked = [Asked(TEXTS[n % 3], layouts[n % 2], n // 6) for n in range(11)]
    spoken = tts.speak_batch([Request(one.text, **one.options) for one in asked])
    for audio, one in zip(spoken, asked, strict=True):
        alone.check((audio.codes, audio.samples), one)


# several threads


@pytest.mark.parametrize("name", ["same fp32", "voice int8"])
def test_threads_say_what_one_says(bundle_of: BundleOf, name: str) -> None:
    """Four at once, whole texts and streams in turns, with two slots."""
    folder = bundle_of(name)
    tts = Synthesizer.open(folder, threads=1, slots=2, verify=False)
    alone = Alone(folder)
    asked = [Asked(TEXTS[n % 3], ("streamed", "upfront")[n % 2], n // 6) for n in range(12)]

    def speak(number: int) -> Heard:
        one = asked[number]
        if number % 2:
            return heard(list(tts.stream(one.text, **one.options)))
        audio = tts.speak(one.text, **one.options)
        return audio.codes, audio.samples

    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(speak, range(len(asked))), asked, strict=True):
            alone.check(found, one)


def test_four_threads_read_a_stream_each_with_two_slots(bundle_of: BundleOf) -> None:
    folder = bundle_of("same int8")
    tts = Synthesizer.open(folder, threads=1, slots=2, verify=False)
    alone = Alone(folder)
    asked = [Asked(text, "streamed", seed) for text in TEXTS for seed in (0, 1)]

    def read(one: Asked) -> Heard:
        return heard(list(tts.stream(iter(one.text), **one.options)))

    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(read, asked), asked, strict=True):
            alone.check(found, one)


# what is read and heard once


def test_who_is_known_joins_in_one_row_of_the_others_launch(bundle_of: BundleOf) -> None:
    folder = bundle_of("narrow fp32")
    tts = Synthesizer.open(folder, threads=1, slots=SLOTS, verify=False)
    alone, shapes = Alone(folder), []
    known = [Asked(text, "streamed", seed, "Very calm.") for seed, text in enumerate(TEXTS)]

    def note(inputs: Any, state: Any) -> None:
        shapes.append((state.slots, inputs["rows"].shape[1]))

    with launches(tts, note):
        first = tts.stream(known[0].text, chunk_frames=(1,), **known[0].options)
        chunks = [next(first), next(first)]
        assert shapes[0][1] > 10, "the opening: instruction, role, language and voice"
        assert shapes[1:] == [(1, 1)] * (len(shapes) - 1), "and a row a frame"
        shapes.clear()
        second = tts.stream(known[1].text, chunk_frames=(1,), **known[1].options)
        others = [next(second)]
        assert shapes == [(2, 1)], "a first chunk costs one launch, and it is everybody's"
        third = tts.stream(known[2].text, chunk_frames=(1,), **known[2].options)
        more = [next(third)]
        assert shapes[1:] == [(3, 1)]
        shapes.clear()
        stranger = tts.stream(TEXTS[0], instruct="Very angry.", seed=0, max_seconds=SECONDS)
        first.close()
        next(stranger)
        assert any(rows > 10 for _, rows in shapes), "another instruction is another opening"
    stranger.close()
    alone.check(heard([*others, *second]), known[1], (1,))
    alone.check(heard([*more, *third]), known[2], (1,))
    codes, _ = alone.said(known[0], (1,))
    assert np.array_equal(heard(chunks)[0], codes[: len(chunks)])


def test_a_reference_is_decoded_once(tiny_bundle: Callable[..., Path]) -> None:
    """However many requests go on from it, and whoever speaks in between."""
    tts = Synthesizer.open(tiny_bundle("base"), threads=1, slots=2, verify=False)
    voices = [
        Voice.cloned(drawn_clone(Reference("Who is it?", frames, seed=frames)))
        for frames in (30, 41)
    ]
    decoded, codec = [], tts.decoder._graph
    run = codec.run

    def counted(inputs: Any, state: Any) -> Any:
        decoded.append(inputs["codes"].shape[1])
        return run(inputs, state)

    asked = {"seed": 0, "max_seconds": SECONDS}
    codec.run = counted
    try:
        made = [tts.speak(text, voice, **asked) for text in TEXTS[:2] for voice in voices]
        streams = [tts.stream(TEXTS[0], voice, **asked) for voice in voices]
        again = [heard(list(stream)) for stream in streams]
    finally:
        del codec.run
    spoken = sum(len(audio.codes) for audio in made) + sum(len(codes) for codes, _ in again)
    assert sum(decoded) == 30 + 41 + spoken
    for (codes, samples), audio, voice in zip(again, made, voices, strict=False):
        assert np.array_equal(codes, audio.codes)
        assert_close("streaming.samples", samples, audio.samples)
        assert isinstance(voice, Clone)
        reference = voice.codes
        assert reference is not None
        whole = tts.decoder.decode(np.concatenate([reference, codes]))
        assert_close("streaming.samples", samples, whole[len(reference) * 1920 :])
