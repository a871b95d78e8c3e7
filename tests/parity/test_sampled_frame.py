"""The frame graph draws as the official package does, with penalty, bans and seen codes.

What other settings make of the draws is `test_sampling`'s: here it is that each arrives.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from oracle import official_scores
from oracle.answers import AskedOnce
from parity.official_draws import (
    SETTINGS,
    VOICED,
    assert_frequencies,
    assert_inverse_cdf,
    distribution,
)
from qwen3_tts_edge import Sampling, Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import FRAME, TOTAL, Manifest
from qwen3_tts_edge.speech.prompt import Prompt, PromptBuilder
from qwen3_tts_edge.speech.sampling import MIN_FRAMES, draws, inputs, ranks
from qwen3_tts_export.modules.frame import RESERVED
from tiny import EDGE_VOICE

Judge = Callable[[Path], AskedOnce]


class Spoken:
    """The bundled voice's sentence: our graph stopped before any frame, the official logits."""

    def __init__(self, folder: Path, oracle: AskedOnce) -> None:
        self.manifest = Manifest.load(folder)
        self.spec = self.manifest.graphs[FRAME]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(
            folder / self.spec.file, options, providers=["CPUExecutionProvider"]
        )
        builder = PromptBuilder(Bundle.open(folder))
        self.prompt: Prompt = builder.build(
            VOICED.text, Voice.speaker("heart"), language="english", text_layout="streamed"
        )
        self.oracle = oracle
        self.codes = oracle.codes(VOICED, 200)
        assert 10 < len(self.codes) < 200
        # One frame more than was spoken: its code 0 is the end of speech.
        end = self.manifest.control_codes.end_of_speech
        last = np.concatenate(([[0]], self.codes[-1:, 1:]), axis=1)
        self.talker, self.predictor = oracle.teacher_forced(
            VOICED, np.concatenate((self.codes, last))
        )
        self.rules = {
            "suppress": [
                code
                for code in range(self.manifest.vocab_size - RESERVED, self.manifest.vocab_size)
                if code != end
            ],
            "eos": end,
        }
        self._pasts: dict[int, dict[str, np.ndarray]] = {}

    def launch(
        self, frame: int, draw: np.ndarray, sampling: Sampling, *, allow_end: bool
    ) -> np.ndarray:
        """Choose frame `frame` once for every row of `draw` (n, 16)."""
        return self._run(self._past(frame), frame, draw, sampling, allow_end=allow_end)[0]

    def _past(self, frame: int) -> dict[str, np.ndarray]:
        """The state before a frame, by speaking greedily up to there."""
        if not self._pasts:
            sizes = {"batch": 1, "capacity": len(self.prompt.rows) + len(self.codes) + 1}
            self._pasts[0] = {
                state.past.name: np.zeros(
                    [sizes.get(axis, axis) for axis in state.past.shape], state.past.dtype
                )
                for state in self.spec.states
            }
            for t, expected in enumerate(self.codes):
                zero = np.zeros((1, 16), np.float32)
                allow_end = t >= MIN_FRAMES
                codes, *present = self._run(
                    self._pasts[t], t, zero, Sampling.greedy(), allow_end=allow_end
                )
                assert np.array_equal(codes[0], expected), t
                names = [state.past.name for state in self.spec.states]
                self._pasts[t + 1] = dict(zip(names, present, strict=True))
        return self._pasts[frame]

    def _run(
        self,
        past: dict[str, np.ndarray],
        frame: int,
        draw: np.ndarray,
        sampling: Sampling,
        *,
        allow_end: bool,
    ) -> list[np.ndarray]:
        n = len(draw)
        rows = self.prompt.text_row(frame - 1) if frame else self.prompt.rows
        position = len(self.prompt.rows) + frame - 1 if frame else 0
        sizes = (self.manifest.vocab_size, self.manifest.codebook_size)
        settings = inputs(sampling.over(self.manifest.sampling), *sizes)
        feeds = {
            "rows": np.repeat(rows[None], n, axis=0),
            "length": np.full(n, len(rows)),
            "position": np.full(n, position),
            "draws": draw.astype(np.float32),
            "allow_end": np.full(n, allow_end),
            **{name: np.repeat(value, n, axis=0) for name, value in settings.items()},
            **ranks(settings["top_k"], *sizes),
            TOTAL: np.array([position + len(rows)], np.int32),
            **{name: np.repeat(value, n, axis=0) for name, value in past.items()},
        }
        return self.session.run(None, feeds)


@pytest.fixture(scope="module")
def spoken(exact_voice_bundle: Path, judge: Judge) -> Spoken:
    return Spoken(exact_voice_bundle, judge(EDGE_VOICE))


PENALTIES = {"the defaults": 1.05, "every code": 1.0, "a nucleus": 1.5, "hot": 5.0, "greedy": 3.0}


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        *(("the defaults", frame) for frame in (0, 1, 2, 6, -1)),
        ("every code", -1),
        *((name, 6) for name in ("a nucleus", "hot", "greedy")),
    ],
)
def test_the_frame_graph_draws_code_0_from_the_official_distribution(
    spoken: Spoken, name: str, frame: int
) -> None:
    """First frames, where the end is banned; later ones; and the last, where speech ends."""
    frame %= len(spoken.codes) + 1
    asked, penalty = SETTINGS[name], PENALTIES[name]
    seen = spoken.codes[:frame, 0].tolist()
    rules = {"repetition_penalty": penalty, **spoken.rules}
    probability = distribution(spoken.talker[frame], seen, frame, **asked, **rules)
    scores = official_scores(spoken.talker[frame], seen, frame, do_sample=False, **rules)
    draw = np.zeros((128, 16), np.float32)
    draw[:, 0] = (np.arange(128) + 0.5) / 128
    codes = spoken.launch(
        frame,
        draw,
        Sampling(**asked, repetition_penalty=penalty, subtalker_dosample=False),
        allow_end=frame >= MIN_FRAMES,
    )
    assert_inverse_cdf(draw[:, 0], codes[:, 0], probability, scores, f"{name}, frame {frame}")
    end = spoken.rules["eos"]
    if frame == len(spoken.codes) and name in ("the defaults", "every code"):
        assert probability[end] > 0.5
        assert (codes[:, 0] == end).mean() > 0.5


def test_the_end_is_banned_even_where_it_is_most_likely(spoken: Spoken) -> None:
    """The last frame's logits, as if they were the first's."""
    frame, end = len(spoken.codes), spoken.rules["eos"]
    assert spoken.talker[frame].argmax() == end
    draw = np.zeros((64, 16), np.float32)
    draw[:, 0] = (np.arange(64) + 0.5) / 64
    asked = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
    allowed = spoken.launch(frame, draw, asked, allow_end=True)
    banned = spoken.launch(frame, draw, asked, allow_end=False)
    assert (allowed[:, 0] == end).any()
    assert not (banned[:, 0] == end).any()
    rules = {"temperature": 1.0, "top_k": 0, **spoken.rules}
    probability = distribution(spoken.talker[frame], [], 0, **rules)
    scores = official_scores(spoken.talker[frame], [], 0, do_sample=False, **spoken.rules)
    assert_inverse_cdf(draw[:, 0], banned[:, 0], probability, scores, "banned")


@pytest.mark.parametrize(
    ("name", "book"),
    [
        ("the defaults", 1),
        ("the defaults", 8),
        ("the defaults", 15),
        ("a nucleus", 8),
        ("greedy", 8),
    ],
)
def test_the_frame_graph_draws_the_other_codes_from_the_official_distribution(
    spoken: Spoken, name: str, book: int
) -> None:
    """The predictor: greedy up to there, so the official logits are those of the greedy codes."""
    frame, asked = 6, SETTINGS[name]
    logits = spoken.predictor[frame, book - 1]
    probability = distribution(logits, [], 0, **asked)
    draw = np.zeros((128, 16), np.float32)  # draw 0 is the most likely code
    draw[:, book] = (np.arange(128) + 0.5) / 128
    subtalker = {f"subtalker_{key}": value for key, value in asked.items() if key != "do_sample"}
    if name == "greedy":
        subtalker = {"subtalker_dosample": False}
    codes = spoken.launch(frame, draw, Sampling(do_sample=False, **subtalker), allow_end=True)
    assert (codes[:, :book] == spoken.codes[frame, :book]).all()
    scores = official_scores(logits, [], 0, do_sample=False)
    assert_inverse_cdf(draw[:, book], codes[:, book], probability, scores, f"{name}, {book}")


def test_our_seeds_draw_the_frame_as_often_as_the_official_distribution(spoken: Spoken) -> None:
    """2048 frames of 2048 seeds: code 0 by chi-square, all from one state of the graph."""
    frame, asked = 6, SETTINGS["the defaults"]
    numbers = np.stack([draws(seed, frame, 16) for seed in range(2048)])
    codes = np.concatenate(
        [
            spoken.launch(frame, part, Sampling(**asked), allow_end=True)[:, 0]
            for part in np.split(numbers, 16)
        ]
    )
    seen = spoken.codes[:frame, 0].tolist()
    rules = {**asked, "repetition_penalty": 1.05, **spoken.rules}
    probability = distribution(spoken.talker[frame], seen, frame, **rules)
    assert_frequencies(codes, probability, "frame 6")
