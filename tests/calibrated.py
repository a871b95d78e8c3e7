"""Bundles that are calibrated on next to nothing, for all that does not ask how well."""

from pathlib import Path
from typing import Any

import pytest

QUICK = {"calibrating._FRAMES": 32, "calibrating._AT_ONCE": 2, "speaking._MOST_FRAMES": 24}
STEPS = 3


def write_quickly(checkpoint: Any, folder: Path, **asked: Any) -> Path:
    """`write_bundle`, calibrated on two utterances where it is."""
    from qwen3_tts_export.bundle.writing import write_bundle
    from qwen3_tts_export.calibration import calibrating, tuning

    with pytest.MonkeyPatch.context() as patched:
        for name, size in QUICK.items():
            patched.setattr(f"qwen3_tts_export.calibration.{name}", size)
        for module in (calibrating, tuning):
            patched.setattr(module, "STEPS", STEPS)
        return write_bundle(checkpoint, folder, **asked)
