"""Sound as codes in a file: what `codec encode` writes and `codec decode` reads.

A safetensors file with one tensor, `codes`, I16 (frames, codebooks), codebook 0 first; an hour is
1.4 MB. Its metadata has one string, `codec`, JSON with the keys of `Content`.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import Self

from qwen3_tts_edge import files
from qwen3_tts_edge.arrays import Codes, strange_codes
from qwen3_tts_edge.bundle.manifest import CodecManifest
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.files import Strict
from qwen3_tts_edge.paths import expanded

KIND = files.Kind(
    name="code file",
    key="codec",
    format=1,
    largest=1 << 28,  # a week of sound
    remedy="encode the sound again",
)
_CODES = "codes"
_log = logging.getLogger(__name__)


class Content(Strict, frozen=True):
    """What stands in the metadata.

    Attributes:
        format: Of the file.
        samples: How many samples the sound had; the last frame may reach beyond them.
        sample_rate: Of those samples.
        samples_per_frame: What a frame decodes to.
        codebook_size: Codes lie below it.
        codec: Fingerprint of the codec's weights, from the manifest; None if it does not say.
    """

    format: int
    samples: int
    sample_rate: int
    samples_per_frame: int
    codebook_size: int
    codec: str | None


@dataclass(frozen=True, eq=False)
class CodeFile:
    """Codes, and what their file says of them."""

    codes: Codes
    content: Content

    @classmethod
    def of(cls, codes: Codes, samples: int, manifest: CodecManifest) -> Self:
        """Describe codes that a bundle's codec encoder made of `samples` samples."""
        return cls(
            codes,
            Content(
                format=KIND.format,
                samples=samples,
                sample_rate=manifest.sample_rate,
                samples_per_frame=manifest.samples_per_frame,
                codebook_size=manifest.codebook_size,
                codec=manifest.checkpoint.codec,
            ),
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and check a file.

        Raises:
            InputError: Not a code file, damaged, or of another format.
            OSError: It cannot be read.
        """
        path = expanded(path, "codes", file=True)
        content, tensors = files.load(path, KIND, Content)
        if tensors.keys() != {_CODES}:
            raise KIND.damaged(path, f"has tensors {sorted(tensors)}, not {[_CODES]}")
        codes = tensors[_CODES]
        if codes.dtype != np.int16 or codes.ndim != 2 or not codes.size:
            raise KIND.damaged(path, f"{_CODES} are {codes.dtype} {codes.shape}")
        if (strange := strange_codes(codes, content.codebook_size)) is not None:
            raise KIND.damaged(path, f"{_CODES} {strange}")
        last = content.samples - (len(codes) - 1) * content.samples_per_frame
        if not 0 < last <= content.samples_per_frame:
            raise KIND.damaged(path, f"{len(codes)} frames for {content.samples} samples")
        return cls(codes.astype(np.int64), content)

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all; what was there is replaced.

        Raises:
            OSError: It cannot be written.
        """
        files.save(path, KIND, self.content, {_CODES: self.codes.astype(np.int16)})

    def check(self, manifest: CodecManifest) -> None:
        """Refuse codes that this bundle cannot decode.

        Raises:
            InputError: Its codec has another shape or rate.
        """
        found = {
            "codebooks": (self.codes.shape[1], manifest.codebooks),
            "codebook size": (self.content.codebook_size, manifest.codebook_size),
            "sample rate": (self.content.sample_rate, manifest.sample_rate),
            "samples a frame": (self.content.samples_per_frame, manifest.samples_per_frame),
        }
        for name, (theirs, ours) in found.items():
            if theirs != ours:
                raise InputError(
                    f"the codes were made by another codec: {name} {theirs}, this bundle's is "
                    f"{ours}",
                    "decode them with the bundle that encoded them",
                )
        here = manifest.checkpoint.codec
        if here and self.content.codec and self.content.codec != here:
            _log.warning(
                "the codes were made with another codec than this bundle's; if the sound is noise, "
                "decode them with the bundle that encoded them"
            )
