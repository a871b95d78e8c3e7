"""Text ids → prompt: the rows the talker reads first, and one text row for every frame after.

A row is the sum of a text embedding and a codec embedding; some rows have only one of the two.
This is the whole grammar of Qwen3-TTS prompts for CustomVoice and VoiceDesign.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qwen3_tts_edge.errors import BundleError, InputError
from qwen3_tts_edge.manifest import CODEC_ROWS, TEXT_ROWS, Manifest
from qwen3_tts_edge.tokenizer import Tokenizer
from qwen3_tts_edge.voice import Voice

Rows = npt.NDArray[np.float32]
"""float32 (n, hidden)."""

TEXT_LAYOUTS = ("upfront", "streamed")
AUTO = "auto"


@dataclass(frozen=True)
class Prompt:
    """What one utterance is made from.

    Attributes:
        rows: float32 (n, hidden), read before the first frame.
        text_rows: float32 (m, hidden), one added to each frame's feedback.
        silence: float32 (hidden,), the text row once `text_rows` are used up.
    """

    rows: Rows
    text_rows: Rows
    silence: Rows

    def text_row(self, frame: int) -> Rows:
        """The text row that follows frame `frame`, float32 (1, hidden)."""
        row = self.text_rows[frame] if frame < len(self.text_rows) else self.silence
        return row[None]


class PromptBuilder:
    """Builds prompts from a bundle's two embedding tables.

    Source: Qwen3TTSForConditionalGeneration.generate in
        qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    def __init__(self, folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> None:
        self._manifest = manifest
        self._tokenizer = tokenizer
        self._text_table = _table(folder / TEXT_ROWS)
        self._codec_table = _table(folder / CODEC_ROWS)

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
        speaker, instruct = self._voice(voice, instruct)
        end, silence = self._manifest.text_ids.tts_eos, self._text(self._manifest.text_ids.tts_pad)
        spoken, codes = self._text(*ids, end), self._manifest.control_codes

        opening = [
            self._text(*(self._tokenizer.instruct(instruct) if instruct else [])),
            self._text(*self._tokenizer.role()),
            self._prefix(language, speaker),
        ]
        if layout == "upfront":
            body = [spoken + self._codec(codes.pad), silence + self._codec(codes.bos)]
            return Prompt(np.concatenate(opening + body), silence[:0], silence[0])
        body = [spoken[:1] + self._codec(codes.bos)]
        return Prompt(np.concatenate(opening + body), spoken[1:], silence[0])

    def _prefix(self, language: str, speaker: str | None) -> Rows:
        """Rows that name the language and the speaker and open the speech."""
        codes, texts = self._manifest.control_codes, self._manifest.text_ids
        spoken = self._language(language, speaker)
        if spoken is None:
            prefix = [codes.nothink, codes.think_bos, codes.think_eos]
        else:
            prefix = [codes.think, codes.think_bos, spoken, codes.think_eos]
        if speaker is not None:
            prefix.append(self._manifest.speakers[speaker])
        prefix.append(codes.pad)
        beside = [texts.tts_pad] * (len(prefix) - 1) + [texts.tts_bos]
        return self._text(*beside) + self._codec(*prefix)

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

    def _voice(self, voice: Voice | None, instruct: str | None) -> tuple[str | None, str | None]:
        """The speaker's name, if any, and the instruction."""
        kind = self._manifest.checkpoint.model_type
        if kind == "voice_design":
            if voice is None or voice.description is None:
                raise InputError(
                    "this checkpoint designs its voices: describe one, Voice.design('an old man')"
                )
            if instruct:
                raise InputError(
                    "this checkpoint takes its instruction as the voice's description; "
                    "put both in Voice.design(...)"
                )
            return None, voice.description
        if voice is not None and voice.description is not None:
            raise InputError(
                "this checkpoint has named voices and designs none; choose one of "
                + ", ".join(self.speakers)
            )
        if instruct and instruct.strip() and not self._manifest.takes_instruct:
            raise InputError("this checkpoint takes no instruction; the 1.7B CustomVoice does")
        name = self.speakers[0] if voice is None or voice.name is None else voice.name
        if name not in self._manifest.speakers:
            raise InputError(
                f"speaker {name!r} is unknown; choose one of {', '.join(self.speakers)}"
            )
        return name, instruct

    def _text(self, *ids: int) -> Rows:
        return self._text_table[list(ids)].astype(np.float32)

    def _codec(self, *codes: int) -> Rows:
        return self._codec_table[list(codes)].astype(np.float32)


def _table(path: Path) -> npt.NDArray[np.floating]:
    try:
        table: npt.NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}); export the bundle again") from error
    return table
