"""A primed codec: what its decoder carries behind a reference, to be kept in a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qwen3_tts_edge.arrays import Array, Codes
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CodecManifest


@dataclass(frozen=True, eq=False)
class Primed:
    """A reference, and what a codec decoder carries once it has decoded it.

    Speech goes on from it with the samples it has after decoding the reference: to the last bit
    where the same software runs on the same machine, else as near as two machines are.

    Attributes:
        graph: Fingerprint of the decoder's graph and weights.
        backend: What ran it, by name.
        reference: int64 (frames, codebooks).
        state: Each (1, ...), by name.
    """

    graph: str
    backend: str
    reference: Codes
    state: Mapping[str, Array]

    @property
    def nbytes(self) -> int:
        """The size of the state."""
        return sum(array.nbytes for array in self.state.values())

    def fits(self, manifest: CodecManifest, backend: str) -> bool:
        """Tell whether a decoder can go on from it: that of another bundle or backend cannot."""
        pasts = [state.past for state in manifest.graph(CODEC_DECODER).states]
        carried = {past.name: (past.stored, past.sized({"batch": 1})) for past in pasts}
        found = {name: (array.dtype, array.shape) for name, array in self.state.items()}
        return (self.graph, self.backend, found) == (fingerprint(manifest), backend, carried)

    def sha256(self) -> str:
        """Hash all of it: numbers of a state that were damaged look like any others."""
        digest = hashlib.sha256(f"{self.graph} {self.backend}".encode())
        for name, array in (("", self.reference.astype("<i8")), *sorted(self.state.items())):
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def fingerprint(manifest: CodecManifest) -> str:
    """Fingerprint the codec decoder of a bundle, by the hashes of its files."""
    files = manifest.files_of(CODEC_DECODER)
    lines = [f"{name} {file.sha256}\n" for name, file in files.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
