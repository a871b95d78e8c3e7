"""Rung 4 of the parity ladder: a bundle where it runs, against fp32 on the CPU."""

from pathlib import Path

import numpy as np

from hardware.case import CPU, Case
from hardware.record import Figures, NotRun
from qwen3_tts_edge import Sampling, Synthesizer
from qwen3_tts_edge.bundle.manifest import Manifest

_PROVIDERS = {CPU: "CPUExecutionProvider", "ort-cuda": "CUDAExecutionProvider"}


def agreement(case: Case) -> Figures:
    """Share of equal choices by codebook, teacher-forced; how far the codec's samples are."""
    from qwen3_tts_export.parity.judge import UTTERED, sentences
    from qwen3_tts_export.parity.ladder import compare

    if case.backend not in _PROVIDERS:
        raise NotRun(f"the codes of {case.backend} cannot be forced")
    reference = _reference(case)
    asked = [one for kind in UTTERED for one in sentences([kind])[: case.counts.sentences]]
    case.tts  # noqa: B018  (what CUDA needs is loaded with it)
    found = compare(
        reference, case.folder, asked, backend=case.backend, provider=_PROVIDERS[case.backend]
    )
    equal = sum(one >= other for one, other in zip(found.first, found.lengths, strict=True))
    return {
        "frames": found.frames,
        "sentences": len(asked),
        "same_choice": [round(float(share), 5) for share in found.same],
        "divergence_nats": [round(float(each), 6) for each in found.divergence],
        "greedy_utterances_equal_to_the_end": int(equal),
        "codec_snr_db": _codec_snr(case, reference, asked[0].text),
    }


def _reference(case: Case) -> Path:
    wanted = case.manifest.checkpoint.fingerprint
    for folder in case.references:
        told = Manifest.load(folder)
        if (told.precision, told.flavour, told.checkpoint.fingerprint) == ("fp32", "ort", wanted):
            return folder
    raise NotRun(
        f"no --reference is the checkpoint {case.manifest.checkpoint.name} in fp32 for the CPU; "
        "make one: qwen3-tts-export bundle CHECKPOINT --precision fp32 -o DIR"
    )


def _codec_snr(case: Case, reference: Path, text: str) -> float | None:
    """Decibels of the reference's samples over the difference, for the same codes; None: equal."""
    exact = Synthesizer.open(reference, backend=CPU, threads=case.threads, verify=False)
    spoken = exact.speak(text, sampling=Sampling.greedy(), seed=0, max_seconds=20, verbatim=True)
    difference = case.tts.decoder.decode(spoken.codes).astype(np.float64) - spoken.samples
    power, noise = np.square(spoken.samples, dtype=np.float64).sum(), np.square(difference).sum()
    return round(float(10 * np.log10(power / noise)), 2) if noise else None
