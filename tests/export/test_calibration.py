"""Four bits, calibrated: what is asked and said, how matrices are rounded, what a stop leaves."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

from calibrated import write_quickly
from qwen3_tts_edge import Sampling, Synthesizer
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import FRAME, TOKENIZER, Manifest
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_export.bundle.description import describe
from qwen3_tts_export.bundle.tables import write_tables
from qwen3_tts_export.calibration import calibrating, compensated, tuning
from qwen3_tts_export.calibration.asking import asked
from qwen3_tts_export.calibration.gradients import let_gradients_through
from qwen3_tts_export.calibration.kept import Kept, forget
from qwen3_tts_export.calibration.layers import through_all
from qwen3_tts_export.calibration.speaking import Said, speak
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.modules import layers
from qwen3_tts_export.modules.attention import in_full
from qwen3_tts_export.modules.frame import RESERVED
from qwen3_tts_export.parity.judge import UTTERED, sentences
from qwen3_tts_export.parity.ladder import compare
from qwen3_tts_export.precision import blocks as quantize
from qwen3_tts_export.precision.products import pack
from tiny import EDGE_VOICE, LANGUAGES, SPEAKERS

pytestmark = pytest.mark.usefixtures("one_thread")

TinyOf = Callable[..., Path]
BLOCK = 32


# what is asked, and said


def without_graphs(checkpoint: Checkpoint, folder: Path) -> Bundle:
    """What prompts are made from, as it is there when a bundle is calibrated."""
    folder.mkdir()
    checkpoint.tokenizer.save(str(folder / TOKENIZER))
    write_tables(checkpoint, folder, checkpoint.tokenizer.get_vocab_size(), "float16")
    return Bundle(folder, describe(checkpoint, folder, "int4", "ort", {}))


def texts(bundle: Bundle, count: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What prompts are asked for."""
    found: list[dict[str, Any]] = []

    def build(_: object, text: str, voice: object, **settings: Any) -> None:
        found.append({"text": text, "voice": voice, **settings})

    monkeypatch.setattr("qwen3_tts_export.calibration.asking.PromptBuilder.build", build)
    list(islice(asked(bundle), count))
    return found


def test_ten_languages_are_asked_for_and_no_sentence_of_the_judge(
    tiny_checkpoint: TinyOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = without_graphs(Checkpoint.open(tiny_checkpoint()), tmp_path / "part")
    found = texts(bundle, 160, monkeypatch)
    assert {one["language"] for one in found[:10]} == {x for x in LANGUAGES if "dialect" not in x}
    assert len({one["text"] for one in found}) == 160
    assert not {one["text"] for one in found} & {sentence.text for sentence in sentences()}
    assert {one["voice"].name for one in found} == set(SPEAKERS)
    assert {one["text_layout"] for one in found} == {"streamed", "upfront"}


@pytest.mark.parametrize("kind", ["base", "voice_design"])
def test_a_checkpoint_without_speakers_is_asked_too(
    tiny_checkpoint: TinyOf, tmp_path: Path, kind: str
) -> None:
    bundle = without_graphs(Checkpoint.open(tiny_checkpoint(kind)), tmp_path / "part")
    first, second = islice(asked(bundle), 2)
    assert (first.greedy, second.greedy) == (True, False)
    assert len(first.prompt.rows) > 3


def test_a_checkpoint_that_names_nobody_is_asked_all_the_same(
    tiny_checkpoint: TinyOf, tmp_path: Path
) -> None:
    bundle = without_graphs(Checkpoint.open(tiny_checkpoint()), tmp_path / "part")
    nameless = msgspec.structs.replace(bundle.manifest, speakers={}, dialects={})
    named, unnamed = (
        next(asked(Bundle(bundle.folder, each))).prompt for each in (bundle.manifest, nameless)
    )
    assert len(unnamed.rows) == len(named.rows) - 1


def test_it_says_what_the_runtime_says(
    tiny_bundle: TinyOf, tiny_checkpoint: TinyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy and sampled, side by side; the rows are those after which each code is chosen."""
    bundle = Bundle.open(tiny_bundle())
    checkpoint = Checkpoint.open(tiny_checkpoint())
    monkeypatch.setattr("qwen3_tts_export.calibration.speaking._MOST_FRAMES", 12)
    some = list(islice(asked(bundle), 3))
    frame = calibrating._exact(checkpoint, torch.device("cpu"))
    found = speak(frame, checkpoint.config, bundle.manifest, some)
    tts = Synthesizer.open(bundle.folder, threads=1, verify=False)
    with monkeypatch.context() as patched:
        wanted = texts(bundle, 3, patched)
    for one, said, asking in zip(wanted, found, some, strict=True):
        sampling = Sampling.greedy() if asking.greedy else None
        request = Request(**one, seed=asking.seed, max_seconds=12 / 12.5, sampling=sampling)
        [audio] = tts.speak_batch([request])
        assert np.array_equal(said.codes.numpy(), audio.codes)
        assert len(said.rows) == len(asking.prompt.rows) + len(said.codes) - 1
    hidden = through_all(frame.talker.trunk, checkpoint.config.talker, found[0].rows[None])
    ends = len(found[0].codes)
    logits = frame.talker.head(hidden[0, -ends:])[:, :-RESERVED]
    assert np.array_equal(logits.argmax(-1).numpy(), found[0].codes[:, 0].numpy())


# rounding


def problem(inputs: int = 96, outputs: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix, and rows for it whose numbers go together, as those in a network do."""
    chance = torch.Generator().manual_seed(0)
    mixing = torch.randn(inputs // 4, inputs, generator=chance)
    rows = torch.randn(2000, inputs // 4, generator=chance) @ mixing
    rows += 0.3 * torch.randn(2000, inputs, generator=chance)
    return torch.randn(inputs, outputs, generator=chance), rows


def quantized_plainly(weight: torch.Tensor) -> torch.Tensor:
    found = quantize.nearest(quantize.Matrix("w", weight.numpy(), 4, BLOCK, quantize.never_zero))
    return torch.from_numpy(quantize.whole(*found))


def test_errors_are_made_up_for() -> None:
    """Of the products, which count: a small part is left of what plain rounding leaves."""
    weight, rows = problem()
    numbers, scales = compensated.compensated(weight, rows.T @ rows, BLOCK)
    left, plainly = (
        (rows @ (each - weight)).square().mean().item()
        for each in (compensated.whole(numbers, scales), quantized_plainly(weight))
    )
    assert left < 0.4 * plainly
    assert (numbers.min(), numbers.max()) == (-8, 7)


@pytest.mark.parametrize("flavour", ["float16", "float32"])
def test_scales_are_stored_as_they_are(flavour: str) -> None:
    weight, rows = problem()
    _, scales = compensated.compensated(weight * 1e-3, rows.T @ rows, BLOCK)
    assert np.array_equal(scales.numpy().astype(flavour).astype(np.float32), scales.numpy())
    assert scales.shape == (3, 40)


def test_what_is_never_read_is_rounded_as_well_as_by_itself() -> None:
    weight, rows = problem()
    weight[:, 3] = 0
    rows[:, 5] = 0
    for moments in (rows.T @ rows, torch.zeros(96, 96)):
        numbers, scales = compensated.compensated(weight, moments, BLOCK)
        assert not numbers[:, 3].any()
        assert (scales > 0).all()
    error = (compensated.whole(numbers, scales) - weight).square().sum()
    assert error < (quantized_plainly(weight) - weight).square().sum()


# tuning


def test_gradients_are_those_of_the_definitions() -> None:
    let_gradients_through()
    chance = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=chance).requires_grad_()

    cache = torch.zeros(2, 1, 3, 4)
    given = (drawn(2, 3, 16), drawn(4), drawn(4), cache, cache, torch.tensor([2, 2]))
    given = (*given, torch.ones(3, 2), torch.zeros(3, 2), 1e-6, None)
    for found, definition, arguments in (
        (layers.attention, in_full, given),
        (layers.add_norm, layers.in_two, (drawn(2, 3, 8), drawn(2, 3, 8), drawn(8), 1e-6)),
    ):
        wanted = [x for x in arguments if isinstance(x, torch.Tensor) and x.requires_grad]
        gradients = [
            torch.autograd.grad(sum(each.square().sum() for each in compute(*arguments)), wanted)
            for compute in (found, definition)
        ]
        for a, b in zip(*gradients, strict=True):
            assert torch.equal(a, b)
            assert a.any()


def test_tuning_brings_a_predictor_nearer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_thread: None
) -> None:
    """On frames that it has not seen."""
    checkpoint = Checkpoint.open(EDGE_VOICE)
    frame, config = calibrating._exact(checkpoint, torch.device("cpu")), checkpoint.config
    bundle = without_graphs(checkpoint, tmp_path / "part")
    said = speak(frame, config, bundle.manifest, islice(asked(bundle), 16))
    codes = torch.cat([each.codes for each in said])
    predictor = frame.predictor
    with torch.no_grad():
        hidden = torch.cat(
            [
                through_all(frame.talker.trunk, config.talker, each.rows[None])[
                    0, -len(each.codes) :
                ]
                for each in said
            ]
        )
        rows = predictor.rows_of(hidden, codes, frame.talker.embedding)
        wanted = tuning.logits(predictor, config.predictor, rows)
    scales = {}
    for name, weight in predictor.named_parameters():
        if name.startswith("trunk.layers.") and weight.dim() == 2:
            numbers, scales[name] = compensated.compensated(weight, torch.eye(len(weight)), BLOCK)
            weight.data = compensated.whole(numbers, scales[name])
    seen = len(rows) * 3 // 4

    def divergence() -> float:
        found = tuning.logits(predictor, config.predictor, rows[seen:]).log_softmax(-1)
        exact = wanted[seen:].log_softmax(-1)
        return torch.nn.functional.kl_div(found, exact, reduction="sum", log_target=True).item()

    before = divergence()
    monkeypatch.setattr(tuning, "STEPS", 80)
    monkeypatch.setattr(tuning, "_FRAMES", 64)
    steps: list[int] = []
    learnt = tuning.tune(
        predictor,
        config.predictor,
        scales,
        rows[:seen],
        wanted[:seen],
        Kept(tmp_path / "kept"),
        steps.append,
    )
    assert steps == list(range(1, 81))
    with torch.no_grad():
        after = divergence()
    print(f"{before:.1f} -> {after:.1f}")  # noqa: T201
    assert after < 0.75 * before
    for name, numbers in learnt.items():
        assert torch.equal(compensated.whole(numbers, scales[name]), predictor.get_parameter(name))


# a bundle


def stored(folder: Path) -> dict[str, np.ndarray]:
    model = onnx.load(str(folder / f"{FRAME}.onnx"))
    return {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}


def test_what_was_stopped_goes_on(
    tiny_checkpoint: TinyOf,
    tiny_bundle: TinyOf,
    traced_once: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The same command does what is left, and writes what it would have written at once."""
    at_once = stored(tiny_bundle("custom_voice", "same", "int4"))
    checkpoint, folder = Checkpoint.open(tiny_checkpoint()), tmp_path / "out"
    aside = tmp_path / "out.calibration"

    def until(moment: str) -> None:
        def stop(what: str, _: float) -> None:
            told.append(what)
            if what == moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_quickly(checkpoint, folder, precision="int4", report=stop)

    told: list[str] = []
    until("calibration: predictor, layer 2 of 2")
    assert [path.name for path in tmp_path.iterdir()] == [aside.name]
    [here] = aside.iterdir()
    done = {path.name: path.stat().st_mtime_ns for path in here.iterdir()}
    assert sorted(done) == [
        "predictor.0.safetensors",
        "said.0.safetensors",
        *(f"talker.{layer}.safetensors" for layer in range(3)),
    ]
    numbers = load_file(here / "talker.1.safetensors")["down.numbers"].numpy()

    def silent(*_: object) -> None:
        raise AssertionError("all has been said")

    monkeypatch.setattr(calibrating, "speak", silent)
    monkeypatch.setattr(tuning, "_BETWEEN", 1)
    until("calibration: predictor, step 1 of 3")
    told.clear()
    until("calibration: predictor, step 2 of 3")
    assert "calibration: predictor, step 1 of 3" not in told
    write_quickly(checkpoint, folder, precision="int4")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    found = stored(folder)
    assert found.keys() == at_once.keys()
    for name, array in found.items():
        assert np.array_equal(array, at_once[name]), name
    packed = found["talker.trunk.layers.1.down.weight.int4"]
    assert np.array_equal(packed, pack(numbers, BLOCK, 4))


def test_what_another_checkpoint_left_is_not_taken_up(
    tiny_checkpoint: TinyOf, traced_once: None, tmp_path: Path
) -> None:
    def stop(what: str, _: float) -> None:
        if what == "calibration: talker":
            raise KeyboardInterrupt

    for seed in (0, 1):
        other = Checkpoint.open(tiny_checkpoint(seed=seed))
        with pytest.raises(KeyboardInterrupt):
            write_quickly(other, tmp_path / "out", precision="int4", report=stop)
    aside = tmp_path / "out.calibration"
    assert len(list(aside.iterdir())) == 2
    theirs = aside / "notes.txt"
    theirs.touch()
    forget(aside)
    assert list(aside.iterdir()) == [theirs]


@pytest.mark.slow
def test_the_bundled_voice_chooses_nine_of_ten_codes(
    exact_voice_bundle: Path, traced_once: None, tmp_path: Path
) -> None:
    """The ladder, on the judge's sentences: calibrated on others, by the whole graph."""
    from qwen3_tts_export.bundle.writing import write_bundle

    folder = write_bundle(Checkpoint.open(EDGE_VOICE), tmp_path / "int4", precision="int4")
    assert Manifest.load(folder).in_company == "equal with avx512_vnni"
    found = compare(exact_voice_bundle, folder, sentences(UTTERED))
    print(f"{found.same.mean():.1%}, {found.divergence.mean():.4f}")  # noqa: T201
    assert found.same.mean() >= 0.9


def test_progress_goes_on_while_the_last_utterances_are_spoken_to_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stood at all of the frames that are wanted, for as long as those took."""
    told: list[tuple[str, float]] = []

    def spoken(*given: Any) -> list[Said]:
        for frames in (10, 50, 60):
            given[-1](frames)
        return [Said(torch.zeros(60, 4), torch.zeros(60, 16, dtype=torch.long))]

    monkeypatch.setattr(calibrating, "_FRAMES", 50)
    monkeypatch.setattr(calibrating, "asked", lambda _: iter([None]))
    monkeypatch.setattr(calibrating, "speak", spoken)
    some: Any = SimpleNamespace(config=None, manifest=None, get=lambda _, make: make())
    calibrating._spoken(some, some, some, some, lambda *report: told.append(report))
    assert told == [
        ("calibration: 10 of 50 frames spoken", 0.2),
        ("calibration: 50 frames spoken, until the last utterances end", 1.0),
        ("calibration: 60 frames spoken, until the last utterances end", 1.0),
    ]
