"""Names that manifests use: kinds of checkpoints, flavours, precisions and text layouts.

Manifests hold them as strings, not as these types: a bundle with a name of the future is then told
apart from a damaged one.
"""

from typing import Final, Literal, get_args

ModelType = Literal["base", "custom_voice", "voice_design"]
"""What a checkpoint that speaks is for: cloning voices, its named speakers, or designing voices."""

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)

BASE: Final = "base"
CUSTOM_VOICE: Final = "custom_voice"
VOICE_DESIGN: Final = "voice_design"

Flavour = Literal["ort", "cuda", "trt", "compat"]
"""What runs a bundle: ONNX Runtime on the CPU or on CUDA, TensorRT, or TensorRT of JetPack 6."""

ORT: Final = "ort"
CUDA: Final = "cuda"
TRT: Final = "trt"
COMPAT: Final = "compat"
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

INT8: Final = "int8"
FP32: Final = "fp32"
"""The precisions that both sides name: what an export makes unasked, and the reference."""

TextLayout = Literal["upfront", "streamed"]
"""Where the text stands: all of it in the prompt, or one text id a frame."""

UPFRONT: Final = "upfront"
STREAMED: Final = "streamed"
TEXT_LAYOUTS: tuple[TextLayout, ...] = get_args(TextLayout)
