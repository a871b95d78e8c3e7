"""Decide what is computed in which type: here and nowhere else. The manifest tells the runtime.

An operation computes in the type of its weights, see `modules.layers`. So a precision is a type
for each weight, and a float32 island is where a weight keeps its float32.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from qwen3_tts_edge.bundle import names
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER
from qwen3_tts_edge.errors import InputError

INT8_FAST, INT8_ROWS, INT4, INT4_TALKER = "int8-fast", "int8-rows", "int4", "int4-talker"
PRECISIONS = (
    names.INT8,
    INT8_FAST,
    INT8_ROWS,
    names.FP32,
    "fp16",
    "bf16",
    "int8-bf16",
    INT4,
    INT4_TALKER,
)
"""`int8` is int8 weights over float16, or over float32 in bundles for the CPU; `int8-fast` is the
same in larger blocks, which is faster and makes a stream's codes depend on who else speaks;
`int8-rows` has one scale a column and one a row of what is multiplied, whose products have units of
their own in some CPUs. `int4` is `int8` in four bits, and `int4-talker` leaves the code predictor,
where four bits cost most, in int8.
"""

_TYPES = {
    "fp16": "float16",
    "bf16": "bfloat16",
    names.INT8: "float16",
    "int8-bf16": "bfloat16",
    INT8_FAST: "float32",
    INT8_ROWS: "float32",
    INT4: "float16",
    INT4_TALKER: "float16",
}

_NORMS = re.compile(r"norm\.(weight|bias)$")  # sums of squares
_PRODUCTS = re.compile(r"^predictor\..*\.down\.")  # of silu(gate) * up, beyond float16 there
_ISLANDS = re.compile(
    r"\.(cos|sin)$"  # the turns of rotary embedding
    r"|^talker\.head\.|^predictor\.heads"  # logits
    r"|snake\d?\.[ab]$"  # the argument of the sine
    r"|^(books|semantic|acoustic)\."  # the codec's codebooks, sums over counts of any size
)
_MATRICES = re.compile(r"^(\w+)\.trunk\.layers\.\d+\.(qkv|output|gate_up|down)\.weight$")
_HEADS = re.compile(r"^talker\.head\.weight$|^predictor\.heads\.\d+\.weight$")


@dataclass(frozen=True)
class Blocks:
    """How a matrix is rounded.

    Attributes:
        bits: Of a number.
        size: Inputs of a column that share a scale; 0 is all of them. Of 8 bits up to 64, and of 4
            up to 32, a row's result in ONNX Runtime is the same to the last bit whatever the
            batch; beyond it is not, and one flipped rounding is another utterance.
    """

    bits: int = 8
    size: int = 64


_FOUR = Blocks(bits=4, size=32)


Products: TypeAlias = Literal["blocks", "rows", "portable"]
"""How a rounded matrix is multiplied: by ONNX Runtime's MatMulNBits, whose rows are rounded in
blocks too; in whole numbers, a scale a row; or as DequantizeLinear and MatMul, which any runtime
has.
"""


@dataclass(frozen=True)
class Precision:
    """A type for every weight.

    Attributes:
        name: One of `PRECISIONS`, as the manifest has it.
        language: What talker and code predictor compute in, and the type of their KV caches.
        codec: What the codec decoder computes in, and the type of its state.
        talker: How the matrices of its layers are rounded; None leaves them as they are.
        predictor: Likewise, the code predictor's.
        heads: Likewise, those of both that make logits.
        products: How rounded matrices are multiplied, see `Products`.
        wide_norms: Norms, and with them the residual stream, are float32, whatever else is not.
        lossless_halves: Weights that stay float32 are stored in bfloat16 where that loses nothing.
        tables: The numpy type of the embedding rows that prompts are built from, on disk.
    """

    name: str
    language: str = "float32"
    codec: str = "float32"
    talker: Blocks | None = None
    predictor: Blocks | None = None
    heads: Blocks | None = None
    products: Products = "blocks"
    wide_norms: bool = True
    lossless_halves: bool = False
    tables: str = "float16"

    @property
    def calibrated(self) -> bool:
        """Whether any matrix is rounded to so few bits that it is calibrated."""
        return _FOUR in (self.talker, self.predictor)

    def activations(self, graph: str) -> str:
        """Return the type that a graph computes in outside its islands.

        The encoders compute in float32 whatever the precision. They run once a voice, and the
        codec's picks the nearest of its codebook entries.
        """
        if graph in (CODEC_ENCODER, SPEAKER_ENCODER):
            return "float32"
        return self.codec if graph == CODEC_DECODER else self.language

    def of_weight(self, graph: str, name: str) -> str:
        """Return the type that a weight is stored in and its operation computes in."""
        activations = self.activations(graph)
        is_island = (
            _ISLANDS.search(name)
            or (_NORMS.search(name) and (self.wide_norms or graph == CODEC_DECODER))
            or (_PRODUCTS.search(name) and activations == "float16")
        )
        return "float32" if is_island else activations

    def of_state(self, graph: str, name: str) -> str:
        """Return the type of a carried tensor: the graph's, except that `feedback` is float32.

        `feedback` is the sum of a frame's embeddings, in one of the flavours over sixteen
        launches, and one row is few bytes.
        """
        return "float32" if name == "past.feedback" else self.activations(graph)

    def blocks_of(self, name: str) -> Blocks | None:
        """Return how a weight is rounded to whole numbers; None is not at all.

        Embeddings, norms and the codec never are: few of their bytes are read in a frame.
        """
        if _HEADS.search(name):
            return self.heads
        found = _MATRICES.search(name)
        return {"talker": self.talker, "predictor": self.predictor}[found[1]] if found else None


FP32 = Precision(names.FP32, tables="float32")


def find_precision(name: str, flavour: str) -> Precision:
    """Find out what a precision means in bundles of a flavour.

    The codec decoder is float16 where talker and predictor are bfloat16: its sound needs the
    digits and has no use for the range. The residual stream is bfloat16, as in the official
    package, where the norm is known to sum in float32 all the same: ONNX Runtime's on CUDA.

    Args:
        name: One of `PRECISIONS`.
        flavour: One of `flavours.FLAVOURS`.

    Raises:
        InputError: There is no such precision, or it is not for this flavour.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r} is unknown", f"choose one of {', '.join(PRECISIONS)}")
    if name == names.FP32:
        return FP32
    if name in (INT8_FAST, INT8_ROWS) and flavour != names.ORT:
        raise InputError(
            f"{name} is for the flavour ort, not for {flavour}", "take --precision int8"
        )
    contrib, language = flavour in (names.ORT, names.CUDA), _TYPES[name]
    # TensorRT's int8 knows a scale a column.
    eight = Blocks(size={INT8_FAST: 128, INT8_ROWS: 0}.get(name, 64) if contrib else 0)
    talker, predictor = {
        names.INT8: (eight, eight),
        INT8_FAST: (eight, eight),
        INT8_ROWS: (eight, eight),
        "int8-bf16": (eight, eight),
        INT4: (_FOUR, _FOUR),
        INT4_TALKER: (_FOUR, eight),
    }.get(name, (None, None))
    if flavour == names.COMPAT and _FOUR in (talker, predictor):
        raise InputError(
            f"{name} is not for the flavour compat: its opset 18 has no numbers of four bits",
            "take --precision int8, or --flavour trt",
        )
    if flavour != names.ORT:
        return Precision(
            name,
            language=language,
            codec="float16",
            talker=talker,
            predictor=predictor,
            products="blocks" if contrib else "portable",
            wide_norms=not contrib or language == "float16",
        )
    if talker is None or language == "bfloat16":
        raise InputError(
            f"{name} is not for the flavour ort: ONNX Runtime computes {language} on GPUs only",
            "take --precision fp32, int8 or int4, or --flavour cuda, trt or compat",
        )
    return Precision(
        name,
        talker=talker,
        predictor=predictor,
        heads=eight,
        products="rows" if name == INT8_ROWS else "blocks",
        lossless_halves=True,
    )
