"""Begin the codec decoder with an earlier voice's: same network, other codebooks.

The earlier voice speaks some sentences. What its own quantiser hands to the rest of its decoder is
regressed on the new acoustic vector of the same sound, and that line becomes the new projection.
In: a bundle and the checkpoint it is made from. Out: `decoder_start.pt`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from qwen3_tts_voice.codes import Quantiser
from qwen3_tts_voice.decoder_model import build, set_codebooks
from qwen3_tts_voice.features import HOP, RATE, blocks

Samples = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


def pitch(samples: Samples) -> Samples:
    """Pitch in Hz every 10 ms by autocorrelation, 0 where unvoiced: rough."""
    window, low, high = 960, RATE // 400, RATE // 90
    steps = len(samples) // HOP
    padded = np.pad(samples, (window // 2, window))
    made = np.zeros(steps, np.float32)
    for step in range(steps):
        x = padded[step * HOP : step * HOP + window]
        x = x - x.mean()
        energy = float(x @ x)
        if energy < 1e-2:
            continue
        spectrum = np.abs(np.fft.rfft(x, 2 * window)) ** 2
        lag = np.fft.irfft(spectrum)[:high]
        best = low + int(lag[low:].argmax())
        if lag[best] > 0.35 * energy:
            made[step] = RATE / best
    return made


@torch.no_grad()
def start(
    quantiser: Quantiser,
    state: dict[str, torch.Tensor],
    spoken: list[tuple[Codes, Samples]],
) -> tuple[dict[str, torch.Tensor], float]:
    """The new decoder's first state.

    Args:
        quantiser: The new codebooks.
        state: The earlier decoder's.
        spoken: Codes (frames, 16) and samples of the earlier voice.

    Returns:
        The state, and the share of variance the regression explains.
    """
    decoder = build(quantiser, 0)
    decoder.load_state_dict(state)
    into, out = [], []
    for codes, samples in spoken:
        block = blocks(torch.from_numpy(samples), torch.from_numpy(pitch(samples)))
        into.append(quantiser.project(block))
        out.append(decoder.quantizer.decode(torch.from_numpy(codes).T[None])[0].T)
    x, y = torch.cat(into).double(), torch.cat(out).double()
    scale = quantiser.acoustic[0].std().double()
    x = torch.cat([x / scale, torch.ones(len(x), 1)], 1)
    ridge = 1e-3 * len(x) * torch.eye(x.shape[1], dtype=torch.double)
    line = torch.linalg.solve(x.T @ x + ridge, x.T @ y)
    explained = 1 - ((x @ line - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    set_codebooks(decoder, quantiser)
    decoder.quantizer.rvq_rest.output_proj.weight[:, :, 0] = line[:-1].T.float()
    first = decoder.quantizer.rvq_first.output_proj.weight
    first.copy_(0.02 * torch.randn(first.shape, generator=torch.Generator().manual_seed(0)))
    first[:, 0, 0] = line[-1].float()
    return decoder.state_dict(), float(explained)
