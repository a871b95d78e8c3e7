"""How speech sounds beside the teacher's: PESQ, DNSMOS and spectrograms."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_export.parity.judge import RATE, WHISPER_RATE, resampled


def pesq(reference: Samples, made: Samples) -> float | None:
    """Compute wide-band PESQ; None without the package `pesq`, which needs a compiler."""
    measure = _pesq()
    if measure is None:
        return None
    both = (resampled(samples, RATE) for samples in (reference, made))
    return float(measure(WHISPER_RATE, *both, "wb"))


@cache
def _pesq() -> Any | None:
    try:
        from pesq import pesq
    except ImportError:
        return None
    return pesq


def mos(samples: Samples) -> float:
    """Estimate the overall opinion score, 1 to 5, as DNSMOS P.835 does."""
    from speechmos import dnsmos

    heard = np.clip(resampled(samples, RATE), -1, 1)
    return float(dnsmos.run(heard, WHISPER_RATE)["ovrl_mos"])


def spectrograms(sounds: dict[str, Samples], picture: Path) -> None:
    """Draw one spectrogram above the other, 0 to 12 kHz and 80 dB deep."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(sounds), 1, figsize=(12, 3.2 * len(sounds)))
    for panel, (name, samples) in zip(np.atleast_1d(panels), sounds.items(), strict=True):
        power, *_ = panel.specgram(samples, 1024, RATE, noverlap=768, scale="dB")
        top = 10 * np.log10(power.max() + 1e-12)
        panel.images[0].set_clim(top - 80, top)
        panel.set_title(name, loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(picture, dpi=90)
    pyplot.close(figure)
