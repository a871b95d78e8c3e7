"""What the judge said, kept: it is asked the same in every run, and says the same.

An answer is of all that it is made from: the official package and what it stands on, what drives
it here, the bytes of the checkpoint, and the question.
"""

import functools
import hashlib
import pickle
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kept import Kept
from oracle.cases import Case
from oracle.official import Cloned, Codes, Official, Prompt, Rows, Samples, load_official


class AskedOnce:
    """A checkpoint in the official package, which is loaded for what it was not asked before.

    The questions are those of `Official`, and so are the answers.
    """

    def __init__(self, folder: Path, kept: Kept) -> None:
        """Note where the checkpoint lies, and its answers."""
        self._folder, self._kept = folder, kept

    @functools.cached_property
    def live(self) -> Official:
        """The model itself, for who asks something else, or listens in."""
        return load_official(self._folder)

    def prompt(self, case: Case) -> Prompt:
        return self._asked("prompt", case)

    def codes(self, case: Case, frames: int, **sampling: Any) -> Codes:
        return self._asked("codes", case, frames, **sampling)

    def speech(self, case: Case, frames: int) -> tuple[Samples, Codes]:
        return self._asked("speech", case, frames)

    def cloned(
        self, samples: Samples, rate: int, said: str | None, text: str, **asked: Any
    ) -> Cloned:
        return self._asked("cloned", samples, rate, said, text, **asked)

    def teacher_forced(self, case: Case, codes: Codes) -> tuple[Rows, Rows]:
        return self._asked("teacher_forced", case, codes)

    def decode(self, codes: Codes) -> Samples:
        return self._asked("decode", codes)

    def decode_chunked(self, codes: Codes) -> Samples:
        return self._asked("decode_chunked", codes)

    def _asked(self, question: str, *given: Any, **settings: Any) -> Any:
        def ask(path: Path) -> None:
            path.write_bytes(pickle.dumps(getattr(self.live, question)(*given, **settings)))

        key = key_of(*self._asked_of, question, *given, *sorted(settings.items()))
        return pickle.loads(self._kept.get(f"{question}-{key}", ask).read_bytes())

    @functools.cached_property
    def _asked_of(self) -> tuple[str, ...]:
        """The processor, packages that `kept` does not name, and the checkpoint."""
        processor = platform.machine(), torch.backends.cpu.get_cpu_capability()
        packages = (version(name) for name in ("qwen-tts", "transformers", "accelerate"))
        files = [*self._folder.glob("*.*"), *self._folder.glob("speech_tokenizer/*.*")]
        contents = ((str(x.relative_to(self._folder)), x.read_bytes()) for x in sorted(files))
        return (*processor, *packages, key_of(*contents))


def answers() -> Kept:
    """Those of all checkpoints."""
    return Kept("answers", ["tests/oracle/*.py"])


def key_of(*said: Any) -> str:
    """A hash of texts, numbers, bytes, arrays, cases, and tuples of them."""
    found = hashlib.sha256()
    for each in said:
        if isinstance(each, tuple):
            each = key_of(*each)
        if isinstance(each, np.ndarray):
            found.update(f"{each.dtype} {each.shape} ".encode())
            each = each.tobytes()
        content = each if isinstance(each, bytes) else repr(each).encode()
        found.update(f"{type(each).__name__} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]
