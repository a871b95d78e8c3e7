r"""Text → text ids, with HF `tokenizers` alone.

In: a bundle's `tokenizer.json` and the words to speak. Out: lists of text ids. It knows the
wrapping strings of the prompt (`<|im_start|>assistant\n` … `<|im_end|>\n`), not what the talker
does with them.

The official package wraps a text as a string and tokenizes the whole. Here only the text is
tokenized and the wrapping is added as ids: what a user writes cannot become a control token, nor
merge with the wrapping. The ids are the official ones for every text without blanks at its ends;
as the official demo does, blanks at the ends are dropped.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tokenizers
from typing_extensions import Self

from qwen3_tts_edge.errors import BundleError, InputError, reason

_START, _END = "<|im_start|>", "<|im_end|>"


class Tokenizer:
    """A bundle's text tokenizer. Immutable after `load`, so threads may share one."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        """Take a tokenizer that already has the added tokens.

        Args:
            tokenizer: What `tokenizer.json` holds; padding and truncation in it are ignored.

        Raises:
            BundleError: It lacks the wrapping tokens, or makes other ids of the wrapping.
        """
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._control = {index: token.content for index, token in added.items() if token.special}
        for name in (_START, _END):
            if tokenizer.token_to_id(name) not in self._control:
                raise BundleError(
                    f"tokenizer.json has no control token {name}", "export the bundle again"
                )
        self._controls = re.compile("|".join(map(re.escape, self._control.values())))
        self._longest_added = max(len(token.content) for token in added.values())
        self._added = re.compile("|".join(re.escape(token.content) for token in added.values()))
        self._role = self._ids(f"{_START}assistant\n")
        self._user = self._ids(f"{_START}user\n")
        self._close = self._ids(f"{_END}\n")
        if len(self._role) != 3:
            raise BundleError(
                f"tokenizer.json makes {len(self._role)} ids of '{_START}assistant\\n', not 3",
                "it is not of a Qwen3-TTS checkpoint, export the bundle again",
            )

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a bundle's `tokenizer.json`.

        Args:
            path: The file.

        Returns:
            The tokenizer.

        Raises:
            BundleError: The file is missing, or not the tokenizer of a Qwen3-TTS checkpoint.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{path} cannot be read ({reason(error)})", "export the bundle again"
            ) from error
        with _damage_named(f"{path} is not a tokenizer"):
            tokenizer = tokenizers.Tokenizer.from_buffer(data)
        return cls(tokenizer)

    def check(self, text: str) -> None:
        """Refuse a text that `encode` refuses, in much less time.

        Raises:
            InputError: As for `encode`.
        """
        _check(text)
        if (found := self._controls.search(text)) is not None:
            raise _unspeakable(found.group())

    def encode(self, text: str) -> list[int]:
        """Tokenize `text` as it stands, blanks at its ends included.

        Args:
            text: Any Unicode text, "" too.

        Returns:
            Its text ids; none of them is a control token. Added tokens that are not control tokens
            (`<think>`) become their one id, as upstream.

        Raises:
            InputError: The text spells a control token, such as `<|im_end|>`, or is not Unicode.
        """
        ids = self._ids(text)
        for index in ids:
            if index in self._control:
                raise _unspeakable(self._control[index])
        return ids

    def text(self, text: str) -> list[int]:
        """Tokenize a text to speak, or the transcript of a reference, without its wrapping.

        Args:
            text: The text; blanks at its ends are dropped, as the official demo does.

        Returns:
            The N text ids, [] for a blank text. Equal to the official `input_ids[3:-5]`
            (`ref_ids[3:-2]`) of the stripped text.

        Raises:
            InputError: As for `encode`.

        Source: `Qwen3TTSModel._build_assistant_text`, `_build_ref_text` and `_tokenize_texts`,
            qwen_tts/inference/qwen3_tts_model.py; `Qwen3TTSForConditionalGeneration.generate` for
            the slices, qwen_tts/core/models/modeling_qwen3_tts.py; qwen_tts/cli/demo.py for the
            strip.
        """
        return self.encode(text.strip())

    def instruct(self, text: str) -> list[int]:
        r"""Tokenize an instruction with its wrapping, `<|im_start|>user\n` … `<|im_end|>\n`.

        Args:
            text: The instruction; blanks at its ends are dropped, as the official demo does.

        Returns:
            All ids, wrapping included; [] for a blank instruction, which upstream leaves out.

        Raises:
            InputError: As for `encode`.

        Source: `Qwen3TTSModel._build_instruct_text` and the `ins == ""` branch of
            `generate_voice_design` and `generate_custom_voice`,
            qwen_tts/inference/qwen3_tts_model.py.
        """
        body = self.text(text)
        return [*self._user, *body, *self._close] if body else []

    def role(self) -> list[int]:
        r"""Give the three ids of `<|im_start|>assistant\n`, which open every target.

        Returns:
            Three ids; [151644, 77091, 198] in the published checkpoints.

        Source: `input_id[:, :3]` in `Qwen3TTSForConditionalGeneration.generate`,
            qwen_tts/core/models/modeling_qwen3_tts.py.
        """
        return list(self._role)

    def settled(self, text: str, held: int) -> int:
        """Say how much of a text that goes on has ids that no more text can change.

        Args:
            text: In Unicode's composed form, NFC; not blank at its beginning.
            held: How many of its last words, as the tokenizer cuts them, may still change.

        Returns:
            Characters.

        Raises:
            InputError: The text is not Unicode.
        """
        _check(text)
        begun = text.rfind("<")  # of an added token, perhaps
        end = begun if begun >= 0 and len(text) - begun < self._longest_added else len(text)
        # A whole added token is a border: what stands behind it is cut into words by itself.
        border = max((found.end() for found in self._added.finditer(text, 0, end)), default=0)
        with _damage_named("tokenizer.json is damaged"):
            words = self._tokenizer.pre_tokenizer.pre_tokenize_str(text[border:end])
        return border + int(words[-held][1][0]) if len(words) > held else border

    def _ids(self, text: str) -> list[int]:
        _check(text)
        with _damage_named("tokenizer.json is damaged"):
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


@contextmanager
def _damage_named(message: str) -> Iterator[None]:
    """Raise what `tokenizers` raises, bare Exceptions and Rust's panics, as a BundleError."""
    try:
        yield
    except BaseException as error:
        panic = type(error).__name__ == "PanicException"  # in no module, and no Exception
        if not panic and not isinstance(error, Exception):
            raise
        raise BundleError(f"{message} ({reason(error)})", "export the bundle again") from error


def _unspeakable(control: str) -> InputError:
    return InputError(
        f"the text contains {control}, a control token of tokenizer.json that cannot be spoken",
        "remove it or write it out in words",
    )


def _check(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text is not valid Unicode: {error.reason} at character {error.start}",
            "convert it to UTF-8 from the encoding that it was written in",
        ) from error
