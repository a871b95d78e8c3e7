"""Names that manifests use: kinds of checkpoints, and flavours of bundles.

Manifests hold them as strings, not as these types: a bundle with a name of the future is then told
apart from a damaged one.
"""

from typing import Final, Literal, get_args

ModelType = Literal["base", "custom_voice", "voice_design"]
"""What a checkpoint that speaks is for: cloning voices, its named speakers, or designing voices."""

BASE: Final = "base"
CUSTOM_VOICE: Final = "custom_voice"
VOICE_DESIGN: Final = "voice_design"

Flavour = Literal["ort", "cuda", "trt", "compat"]
"""What runs a bundle: ONNX Runtime on the CPU or on CUDA, TensorRT, or TensorRT of JetPack 6."""

FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
