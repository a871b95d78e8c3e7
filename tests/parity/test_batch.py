"""Concurrent streams are slots of one state: each speaks as it would alone.

Limit, of ONNX Runtime 1.32's GroupQueryAttention on the CPU: a launch with several rows of several
slots must begin at position 0. So a prompt is read in a view of its own slot; see the last test.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from parity.stepped import read
from parity.tolerances import assert_close
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.backends.ort.frame import FusedFrame
from qwen3_tts_edge.backends.ort.state import OrtState
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.speech import sampling
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.speech.slots import Slots
from slots_by_hand import assert_company_changes_nothing, random_request

FRAMES, CAPACITY = 24, 128
PADDING = 7.0  # what stands in rows beyond a prompt's length: anything


@dataclass(frozen=True)
class Spoken:
    """What one slot speaks."""

    text: str
    layout: str
    sampling: Sampling
    seed: int


GREEDY = Sampling.greedy()
LOUD = Sampling(do_sample=True, temperature=1.2, top_k=0, top_p=0.9, repetition_penalty=1.4)
FEW = Sampling(do_sample=True, top_k=5, subtalker_top_k=0, subtalker_temperature=0.5)
MIXED = Sampling(do_sample=True, subtalker_dosample=False, repetition_penalty=1.0)

SLOTS = {
    "greedy": [
        Spoken("Hello there, my friend, how are you?", "upfront", GREEDY, 0),
        Spoken("No.", "upfront", GREEDY, 0),
        Spoken("Set a timer for ten minutes.", "streamed", GREEDY, 0),
    ],
    "sampled": [
        Spoken("One two.", "streamed", LOUD, 3),
        Spoken("The train to the coast leaves at seven.", "upfront", FEW, 4),
    ],
    "greedy beside sampled": [
        Spoken("Hello.", "upfront", LOUD, 5),
        Spoken("Hello.", "upfront", GREEDY, 5),
        Spoken("What is the weather like?", "streamed", MIXED, 6),
    ],
    "one text, three seeds": [
        Spoken("Good morning.", "streamed", LOUD, seed) for seed in (7, 8, 7)
    ],
}


class House:
    """The frame graph of a bundle, and who speaks in its slots."""

    def __init__(self, folder: Path) -> None:
        self.bundle = Bundle.open(folder)
        self.manifest = self.bundle.manifest
        self.prompts = PromptBuilder(self.bundle)
        backend = open_backend("ort-cpu", threads=1)
        self.frame = backend.open_frame(folder, self.manifest.graphs, CAPACITY)
        assert isinstance(self.frame, FusedFrame)

    def prompt(self, spoken: Spoken) -> Prompt:
        return self.prompts.build(spoken.text, language="english", text_layout=spoken.layout)

    def join(self, slots: Slots, spoken: Spoken, opening: bool = False) -> "Speaker":
        """Let somebody begin in the next slot, after an opening that was read before or not."""
        settings, prompt = spoken.sampling.over(self.manifest.sampling), self.prompt(spoken)
        kept = None
        if opening:
            kept = slots.open(prompt.rows[: prompt.opening], settings), prompt.opening
        slots.join(settings, spoken.seed, kept)
        rows = prompt.rows[prompt.opening :] if opening else prompt.rows
        return Speaker(spoken, prompt, [slots.read(rows)()[0]], opening)

    def speak(self, speaking: Sequence[Spoken]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Codes (slots, FRAMES, codebooks), speaking on after an end; each slot's last KV cache."""
        slots = Slots(self.frame, self.manifest, len(speaking))
        speakers = [self.join(slots, spoken) for spoken in speaking]
        for _ in range(FRAMES - 1):
            step(slots, speakers)
        ends = [len(speaker.prompt.rows) + FRAMES - 1 for speaker in speakers]
        caches = [cache(slots.state.view(slot), end) for slot, end in enumerate(ends)]
        return np.stack([speaker.codes for speaker in speakers]), caches


@dataclass
class Speaker:
    spoken: Spoken
    prompt: Prompt
    codes: list[np.ndarray]
    opened: bool


def step(slots: Slots, speakers: Sequence[Speaker], resting: Sequence[Speaker] = ()) -> None:
    """Make a frame of everybody who does not rest."""
    moving = [not any(speaker is rests for rests in resting) for speaker in speakers]
    rows = [
        speaker.prompt.text_row(len(speaker.codes) - 1) if moves else None
        for speaker, moves in zip(speakers, moving, strict=True)
    ]
    codes = slots.step(rows)()
    for speaker, moves, frame in zip(speakers, moving, codes, strict=True):
        if moves:
            speaker.codes.append(frame)


def cache(state: OrtState, end: int) -> np.ndarray:
    """Keys and values of all layers of one slot up to a position, flat."""
    names = [each.past.name for each in state.shared.spec.states]
    caches = [name for name in names if name.startswith("past_key_values")]
    assert len(caches) == len(names) - 2
    return np.concatenate([read(state, name)[0, :, :end].ravel() for name in caches])


@pytest.fixture(scope="module")
def house(
    tiny_bundle: Callable[..., Path], exact_voice_bundle: Path, voice_bundle: Path
) -> Callable[[str], House]:
    voices = {"edge-voice": exact_voice_bundle, "int8": voice_bundle}

    @functools.cache
    def find(name: str) -> House:
        return House(voices.get(name) or tiny_bundle("custom_voice", name))

    return find


NAMES = ["same", "narrow", "edge-voice", "int8"]


@pytest.mark.parametrize("which", SLOTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_slot_speaks_as_it_does_alone(house: Callable, name: str, which: str) -> None:
    """Prompts of other lengths, hence other positions; other settings, other seeds."""
    found, caches = house(name).speak(SLOTS[which])
    for i, spoken in enumerate(SLOTS[which]):
        codes, alone = house(name).speak([spoken])
        differ = np.argwhere(found[i] != codes[0])
        assert not len(differ), f"{name}, slot {i}: first frame, codebook {differ[0].tolist()}"
        assert_close("batch.states", caches[i], alone[0], f"{name}, slot {i}")
    lengths = {len(house(name).prompt(spoken).rows) for spoken in SLOTS[which]}
    assert len(lengths) > 1 or which.startswith("one text")


@pytest.mark.parametrize("name", NAMES)
def test_who_comes_rests_and_leaves_changes_nobody(house: Callable, name: str) -> None:
    """Joins between frames, with and without an opening; a rest; a leave, and the last one moves.

    The KV cache too: that of a slot at rest, and of one that moved.
    """
    one = house(name)
    slots = Slots(one.frame, one.manifest, 3)
    first, second, third = SLOTS["greedy beside sampled"]
    a = one.join(slots, first)
    step(slots, [a])
    b = one.join(slots, second, opening=True)
    step(slots, [a, b])
    step(slots, [a, b], resting=[a])
    c = one.join(slots, third, opening=True)
    for _ in range(3):
        step(slots, [a, b, c], resting=[b, c])
    step(slots, [a, b, c])
    step(slots, [a, b, c], resting=[b])
    slots.leave(0)  # c moves there
    for _ in range(4):
        step(slots, [c, b])
    d = one.join(slots, first)  # in the slot that c left
    step(slots, [c, b, d])
    step(slots, [c, b, d], resting=[c])
    slots.leave(2)
    step(slots, [c, b])
    for speaker, slot in ((a, None), (b, 1), (c, 0), (d, None)):
        alone = Slots(one.frame, one.manifest, 1)
        again = one.join(alone, speaker.spoken, opening=speaker.opened)
        while len(again.codes) < len(speaker.codes):
            step(alone, [again])
        assert np.array_equal(speaker.codes, again.codes)
        if slot is not None:
            end = len(speaker.prompt.rows) + len(again.codes) - 1
            found, expected = (
                cache(state, end) for state in (slots.state.view(slot), alone.state.view(0))
            )
            assert_close("batch.states", found, expected, f"{name}, slot {slot}")


@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice"])
def test_no_rows_of_others_are_heard_whatever_they_are(house: Callable, name: str) -> None:
    """Rows of no text, and numbers by the thousand where a slot rests.

    Not in int8: here a prompt is read in two pieces in company and in one alone, and to int8 the
    last bit of an activation may be a whole number. `Openings` reads them the same way always.
    """
    requests = [
        random_request(house(name).manifest, seed, prompt)
        for seed, prompt in enumerate((9, 1, 12, 5, 4))
    ]
    assert_company_changes_nothing(house(name).frame, requests)


def test_the_same_seed_says_the_same_in_every_slot_and_another_does_not(house: Callable) -> None:
    codes, _ = house("edge-voice").speak(SLOTS["one text, three seeds"])
    assert np.array_equal(codes[0], codes[2])
    assert not np.array_equal(codes[0], codes[1])


@pytest.mark.parametrize(
    "spoken", [SLOTS["greedy"][2], SLOTS["sampled"][0]], ids=["greedy", "loud"]
)
def test_alone_means_what_the_synthesizer_says(house: Callable, spoken: Spoken) -> None:
    voice = house("edge-voice")
    tts = Synthesizer.open(voice.bundle.folder, threads=1, verify=False)
    found = tts.speak(
        spoken.text,
        Voice.speaker("heart"),
        language="english",
        text_layout=spoken.layout,
        sampling=spoken.sampling,
        seed=spoken.seed,
        max_seconds=FRAMES * 0.08,
    )
    codes, _ = voice.speak([spoken])
    assert 10 < len(found.codes) <= FRAMES
    assert np.array_equal(codes[0, : len(found.codes)], found.codes)


# the graph itself, launched as no slot does


def launch(
    one: House,
    speaking: Sequence[Spoken],
    rows: Sequence[np.ndarray],
    positions: list[int],
    state: OrtState,
) -> np.ndarray:
    """One launch of a first frame: every slot padded to the longest."""
    longest = max(map(len, rows))
    padded = np.full((len(speaking), longest, one.manifest.hidden_size), PADDING, np.float32)
    for slot, some in zip(padded, rows, strict=True):
        slot[: len(some)] = some
    sizes = (one.manifest.vocab_size, one.manifest.codebook_size)
    settings = [
        sampling.inputs(spoken.sampling.over(one.manifest.sampling), *sizes) for spoken in speaking
    ]
    together = {name: np.concatenate([each[name] for each in settings]) for name in settings[0]}
    inputs = {
        "rows": padded,
        "length": np.array([len(some) for some in rows]),
        "position": np.array(positions),
        "draws": np.stack([sampling.draws(spoken.seed, 0, 16) for spoken in speaking]),
        "allow_end": np.zeros(len(speaking), bool),
        **together,
        **sampling.ranks(together["top_k"], *sizes),
    }
    return one.frame.launch(inputs, state)()


@pytest.mark.parametrize("which", SLOTS)
@pytest.mark.parametrize("name", ["same", "int8"])
def test_prompts_that_begin_together_do_not_hear_each_other(
    house: Callable, name: str, which: str
) -> None:
    """Of several lengths in one launch, and beyond a prompt's end stands anything."""
    one, speaking = house(name), SLOTS[which]
    rows = [one.prompt(spoken).rows for spoken in speaking]
    state = one.frame.state(len(speaking))
    codes = launch(one, speaking, rows, [0] * len(rows), state)
    for slot, (spoken, some) in enumerate(zip(speaking, rows, strict=True)):
        alone = one.frame.state(1)
        assert np.array_equal(launch(one, [spoken], [some], [0], alone)[0], codes[slot])
        found, expected = cache(state.view(slot), len(some)), cache(alone, len(some))
        assert_close("batch.states", found, expected, f"{name}, slot {slot}")


@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice"])
@pytest.mark.parametrize("cut", [1, 3, -1])
def test_a_prompt_read_in_two_launches_is_the_prompt_read_in_one(
    house: Callable, name: str, cut: int
) -> None:
    """A voice's fixed opening, then the rest: rows after position 0, of one slot."""
    one, spoken = house(name), SLOTS["greedy"][0]
    rows = one.prompt(spoken).rows
    cut %= len(rows)
    outcomes = []
    for pieces in ([rows], [rows[:cut], rows[cut:]]):
        state, at = one.frame.state(1), 0
        for piece in pieces:
            # What an opening makes is a frame that nobody said: no feedback, nothing seen.
            state.clear("past.feedback", "past.seen")
            codes = launch(one, [spoken], [piece], [at], state)
            at += len(piece)
        outcomes.append((codes, cache(state, len(rows))))
    assert np.array_equal(outcomes[0][0], outcomes[1][0])
    assert_close("batch.states", outcomes[1][1], outcomes[0][1], f"{name}, {cut}")


def test_rows_after_position_0_cannot_be_batched_on_the_cpu(house: Callable) -> None:
    """ONNX Runtime's own limit, with its own words; if this fails, it has been lifted."""
    one, speaking = house("same"), SLOTS["greedy"][:2]
    rows = [one.prompt(spoken).rows for spoken in speaking]
    state = one.frame.state(2)
    words = "batch_size must be 1 when sequence_length > 1"
    launch(one, speaking, [some[:3] for some in rows], [0, 0], state)
    with pytest.raises(Exception, match=words):  # ONNX Runtime's exceptions have no own parent
        launch(one, speaking, [some[3:] for some in rows], [3, 3], state)
    with pytest.raises(Exception, match=words):  # a slot that joins while another one speaks
        launch(one, speaking, [rows[0], rows[1][:1]], [0, 3], state)
