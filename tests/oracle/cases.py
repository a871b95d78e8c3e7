"""What the runtime must prompt and speak like the official package: every mode, layout and rule."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Reference:
    """The voice to clone: drawn numbers, because no audio is needed to compare prompts.

    With `text` the clone is in-context; without, only the speaker vector is used.
    """

    text: str | None
    frames: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """One request on one tiny checkpoint: `same` behaves as the 0.6B, `narrow` as the 1.7B.

    Blanks at the ends of `text`, `instruct` and the reference text are dropped before the official
    package sees them, as its own demo does (qwen_tts/cli/demo.py).
    """

    kind: Literal["custom_voice", "voice_design", "base"]
    predictor: Literal["same", "narrow"]
    text: str
    speaker: str | None = None
    language: str = "auto"
    instruct: str | None = None
    non_streaming: bool = True
    reference: Reference | None = None

    def __str__(self) -> str:
        """Name the test: everything but the text, and how it begins."""
        words = [self.kind, self.predictor, self.speaker, self.language]
        words += ["instruct" if self.instruct else None, "A" if self.non_streaming else "B"]
        if self.reference is not None:
            words.append(f"icl{self.reference.frames}" if self.reference.text else "xvec")
        return "-".join([*(word for word in words if word), repr(self.text[:12])])


def reference_values(
    reference: Reference, *, hidden_size: int, codebook_size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Draw the speaker vector, float32 (hidden_size,), and the codes, int64 (frames, 16)."""
    draw = np.random.default_rng(reference.seed)
    vector = draw.standard_normal(hidden_size, dtype=np.float32)
    return vector, draw.integers(0, codebook_size, (reference.frames, 16), dtype=np.int64)


LONG = (
    "The quick brown fox jumps over the lazy dog, and then it sits down by the river to think "
    "about what it has done. Nobody saw it; nobody will ever know. Still, the dog wakes up, yawns, "
    "and asks: was that you again? It was. It always is."
)

CASES = [
    # every language id, both layouts, the 1.7B's shape
    Case("custom_voice", "narrow", "Hello there, my friend.", "ryan", "english"),
    Case("custom_voice", "narrow", "Guten Tag, schöne Grüße!", "aiden", "german"),
    Case("custom_voice", "narrow", "¿Dónde está el niño?", "sohee", "spanish"),
    Case("custom_voice", "narrow", "你好，世界！今天天气很好。", "vivian", "chinese"),
    Case("custom_voice", "narrow", "こんにちは、世界。", "ono_anna", "japanese"),
    Case("custom_voice", "narrow", "Ça va, l'été ? Oui, c'est où ?", "serena", "french"),
    Case("custom_voice", "narrow", "안녕하세요, 반갑습니다.", "sohee", "korean", None, False),
    Case("custom_voice", "narrow", "Привет, как дела?", "ryan", "russian", None, False),
    Case("custom_voice", "narrow", "Perché no? È già qui!", "aiden", "italian", None, False),
    Case("custom_voice", "narrow", "Não há manhã, João.", "ryan", "portuguese", None, False),
    Case("custom_voice", "narrow", "Any language will do.", "ryan", "auto"),
    # the dialect rule: chinese and auto follow the speaker, any other language stays
    Case("custom_voice", "narrow", "我们走吧。", "eric", "auto"),
    Case("custom_voice", "narrow", "我们走吧。", "dylan", "chinese", None, False),
    Case("custom_voice", "same", "Let's go.", "eric", "english"),
    Case("custom_voice", "same", "我们走吧。", "Dylan", "Auto", None, False),
    Case("custom_voice", "same", "我们走吧。", "eric", "chinese"),
    # instruct: honoured by the 1.7B, ignored by the 0.6B
    Case("custom_voice", "narrow", "I can't believe it.", "ryan", "english", "Speak angrily."),
    Case("custom_voice", "narrow", "I can't.", "ryan", "auto", "用愤怒的语气说", False),
    Case("custom_voice", "narrow", "No instruction at all.", "ryan", "english", ""),
    Case("custom_voice", "same", "I can't believe it.", "ryan", "english", "Speak angrily."),
    Case("custom_voice", "same", "I can't.", "vivian", "auto", "Whisper.", False),
    # texts: one token, long, contractions, digits, emoji, symbols, blanks, line ends, added words
    Case("custom_voice", "same", "a", "ryan", "english"),
    Case("custom_voice", "same", "a", "ryan", "english", None, False),
    Case("custom_voice", "same", LONG, "ryan", "english"),
    Case("custom_voice", "same", LONG, "ryan", "english", None, False),
    Case("custom_voice", "same", "Don't, we'll, they've, I'm, IT'S, o'clock", "ryan", "english"),
    Case("custom_voice", "same", "In 2026 it cost $1,234.56 (50%).", "UNCLE_FU", "ENGLISH"),
    Case("custom_voice", "same", "Fine 🙂👩‍👩‍👧 — really… “yes”?!", "RYAN", "English", None, False),
    Case("custom_voice", "same", "  two  blanks \t inside and out  ", "ryan", "auto"),
    Case("custom_voice", "same", "\n\nfirst line\nsecond line\r\n\nthird\n", "ryan", "auto"),
    Case("custom_voice", "narrow", "My assistant is a good user.", "ryan", "english"),
    Case("custom_voice", "narrow", "हिन्दी और e\u0301te\u0301 ﬁne", "ryan", "auto"),
    # no speaker: the slot is absent
    Case("custom_voice", "same", "Nobody speaks.", "", "english"),
    Case("custom_voice", "narrow", "Nobody speaks.", None, "auto", None, False),
    # voice design: the instruction is the voice, and may be empty
    Case("voice_design", "narrow", "Hello.", None, "english", "A calm old man, low and slow."),
    Case("voice_design", "narrow", "你好。", None, "chinese", "一个活泼的小女孩，语速很快"),
    Case("voice_design", "narrow", "Hello.", None, "auto", "A calm old man.", False),
    Case("voice_design", "narrow", "Hello.", None, "english", ""),
    Case("voice_design", "narrow", "Hello.", None, "auto", "", False),
    Case("voice_design", "narrow", LONG, None, "english", "  A bright voice,\nvery bright.\n"),
    Case("voice_design", "same", "Hello again.", None, "german", "Eine ruhige Stimme."),
    Case("voice_design", "same", "b", None, "auto", "Low."),
    Case("voice_design", "same", "b", None, "japanese", "低い声", False),
]

BASE_CASES = [
    Case("base", "same", "Hello there.", None, "english", None, False, Reference(None, 0, 1)),
    Case("base", "same", "Hello there.", None, "auto", None, True, Reference(None, 0, 2)),
    Case("base", "narrow", "a", None, "chinese", None, False, Reference(None, 0, 3)),
    # in-context: more text than codes, fewer, and equal lengths, in both layouts
    Case("base", "same", LONG, None, "english", None, False, Reference("Who is it?", 5, 4)),
    Case("base", "same", "Hi.", None, "auto", None, False, Reference("Who?", 40, 5)),
    Case("base", "same", "Hello.", None, "english", None, True, Reference("Who is it?", 12, 6)),
    Case("base", "narrow", LONG, None, "auto", None, False, Reference("It's me.", 3, 7)),
    Case("base", "narrow", "b", None, "german", None, False, Reference(" Ja. ", 1, 8)),
    Case("base", "narrow", LONG, None, "french", None, True, Reference("It's 7 o'clock.", 30, 9)),
]
