"""The voice that comes with the package."""

from pathlib import Path

from qwen3_tts_edge.bundle.names import INT8
from qwen3_tts_edge.errors import BundleError

NAME = "edge-voice"


def bundled_voice() -> Path:
    """Find its bundle: inside an installed package, or in `models/` of a checkout.

    Raises:
        BundleError: Neither is there; says how to make it.
    """
    package = Path(__file__).parents[1]
    checkpoint = package.parent.parent / "models" / NAME
    for folder in (package / NAME, checkpoint / INT8):
        if folder.is_dir():
            return folder
    raise BundleError(
        f"the bundled voice is neither in {package} nor in {checkpoint}",
        f"install the package again, or in a checkout run: qwen3-tts-export bundle models/{NAME} "
        f"-o models/{NAME}/{INT8}",
    )
