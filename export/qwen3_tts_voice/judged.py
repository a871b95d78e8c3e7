"""Judge the codec alone: what is understood of its sound, and what its encoder hears.

The sentences are the judge's, read by the teacher, so nothing was trained on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_export.parity import judge
from qwen3_tts_voice import decoder_model, training
from qwen3_tts_voice.codes import CODEBOOKS, CODES, Quantiser, blocks
from qwen3_tts_voice.encoder import Encoder
from qwen3_tts_voice.hear import heard
from qwen3_tts_voice.sounds import mos, pesq, spectrograms
from qwen3_tts_voice.speakers import NAMED
from qwen3_tts_voice.speech import Teacher

RESIDUAL = 2
"""Codebooks, the last ones, that mean nothing of their own."""


@dataclasses.dataclass
class Judgement:
    """How the codec does on one speaker.

    Attributes:
        speaker: Its name.
        decoded: Word errors of the sound of true codes.
        residual: Likewise, the residual codebooks random.
        heard: Likewise, of the codes that the encoder hears.
        right: Share of the codes that it hears rightly, by codebook.
        pesq: Wide-band PESQ of the sound of true codes; None without the package `pesq`.
        mos: DNSMOS of the teacher and of the sound of true codes.
    """

    speaker: str
    decoded: judge.Errors
    residual: judge.Errors
    heard: judge.Errors
    right: np.ndarray
    pesq: float | None
    mos: tuple[float, float]

    def __str__(self) -> str:
        sounds = {"true codes": self.decoded, "residual random": self.residual}
        sounds["as heard by the encoder"] = self.heard
        said = ", ".join(f"{name} {100 * e.rate:.1f} %" for name, e in sounds.items())
        quality = "not run" if self.pesq is None else f"{self.pesq:.2f}"
        return (
            f"{self.speaker}: word errors of {self.decoded.words}: {said}; codebook 0 right "
            f"{100 * self.right[0]:.0f} %, the others {100 * self.right[1:].mean():.0f} %; "
            f"PESQ {quality}, DNSMOS {self.mos[1]:.2f} (teacher {self.mos[0]:.2f})"
        )


@torch.no_grad()
def judgements(work: Path, every: int) -> Iterator[Judgement]:
    """Let each speaker read one sentence in `every`; decode, encode and decode again.

    The first sentence's spectrograms are drawn in `spectrogram-<speaker>.png`.
    """
    quantiser = Quantiser.load(work / CODEBOOKS)
    decoder, encoder = decoder_model.build(quantiser, 0), Encoder(0)
    for network, name in ((decoder, "decoder"), (encoder, "encoder")):
        network.load_state_dict(training.averaged(work, name))
        network.eval()
    teacher, listener = Teacher(), judge.Judge()
    random = torch.Generator().manual_seed(0)
    for number, (name, speaker) in enumerate(NAMED.items()):
        errors, right, quality, scores = [judge.Errors()] * 3, [], [], []
        spoken = [one.spoken for one in judge.sentences() if one.kind != judge.PARAGRAPH]
        for index, sentence in enumerate(spoken[::every]):
            read = teacher.read(sentence, index, number)
            assert read is not None, sentence
            sound = torch.from_numpy(read.samples.astype(np.float32) / 2**15)
            pitch = torch.from_numpy(read.pitch.astype(np.float32))
            phone = torch.from_numpy(read.phone.astype(np.int64))
            true = quantiser.encode(blocks(sound, pitch), phone, speaker.tract)
            noisy = true.clone()
            noisy[:, -RESIDUAL:] = torch.randint(CODES, (len(true), RESIDUAL), generator=random)
            said = heard(encoder, sound)
            sounds = [decoder(codes.T[None])[0, 0].numpy() for codes in (true, noisy, said)]
            errors = [
                before + judge.errors(sentence, listener.transcribe(made))
                for before, made in zip(errors, sounds, strict=True)
            ]
            right.append((said == true).numpy())
            quality.append(pesq(sound.numpy(), sounds[0]))
            scores.append([mos(sound.numpy()), mos(sounds[0])])
            if index == 0:
                beside = {"teacher": sound.numpy(), "codec": sounds[0]}
                spectrograms(beside, work / f"spectrogram-{name}.png")
        yield Judgement(
            name,
            *errors,
            right=np.concatenate(right).mean(axis=0),
            pesq=None if None in quality else float(np.mean(quality)),
            mos=(float(np.mean(scores, 0)[0]), float(np.mean(scores, 0)[1])),
        )
