"""Measure how far a bundle is from fp32, in codes and in words understood.

Both bundles are made to speak the reference's own greedy codes through their frame graphs, so what
is compared is what the graphs compute. Then each speaks freely, and the judge listens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge import Sampling, Synthesizer
from qwen3_tts_edge.atomic import whole_or_nothing
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.names import FP32, ORT, STREAMED, UPFRONT
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.matching import any_voice
from qwen3_tts_export.bundle.writing import write_bundle
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.parity.forced_graph import Floats, ForcedGraph
from qwen3_tts_export.parity.judge import (
    PARAGRAPH,
    SETS,
    Judge,
    Sentence,
    Verdicts,
    heard,
    synthesizer_speaks,
)
from qwen3_tts_export.progress import Report, within

LAYOUTS = (STREAMED, UPFRONT)
NAME = "PARITY.md"


@dataclass(frozen=True)
class Agreement:
    """How two bundles agree on the same codes.

    Attributes:
        frames: How many were compared.
        same: (codebooks,) share of frames in which both would choose the same code.
        divergence: (codebooks,) mean Kullback-Leibler divergence from the reference, nats.
        first: Speaking freely and greedily, the first frame that differs, by utterance; the
            utterance's length where none does.
        lengths: Frames of the reference, by utterance.
    """

    frames: int
    same: npt.NDArray[np.float64]
    divergence: npt.NDArray[np.float64]
    first: list[int]
    lengths: list[int]


def compare(
    reference: Path,
    bundle: Path,
    asked: Sequence[Sentence],
    report: Report = lambda *_: None,
    *,
    backend: str = "auto",
    provider: str = "CPUExecutionProvider",
) -> Agreement:
    """Compare a bundle with its reference on some sentences, teacher-forced and free.

    Args:
        reference: A bundle for the CPU.
        bundle: Another of the same checkpoint.
        asked: What both say.
        report: Called with what is done and how much of it.
        backend: Speaks from `bundle`.
        provider: Of ONNX Runtime, runs the forced graph of `bundle`.
    """
    speakers = [
        Synthesizer.open(reference, threads=1),
        Synthesizer.open(bundle, threads=1, backend=backend),
    ]
    exact, found = ForcedGraph(reference), ForcedGraph(bundle, provider=provider)
    voice = any_voice(speakers[0].manifest)
    same, divergence, first, lengths = [], [], [], []
    for number, sentence in enumerate(asked):
        report("agreement", number / len(asked))
        said, other = (
            one.speak(
                sentence.text, voice, sampling=Sampling.greedy(), seed=0, max_seconds=20
            ).codes
            for one in speakers
        )
        short = min(len(said), len(other))
        differs = np.flatnonzero((said[:short] != other[:short]).any(1))
        first.append(int(differs[0]) if len(differs) else short)
        lengths.append(len(said))
        forced = [
            graph.force(one.prompts.build(sentence.text, voice), said)
            for graph, one in zip((exact, found), speakers, strict=True)
        ]
        books = [[logits.talker, *logits.predictor.swapaxes(0, 1)] for logits in forced]
        pairs = list(zip(*books, strict=True))
        same.append(np.stack([a.argmax(-1) == b.argmax(-1) for a, b in pairs], 1))
        divergence.append(np.stack([_divergence(a, b) for a, b in pairs], 1))
    chosen = np.concatenate(same)
    return Agreement(
        frames=len(chosen),
        same=chosen.mean(0),
        divergence=np.concatenate(divergence).mean(0),
        first=first,
        lengths=lengths,
    )


def _divergence(reference: Floats, found: Floats) -> npt.NDArray[np.float64]:
    """Compute KL(softmax(reference) || softmax(found)) of each row."""
    a, b = (x.astype(np.float64) - x.max(-1, keepdims=True) for x in (reference, found))
    a, b = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (a, b))
    kl: npt.NDArray[np.float64] = (np.exp(a) * (a - b)).sum(-1)
    return kl


def listened(
    bundle: Path,
    judge: Judge,
    asked: Sequence[Sentence],
    report: Report = lambda *_: None,
) -> dict[str, Verdicts]:
    """Let the judge listen to a bundle with its default sampling; verdicts by text layout."""
    synthesizer = Synthesizer.open(bundle, threads=1)
    verdicts = {}
    for place, layout in enumerate(LAYOUTS):
        speak = synthesizer_speaks(synthesizer, any_voice(synthesizer.manifest), text_layout=layout)
        made = []
        for verdict in heard(judge, speak, asked):
            made.append(verdict)
            report(f"listening, {layout}", (place + len(made) / len(asked)) / len(LAYOUTS))
        verdicts[layout] = Verdicts(tuple(made))
    return verdicts


def page(
    names: tuple[str, str], agreement: Agreement, verdicts: dict[str, dict[str, Verdicts]]
) -> str:
    """Write the ladder as tables, the content of `PARITY.md`.

    Args:
        names: Precisions of the reference and of the bundle.
        agreement: Between them.
        verdicts: By precision, then by text layout; empty where nobody listened.
    """
    reference, found = names
    lines = [
        f"# {found} against {reference}",
        "",
        f"The same {agreement.frames} frames, teacher-forced through both frame graphs "
        f"({len(agreement.first)} sentences, {reference}'s greedy codes).",
        "",
        "| codebook | same choice | KL, nats |",
        "|---|---|---|",
    ]
    for book, (same, kl) in enumerate(zip(agreement.same, agreement.divergence, strict=True)):
        lines.append(f"| {book} | {same:.1%} | {kl:.4f} |")
    lines.append(f"| all | {agreement.same.mean():.1%} | {agreement.divergence.mean():.4f} |")
    whole = sum(a >= b for a, b in zip(agreement.first, agreement.lengths, strict=True))
    lines += [
        "",
        f"Speaking freely, greedy: first differing frame {int(np.median(agreement.first))} "
        f"(median of {len(agreement.first)}; utterances of {int(np.median(agreement.lengths))} "
        f"frames), {whole} utterances equal to the end.",
    ]
    if verdicts:
        lines += [
            "",
            "Word error rate by kind of sentence, judged by Whisper tiny.en; default sampling, the "
            "sentence's number as the seed.",
            "",
            "| precision | text layout | "
            + " | ".join(SETS)
            + " | end of speech | length over the teacher's: least, mean, most |",
            "|---" * (len(SETS) + 4) + "|",
        ]
    for name, layouts in verdicts.items():
        for layout, made in layouts.items():
            rates = " | ".join(f"{made.of(kind).errors.rate:.1%}" for kind in SETS)
            ended = f"{made.ended:.1%} of {len(made.each)}"
            lengths = ", ".join(f"{length:.2f}" for length in made.stretch)
            lines.append(f"| {name} | {layout} | {rates} | {ended} | {lengths} |")
    return "\n".join(lines) + "\n"


def comparable(bundle: Path) -> Manifest:
    """Read the manifest of a bundle whose codes can be compared.

    Raises:
        BundleError: It is not a bundle.
        InputError: It is of another flavour.
    """
    manifest = Manifest.load(bundle)
    if manifest.flavour != ORT:
        raise InputError(
            f"{bundle} has flavour {manifest.flavour}, and codes are compared on the CPU",
            f"compare one of the flavour {ORT}",
        )
    return manifest


def write_parity(
    bundle: Path,
    checkpoint: Checkpoint,
    asked: Sequence[Sentence],
    judge: Judge | None,
    report: Report = lambda *_: None,
) -> Path:
    """Compare a bundle with its checkpoint in fp32, and write `PARITY.md` into it.

    The reference is exported for the time being. The manifest stays valid: it lists the files that
    speak, and this one does not.

    Args:
        bundle: Of flavour `ort`.
        checkpoint: What it was made from.
        asked: What both say.
        judge: Who listens, if anybody does.
        report: Called as the work proceeds.

    Raises:
        InputError: The bundle is of another checkpoint or flavour.
    """
    manifest = comparable(bundle)
    if manifest.checkpoint.fingerprint != checkpoint.fingerprint:
        raise InputError(
            f"{bundle} was not made from {checkpoint.folder}, but from another checkpoint",
            "name that with --checkpoint",
        )
    verdicts: dict[str, dict[str, Verdicts]] = {}
    with tempfile.TemporaryDirectory() as aside:
        exporting = within(report, 0.0, 0.1)
        reference = write_bundle(checkpoint, Path(aside) / FP32, precision=FP32, report=exporting)
        uttered = [sentence for sentence in asked if sentence.kind != PARAGRAPH]
        agreement = compare(reference, bundle, uttered, within(report, 0.1, 0.4 if judge else 1.0))
        if judge is not None:
            verdicts[FP32] = listened(reference, judge, asked, within(report, 0.4, 0.7))
            verdicts[manifest.precision] = listened(bundle, judge, asked, within(report, 0.7, 1.0))
    path = bundle / NAME
    with whole_or_nothing(path) as part:
        part.write_text(page((FP32, manifest.precision), agreement, verdicts), "utf-8")
    report("done", 1.0)
    return path
