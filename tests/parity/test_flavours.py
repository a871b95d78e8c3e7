"""The flavours beside `ort`, on the CPU: rung 1 for each graph, rung 2 and draws for frames."""

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from on_the_cpu import on_the_cpu
from oracle import Case
from oracle.answers import AskedOnce
from parity.forced import Modules, empty_codec_state, filled
from parity.stepped import SETTINGS, SteppedFrame, SteppedState, read, speaking_in_steps
from parity.test_loop import WHOLE, assert_equal_codes, codes_of
from parity.tolerances import assert_close, count
from qwen3_tts_edge import Sampling, Synthesizer, Voice
from qwen3_tts_edge.backends import FrameGraph, open_backend
from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    PREDICTOR_STEP,
    TALKER_STEP,
    Manifest,
)
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_export.modules import predictor_step, sampling
from qwen3_tts_export.modules.frame import TalkerStep, talker_step_weights
from qwen3_tts_export.modules.predictor_step import PredictorStep, predictor_step_weights
from slots_by_hand import (
    Slots,
    Speech,
    assert_company_changes_nothing,
    placed,
    random_request,
)

NAMES = ("same", "edge-voice")  # without the input projection and with it
STEPPED = ("trt", "compat")
FRAMES, RESTS, CAPACITY, SLOTS = 5, 3, 24, 2

BundleIn = Callable[..., Path]


class Steps:
    """The torch modules of a frame in steps, and what they chose from."""

    def __init__(self, ours: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
        tensors, config = ours.checkpoint.talker, ours.config
        positions = config.talker.max_positions
        self.talker: TalkerStep = filled(
            TalkerStep(config, positions), talker_step_weights(tensors, config, positions)
        )
        self.predictor: PredictorStep = filled(
            PredictorStep(config), predictor_step_weights(tensors, config)
        )
        self.scores = torch.empty(0)
        choose = sampling.sample

        def spied(scores: torch.Tensor, *settings: torch.Tensor | None) -> torch.Tensor:
            self.scores = scores
            return choose(scores, *settings)

        monkeypatch.setattr(sampling, "sample", spied)
        monkeypatch.setattr(predictor_step, "sample", spied)


RANKS = (torch.arange(50), torch.arange(20))
"""As many as the top_k below."""
TOTAL = torch.tensor([CAPACITY], dtype=torch.int32)


def launches(ours: Modules) -> list[dict[str, torch.Tensor]]:
    """Inputs of some frames: two slots, one of which is greedy and rests once; two prompts."""
    rng = torch.Generator().manual_seed(8)
    hidden, codebooks = ours.config.talker.hidden_size, ours.config.talker.num_codebooks
    found, position = [], torch.zeros(SLOTS, dtype=torch.int64)
    for frame in range(FRAMES):
        length = torch.tensor({0: [7, 4], RESTS: [1, 0]}.get(frame, [1, 1]))
        rows = torch.randn(SLOTS, int(length.max()), hidden, generator=rng)
        found.append(
            {
                "rows": rows,
                "length": length,
                "position": position,
                "draws": torch.rand(SLOTS, codebooks, generator=rng),
                "allow_end": torch.full((SLOTS,), fill_value=frame > 1),
                "temperature": torch.tensor([[0.9, 0.8], [1.0, 1.0]]),
                "top_k": torch.tensor([[50, 20], [1, 1]]),
                "top_p": torch.tensor([[0.95, 1.0], [1.0, 1.0]]),
                "repetition_penalty": torch.tensor([1.05, 1.3]),
            }
        )
        position = position + length
    return found


def zeros(specs: Any, **sizes: int) -> list[torch.Tensor]:
    return [
        torch.from_numpy(np.zeros(spec.past.sized({"batch": SLOTS, **sizes}), spec.past.stored))
        for spec in specs
    ]


class Graph:
    """A graph whose scores, what it sorts, are heard as well."""

    def __init__(self, folder: Path, name: str) -> None:
        self.spec = Manifest.load(folder).graphs[name]
        model = onnx.load(str(folder / self.spec.file), load_external_data=False)
        (top_k,) = (node for node in model.graph.node if node.op_type == "TopK")
        scores = onnx.helper.make_tensor_value_info(top_k.input[0], onnx.TensorProto.FLOAT, None)
        model.graph.output.append(scores)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        self.session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: dict[str, torch.Tensor], past: list[torch.Tensor]) -> list[np.ndarray]:
        feeds = {spec.name: inputs[spec.name].numpy() for spec in self.spec.inputs}
        feeds |= {s.past.name: x.numpy() for s, x in zip(self.spec.states, past, strict=True)}
        return self.session.run(None, feeds)


def assert_same_scores(found: np.ndarray, expected: torch.Tensor, at: str) -> None:
    banned = torch.isinf(expected).numpy()
    assert np.array_equal(np.isinf(found), banned), at
    assert_close("graphs.logits", np.where(banned, 0, found), np.where(banned, 0, expected), at)


@pytest.mark.parametrize("flavour", STEPPED)
@pytest.mark.parametrize("name", NAMES)
def test_each_step_computes_what_its_module_does(
    bundle_in: BundleIn,
    modules: Callable[[str], Modules],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    flavour: str,
) -> None:
    """Teacher-forced: before every launch both have the module's inputs and state."""
    ours, folder = modules(name), bundle_in(name, flavour)
    steps = Steps(ours, monkeypatch)
    talker, predictor = Graph(folder, TALKER_STEP), Graph(folder, PREDICTOR_STEP)
    spoken = zeros(talker.spec.states, capacity=CAPACITY)
    frame = zeros(predictor.spec.states)
    for number, inputs in enumerate(launches(ours)):
        inputs["feedback"] = frame[1]
        with torch.inference_mode():
            arguments = [inputs[spec.name] for spec in talker.spec.inputs]
            code, hidden, after = steps.talker(*arguments, spoken)
        found = talker.run(inputs, spoken)
        at = f"{name}, {flavour}, frame {number}"
        assert_same_scores(found.pop(), steps.scores, at)
        assert np.array_equal(found[0], code.numpy()), at
        assert_close("graphs.hidden", found[1], hidden.numpy(), at)
        for spec, mine, theirs in zip(talker.spec.states, found[2:], after, strict=True):
            assert_close("graphs.states", mine, theirs.numpy(), f"{at}, {spec.present}")
        if number == RESTS:
            assert np.array_equal(found[2][1], spoken[0][1].numpy()), "it has spoken nothing"
        spoken, before = after, frame[1]
        inputs |= {"code": code, "hidden": hidden}
        for step in range(ours.config.talker.num_codebooks):
            inputs["step"] = torch.tensor([step])
            with torch.inference_mode():
                arguments = [inputs[spec.name] for spec in predictor.spec.inputs]
                after = steps.predictor(*arguments, frame)
            found = predictor.run(inputs, frame)
            at = f"{name}, {flavour}, frame {number}, step {step}"
            assert_same_scores(found.pop(), steps.scores, at)
            assert np.array_equal(found[0], after[0].numpy()), at
            for spec, mine, theirs in zip(predictor.spec.states, found, after, strict=True):
                assert_close("graphs.states", mine, theirs.numpy(), f"{at}, {spec.present}")
            if number == RESTS:
                assert np.array_equal(found[1][1], before[1].numpy()), "it is fed back what it was"
            frame = after


@pytest.mark.parametrize("name", NAMES)
def test_the_steps_are_the_frame(
    modules: Callable[[str], Modules], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In torch: the two halves say and feed back what the whole does."""
    ours = modules(name)
    steps, whole = Steps(ours, monkeypatch), ours.frame()
    talker, predictor = ours.config.talker, ours.config.predictor
    cache = [part for pair in ours.cache(CAPACITY, SLOTS) for part in pair]
    seen = torch.zeros(SLOTS, talker.vocab_size, dtype=torch.bool)
    feedback = torch.zeros(SLOTS, 1, talker.hidden_size)
    slots = (SLOTS, predictor.num_kv_heads, talker.num_codebooks, predictor.head_dim)
    own = [torch.zeros(slots) for _ in range(2 * predictor.num_layers)]
    fused, spoken = [feedback, seen, *cache], [seen, *cache]
    frame = [torch.full((SLOTS, talker.num_codebooks), 7), feedback, *own]
    for inputs in launches(ours):
        rows, *rest = inputs.values()
        settings = [inputs[name] for name in SETTINGS]
        with torch.inference_mode():
            codes, fused = whole(rows, *rest, *RANKS, TOTAL, fused)
            code, hidden, spoken = steps.talker(rows, frame[1], *rest, spoken)
            for step in range(talker.num_codebooks):
                number = torch.tensor([step])
                frame = steps.predictor(hidden, code, inputs["length"], number, *settings, frame)
        assert torch.equal(frame[0], codes)
        assert_close("modules.hidden", frame[1].numpy(), fused[0].numpy(), "feedback")
        for mine, theirs in zip(spoken, fused[1:], strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("flavour", [*STEPPED, "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_the_codec_decoder_makes_the_samples_of_our_module(
    bundle_in: BundleIn, modules: Callable[[str], Modules], name: str, flavour: str
) -> None:
    """Two utterances at once, over chunks of several lengths, past the window."""
    folder, config = bundle_in(name, flavour), modules(name).config.codec
    codec, state = modules(name).codec(), empty_codec_state(config, SLOTS)
    spec = Manifest.load(folder).graphs[CODEC_DECODER]
    session = ort.InferenceSession(folder / spec.file, providers=["CPUExecutionProvider"])
    past = {s.past.name: x.numpy() for s, x in zip(spec.states, state, strict=True)}
    codes, at = np.random.default_rng(9).integers(0, config.codebook_size, (SLOTS, 85, 16)), 0
    for frames in (1, 8, 75, 1):
        chunk, position = codes[:, at : at + frames], np.array([at] * SLOTS)
        samples, *present = session.run(None, {"codes": chunk, "position": position, **past})
        past = {s.past.name: x for s, x in zip(spec.states, present, strict=True)}
        with torch.inference_mode():
            expected, state = codec(torch.from_numpy(chunk), torch.from_numpy(position), state)
        assert_close("graphs.samples", samples, expected.numpy(), f"{name}, {flavour}, frame {at}")
        for s, reference in zip(spec.states, state, strict=True):
            where = f"{name}, {flavour}, frame {at}, {s.present}"
            assert_close("graphs.states", past[s.past.name], reference.numpy(), where)
        at += frames


# whole utterances


@pytest.fixture(scope="module")
def speaking(
    bundle_in: BundleIn, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Synthesizer]:
    """Return a function that opens a checkpoint's bundle, its frames made by a flavour."""

    @functools.cache
    def opened(name: str, flavour: str) -> Synthesizer:
        if flavour in STEPPED:
            return speaking_in_steps(bundle_in(name, "ort"), bundle_in(name, flavour))
        folder = bundle_in(name, flavour)
        if flavour == "cuda":
            folder = on_the_cpu(folder, tmp_path_factory.mktemp(name) / flavour)
        return Synthesizer.open(folder, backend="ort-cpu", threads=1, verify=False)

    return opened


TEXTS = {
    "same": [("Guten Tag, schöne Grüße!", "ryan", False), ("Let's go.", "eric", True)],
    "edge-voice": [
        ("Set a timer for ten minutes.", "heart", False),
        ("Turn off the lights.", "heart", True),
    ],
}


@pytest.mark.parametrize("flavour", [*STEPPED, "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_utterances_are_the_official_codes(
    judge: Callable[[Path], AskedOnce],
    modules: Callable[[str], Modules],
    bundle_in: BundleIn,
    speaking: Callable[[str, str], Synthesizer],
    name: str,
    flavour: str,
) -> None:
    """Greedy, until the voice ends by itself; the random checkpoint would go on for long."""
    oracle = judge(modules(name).checkpoint.folder)
    limit = WHOLE if name == "edge-voice" else 40
    for text, speaker, upfront in TEXTS[name]:
        case = Case("custom_voice", "same", text, speaker, "english", None, upfront)
        found = codes_of(
            speaking(name, flavour),
            limit,
            text,
            Voice.speaker(speaker),
            language="english",
            text_layout="upfront" if upfront else "streamed",
        )
        assert_equal_codes(oracle, case, bundle_in(name, "ort"), found, limit)
        assert name != "edge-voice" or 2 < len(found) < limit
        count(f"flavours: frames of {flavour}", len(found))


DRAWN = [
    Sampling(),
    Sampling(temperature=1.2, top_k=0, top_p=0.9, repetition_penalty=1.4, subtalker_top_p=0.8),
    Sampling(subtalker_dosample=False),
    Sampling(top_k=5, subtalker_top_k=0, subtalker_temperature=0.5),
]


@pytest.mark.parametrize("flavour", [*STEPPED, "cuda"])
def test_a_seed_says_the_same_in_every_flavour(
    speaking: Callable[[str, str], Synthesizer], flavour: str
) -> None:
    """Alone, and as slots of one batch with other texts, settings and lengths beside them."""
    exact, other = (speaking("edge-voice", each) for each in ("ort", flavour))
    texts = ["Set a timer.", "No.", "What is the weather like today?", "Hello there."]
    requests = [
        Request(text, sampling=sampling, seed=number, max_seconds=2)
        for number, (text, sampling) in enumerate(zip(texts, DRAWN, strict=True))
    ]
    expected = [
        exact.speak(r.text, sampling=r.sampling, seed=r.seed, max_seconds=2).codes for r in requests
    ]
    assert len({len(codes) for codes in expected}) > 1
    for request, codes in zip(requests, expected, strict=True):
        alone = other.speak(
            request.text, sampling=request.sampling, seed=request.seed, max_seconds=2
        )
        assert np.array_equal(alone.codes, codes), request
    for together, codes in zip(other.speak_batch(requests), expected, strict=True):
        assert np.array_equal(together.codes, codes)


@pytest.fixture(scope="module")
def framed(
    bundle_in: BundleIn, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], FrameGraph]:
    """Return a function that opens the frame of the tiny checkpoint in a flavour, on the CPU."""

    @functools.cache
    def opened(flavour: str) -> FrameGraph:
        folder = bundle_in("same", flavour)
        if flavour in STEPPED:
            return SteppedFrame.open(folder, CAPACITY)
        if flavour == "cuda":
            folder = on_the_cpu(folder, tmp_path_factory.mktemp("same") / flavour)
        graphs = Manifest.load(folder).graphs
        return open_backend("ort-cpu", threads=1).open_frame(folder, graphs, CAPACITY)

    return opened


@pytest.mark.parametrize("flavour", ["ort", "cuda", *STEPPED])
def test_company_changes_nothing(
    bundle_in: BundleIn, framed: Callable[[str], FrameGraph], flavour: str
) -> None:
    """Joins, rests, leaves and snapshots."""
    manifest = Manifest.load(bundle_in("same", flavour))
    requests = [random_request(manifest, seed, rows) for seed, rows in enumerate((6, 1, 5, 3, 8))]
    assert_company_changes_nothing(framed(flavour), requests)


@pytest.mark.parametrize("flavour", ["ort", "cuda", *STEPPED])
def test_a_slot_at_rest_keeps_its_state(
    bundle_in: BundleIn, framed: Callable[[str], FrameGraph], flavour: str
) -> None:
    """All of it but the position behind its end, which its next row is written over."""
    manifest = Manifest.load(bundle_in("same", flavour))
    house = Slots(framed(flavour), 2)
    speeches = [Speech(random_request(manifest, seed, 3)) for seed in range(2)]
    for speech in speeches:
        house.join(speech)
    house.step()

    def carried(slot: int) -> list[np.ndarray]:
        view = house.state.view(slot)
        talker, predictor = (
            (view.talker, view.predictor) if isinstance(view, SteppedState) else (view, view)
        )
        caches = [s.past for s in talker.shared.spec.states if "capacity" in s.past.shape]
        positions = speeches[1].position
        return [
            read(talker, "past.seen"),
            read(predictor, "past.feedback"),
            *(read(talker, past.name)[:, :, :positions] for past in caches),
        ]

    before = [carried(slot) for slot in range(2)]
    house.step(speeches[1])
    after = [carried(slot) for slot in range(2)]
    assert all(map(np.array_equal, after[1], before[1]))
    assert not any(map(np.array_equal, after[0][:2], before[0][:2]))


def test_what_was_in_the_state_of_a_frame_before_is_not_read(bundle_in: BundleIn) -> None:
    """Step 0 begins a frame, whatever the last one left: only the sum that was fed back counts."""
    frame = SteppedFrame.open(bundle_in("same", "trt"), CAPACITY)
    manifest = Manifest.load(bundle_in("same", "trt"))
    inputs = {**random_request(manifest, 1, 3)(0), **placed(3, 0)}
    state = frame.state(1)
    fresh, summed = frame.launch(inputs, state)(), read(state.predictor, "past.feedback")
    rng = np.random.default_rng(3)
    for found in state.predictor.shared.spec.states:
        held = rng.integers(0, 9, found.past.sized(state.predictor.sizes))
        stored = held.astype(found.past.stored)
        ctypes.memmove(state.predictor.past(found), stored.ctypes.data, stored.nbytes)
    state.clear("past.seen", "past.feedback")
    assert np.array_equal(frame.launch(inputs, state)(), fresh)
    assert np.array_equal(read(state.predictor, "past.feedback"), summed)
