"""A voice that somebody has made: what tests of voices keep and read."""

from typing import Any

import numpy as np

from qwen3_tts_edge.voices.profile import Family, Provenance
from qwen3_tts_edge.voices.voice import Clone

FAMILY = Family(
    model_type="base",
    model_size="0b6",
    hidden_size=8,
    codebooks=16,
    codebook_size=2048,
    codec="c0dec",
)
PROVENANCE = Provenance(
    source="anna.wav",
    sha256="ab" * 32,
    seconds=3.2,
    clipped=0.0,
    created="2026-11-23T08:00:00+00:00",
    made_with="qwen3-tts-edge 0.1.0",
    checkpoint="tiny",
    consent="Anna, for this test",
)
VECTOR = np.arange(8, dtype=np.float32) / 7
CODES = np.arange(48, dtype=np.int64).reshape(3, 16)


def profile(**changes: Any) -> Clone:
    fields = {
        "speaker_vector": VECTOR,
        "codes": CODES,
        "text": "Grüße, 世界.",
        "family": FAMILY,
        "provenance": PROVENANCE,
    }
    return Clone(**{**fields, **changes})
