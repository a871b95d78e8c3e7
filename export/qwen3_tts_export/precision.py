"""What is computed in which type: decided here and nowhere else. The runtime is told.

An operation computes in the type of its weights, see `modules.layers`. So a precision is a type
for each weight, and a float32 island is where a weight keeps its float32.
"""

import re
from dataclasses import dataclass

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.manifest import CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER

PRECISIONS = ("int8", "fp32", "fp16", "bf16", "int8-bf16")
"""`int8` is int8 weights over float16, or over float32 in bundles for the CPU."""

_TYPES = {
    "fp16": "float16",
    "bf16": "bfloat16",
    "int8": "float16",
    "int8-bf16": "bfloat16",
}

_ISLANDS = re.compile(
    r"norm\.(weight|bias)$"  # sums of squares
    r"|\.(cos|sin)$"  # the turns of rotary embedding
    r"|^talker\.head\.|^predictor\.heads"  # logits
    r"|^predictor\..*\.down\."  # silu(gate) * up, which is beyond float16 there
    r"|snake\d?\.[ab]$"  # the argument of the sine
    r"|^(books|semantic|acoustic)\."  # the codec's codebooks, sums over counts of any size
)
_MATRICES = re.compile(r"\.trunk\.layers\.\d+\.(qkv|output|gate_up|down)\.weight$")


@dataclass(frozen=True)
class Precision:
    """A type for every weight.

    Attributes:
        name: One of `PRECISIONS`, as the manifest has it.
        language: What talker and code predictor compute in, and the type of their KV caches.
        codec: What the codec decoder computes in, and the type of its state.
        int8: The matrices of talker and code predictor are rounded to int8.
        contrib: Int8 matrices are ONNX Runtime's MatMulNBits, not DequantizeLinear and MatMul.
        lossless_halves: Weights that stay float32 are stored in bfloat16 where that loses nothing.
        tables: The numpy type of the embedding rows that prompts are built from, on disk.
    """

    name: str
    language: str = "float32"
    codec: str = "float32"
    int8: bool = False
    contrib: bool = True
    lossless_halves: bool = False
    tables: str = "float16"

    def activations(self, graph: str) -> str:
        """What a graph computes in outside its islands.

        The encoders compute in float32 whatever the precision. They run once a voice, and the
        codec's picks the nearest of its codebook entries.
        """
        if graph in (CODEC_ENCODER, SPEAKER_ENCODER):
            return "float32"
        return self.codec if graph == CODEC_DECODER else self.language

    def of_weight(self, graph: str, name: str) -> str:
        """The type that a weight is stored in and its operation computes in."""
        return "float32" if _ISLANDS.search(name) else self.activations(graph)

    def of_state(self, graph: str, name: str) -> str:
        """The type of a carried tensor: what it is computed in, but `feedback` is a row.

        It is the sum of a frame's embeddings, in one of the flavours over sixteen launches, and
        one row is few bytes.
        """
        return "float32" if name == "past.feedback" else self.activations(graph)

    def is_int8(self, name: str) -> bool:
        """Whether a weight becomes int8: the matrices of talker and predictor layers, and no other.

        Heads, embeddings, norms and the codec stay as they are: together they are few bytes and
        most of the damage.
        """
        return self.int8 and _MATRICES.search(name) is not None


FP32 = Precision("fp32", tables="float32")


def find_precision(name: str, flavour: str) -> Precision:
    """What a precision is in bundles of a flavour.

    The codec decoder is float16 where talker and predictor are bfloat16: its sound needs the
    digits and has no use for the range.

    Args:
        name: One of `PRECISIONS`.
        flavour: One of `flavours.FLAVOURS`.

    Raises:
        InputError: There is no such precision, or it is not for this flavour.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if name == "fp32":
        return FP32
    if flavour != "ort":
        contrib, int8 = flavour == "cuda", name.startswith("int8")
        return Precision(name, language=_TYPES[name], codec="float16", int8=int8, contrib=contrib)
    if name != "int8":
        raise InputError(
            f"{name} is not for the flavour ort: ONNX Runtime computes {_TYPES[name]} on GPUs "
            "only; take --precision fp32 or int8, or --flavour cuda, trt or compat"
        )
    return Precision(name, int8=True, lossless_halves=True)
