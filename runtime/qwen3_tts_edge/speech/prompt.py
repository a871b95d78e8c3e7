"""Text ids → prompt: the rows the talker reads first, and one text row for every frame after.

A row is the sum of a text embedding and a codec embedding; some rows have only one of the two.
This is the whole grammar of Qwen3-TTS prompts: named speakers, designed voices and clones.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.tables import Embeddings, Rows
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices.matching import Cast, cast
from qwen3_tts_edge.voices.voice import Clone, Voice

TEXT_LAYOUTS = ("upfront", "streamed")
AUTO = "auto"


@dataclass(frozen=True)
class Prompt:
    """What one utterance is made from.

    Attributes:
        rows: float32 (n, hidden), read before the first frame.
        text_rows: float32 (m, hidden), one added to each frame's feedback.
        silence: float32 (hidden,), the text row once `text_rows` are used up.
        heard: int64 (frames, codebooks), reference codes that the speech goes on from, or None.
    """

    rows: Rows
    text_rows: Rows
    silence: Rows
    heard: npt.NDArray[np.int64] | None = None

    def text_row(self, frame: int) -> Rows:
        """The text row that follows frame `frame`, float32 (1, hidden)."""
        row = self.text_rows[frame] if frame < len(self.text_rows) else self.silence
        return row[None]


class PromptBuilder:
    """Builds prompts from a bundle's embedding tables.

    Source: Qwen3TTSForConditionalGeneration.generate and generate_icl_prompt in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> None:
        self._manifest = manifest
        self._tokenizer = tokenizer
        embeddings = Embeddings(folder)
        self._text = embeddings.text
        self._codec = embeddings.codec
        self._frames = embeddings.frames

    @property
    def speakers(self) -> list[str]:
        """The named speakers, sorted."""
        return sorted(self._manifest.speakers)

    @property
    def languages(self) -> list[str]:
        """What `language` may be, sorted, `auto` first. Dialects come with their speaker."""
        spoken = (name for name in self._manifest.languages if "dialect" not in name)
        return [AUTO, *sorted(spoken)]

    def build(
        self,
        text: str,
        voice: Voice | None = None,
        *,
        language: str = AUTO,
        instruct: str | None = None,
        text_layout: str | None = None,
    ) -> Prompt:
        """Build the prompt of one utterance.

        Args:
            text: What to say; blanks at its ends are dropped.
            voice: Who says it; None is the first named speaker.
            language: One of `languages`.
            instruct: How to say it, in words, for checkpoints that take it.
            text_layout: `upfront` puts the whole text in the prompt, `streamed` feeds one text
                token a frame; None is what the checkpoint was made for.

        Raises:
            InputError: Something asked for is not to be had; says what is.
        """
        ids = self._tokenizer.text(text)
        if not ids:
            raise InputError("the text is empty; give at least one word to say")
        layout = text_layout or self._manifest.text_layout
        if layout not in TEXT_LAYOUTS:
            raise InputError(f"text layout {layout!r} is unknown; use {' or '.join(TEXT_LAYOUTS)}")
        chosen = cast(self._manifest, voice, instruct)
        opening = [
            self._text(*(self._tokenizer.instruct(chosen.instruct) if chosen.instruct else [])),
            self._text(*self._tokenizer.role()),
            self._prefix(language, chosen),
        ]
        if chosen.clone is not None and chosen.clone.codes is not None:
            return self._continued(opening, ids, chosen.clone, chosen.clone.codes, layout)
        codes, silence = self._manifest.control_codes, self._silence()
        spoken = self._text(*ids, self._manifest.text_ids.tts_eos)
        if layout == "upfront":
            body = [spoken + self._codec(codes.pad), silence + self._codec(codes.bos)]
            return Prompt(np.concatenate(opening + body), silence[:0], silence[0])
        body = [spoken[:1] + self._codec(codes.bos)]
        return Prompt(np.concatenate(opening + body), spoken[1:], silence[0])

    def _continued(
        self,
        opening: list[Rows],
        ids: list[int],
        clone: Clone,
        heard: npt.NDArray[np.int64],
        layout: str,
    ) -> Prompt:
        """An in-context clone: the reference's text and codes, as if it had just been spoken."""
        codes, silence = self._manifest.control_codes, self._silence()
        ids = [*self._tokenizer.text(clone.text or ""), *ids]
        text = self._text(*ids, self._manifest.text_ids.tts_eos)
        sound = np.concatenate([self._codec(codes.bos), self._frames(heard)])
        if layout == "upfront":
            body, later = [text + self._codec(codes.pad), sound + silence], text[:0]
        else:
            # One text row a frame, as everywhere in this layout; the text may outlast the
            # reference, then the rest rides on the frames to come, or end before it.
            beside = np.concatenate([text, silence.repeat(max(0, len(sound) - len(text)), axis=0)])
            body, later = [beside[: len(sound)] + sound], text[len(sound) :]
        return Prompt(np.concatenate(opening + body), later, silence[0], heard)

    def _silence(self) -> Rows:
        return self._text(self._manifest.text_ids.tts_pad)

    def _prefix(self, language: str, chosen: Cast) -> Rows:
        """Rows that name the language and the voice and open the speech."""
        codes, texts = self._manifest.control_codes, self._manifest.text_ids
        spoken = self._language(language, chosen.speaker)
        if spoken is None:
            steering = [codes.nothink, codes.think_bos, codes.think_eos]
        else:
            steering = [codes.think, codes.think_bos, spoken, codes.think_eos]
        if chosen.speaker is not None:
            steering.append(self._manifest.speakers[chosen.speaker])
        prefix = [self._codec(*steering)]
        if chosen.clone is not None:
            prefix.append(chosen.clone.speaker_vector[None].astype(np.float32))
        rows = np.concatenate([*prefix, self._codec(codes.pad)])
        beside = [texts.tts_pad] * (len(rows) - 1) + [texts.tts_bos]
        prefixed: Rows = self._text(*beside) + rows
        return prefixed

    def _language(self, language: str, speaker: str | None) -> int | None:
        """The language's code, None for auto. Chinese and auto become the speaker's dialect."""
        language = language.strip().lower()
        if language not in self.languages:
            raise InputError(
                f"language {language!r} is unknown; choose one of {', '.join(self.languages)}"
            )
        if language in (AUTO, "chinese") and speaker is not None:
            language = self._manifest.dialects.get(speaker, language)
        return None if language == AUTO else self._manifest.languages[language]
