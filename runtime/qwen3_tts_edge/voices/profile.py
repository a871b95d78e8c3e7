"""The voice profile: one file that holds a cloned voice, to be kept and given to others.

A safetensors file, so reading it runs nothing. Tensors:

    speaker_vector  F32 (hidden,)            from the speaker encoder
    codes           I16 (frames, codebooks)  of the reference; absent without its text
    primed.*        (1, ...)                 what the codec's decoder carries behind the reference,
                                             as it names it; absent unless asked for

and one string in its metadata, `voice`, JSON with the keys of `Content`: the format's number, what
the reference says, where the voice comes from, which checkpoints can speak with it and which
decoder was primed. Unknown or missing keys are errors. `format` rises whenever an old profile would
be read wrongly.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge import files
from qwen3_tts_edge.arrays import Array, Codes, Vector, strange_codes
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.codec.primed import Primed
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.files import Strict
from qwen3_tts_edge.paths import expanded

ENDING = ".safetensors"
KIND = files.Kind(
    name="voice profile",
    key="voice",
    format=1,
    largest=16 << 20,  # 60 s and the widest talker are 33 kB, a primed codec 5 MB
    remedy="create the voice again",
)
_log = logging.getLogger(__name__)
_VECTOR, _CODES, _PRIMED = "speaker_vector", "codes", "primed."


class Family(Strict, frozen=True):
    """The checkpoints that can speak with a voice: their encoders hear the same numbers in it.

    Attributes:
        model_type: `base`.
        model_size: `0b6` or `1b7`, as the checkpoint calls it.
        hidden_size: Numbers in the speaker vector.
        codebooks: Codes a frame.
        codebook_size: Values of a code.
        codec: Fingerprint of the codec's weights, from the manifest; None if it does not say.
    """

    model_type: str
    model_size: str
    hidden_size: int
    codebooks: int
    codebook_size: int
    codec: str | None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Describe the family of a bundle."""
        return cls(
            model_type=manifest.checkpoint.model_type,
            model_size=manifest.checkpoint.model_size,
            hidden_size=manifest.hidden_size,
            codebooks=manifest.codebooks,
            codebook_size=manifest.codebook_size,
            codec=manifest.checkpoint.codec,
        )

    def check(self, manifest: Manifest) -> None:
        """Refuse a voice that this bundle cannot speak with.

        Another fingerprint of the codec is a warning only: a file written anew has one, and the
        released checkpoints share one codec.

        Raises:
            InputError: Says what differs.
        """
        found = Family.of(manifest)
        if found.model_type != self.model_type:
            raise InputError(
                f"the voice was cloned for a {self.model_type} checkpoint, this one is "
                f"{found.model_type}",
                f"speak with a {self.model_type} bundle",
            )
        for name in ("model_size", "hidden_size", "codebooks", "codebook_size"):
            if (ours := getattr(self, name)) != (theirs := getattr(found, name)):
                raise InputError(
                    f"the voice was cloned for a checkpoint of {name.replace('_', ' ')} {ours}, "
                    f"this one has {theirs}",
                    "clone it again with this checkpoint",
                )
        if self.codec and found.codec and self.codec != found.codec:
            _log.warning(
                "the voice was cloned with another codec than this bundle's; if it sounds wrong, "
                "clone it again"
            )


class Provenance(Strict, frozen=True):
    """Where a voice comes from.

    Attributes:
        source: Name of the recording, without its folder; None if it had none.
        sha256: Of that file or, of samples without a file, of them as float32 at 24 kHz; of a
            speaker vector that was given as such, of that as float32.
        seconds: How long the recording was; 0 where there was none.
        clipped: The share of it that was cut off at full scale.
        created: When, ISO 8601 in UTC.
        made_with: Name and version of the program.
        checkpoint: Name of the checkpoint that heard it.
        consent: A note on who allowed the use of this voice and for what, or None.
        design: The words a designed voice was made from, or None.
    """

    source: str | None
    sha256: str
    seconds: float
    clipped: float
    created: str
    made_with: str
    checkpoint: str
    consent: str | None = None
    design: str | None = None

    @property
    def created_at(self) -> int:
        """When, in seconds since 1970."""
        return int(datetime.fromisoformat(self.created).timestamp())


class Priming(Strict, frozen=True):
    """Which decoder was primed, as `Primed` says, and the hash of what it carries."""

    graph: str
    backend: str
    sha256: str

    @classmethod
    def of(cls, primed: Primed) -> Self:
        """Describe a primed codec."""
        return cls(graph=primed.graph, backend=primed.backend, sha256=primed.sha256())


class Content(Strict, frozen=True, omit_defaults=True):
    """What stands in the metadata."""

    format: int
    text: str | None
    family: Family
    provenance: Provenance | None
    primed: Priming | None = None


def load(path: str | Path) -> tuple[Content, Vector, Codes | None, Primed | None]:
    """Read and check a profile.

    Returns:
        The description, the speaker vector float32 (hidden,), the reference's codes, and the codec
        that is primed with them.

    Raises:
        InputError: Not a profile, damaged, or of another format.
        OSError: The file cannot be read.
    """
    path = expanded(path, file=True)
    content, tensors = files.load(path, KIND, Content)
    state = {
        name.removeprefix(_PRIMED): tensors.pop(name)
        for name in sorted(tensors)
        if name.startswith(_PRIMED)
    }
    expected = {_VECTOR} | ({_CODES} if content.text is not None else set())
    if tensors.keys() != expected:
        raise KIND.damaged(path, f"has tensors {sorted(tensors)}, not {sorted(expected)}")
    _check_time(path, content.provenance)
    _check_vector(path, content.family, tensors[_VECTOR])
    if content.text is None:
        codes = None
    else:
        _check_codes(path, content.family, tensors[_CODES])
        codes = tensors[_CODES].astype(np.int64)
    return content, tensors[_VECTOR], codes, _primed(path, content.primed, codes, state)


def save(
    path: str | Path,
    content: Content,
    vector: Vector,
    codes: Codes | None,
    state: Mapping[str, Array],
) -> None:
    """Write a profile whole or not at all; what was there is replaced.

    Raises:
        OSError: It cannot be written.
    """
    tensors: files.Tensors = {_VECTOR: vector.astype(np.float32)}
    if codes is not None:
        tensors[_CODES] = codes.astype(np.int16)
    tensors |= {_PRIMED + name: array for name, array in state.items()}
    files.save(path, KIND, content, tensors)


def _check_vector(path: Path, family: Family, vector: Array) -> None:
    if vector.dtype != np.float32 or vector.shape != (family.hidden_size,):
        raise KIND.damaged(path, f"{_VECTOR} is {vector.dtype} {vector.shape}")
    if not np.isfinite(vector).all():
        raise KIND.damaged(path, f"{_VECTOR} has values that are no numbers")


def _check_codes(path: Path, family: Family, codes: Array) -> None:
    if codes.dtype != np.int16 or codes.shape[1:] != (family.codebooks,) or not codes.size:
        raise KIND.damaged(path, f"{_CODES} are {codes.dtype} {codes.shape}")
    if (strange := strange_codes(codes, family.codebook_size)) is not None:
        raise KIND.damaged(path, f"{_CODES} {strange}")


def _check_time(path: Path, provenance: Provenance | None) -> None:
    if provenance is None:
        return
    try:
        _ = provenance.created_at
    except (ValueError, OverflowError, OSError) as error:  # no time, or none of this system's
        raise KIND.damaged(path, f"was created {quoted(provenance.created)}") from error


def _primed(
    path: Path, priming: Priming | None, codes: Codes | None, state: Mapping[str, Array]
) -> Primed | None:
    if priming is None or codes is None:
        if priming is not None or state:
            raise KIND.damaged(path, "has a primed codec, but not the codes or the decoder of it")
        return None
    primed = Primed(priming.graph, priming.backend, codes, state)
    if primed.sha256() != priming.sha256:
        raise KIND.damaged(path, "its codes or its primed codec are not those that were written")
    return primed
