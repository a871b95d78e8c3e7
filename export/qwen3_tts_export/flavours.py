"""What the two custom operations become in a graph. A flavour is one family of runtimes.

`ort` is for ONNX Runtime on the CPU and on CUDA: attention and its cache update are one
GroupQueryAttention node, whose cache output may be bound onto its cache input. Everything else
in a graph is the same whatever the flavour.
"""

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnxscript import ir, opset23
from onnxscript.values import Op, Opset

import qwen3_tts_export.modules.attention
import qwen3_tts_export.modules.sampling  # noqa: F401  (both register the operations)

OPSET = 23
"""The first with RMSNormalization, which the exporter finds by itself."""

_INT32, _INT64 = int(ir.DataType.INT32), int(ir.DataType.INT64)
Lowering = Callable[..., Any]
op: Any = opset23  # its type stubs do not know the values that a translation is given


def _group_query_attention() -> Op:
    # ONNX Runtime's own operation is not in the onnx package: this much of its schema records it.
    parameter = onnx.defs.OpSchema.FormalParameter
    inputs = (
        "query key value past_key past_value seqlens_k total_sequence_length cos_cache sin_cache"
    )
    counts = {"seqlens_k", "total_sequence_length"}
    schema = onnx.defs.OpSchema(
        "GroupQueryAttention",
        "com.microsoft",
        1,
        inputs=[parameter(name, "M" if name in counts else "T") for name in inputs.split()],
        outputs=[parameter(name, "T") for name in ("output", "present_key", "present_value")],
        type_constraints=[
            ("T", ["tensor(float)", "tensor(float16)", "tensor(bfloat16)"], ""),
            ("M", ["tensor(int32)"], ""),
        ],
        attributes=[
            onnx.defs.OpSchema.Attribute(name, onnx.defs.OpSchema.AttrType.INT, required=True)
            for name in ("num_heads", "kv_num_heads", "do_rotary")
        ],
    )
    return Op(Opset("com.microsoft", 1), "GroupQueryAttention", schema)


GROUP_QUERY_ATTENTION = _group_query_attention()


def _attention_ort(
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
) -> Any:
    heads, kv_heads = _head_counts(query, past_key)
    total = op.Add(op.ReduceMax(last, keepdims=0), op.Constant(value_int=1))
    return GROUP_QUERY_ATTENTION(
        query,
        key,
        value,
        past_key,
        past_value,
        op.Cast(last, to=_INT32),
        op.Cast(total, to=_INT32),
        cos,
        sin,
        num_heads=heads,
        kv_num_heads=kv_heads,
        do_rotary=1,
    )


def _head_counts(query: ir.Value, past_key: ir.Value) -> tuple[int, int]:
    assert query.shape is not None
    assert past_key.shape is not None
    kv_heads, head_dim = past_key.shape[1], past_key.shape[3]
    width = query.shape[2]
    assert isinstance(kv_heads, int)
    assert isinstance(head_dim, int)
    assert isinstance(width, int)
    return width // head_dim, kv_heads


def _sample(
    scores: ir.Value, draw: ir.Value, temperature: ir.Value, top_k: ir.Value, top_p: ir.Value
) -> Any:
    # Only the largest top_k of the batch is sorted out: 50 of 3072, not all of them.
    column, last = op.Constant(value_ints=[1]), op.Constant(value_ints=[-1])
    widest = op.ReduceMax(top_k, keepdims=0)
    values, codes = op.TopK(scores, op.Unsqueeze(widest, op.Constant(value_ints=[0])), axis=-1)
    values = op.Div(values, op.Unsqueeze(temperature, column))
    rank = op.Range(op.Constant(value_int=0), widest, op.Constant(value_int=1))
    inside = op.Less(rank, op.Unsqueeze(top_k, column))
    values = op.Where(inside, values, op.Constant(value_float=float("-inf")))
    probability = op.Softmax(values, axis=-1)
    before = op.CumSum(probability, last, exclusive=1)
    zero = op.Constant(value_float=0.0)
    kept = op.And(op.Less(before, op.Unsqueeze(top_p, column)), op.Greater(probability, zero))
    probability = op.Where(kept, probability, zero)
    cumulative = op.CumSum(probability, last)
    target = op.Mul(op.Unsqueeze(draw, column), op.ReduceMax(cumulative, last, keepdims=1))
    index = op.ReduceSum(op.Cast(op.LessOrEqual(cumulative, target), to=_INT64), last, keepdims=1)
    count = op.ReduceSum(op.Cast(kept, to=_INT64), last, keepdims=1)
    index = op.Min(index, op.Sub(count, op.Constant(value_int=1)))
    return op.Squeeze(op.GatherElements(codes, index, axis=1), column)


FLAVOURS: dict[str, dict[Any, Lowering]] = {
    "ort": {
        torch.ops.qwen3_tts.attention.default: _attention_ort,
        torch.ops.qwen3_tts.sample.default: _sample,
    },
}
