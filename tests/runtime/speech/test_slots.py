"""Slots over toy networks that are wrong when anything is: who joins, rests and leaves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toy_frame as toy
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.slots import Slots


class ToyState:
    """The states of both toy networks, as plain arrays that views share."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.slots = len(next(iter(arrays.values())))

    def view(self, first: int, slots: int = 1) -> "ToyState":
        return ToyState({name: array[first : first + slots] for name, array in self.arrays.items()})

    def clear(self, *names: str) -> None:
        for name in names or self.arrays:
            if (talked := f"talker {name}") in self.arrays:
                self.arrays[talked][:] = 0
            if (predicted := f"predictor {name}") in self.arrays:
                self.arrays[predicted][:] = 0

    def copy(self, other: "ToyState", positions: int | None = None) -> None:
        for name, array in self.arrays.items():
            if name == "talker past_key_values.0.key":
                array[:, :, :positions] = other.arrays[name][:, :, :positions]
                array[:, :, positions:] = 1e6  # whoever reads that is wrong
            else:
                array[:] = other.arrays[name]


class ToyGraph:
    """The toy networks as a `backends.FrameGraph`."""

    capacity = toy.CAPACITY
    seconds = 0.0
    slots = None

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    def state(self, slots: int, positions: int | None = None) -> ToyState:
        sizes = {"batch": slots, "capacity": positions or self.capacity}
        return ToyState(
            {
                f"{kind} {each.past.name}": np.zeros(each.past.sized(sizes), each.past.stored)
                for kind, spec in (("talker", toy.TALKER), ("predictor", toy.PREDICTOR))
                for each in spec.states
            }
        )

    def launch(self, inputs: Mapping[str, np.ndarray], state: ToyState) -> Callable[[], Any]:
        talker, predictor = (
            {
                each.past.name: state.arrays[f"{kind} {each.past.name}"].copy()
                for each in spec.states
            }
            for kind, spec in (("talker", toy.TALKER), ("predictor", toy.PREDICTOR))
        )
        before = predictor["past.feedback"].copy(), talker["past.seen"].copy()
        made = toy.talk({**inputs, **talker, "feedback": before[0]})
        toy._move_on(toy.TALKER, talker, made)
        for step in range(toy.CODEBOOKS):
            told = {**inputs, **made, **predictor, "step": np.array([step])}
            toy._move_on(toy.PREDICTOR, predictor, toy.predict(told))
        rests = inputs["length"] == 0
        predictor["past.feedback"][rests], talker["past.seen"][rests] = (
            before[0][rests],
            before[1][rests],
        )
        for kind, arrays in (("talker", talker), ("predictor", predictor)):
            for name, array in arrays.items():
                state.arrays[f"{kind} {name}"][:] = array
        codes = predictor["past.codes"].copy()
        return lambda: codes


@pytest.fixture(scope="module")
def small(voice_bundle: Path) -> Manifest:
    return msgspec.structs.replace(
        Manifest.load(voice_bundle),
        hidden_size=toy.HIDDEN,
        vocab_size=toy.VOCAB,
        codebook_size=toy.CODEBOOK_SIZE,
        codebooks=toy.CODEBOOKS,
    )


def alone(small: Manifest, prompt: Prompt, seed: int, frames: int, cut: int) -> list[list[int]]:
    """What one speaks by itself, its prompt in one piece or in two."""
    slots = Slots(ToyGraph(0), small, 1)
    opening = (slots.open(prompt.rows[:cut], small.sampling), cut) if cut else None
    slots.join(small.sampling, seed, opening)
    made = [slots.read(prompt.rows[cut:])()]
    made += [slots.step([prompt.text_row(frame)])() for frame in range(frames - 1)]
    return [codes[0].tolist() for codes in made]


def toy_prompt(seed: int, rows: int) -> Prompt:
    numbers = np.random.default_rng(seed).integers(0, 4, (rows + 4, toy.HIDDEN))
    made = numbers.astype(np.float32)
    return Prompt(made[:rows], made[rows:-1], made[-1], rows - 1)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_joins_rests_and_leaves_are_those_of_each_alone(
    small: Manifest, data: st.DataObject, most: int
) -> None:
    """Whoever comes and goes and rests beside it: codes are those of an utterance by itself."""
    slots = Slots(ToyGraph(0), small, most)
    speaking: list[tuple[int, Prompt, list[list[int]]]] = []
    done: list[tuple[int, Prompt, list[list[int]]]] = []
    seeds = iter(range(100))
    for _ in range(data.draw(st.integers(1, 25))):
        action = data.draw(st.sampled_from(["join", "step", "step", "step", "leave"]))
        if action == "join" and slots.count < most:
            seed = next(seeds)
            prompt = toy_prompt(seed, data.draw(st.integers(2, 5)))
            cut = data.draw(st.integers(0, len(prompt.rows) - 1))
            opening = (slots.open(prompt.rows[:cut], small.sampling), cut) if cut else None
            slots.join(small.sampling, seed, opening)
            speaking.append((seed, prompt, slots.read(prompt.rows[cut:])().tolist()))
        elif action == "leave" and speaking:
            slot = data.draw(st.integers(0, len(speaking) - 1))
            slots.leave(slot)
            done.append(speaking[slot])
            last = speaking.pop()
            if slot < len(speaking):
                speaking[slot] = last
        elif speaking:
            goes = [
                len(made) + len(prompt.rows) <= toy.CAPACITY and data.draw(st.booleans())
                for _, prompt, made in speaking
            ]
            rows = [
                prompt.text_row(len(made) - 1) if go else None
                for go, (_, prompt, made) in zip(goes, speaking, strict=True)
            ]
            if any(goes):
                for go, codes, (_, _, made) in zip(goes, slots.step(rows)(), speaking, strict=True):
                    made += [codes.tolist()] if go else []
    for seed, prompt, made in done + speaking:
        assert made == alone(small, prompt, seed, len(made), 0)
