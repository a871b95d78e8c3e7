"""Operations of ONNX Runtime's own: what the exporter must know of them to write a node.

The onnx package does not have them, so as much of their schemas as is used is recorded here.
"""

from typing import Any

import onnx
from onnxscript import ir
from onnxscript.values import Op, Opset

_FLOATS = ["tensor(float)", "tensor(float16)", "tensor(bfloat16)"]
_KINDS = {int: onnx.defs.OpSchema.AttrType.INT, float: onnx.defs.OpSchema.AttrType.FLOAT}


def _contrib(name: str, inputs: str, outputs: str, **attributes: type) -> Op:
    """An operation whose tensors are all of one floating type, but for those in capitals: int32."""
    parameter = onnx.defs.OpSchema.FormalParameter
    optional: Any = onnx.defs.OpSchema.FormalParameterOption.Optional

    def parameters(names: str) -> list[onnx.defs.OpSchema.FormalParameter]:
        return [
            parameter(each.lower(), "M" if each.isupper() else "T", param_option=optional)
            for each in names.split()
        ]

    schema = onnx.defs.OpSchema(
        name,
        "com.microsoft",
        1,
        inputs=parameters(inputs),
        outputs=parameters(outputs),
        type_constraints=[("T", _FLOATS, ""), ("M", ["tensor(int32)"], "")],
        attributes=[
            onnx.defs.OpSchema.Attribute(each, _KINDS[kind], required=False)
            for each, kind in attributes.items()
        ],
    )
    return Op(Opset("com.microsoft", 1), name, schema)


GROUP_QUERY_ATTENTION = _contrib(
    "GroupQueryAttention",
    "query key value past_key past_value SEQLENS_K TOTAL_SEQUENCE_LENGTH cos_cache sin_cache "
    "position_ids attention_bias head_sink k_scale v_scale q_norm_weight k_norm_weight",
    "output present_key present_value",
    num_heads=int,
    kv_num_heads=int,
    do_rotary=int,
    qk_norm_epsilon=float,
)
SKIP_NORM = _contrib(
    "SkipSimplifiedLayerNormalization",
    "input skip gamma",
    "output mean inv_std_var input_skip_bias_sum",
    epsilon=float,
)
_QUICK_GELU = _contrib("QuickGelu", "x", "y", alpha=float)


def add_norm(x: ir.Value, update: ir.Value, weight: ir.Value, eps: float) -> Any:
    """Sum and norm in one node, which sums the squares in float32 whatever the type."""
    normed, _, _, total = SKIP_NORM(x, update, weight, epsilon=eps)
    return total, normed


def silu(x: ir.Value) -> Any:
    """Multiply x by its sigmoid in one node."""
    return _QUICK_GELU(x, alpha=1.0)
