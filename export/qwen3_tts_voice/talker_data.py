"""Utterances as training rows for the talker, in both text layouts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qwen3_tts_voice.codes import BOOKS, CODES, load_shard
from qwen3_tts_voice.speech import NO_WORD, SPEAKERS
from qwen3_tts_voice.talker_model import CONTROL, END, IGNORE, SPEAKER_CODES, Batch

NEWLINE = 198


@dataclasses.dataclass
class Utterance:
    """An utterance as the talker learns from it.

    Attributes:
        text: Text ids.
        word_of: The word each text id belongs to.
        codes: (frames, 16).
        word: (frames,) the word spoken in each, NO_WORD in silence; None where unknown.
        speaker: By name.
    """

    text: list[int]
    word_of: list[int]
    codes: torch.Tensor
    word: np.ndarray | None
    speaker: str


class TextIds:
    """The voice's tokenizer and its special ids."""

    def __init__(self, folder: Path) -> None:
        from transformers import Qwen2TokenizerFast

        self._tokenizer = Qwen2TokenizerFast.from_pretrained(folder)
        ids = self._tokenizer.get_added_vocab()
        self.pad, self.bos = ids["<tts_pad>"], ids["<tts_text_bos>"]
        self.end = ids["<tts_text_eod>"]
        self.role = [ids["<|im_start|>"], ids["assistant"], NEWLINE]

    def of(self, sentence: str) -> tuple[list[int], list[int]]:
        """Tokenize; returns ids, and the number of the word that each lies in."""
        made = self._tokenizer(sentence, return_offsets_mapping=True)
        words = []
        for start, end in made["offset_mapping"]:
            inside = sentence[:end].rstrip() if end - start > 1 else sentence[:end]
            words.append(inside.count(" "))
        return made["input_ids"], words


def load(work: Path, text_ids: TextIds, known: dict[str, list[Utterance]]) -> None:
    """Read the code shards not yet in `known`, by name."""
    for path in sorted((work / "codes").glob("????.npz")):
        if path.name not in known:
            known[path.name] = list(read(path, sentences(work), text_ids))


def sentences(work: Path) -> list[str]:
    """Read the sentences that the teacher has read."""
    return (work / "text.txt").read_text("utf-8").splitlines()


def read(path: Path, sentences: list[str], text_ids: TextIds) -> Iterator[Utterance]:
    """Read the utterances of a code shard."""
    shard = load_shard(path)
    for number, index in enumerate(shard["index"]):
        frames = slice(shard["offset"][number], shard["offset"][number + 1])
        ids, words = text_ids.of(sentences[index])
        yield Utterance(
            text=ids,
            word_of=words,
            codes=torch.from_numpy(shard["codes"][frames].astype(np.int64)),
            word=shard["word"][frames].astype(int) if shard["aligned"][number] else None,
            speaker=SPEAKERS[shard["speaker"][number]],
        )


def batch(
    spoken: list[Utterance], text_ids: TextIds, *, streamed: bool, draw: random.Random
) -> Batch:
    """Lay utterances out as the official package does, a fourth of them with the language named."""
    rows = [_layout(u, text_ids, streamed, draw.random() < 0.25) for u in spoken]
    time = -(-max(len(text) for text, *_ in rows) // 8) * 8
    shape = (len(spoken), time)
    made = Batch(
        text=torch.full(shape, text_ids.pad),
        control=torch.full(shape, -1),
        codes=torch.zeros(*shape, BOOKS, dtype=torch.long),
        is_frame=torch.zeros(shape, dtype=torch.bool),
        label=torch.full(shape, IGNORE),
        look=torch.zeros(*shape, time),
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
            _look(made.look[i], utterance, first, at)
    return made


def _layout(
    utterance: Utterance, text_ids: TextIds, streamed: bool, named: bool
) -> tuple[list[int], list[int], int, int]:
    """Make text ids, control codes, the first frame's row and the first text token's row."""
    c, frames = CONTROL, len(utterance.codes)
    if named:
        prefix = [c["think"], c["think_bos"], c["english"], c["think_eos"]]
    else:
        prefix = [c["nothink"], c["think_bos"], c["think_eos"]]
    prefix += [SPEAKER_CODES[utterance.speaker], c["pad"]]
    control = [-1] * len(text_ids.role) + prefix
    text = [*text_ids.role, *[text_ids.pad] * (len(prefix) - 1), text_ids.bos]
    at = len(text)
    body = [*utterance.text, text_ids.end]
    if streamed:
        text += [*body, *[text_ids.pad] * frames][: frames + 1]
        control.append(c["bos"])
    else:
        text += [*body, *[text_ids.pad] * (frames + 1)]
        control += [c["pad"]] * len(body) + [c["bos"]]
    return text, control, len(control), at


def _look(look: torch.Tensor, utterance: Utterance, first: int, at: int) -> None:
    """Mark, for the row that predicts each frame, the text tokens of the word it is in."""
    word, word_of = utterance.word, np.array(utterance.word_of)
    assert word is not None
    spoken = np.flatnonzero(word != NO_WORD)
    if len(spoken) == 0:
        return
    for frame in range(len(word)):
        row = first - 1 + frame
        if frame > spoken[-1]:
            tokens = np.array([len(word_of)])
        else:
            now = word[spoken[np.searchsorted(spoken, frame)]]
            tokens = np.flatnonzero(word_of == now)
            same = np.flatnonzero(word == now)
            if frame in same and len(tokens) > 2:
                share = (frame - same[0] + 0.5) / len(same) * len(tokens) - 0.5
                tokens = tokens[np.abs(np.arange(len(tokens)) - share) <= 1.5]
        tokens = tokens[at + tokens <= row]
        look[row, at + tokens] = 1


def order(utterances: list[Utterance], size: int, draw: random.Random) -> list[list[Utterance]]:
    """Batch utterances of like length, in random order."""
    shuffled = draw.sample(utterances, len(utterances))
    pool = size * 16
    batches = []
    for start in range(0, len(shuffled) - size + 1, pool):
        ranked = sorted(shuffled[start : start + pool], key=lambda u: len(u.codes))
        batches += [ranked[i : i + size] for i in range(0, len(ranked) - size + 1, size)]
    draw.shuffle(batches)
    return batches


def corrupted(codes: torch.Tensor, share: float) -> torch.Tensor:
    """Make the deep codebooks random in `share` of the frames, as sampling may."""
    depth = torch.randint(2, BOOKS, codes.shape[:-1])[..., None]
    hit = (torch.rand(codes.shape[:-1]) < share)[..., None] & (torch.arange(BOOKS) >= depth)
    return torch.where(hit, torch.randint(0, CODES, codes.shape), codes)
