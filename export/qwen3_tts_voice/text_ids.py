"""What is said as text ids, in some spelling, and which word each of them writes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qwen3_tts_voice.spellings import as_spoken, joined, respelled

NEWLINE = 198


class Written(NamedTuple):
    """An utterance's text in one spelling.

    Attributes:
        ids: Text ids.
        piece_of: The piece of the spelling that each text id belongs to.
        pieces: The piece that each spoken word is written by.
    """

    ids: list[int]
    piece_of: np.ndarray
    pieces: np.ndarray


class TextIds:
    """The voice's tokenizer and its special ids."""

    def __init__(self, folder: Path) -> None:
        from transformers import Qwen2TokenizerFast

        self._tokenizer = Qwen2TokenizerFast.from_pretrained(folder)
        ids = self._tokenizer.get_added_vocab()
        self.pad, self.bos = ids["<tts_pad>"], ids["<tts_text_bos>"]
        self.end = ids["<tts_text_eod>"]
        self.role = [ids["<|im_start|>"], ids["assistant"], NEWLINE]

    def of(self, sentences: list[str], draw: random.Random | None) -> Written:
        """Tokenize what is said, in a spelling that is drawn; without `draw`, as it is spoken."""
        pieces = [
            piece
            for sentence in sentences
            for piece in (respelled(sentence, draw) if draw else as_spoken(sentence))
        ]
        text, ends = joined(pieces, draw)
        made = self._tokenizer(text, return_offsets_mapping=True)
        # A blank goes with the word behind it, so a token belongs where it ends.
        last = np.array([end for _, end in made["offset_mapping"]])
        return Written(
            ids=made["input_ids"],
            piece_of=np.minimum(np.searchsorted(ends, last), len(pieces) - 1),
            pieces=np.repeat(np.arange(len(pieces)), [piece.words for piece in pieces]),
        )
