"""Text in pieces, as it comes → the text ids that can no longer change."""

import unicodedata

from qwen3_tts_edge.bundle.tokenizer import Tokenizer

_HELD = 2
"""Words that more text may change: the last, and the one before, whose end a blank or a mark may
still move."""

_SHARE = 64
"""A word that does not end is read again when it has grown by one part of so many."""


class GrowingText:
    """A text that grows. However it is cut, its ids are together those of the whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tail = ""  # that was read, and may change
        self._new = ""
        self._begun = False

    def feed(self, piece: str) -> list[int]:
        """Add a piece of any length; return the ids that are now certain.

        Raises:
            InputError: The text spells a control token, or is not Unicode.
        """
        self._new += piece
        if len(self._new) <= len(self._tail) // _SHARE:
            return []
        self._tail, self._new = unicodedata.normalize("NFC", self._tail + self._new), ""
        if not self._begun:
            self._tail = self._tail.lstrip()
            self._begun = bool(self._tail)
        # Blanks that end the text are none of it, and may be part of the word before them.
        end = self._tokenizer.settled(self._tail.rstrip(), _HELD)
        certain, self._tail = self._tail[:end], self._tail[end:]
        return self._tokenizer.encode(certain) if certain else []

    def finish(self) -> list[int]:
        """End the text; return its last ids. Errors are those of `feed`."""
        rest = unicodedata.normalize("NFC", self._tail + self._new).rstrip()
        self._tail = self._new = ""
        return self._tokenizer.encode(rest) if rest else []
