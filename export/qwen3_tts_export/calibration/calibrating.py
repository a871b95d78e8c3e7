"""Calibrate the matrices of a checkpoint that become numbers of four bits."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_export.calibration.asking import Asked, asked
from qwen3_tts_export.calibration.calibrated import Calibrated
from qwen3_tts_export.calibration.kept import KEY, Kept
from qwen3_tts_export.calibration.layers import Stream, normed, round_layers, through_all
from qwen3_tts_export.calibration.speaking import Said, speak
from qwen3_tts_export.calibration.tuning import STEPS, logits, tune
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.modules.frame import Frame, frame_weights
from qwen3_tts_export.precision.policy import Precision
from qwen3_tts_export.progress import Report, within

_FRAMES = 4096
"""That are spoken, and learnt from."""
_AT_ONCE = 16
"""Utterances."""
_SEQUENCES = 256
"""Of the code predictor, through a layer at a time."""


def calibrate(
    checkpoint: Checkpoint,
    bundle: Bundle,
    precision: Precision,
    aside: Path,
    report: Report = lambda *_: None,
) -> Calibrated:
    """Calibrate the matrices of a checkpoint.

    On a GPU that PyTorch sees, or else on the CPU. The same checkpoint gives the same numbers on
    the same machine.

    Args:
        checkpoint: Whose.
        bundle: Of the checkpoint, with all that prompts need; graphs are not.
        precision: What its matrices become.
        aside: A folder for what is done so far. It is made, and stays.
        report: Called as the work proceeds.

    Raises:
        OSError: `aside` cannot be written.
    """
    config = checkpoint.config
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept = Kept(aside / _key(checkpoint, precision))
    report("calibration: weights", 0.0)
    frame = _exact(checkpoint, device)
    said = _spoken(frame, checkpoint, bundle, kept, within(report, 0.0, 0.2))
    codes = torch.cat([each.codes for each in said]).to(device)
    rows = [each.rows[None].to(device) for each in said]
    frames = [len(each.codes) for each in said]

    def states(hidden: Iterator[Tensor]) -> Tensor:
        return torch.cat([each[0, -count:] for each, count in zip(hidden, frames, strict=True)])

    talker, predictor = frame.talker.trunk, frame.predictor
    made: dict[str, Tensor] = {}
    with torch.no_grad():
        report("calibration: talker", 0.2)
        exact = states(through_all(talker, config.talker, each) for each in rows)
        hidden = exact
        if precision.talker is not None and precision.talker.bits == 4:
            streams = [Stream(each) for each in rows]
            of_talker = within(report, 0.2, 0.55)
            streams = round_layers(
                talker, config.talker, precision.talker, "talker", streams, kept, made, of_talker
            )
            hidden = states(normed(talker, each) for each in streams)
        if precision.predictor is None or precision.predictor.bits != 4:
            return Calibrated(made)
        embedding = frame.talker.embedding
        wanted = torch.cat(
            [
                logits(predictor, config.predictor, some)
                for some in torch.split(predictor.rows_of(exact, codes, embedding), _SEQUENCES)
            ]
        )
        read = predictor.rows_of(hidden, codes, embedding)
        del frame, talker, exact, hidden, embedding
        streams = [Stream(some) for some in torch.split(read, _SEQUENCES)]
        of_layers = within(report, 0.55, 0.65)
        trunk, blocks = predictor.trunk, precision.predictor
        round_layers(trunk, config.predictor, blocks, "predictor", streams, kept, made, of_layers)
        del streams

    def tuned() -> dict[str, Tensor]:
        scales = {
            name.removeprefix("predictor.").removesuffix(".scales"): tensor.to(device)
            for name, tensor in made.items()
            if name.startswith("predictor.") and name.endswith(".scales")
        }

        def on_step(step: int) -> None:
            report(f"calibration: predictor, step {step} of {STEPS}", 0.65 + 0.35 * step / STEPS)

        found = tune(predictor, config.predictor, scales, read, wanted, kept, on_step)
        return {f"predictor.{name}.numbers": numbers for name, numbers in found.items()}

    return Calibrated(made | kept.get("predictor", tuned))


def _exact(checkpoint: Checkpoint, device: torch.device) -> Frame:
    """Give the networks of a frame in float32."""
    positions = checkpoint.config.talker.max_positions
    with torch.device("meta"):
        frame = Frame(checkpoint.config, positions)
    weights = frame_weights(checkpoint.talker, checkpoint.config, positions)
    made = {name: make().to(device) for name, make in weights.items()}
    frame.load_state_dict(made, strict=True, assign=True)
    return frame.eval().requires_grad_(requires_grad=False)


def _spoken(
    frame: Frame, checkpoint: Checkpoint, bundle: Bundle, kept: Kept, report: Report
) -> list[Said]:
    said: list[Said] = []
    texts: Iterator[Asked] = asked(bundle)
    while (done := sum(len(each.codes) for each in said)) < _FRAMES:
        some = list(islice(texts, _AT_ONCE))

        def make(some: list[Asked] = some, done: int = done) -> dict[str, Tensor]:
            def on_frame(more: int) -> None:
                now = done + more
                # What is spoken is spoken to its end, however many frames there are already.
                left = f"of {_FRAMES} " if now < _FRAMES else ""
                last = "" if left else ", until the last utterances end"
                report(f"calibration: {now} {left}frames spoken{last}", min(1.0, now / _FRAMES))

            return {
                f"{number:02}.{part}": getattr(each, part)
                for number, each in enumerate(
                    speak(frame, checkpoint.config, bundle.manifest, some, on_frame)
                )
                for part in ("rows", "codes")
            }

        found = kept.get(f"said.{done}", make)
        numbers = sorted({name.partition(".")[0] for name in found})
        said += [Said(found[f"{number}.rows"], found[f"{number}.codes"]) for number in numbers]
    return said


def _key(checkpoint: Checkpoint, precision: Precision) -> str:
    """Name what is calibrated, and by what: nothing is taken up that was made otherwise."""
    here = Path(__file__).parent
    parts = [checkpoint.fingerprint, str(precision.talker), str(precision.predictor)]
    parts += [
        hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sorted([*here.glob("*.py"), *here.glob("texts/*.txt")])
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:KEY]
