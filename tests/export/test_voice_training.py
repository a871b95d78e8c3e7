"""What the trainings of the bundled voice share: rates, averages, being stopped and going on."""

import csv
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qwen3_tts_voice import codes, training  # noqa: E402
from qwen3_tts_voice.codes import ACOUSTIC, BOOKS, CODES, DESCRIBED  # noqa: E402
from qwen3_tts_voice.features import BINS, PER_FRAME  # noqa: E402
from qwen3_tts_voice.speech import FRAME  # noqa: E402

RECIPE = training.Recipe(
    steps=140, fall=35, lowest=0.1, rate=0.01, clip=1.0, kept=0.99, report_every=5, save_every=35
)
Report = Callable[[str], None]


@pytest.fixture(autouse=True)
def _eager() -> Iterator[None]:
    """Compile nothing: it is how a training stops and goes on that is tried, a few steps of it."""
    with torch.compiler.set_stance("force_eager"):
        yield


class Line(training.Training):
    """A line through random points."""

    name = "line"

    def __init__(self, work: Path, recipe: training.Recipe) -> None:
        torch.manual_seed(recipe.seed)
        line = torch.nn.Linear(3, 1)
        optimisers = [
            torch.optim.SGD([line.weight], lr=recipe.rate, momentum=0.9),
            torch.optim.AdamW([line.bias], lr=2 * recipe.rate),
        ]
        super().__init__(work, recipe, line, optimisers)
        self.rates: list[list[float]] = []

    def batches(self) -> Iterator["torch.Tensor"]:
        while True:
            yield torch.randn(8, 3, generator=torch.Generator().manual_seed(self.step))

    def judge(self, batch: "torch.Tensor") -> training.Judged:
        self.rates.append([group["lr"] for o in self.optimisers for group in o.param_groups])
        loss = ((self.model(batch)[:, 0] - batch.sum(1) - 1) ** 2).mean()
        return training.Judged(loss, {"error": loss.item()}, len(batch))


def silent(_: str) -> None:
    """Report to nobody."""


def line(work: Path, report: Report) -> Line:
    made = Line(work, RECIPE)
    made.run(report)
    return made


def noise(work: Path) -> None:
    """Write a shard of noise and one of random codes."""
    random = np.random.default_rng(0)
    for folder in ("codes", "speech"):
        (work / folder).mkdir(exist_ok=True)
    drawn = random.integers(0, CODES, (40, BOOKS)).astype(np.uint8)
    np.savez(work / "codes" / "0000.npz", codes=drawn, offset=np.array([0, 15, 40]))
    samples = random.integers(-9000, 9000, 40 * FRAME).astype(np.int16)
    np.savez(work / "speech" / "0000.npz", samples=samples)


def encoder(work: Path, report: Report) -> training.Training:
    """Two steps on noise, in crops of half a second."""
    from qwen3_tts_voice import encoder as stage

    noise(work)
    recipe = stage.Recipe(steps=2, crops=2, frames=6, report_every=1, save_every=1)
    made = stage.Training(work, recipe)
    made.run(report)
    return made


def quantiser() -> codes.Quantiser:
    """Random codebooks."""
    random = torch.Generator().manual_seed(0)
    shapes = {"described": (DESCRIBED, CODES, ACOUSTIC), "residual": (2, CODES, ACOUSTIC)}
    tables = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    size = (BINS + 2) * PER_FRAME
    flat = {"mean": torch.zeros(size), "weight": torch.ones(size)}
    return codes.Quantiser(
        phones=torch.arange(50), projection=torch.zeros(size, ACOUSTIC), **flat, **tables
    )


def polish(work: Path, report: Report) -> training.Training:
    """A step of the discriminators alone and one of the decoder against them, on noise."""
    from qwen3_tts_voice import decoder_model
    from qwen3_tts_voice import polish as stage

    noise(work)
    quantiser().save(work / "codebooks.npz")
    if not (work / "decoder_start.pt").exists():
        torch.save(decoder_model.build(quantiser(), 0).state_dict(), work / "decoder_start.pt")
    recipe = stage.Recipe(
        steps=2, crops=1, frames=6, listened=3, alone=1, report_every=1, save_every=1
    )
    made = stage.Training(work, recipe)
    made.run(report)
    return made


@pytest.mark.parametrize(
    ("train", "stop"), [(line, "step 110"), (encoder, "step 2"), (polish, "step 2")]
)
def test_stopped_and_resumed_it_ends_where_one_run_does(
    train: Callable[[Path, Report], training.Training], stop: str, tmp_path: Path
) -> None:
    def until(said: str) -> None:
        if said.startswith(stop):
            raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(parts, until)
    one, other = train(whole, silent), train(parts, silent)
    assert one.step == other.step == one.recipe.steps
    assert_equal(one.model.state_dict(), other.model.state_dict())
    assert_equal(one.average, other.average)
    assert_equal_optimisers(one, other)
    assert losses(one.path) == losses(other.path)
    assert not list(tmp_path.rglob("*.part"))


def assert_equal_optimisers(found: training.Training, expected: training.Training) -> None:
    for mine, its in zip(found.optimisers, expected.optimisers, strict=True):
        for at, state in its.state_dict()["state"].items():
            assert_equal(mine.state_dict()["state"][at], state)


def assert_equal(found: dict[str, "torch.Tensor"], expected: dict[str, "torch.Tensor"]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def losses(path: Path) -> list[list[str]]:
    """The log, but for the time."""
    with path.with_suffix(".csv").open(newline="") as file:
        step, seconds, *columns = zip(*csv.reader(file), strict=True)
    assert (step[0], seconds[0]) == ("step", "seconds")
    return [list(step), *map(list, columns)]


def test_the_learning_rates_rise_stay_and_fall(tmp_path: Path) -> None:
    first, second = np.array(line(tmp_path, silent).rates).T / RECIPE.rate
    assert np.allclose(second, 2 * first)
    assert np.allclose(first[:100], np.arange(1, 101) / 100)
    assert np.allclose(first[100:106], 1)
    assert np.allclose(first[106:], 0.1 + 0.9 * np.arange(34, 0, -1) / 35)


def test_the_average_follows_the_weights_and_they_find_the_line(tmp_path: Path) -> None:
    made = Line(tmp_path, dataclasses.replace(RECIPE, steps=1000, fall=500))
    start = {name: value.clone() for name, value in made.average.items()}
    made.run(silent)
    for name, value in made.model.state_dict().items():
        assert (value - 1).abs().max() < 0.05
        assert (made.average[name] - 1).abs().max() < 0.05
        assert not torch.equal(made.average[name], value)
        assert not torch.equal(made.average[name], start[name])


def test_muon_takes_what_mixes_channels_as_matrices() -> None:
    """A convolution moves as the matrix of its outputs by all it reads would."""
    from qwen3_tts_voice.muon import Muon, parted

    torch.manual_seed(0)
    layers = [torch.nn.Conv1d(6, 4, 3), torch.nn.Conv1d(4, 4, 3, groups=4), torch.nn.Linear(5, 4)]
    model = torch.nn.ModuleDict({"a": torch.nn.ModuleList(layers), "b": torch.nn.Linear(4, 4)})
    matrices, rest = parted(model, "a.")
    assert [id(p) for p in matrices] == [id(layers[0].weight), id(layers[2].weight)]
    assert len(rest) == 6
    kernel, before = layers[0].weight, layers[0].weight.detach().clone()
    alone = before.flatten(1).clone().requires_grad_()
    one, other = Muon(matrices, lr=0.1), Muon([alone], lr=0.1)
    for _ in range(3):
        one.zero_grad()
        kernel.square().sum().backward()
        alone.grad = 2 * alone.detach()
        one.step()
        other.step()
    assert (kernel - before).abs().max() > 0.01
    assert torch.equal(kernel.flatten(1), alone)


def test_some_crops_have_codes_as_they_are_guessed_or_heard(tmp_path: Path) -> None:
    from qwen3_tts_voice import crops
    from qwen3_tts_voice import encoder as stage

    encoder(tmp_path, silent)
    for kind, codes_of_a_frame in (("guessed", 2), ("heard", BOOKS)):
        (tmp_path / kind).mkdir()
        sevens = np.full((40, codes_of_a_frame), 7, np.uint8)
        np.save(tmp_path / kind / "0000.npy", sevens)
    recipe = stage.Recipe(crops=300, frames=6, guessed=0.5, heard=0.2)
    codes, samples, starts = crops.Crops(tmp_path, recipe).draw(0)
    assert codes.shape == (300, BOOKS, 6)
    assert samples.shape == (300, 6 * FRAME)
    heard = (codes == 7).flatten(1).all(1)
    guessed = (codes[:, DESCRIBED:] == 7).flatten(1).all(1) & ~heard
    assert 120 < guessed.sum() < 180
    assert 40 < heard.sum() < 80
    assert 40 < starts.sum() < 110


def test_what_is_heard_stands_where_it_belongs(tmp_path: Path) -> None:
    from qwen3_tts_voice import hear
    from qwen3_tts_voice.encoder import LATE, late

    class Echo(torch.nn.Module):
        """An encoder that is never wrong: it says a frame late what the samples' level is."""

        def forward(self, samples: "torch.Tensor") -> list["torch.Tensor"]:
            level = samples.view(1, -1, FRAME)[..., 0].long()
            said = late(level[..., None].expand(-1, -1, BOOKS))
            return list(torch.nn.functional.one_hot(said, CODES).float().unbind(2))

    level = torch.arange(9)
    found = hear.heard(Echo(), level.repeat_interleave(FRAME).float())
    assert found.shape == (9, BOOKS)
    assert torch.equal(found[:-LATE], level[:-LATE, None].expand(-1, BOOKS))


def test_discriminators_and_decoder_do_not_reach_into_each_others_weights(tmp_path: Path) -> None:
    from qwen3_tts_voice import polish as stage

    made = polish(tmp_path, silent)
    batch = next(made.batches())
    made.step = 0  # the discriminators alone
    made.model.zero_grad()
    made.judge(batch).loss.backward()
    assert all(p.grad is None for p in made.model["decoder"].parameters())
    alone = [p.grad.clone() for p in made.model["discriminators"].parameters()]
    made.step = 4 * stage.Recipe().alone  # the same piece of the crops
    made.model.zero_grad()
    made.judge(batch).loss.backward()
    both = [p.grad for p in made.model["discriminators"].parameters()]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(alone, both, strict=True))
    assert any(p.grad is not None and p.grad.any() for p in made.model["decoder"].parameters())


def test_a_training_begins_with_a_checkpoints_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from qwen3_tts_voice import begin
    from qwen3_tts_voice.encoder import Encoder
    from qwen3_tts_voice.talker_model import Talker
    from tiny import EDGE_VOICE

    begin.begin(tmp_path, EDGE_VOICE)
    talker, encoder = Talker(quantiser(), seed=1), Encoder(seed=1)
    talker.load_state_dict(training.averaged(tmp_path, "talker"))
    encoder.load_state_dict(training.averaged(tmp_path, "encoder"))
    found = talker.official_state()
    codec = {f"encoder.{name}": value for name, value in encoder.official_state().items()}
    codec |= {f"decoder.{k}": v for k, v in training.averaged(tmp_path, "decoder").items()}
    for folder, made in ((EDGE_VOICE, found), (EDGE_VOICE / "speech_tokenizer", codec)):
        stored = load_file(folder / "model.safetensors")
        assert all(torch.equal(made.pop(name).to(v.dtype), v) for name, v in stored.items())
        added = [
            v for name, v in made.items() if name.endswith(("o_proj.weight", "down_proj.weight"))
        ]
        assert not any(v.any() for v in added)
        assert all(".layers." in name or "speaker_encoder." in name for name in made)
