"""What four custom operations become in a graph. A flavour is one family of runtimes.

- `ort`, ONNX Runtime on the CPU: attention and its cache update are one GroupQueryAttention node,
  whose cache output may be bound onto its cache input; a norm adds what it is the norm of, and
  the codec's activation has a polynomial in place of its sine.
- `cuda`, ONNX Runtime on CUDA: the same, with as few nodes as can be, for each is a launch, and
  with nothing that a captured graph could not replay.
- `trt`, TensorRT from 10.15 on and TensorRT-RTX: the operations of ONNX itself, opset 24.
- `compat`, TensorRT from 10.3 on and old runtimes: opset 18, where norms, rotary embedding and
  attention are what their definitions say.

Everything else in a graph is the same whatever the flavour, except that a frame is one graph where
the code predictor's passes can stand in it side by side, and two where they cannot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

# Their modules register the operations.
import qwen3_tts_export.modules.sampling
import qwen3_tts_export.modules.snake  # noqa: F401
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER
from qwen3_tts_edge.errors import InputError
from qwen3_tts_export.graphs.flavours import (
    choosing,
    contrib,
    cuda,
    group_query,
    opset18,
    opset24,
    sines,
)
from qwen3_tts_export.modules import attention, layers

_RMS_NORMALIZATION = 23
"""The first opset that has it; the exporter finds it by itself."""

_SOUND = (CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER)
_ATTENTION, _SAMPLE = torch.ops.qwen3_tts.attention.default, torch.ops.qwen3_tts.sample.default
_ADD_NORM = torch.ops.qwen3_tts.add_norm.default
_SNAKED = torch.ops.qwen3_tts.snaked.default
_CONTRIB: dict[Any, Callable[..., Any]] = {
    _ADD_NORM: contrib.add_norm,
    torch.ops.aten.silu.default: contrib.silu,
}


@dataclass(frozen=True)
class Flavour:
    """How graphs are written for a family of runtimes.

    Attributes:
        opset: Of ONNX, in the graphs that make a frame.
        sound_opset: In the codec's and the speaker encoder's.
        lowerings: What a custom operation becomes.
        definitions: Operations that become what this function does, in plain torch.
        fused: A frame is one graph, not `talker_step` and `predictor_step`.
        contrib: ONNX Runtime's own operations may be used.
    """

    opset: int
    sound_opset: int
    lowerings: Mapping[Any, Callable[..., Any]]
    definitions: Mapping[Any, Callable[..., Any]] = field(default_factory=dict)
    fused: bool = False
    contrib: bool = False

    def opset_of(self, graph: str) -> int:
        """The opset of the graph of that name."""
        return self.sound_opset if graph in _SOUND else self.opset

    def definitions_at(self, opset: int) -> dict[Any, Callable[..., Any]]:
        """The definitions, and those of what ONNX has no operation for in that opset."""
        norms = {F.rms_norm: opset18.rms_norm} if opset < _RMS_NORMALIZATION else {}
        return {**self.definitions, **norms}


FLAVOURS = {
    "ort": Flavour(
        opset=_RMS_NORMALIZATION,
        sound_opset=23,
        lowerings={
            _ATTENTION: group_query.attention_cpu,
            _SAMPLE: choosing.from_the_widest,
            _SNAKED: sines.by_polynomial,
            **_CONTRIB,
        },
        fused=True,
        contrib=True,
    ),
    "cuda": Flavour(
        opset=23,
        sound_opset=18,  # there are CUDA kernels for its Sin and Cos, none for 22's
        lowerings={
            _ATTENTION: group_query.attention_cuda,
            _SAMPLE: choosing.from_the_widest,
            _SNAKED: sines.by_sine,
            torch.ops.aten.eq.Tensor: cuda.equal,
            **_CONTRIB,
        },
        fused=True,
        contrib=True,
    ),
    "trt": Flavour(
        opset=24,  # the first with TensorScatter
        sound_opset=24,
        lowerings={_SAMPLE: choosing.from_all, _SNAKED: sines.by_sine},
        definitions={
            _ATTENTION: opset24.attention,
            _ADD_NORM: layers.in_two,
        },
    ),
    "compat": Flavour(
        opset=18,
        sound_opset=18,
        lowerings={_SAMPLE: choosing.from_all, _SNAKED: sines.by_sine},
        definitions={
            _ATTENTION: attention.in_full,
            _ADD_NORM: layers.in_two,
        },
    ),
}


def find_flavour(name: str) -> Flavour:
    """The flavour of that name.

    Raises:
        InputError: There is none.
    """
    if name not in FLAVOURS:
        raise InputError(f"flavour {name!r} is unknown", f"choose one of {', '.join(FLAVOURS)}")
    return FLAVOURS[name]
