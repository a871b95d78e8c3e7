"""Text ids → prompt: the rows the talker reads first, and one text row for every frame after.

A row is the sum of a text embedding and a codec embedding; some rows have only one of the two.
This is the whole grammar of Qwen3-TTS prompts: named speakers, designed voices and clones.

Every prompt is an opening, which depends on voice, language and instruction alone, and the text
beside the sound that it goes on from: a reference's frames, or nothing but the code `bos`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qwen3_tts_edge.arrays import Codes, Rows
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.names import STREAMED, TEXT_LAYOUTS, UPFRONT
from qwen3_tts_edge.codec.primed import Primed
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.text.languages import AUTO, language_named
from qwen3_tts_edge.voices.matching import Match, match
from qwen3_tts_edge.voices.voice import Voice


@dataclass
class Prompt:
    """What one utterance is made from.

    Attributes:
        rows: float32 (n, hidden), read before the first frame.
        text_rows: m times float32 (hidden,), one added to each frame's feedback.
        silence: float32 (hidden,), the text row once `text_rows` are used up.
        opening: How many of `rows` do not depend on the text.
        reference: What the speech goes on from, int64 (frames, codebooks), perhaps primed; or None.
        ended: Whether `text_rows` are all there will be.
    """

    rows: Rows
    text_rows: list[Rows]
    silence: Rows
    opening: int
    reference: Codes | Primed | None = None
    ended: bool = True

    def text_row(self, frame: int) -> Rows | None:
        """Give the text row that follows a frame, float32 (1, hidden); None if it is not there."""
        if frame < len(self.text_rows):
            return self.text_rows[frame][None]
        return self.silence[None] if self.ended else None

    def spoken(self, frames: int) -> bool:
        """Tell whether the launch after so many frames has read all of the text."""
        return self.ended and frames >= len(self.text_rows) - 1  # the last row is no text


@dataclass(frozen=True)
class Start:
    """A prompt whose text is not there yet.

    Attributes:
        opening: float32 (n, hidden).
        sound: float32 (m, hidden), what the speech goes on from.
        ids: What `sound` says.
        reference: The codes of it, perhaps primed; or None.
        layout: One of `TEXT_LAYOUTS`.
    """

    opening: Rows
    sound: Rows
    ids: list[int]
    reference: Codes | Primed | None
    layout: str


class PromptBuilder:
    """Builds prompts from a bundle's embedding tables.

    Source: Qwen3TTSForConditionalGeneration.generate and generate_icl_prompt in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._manifest = bundle.manifest
        self._tokenizer = bundle.tokenizer
        self._tables = bundle.tables

    @property
    def languages(self) -> list[str]:
        """What `language` may be, sorted, `auto` first. Dialects come with their speaker."""
        return [AUTO, *self._manifest.language_names]

    def build(
        self,
        text: str,
        voice: Voice | None = None,
        *,
        language: str | None = AUTO,
        instruct: str | None = None,
        text_layout: str | None = None,
    ) -> Prompt:
        """Build the prompt of a whole text.

        Args:
            text: What to say; blanks at its ends are dropped.
            voice: Who says it; None is the first named speaker.
            language: One of `languages`, or its code, see `languages.language_named`.
            instruct: How to say it, in words, for checkpoints that take it.
            text_layout: `upfront` puts the whole text in the prompt, `streamed` feeds one text
                token a frame; None is what the checkpoint was made for.

        Raises:
            InputError: Something asked for is not to be had; says what is.
        """
        ids = self._tokenizer.text(text)
        if not ids:
            raise InputError("the text is empty", "give at least one word to say")
        start = self.start(voice, language=language, instruct=instruct, text_layout=text_layout)
        prompt = self.prompt(start, ids, ended=True)
        assert prompt is not None
        return prompt

    def start(
        self,
        voice: Voice | None = None,
        *,
        language: str | None = AUTO,
        instruct: str | None = None,
        text_layout: str | None = None,
    ) -> Start:
        """Begin a prompt, before there is a text. Arguments and errors are those of `build`."""
        layout = text_layout or self._manifest.text_layout
        if layout not in TEXT_LAYOUTS:
            raise InputError(
                f"text layout {quoted(layout)} is unknown", f"use {' or '.join(TEXT_LAYOUTS)}"
            )
        chosen = match(self._manifest, voice, instruct)
        opening = [
            self._tables.text(
                *(self._tokenizer.instruct(chosen.instruct) if chosen.instruct else [])
            ),
            self._tables.text(*self._tokenizer.role()),
            self._prefix(language, chosen),
        ]
        clone, ids = chosen.clone, []
        reference: Codes | Primed | None = None
        sound = self._tables.codec(self._manifest.control_codes.bos)
        if clone is not None and clone.codes is not None:
            # An in-context clone: as if the reference had just been spoken.
            ids, reference = self._tokenizer.text(clone.text or ""), clone.primed or clone.codes
            sound = np.concatenate([sound, self._tables.frames(clone.codes)])
        return Start(np.concatenate(opening), sound, ids, reference, layout)

    def prompt(self, start: Start, ids: Sequence[int], *, ended: bool) -> Prompt | None:
        """Add a text, or the beginning of one, to a start.

        Args:
            start: From `start`.
            ids: Text ids, all or the first.
            ended: Whether they are all; where they are not, `extend` adds the others.

        Returns:
            The prompt; None where there are not enough ids for it yet.
        """
        ids = [*start.ids, *ids, *([self._manifest.text_ids.tts_eos] if ended else [])]
        silence = self._tables.text(self._manifest.text_ids.tts_pad)
        beside = len(start.sound)
        if start.layout == UPFRONT:
            if not ended:
                return None
            padded = self._tables.codec(self._manifest.control_codes.pad)
            body = [self._tables.text(*ids) + padded, start.sound + silence]
            later: list[int] = []
        else:
            # One text row a frame, as everywhere in this layout; the text may outlast the
            # reference, then the rest rides on the frames to come, or end before it.
            if len(ids) < beside and not ended:
                return None
            silent = silence.repeat(max(0, beside - len(ids)), axis=0)
            text = np.concatenate([self._tables.text(*ids[:beside]), silent])
            body, later = [text + start.sound], ids[beside:]
        rows = np.concatenate([start.opening, *body])
        fixed = min(len(start.opening) + len(start.ids), len(rows) - 1)
        if start.layout == STREAMED:
            fixed = min(fixed, len(start.opening) + beside - 1)
        later_rows = self._tables.text(*later)
        return Prompt(rows, [*later_rows], silence[0], fixed, start.reference, ended)

    def extend(self, prompt: Prompt, ids: Sequence[int], *, ended: bool) -> None:
        """Add text ids to a prompt that has not ended; `ended` with the last."""
        more = [*ids, *([self._manifest.text_ids.tts_eos] if ended else [])]
        prompt.text_rows.extend(self._tables.text(*more))
        prompt.ended = ended

    def _prefix(self, language: str | None, chosen: Match) -> Rows:
        """Rows that name the language and the voice and open the speech."""
        codes, texts = self._manifest.control_codes, self._manifest.text_ids
        spoken = self._language(language, chosen.speaker)
        if spoken is None:
            steering = [codes.nothink, codes.think_bos, codes.think_eos]
        else:
            steering = [codes.think, codes.think_bos, spoken, codes.think_eos]
        if chosen.speaker is not None:
            steering.append(self._manifest.speakers[chosen.speaker])
        prefix = [self._tables.codec(*steering)]
        if chosen.clone is not None:
            prefix.append(chosen.clone.speaker_vector[None].astype(np.float32))
        rows = np.concatenate([*prefix, self._tables.codec(codes.pad)])
        beside = [texts.tts_pad] * (len(rows) - 1) + [texts.tts_bos]
        prefixed: Rows = self._tables.text(*beside) + rows
        return prefixed

    def _language(self, language: str | None, speaker: str | None) -> int | None:
        """The language's code, None for auto. Chinese and auto become the speaker's dialect."""
        language = language_named(language, self.languages)
        if language in (AUTO, "chinese") and speaker is not None:
            language = self._manifest.dialects.get(speaker, language)
        return None if language == AUTO else self._manifest.languages[language]
