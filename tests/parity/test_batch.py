"""Concurrent streams are rows of one batch: each speaks as it would alone.

Limit, of ONNX Runtime 1.32's GroupQueryAttention on the CPU: a launch with several rows of several
batch rows must begin at position 0. Prompts start together, or alone (batch 1); see the last test.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from parity.tolerances import assert_close
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.backends import Graph, open_backend
from qwen3_tts_edge.bundle.manifest import FRAME, TOKENIZER, Manifest
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.speech.sampling import MIN_FRAMES, draws, ranks

FRAMES, CAPACITY = 24, 128
PADDING = 7.0  # what stands in rows beyond a prompt's length: anything


@dataclass(frozen=True)
class Slot:
    """What one batch row speaks."""

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
        Slot("Hello there, my friend, how are you?", "upfront", GREEDY, 0),
        Slot("No.", "upfront", GREEDY, 0),
        Slot("Set a timer for ten minutes.", "streamed", GREEDY, 0),
    ],
    "sampled": [
        Slot("One two.", "streamed", LOUD, 3),
        Slot("The train to the coast leaves at seven.", "upfront", FEW, 4),
    ],
    "greedy beside sampled": [
        Slot("Hello.", "upfront", LOUD, 5),
        Slot("Hello.", "upfront", GREEDY, 5),
        Slot("What is the weather like?", "streamed", MIXED, 6),
    ],
    "one text, three seeds": [Slot("Good morning.", "streamed", LOUD, seed) for seed in (7, 8, 7)],
}


class Bundle:
    """The frame graph of a bundle, opened for any batch size."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, Manifest.load(folder)
        self.prompts = PromptBuilder(folder, self.manifest, Tokenizer.load(folder / TOKENIZER))
        self.opened = functools.cache(self._open)

    def _open(self, batch: int) -> Graph:
        sizes = {"batch": batch, "capacity": CAPACITY}
        return open_backend(threads=1).open(self.folder, self.manifest.graphs[FRAME], sizes)

    def inputs(
        self, slots: Sequence[Slot], rows: Sequence[np.ndarray], positions: list[int], frame: int
    ) -> dict[str, np.ndarray]:
        """One launch: every batch row padded to the longest."""
        longest = max(map(len, rows))
        padded = np.full((len(slots), longest, self.manifest.hidden_size), PADDING, np.float32)
        for slot, some in zip(padded, rows, strict=True):
            slot[: len(some)] = some
        settings = [
            slot.sampling.over(self.manifest.sampling).inputs(
                self.manifest.vocab_size, self.manifest.codebook_size
            )
            for slot in slots
        ]
        together = {name: np.concatenate([each[name] for each in settings]) for name in settings[0]}
        return {
            "rows": padded,
            "length": np.array([len(some) for some in rows]),
            "position": np.array(positions),
            "draws": np.stack([draws(slot.seed, frame, 16) for slot in slots]),
            "allow_end": np.full(len(slots), frame >= MIN_FRAMES),
            **together,
            **ranks(together["top_k"], self.manifest.vocab_size, self.manifest.codebook_size),
        }

    def prompt(self, slot: Slot) -> Prompt:
        return self.prompts.build(slot.text, language="english", text_layout=slot.layout)

    def speak(self, slots: Sequence[Slot]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Codes (batch, FRAMES, 16), speaking on after an end; and each row's last KV cache."""
        graph = self.opened(len(slots))
        graph.reset("past.feedback", "past.seen")
        prompts = [self.prompt(slot) for slot in slots]
        rows, positions, codes = [prompt.rows for prompt in prompts], [0] * len(slots), []
        for frame in range(FRAMES):
            codes.append(graph.run(self.inputs(slots, rows, positions, frame))["codes"])
            positions = [at + len(some) for at, some in zip(positions, rows, strict=True)]
            rows = [prompt.text_row(frame) for prompt in prompts]
        caches = [self.cache(graph, row, end) for row, end in enumerate(positions)]
        return np.stack(codes, axis=1), caches

    def cache(self, graph: Graph, row: int, end: int) -> np.ndarray:
        """Keys and values of all layers up to a position, flat."""
        names = [name for name in graph._past if name.startswith("past_key_values")]
        assert len(names) == len(self.manifest.graphs[FRAME].states) - 2
        return np.concatenate([graph._past[name].numpy()[row, :, :end].ravel() for name in names])


@pytest.fixture(scope="module")
def bundle(
    tiny_bundle: Callable[..., Path], exact_voice_bundle: Path, voice_bundle: Path
) -> Callable[[str], Bundle]:
    voices = {"edge-voice": exact_voice_bundle, "int8": voice_bundle}

    @functools.cache
    def find(name: str) -> Bundle:
        return Bundle(voices.get(name) or tiny_bundle("custom_voice", name))

    return find


@pytest.mark.parametrize("which", SLOTS)
@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice", "int8"])
def test_every_row_of_a_batch_speaks_as_it_does_alone(
    bundle: Callable, name: str, which: str
) -> None:
    """Prompts of other lengths, hence other positions; other settings, other seeds."""
    found, caches = bundle(name).speak(SLOTS[which])
    for i, slot in enumerate(SLOTS[which]):
        codes, alone = bundle(name).speak([slot])
        differ = np.argwhere(found[i] != codes[0])
        assert not len(differ), f"{name}, row {i}: first frame, codebook {differ[0].tolist()}"
        assert_close("batch.states", caches[i], alone[0], f"{name}, row {i}")
    lengths = {len(bundle(name).prompt(slot).rows) for slot in SLOTS[which]}
    assert len(lengths) > 1 or which.startswith("one text")


def test_the_same_seed_says_the_same_in_every_row_and_another_does_not(bundle: Callable) -> None:
    codes, _ = bundle("edge-voice").speak(SLOTS["one text, three seeds"])
    assert np.array_equal(codes[0], codes[2])
    assert not np.array_equal(codes[0], codes[1])


@pytest.mark.parametrize("slot", [SLOTS["greedy"][2], SLOTS["sampled"][0]], ids=["greedy", "loud"])
def test_alone_means_what_the_synthesizer_says(bundle: Callable, slot: Slot) -> None:
    voice = bundle("edge-voice")
    tts = Synthesizer.open(voice.folder, threads=1, verify=False)
    spoken = tts.speak(
        slot.text,
        Voice.speaker("heart"),
        language="english",
        text_layout=slot.layout,
        sampling=slot.sampling,
        seed=slot.seed,
        max_seconds=FRAMES * 0.08,
    )
    codes, _ = voice.speak([slot])
    assert 10 < len(spoken.codes) <= FRAMES
    assert np.array_equal(codes[0, : len(spoken.codes)], spoken.codes)


@pytest.mark.parametrize("name", ["same", "narrow", "edge-voice"])
@pytest.mark.parametrize("cut", [1, 3, -1])
def test_a_prompt_read_in_two_launches_is_the_prompt_read_in_one(
    bundle: Callable, name: str, cut: int
) -> None:
    """A voice's fixed prefix, then the rest: rows after position 0, batch 1."""
    one, slot = bundle(name), SLOTS["greedy"][0]
    rows, graph = one.prompt(slot).rows, one.opened(1)
    cut %= len(rows)
    outcomes = []
    for pieces in ([rows], [rows[:cut], rows[cut:]]):
        at = 0
        for piece in pieces:
            # What a prefix makes is a frame that nobody said: no feedback, nothing seen.
            graph.reset("past.feedback", "past.seen")
            codes = graph.run(one.inputs([slot], [piece], [at], 0))["codes"]
            at += len(piece)
        outcomes.append((codes, one.cache(graph, 0, len(rows))))
    assert np.array_equal(outcomes[0][0], outcomes[1][0])
    assert_close("batch.states", outcomes[1][1], outcomes[0][1], f"{name}, {cut}")


def test_rows_after_position_0_cannot_be_batched_on_the_cpu(bundle: Callable) -> None:
    """ONNX Runtime's own limit, with its own words; if this fails, it has been lifted."""
    one, slots = bundle("same"), SLOTS["greedy"][:2]
    rows = [one.prompt(slot).rows for slot in slots]
    graph = one.opened(2)
    words = "batch_size must be 1 when sequence_length > 1 and past context is given"
    graph.run(one.inputs(slots, [some[:3] for some in rows], [0, 0], 0))
    with pytest.raises(Exception, match=words):  # ONNX Runtime's exceptions have no own parent
        graph.run(one.inputs(slots, [some[3:] for some in rows], [3, 3], 0))
    with pytest.raises(Exception, match=words):  # a slot that joins while another one speaks
        graph.run(one.inputs(slots, [rows[0], rows[1][:1]], [0, 3], 0))
