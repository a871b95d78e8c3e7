"""Utterances as training rows for the talker, in both text layouts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_voice.codes import BOOKS, CODES, load_shard, with_tract
from qwen3_tts_voice.references import References
from qwen3_tts_voice.speakers import NAMED, TRACTS, speaker
from qwen3_tts_voice.speech import NO_WORD
from qwen3_tts_voice.talker_model import CONTROL, END, HEARD, IGNORE, SPEAKER_CODES, Batch
from qwen3_tts_voice.text_ids import TextIds, Written

MOST_FRAMES = 190
"""Of utterances that are joined."""
HELD_BACK = 2
"""Frames of silence more before the first word where the text comes a token a frame.

By then its first words are there: without, it would begin to say what it cannot read yet.
"""
POOL = 400
"""Utterances that are sorted by length together."""


@dataclasses.dataclass
class Utterance:
    """An utterance as the talker learns from it.

    Attributes:
        sentences: What is said, in the spoken form; more than one where some were joined.
        codes: (frames, 16).
        word: (frames,) the word spoken in each, NO_WORD in silence; None where unknown.
        speaker: By number, see `speakers`.
    """

    sentences: list[str]
    codes: torch.Tensor
    word: np.ndarray | None
    speaker: int

    @property
    def words(self) -> int:
        """How many words are said."""
        return sum(len(sentence.split()) for sentence in self.sentences)


def load(work: Path, known: dict[str, list[Utterance]]) -> None:
    """Read the code shards not yet in `known`, by name."""
    for path in sorted((work / "codes").glob("????.npz")):
        if path.name not in known:
            known[path.name] = list(read(path, sentences(work)))


def sentences(work: Path) -> list[str]:
    """Read the sentences that the teacher has read."""
    return (work / "text.txt").read_text("utf-8").splitlines()


def read(path: Path, sentences: list[str]) -> Iterator[Utterance]:
    """Read the utterances of a code shard."""
    shard = load_shard(path)
    for number, index in enumerate(shard["index"]):
        frames = slice(shard["offset"][number], shard["offset"][number + 1])
        yield Utterance(
            sentences=[sentences[index]],
            codes=torch.from_numpy(shard["codes"][frames].astype(np.int64)),
            word=shard["word"][frames].astype(int) if shard["aligned"][number] else None,
            speaker=int(shard["speaker"][number]),
        )


def runs(utterances: list[Utterance], share: float, draw: random.Random) -> list[Utterance]:
    """Join utterances of a speaker, two to four to one, until `share` of them are in company.

    Each ends and begins with a silence, so what is joined sounds as if it were read in one go.
    """
    shuffled = draw.sample(utterances, len(utterances))
    made, waiting = [], dict[int, list[Utterance]]()
    for utterance in shuffled:
        if utterance.word is None or draw.random() >= share:
            made.append(utterance)
            continue
        before = waiting.pop(utterance.speaker, [])
        if before and sum(len(u.codes) for u in (*before, utterance)) > MOST_FRAMES:
            made.append(_run(before))
            before = []
        run = [*before, utterance]
        if len(run) > 1 and (len(run) == 4 or draw.random() < 0.5):
            made.append(_run(run))
        else:
            waiting[utterance.speaker] = run
    return [*made, *(_run(rest) for rest in waiting.values())]


def _run(utterances: list[Utterance]) -> Utterance:
    words, before = [], 0
    for utterance in utterances:
        assert utterance.word is not None
        words.append(np.where(utterance.word == NO_WORD, NO_WORD, utterance.word + before))
        before += utterance.words
    return Utterance(
        sentences=[sentence for u in utterances for sentence in u.sentences],
        codes=torch.cat([u.codes for u in utterances]),
        word=np.concatenate(words),
        speaker=utterances[0].speaker,
    )


def batch(
    spoken: list[Utterance],
    text_ids: TextIds,
    references: References,
    *,
    streamed: bool,
    draw: random.Random,
    respell: bool = True,
) -> Batch:
    """Lay utterances out as the official package does, a fourth of them with the language named.

    Each is in a spelling that is drawn, or without `respell` as it is spoken. Half of those whose
    speaker has a name, and all others, have the speaker's vector in place of the name's code.
    """
    if streamed:
        spoken = [_held_back(u) for u in spoken]
    texts = [text_ids.of(u.sentences, draw if respell else None) for u in spoken]
    rows = [
        _layout(u.codes, text.ids, text_ids, streamed, _prefix(u.speaker, draw))
        for u, text in zip(spoken, texts, strict=True)
    ]
    time = -(-max(len(text) for text, *_ in rows) // 8) * 8
    shape = (len(spoken), time)
    made = Batch(
        text=torch.full(shape, text_ids.pad),
        control=torch.full(shape, -1),
        codes=torch.zeros(*shape, BOOKS, dtype=torch.long),
        is_frame=torch.zeros(shape, dtype=torch.bool),
        label=torch.full(shape, IGNORE),
        look=torch.zeros(*shape, time),
        mel=references.draw([u.speaker for u in spoken], draw),
        traits=torch.tensor([_traits(u.speaker) for u in spoken]),
    )
    for i, (utterance, (text, control, first, at)) in enumerate(zip(spoken, rows, strict=True)):
        frames = len(utterance.codes)
        made.text[i, : len(text)] = torch.tensor(text)
        made.control[i, : len(control)] = torch.tensor(control)
        made.codes[i, first : first + frames] = utterance.codes
        made.is_frame[i, first : first + frames] = True
        made.label[i, first - 1 : first - 1 + frames] = utterance.codes[:, 0]
        made.label[i, first - 1 + frames] = END
        if utterance.word is not None:
            _look(made.look[i], utterance.word, texts[i], first, at)
    return made


def _held_back(u: Utterance) -> Utterance:
    codes = torch.cat([u.codes[:1].expand(HELD_BACK, -1), u.codes])
    word = None
    if u.word is not None:
        word = np.concatenate([np.full(HELD_BACK, NO_WORD), u.word])
    return dataclasses.replace(u, codes=codes, word=word)


def _traits(number: int) -> tuple[int, int]:
    return speaker(number).tract, speaker(number).height


def _prefix(number: int, draw: random.Random) -> list[int]:
    """Draw how language and speaker are told: control codes, HEARD for the speaker's vector."""
    c = CONTROL
    language = [c["nothink"], c["think_bos"], c["think_eos"]]
    if draw.random() < 0.25:
        language = [c["think"], c["think_bos"], c["english"], c["think_eos"]]
    named = number < len(NAMED) and draw.random() < 0.5
    told = list(SPEAKER_CODES.values())[number] if named else HEARD
    return [*language, told, c["pad"]]


def _layout(
    codes: torch.Tensor, ids: list[int], text_ids: TextIds, streamed: bool, prefix: list[int]
) -> tuple[list[int], list[int], int, int]:
    """Make text ids, control codes, the first frame's row and the first text token's row."""
    c, frames = CONTROL, len(codes)
    control = [-1] * len(text_ids.role) + prefix
    text = [*text_ids.role, *[text_ids.pad] * (len(prefix) - 1), text_ids.bos]
    at = len(text)
    body = [*ids, text_ids.end]
    if streamed:
        text += [*body, *[text_ids.pad] * frames][: frames + 1]
        control.append(c["bos"])
    else:
        text += [*body, *[text_ids.pad] * (frames + 1)]
        control += [c["pad"]] * len(body) + [c["bos"]]
    return text, control, len(control), at


def _look(look: torch.Tensor, word: np.ndarray, text: Written, first: int, at: int) -> None:
    """Mark, for the row that predicts each frame, the text tokens of the piece it is in."""
    spoken = np.flatnonzero(word != NO_WORD)
    if len(spoken) == 0:
        return
    piece = np.full(len(word), -1)
    piece[spoken] = text.pieces[np.minimum(word[spoken], len(text.pieces) - 1)]
    for frame in range(len(word)):
        row = first - 1 + frame
        if frame > spoken[-1]:
            tokens = np.array([len(text.piece_of)])
        else:
            now = piece[spoken[np.searchsorted(spoken, frame)]]
            tokens = np.flatnonzero(text.piece_of == now)
            same = np.flatnonzero(piece == now)
            if frame in same and len(tokens) > 2:
                share = (frame - same[0] + 0.5) / len(same) * len(tokens) - 0.5
                tokens = tokens[np.abs(np.arange(len(tokens)) - share) <= 1.5]
        tokens = tokens[at + tokens <= row]
        look[row, at + tokens] = 1


def order(utterances: list[Utterance], frames: int, draw: random.Random) -> list[list[Utterance]]:
    """Batch utterances of like length, up to so many frames a batch, in random order."""
    shuffled = draw.sample(utterances, len(utterances))
    batches: list[list[Utterance]] = []
    for start in range(0, len(shuffled), POOL):
        rows: list[Utterance] = []
        for utterance in sorted(shuffled[start : start + POOL], key=lambda u: len(u.codes)):
            if rows and len(utterance.codes) * (len(rows) + 1) > frames:
                batches.append(rows)
                rows = []
            rows.append(utterance)
        if len(rows) == 1 and batches:
            batches[-1] += rows  # a batch of one would be compiled for itself
        else:
            batches.append(rows)
    draw.shuffle(batches)
    return batches


def corrupted(codes: torch.Tensor, share: float) -> torch.Tensor:
    """Make the deep codebooks random in `share` of the frames, as sampling may."""
    depth = torch.randint(2, BOOKS, codes.shape[:-1])[..., None]
    hit = (torch.rand(codes.shape[:-1]) < share)[..., None] & (torch.arange(BOOKS) >= depth)
    return torch.where(hit, torch.randint(0, CODES, codes.shape), codes)


def disguised(codes: torch.Tensor, share: float) -> torch.Tensor:
    """Give the frames of `share` of the utterances (n, frames, 16) tracts that are drawn.

    Whose speech it is must then be taken from what the talker was told, not from what was said.
    """
    hit = torch.rand(len(codes), 1, 1) < share
    return torch.where(hit, with_tract(codes, torch.randint(0, TRACTS, codes.shape[:-1])), codes)
