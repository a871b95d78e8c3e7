"""What the parity ladder allows: one table, and the one comparison that reads it.

A difference is counted in units of the reference's scale, `max(1, largest absolute value)`: as it
is where values stay below one, as a share where they do not. Codes and ids have no tolerance: they
are equal or they are not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that passes, and why it is not smaller."""

    largest: float
    reason: str


LADDER = {
    "prompt.rows": Tolerance(
        1e-5,
        "rows are the text table, folded 4096 ids at a time, plus a codec row: the same float32 "
        "products summed in another order, a few units in the last place of values up to ten",
    ),
    "modules.text_rows": Tolerance(1e-5, "two matrix products in another order"),
    "modules.logits": Tolerance(
        1e-5, "fused matrices and a cache of fixed capacity: every sum in another order"
    ),
    "modules.hidden": Tolerance(1e-5, "as the logits"),
    "modules.samples": Tolerance(
        1e-5, "folded exponentials, convolutions over other lengths; samples lie in [-1, 1]"
    ),
    "graphs.logits": Tolerance(1e-4, "other kernels: fused attention, another exp, another sum"),
    "graphs.hidden": Tolerance(1e-4, "as the logits"),
    "graphs.states": Tolerance(1e-4, "as the logits; keys, values and the summed embedding"),
    "graphs.samples": Tolerance(1e-4, "other convolution kernels"),
    "encoders.mel": Tolerance(
        2e-6,
        "another Fourier transform in float32, of sound in every band",
    ),
    "encoders.tie": Tolerance(
        2e-6,
        "two codebook entries whose distances from the official vector are this near may change "
        "places, and with them the later codes of that one frame",
    ),
    "encoders.vector": Tolerance(1e-5, "sums over time in another order"),
    "graphs.int8_weights": Tolerance(1e-6, "int8 times its scale, rounded once to float32"),
    "typed.fp16": Tolerance(
        3e-3, "products are summed in another order and then rounded to 11 bits"
    ),
    "typed.int8": Tolerance(6e-3, "as typed.fp16; at opset 18 scales keep their float32"),
    "typed.int4": Tolerance(6e-3, "as typed.fp16"),
    "typed.bf16": Tolerance(3e-2, "as typed.fp16, rounded to 8 bits"),
    "streaming.samples": Tolerance(
        1e-5, "convolutions pick kernels by length, so the same sums run in another order"
    ),
    "streaming.official": Tolerance(1e-5, "as modules.samples, through ONNX Runtime"),
    "clone.samples": Tolerance(1e-5, "as modules.samples, primed with the reference's codes"),
    "clone.vector": Tolerance(1e-5, "the mel and the sums over time, in another order"),
    "batch.states": Tolerance(1e-5, "matrix products pick kernels by the number of rows"),
    "loop.tie": Tolerance(
        2e-6,
        "two codes whose official logits are this near may change places: that is twice the "
        "largest difference of logits measured. What follows is then compared teacher-forced",
    ),
    "sampling.probabilities": Tolerance(
        2e-5, "softmax and a cumulative sum over thousands of float32 terms"
    ),
}

measured: dict[str, float] = {}
"""The largest difference of each stage in this run, and counts, for the summary at its end."""


def assert_close(
    stage: str, found: npt.NDArray[np.floating], expected: npt.NDArray[np.floating], at: str = ""
) -> None:
    """Compare with a line of the table, and note the difference.

    Args:
        stage: A key of `LADDER`.
        found: Ours.
        expected: The reference, of the same shape and finite.
        at: What the failure message adds: which case, which frame.
    """
    assert found.shape == expected.shape, f"{stage} {at}: {found.shape}, not {expected.shape}"
    assert np.isfinite(expected).all(), f"{stage} {at}: the reference is not finite"
    scale = max(1.0, float(np.abs(expected).max()))
    difference = np.abs(found.astype(np.float64) - expected) / scale
    worst = float(difference.max())
    allowed = LADDER[stage].largest
    if not worst <= allowed:
        where = tuple(int(i) for i in np.unravel_index(difference.argmax(), difference.shape))
        raise AssertionError(
            f"{stage} {at} at {where} of {found.shape}: {worst:.3g} > {allowed:.3g} of scale "
            f"{scale:.3g}; reference {expected[where]:.7g}, ours {found[where]:.7g}"
        )
    note(stage, worst)


def note(what: str, value: float) -> None:
    """Keep the largest value seen of something."""
    measured[what] = max(measured.get(what, 0.0), float(value))


def count(what: str, number: int) -> None:
    """Add to how many there were of something."""
    measured[what] = measured.get(what, 0.0) + float(number)
