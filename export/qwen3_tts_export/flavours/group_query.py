"""ONNX Runtime's own attention: GroupQueryAttention, which rotates and writes the cache as well."""

from typing import Any

import onnx
from onnxscript import ir, opset23
from onnxscript.values import Op, Opset

_INT32 = int(ir.DataType.INT32)
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


def attention_cpu(
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
) -> Any:
    """The longest sequence of the batch, which is what is read of the cache, is computed."""
    total = op.Add(op.ReduceMax(last, keepdims=0), op.Constant(value_int=1))
    return _attention(query, key, value, past_key, past_value, last, total, cos, sin)


def attention_cuda(
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
) -> Any:
    """The longest sequence is the cache's capacity, or the rows where there are several.

    The kernel reads that number in CPU memory and picks its launches by it; how far each batch row
    goes it reads on the GPU. Computed from `last` it would be copied from the GPU in every launch,
    so it is taken from shapes alone. Several rows are a prompt: they begin at position 0.

    Source: contrib_ops/cuda/bert/group_query_attention.cc of ONNX Runtime, where input 6 is
        registered in CPU memory, and CheckInputs in group_query_attention_helper.h, which takes
        several rows of several batch rows only if they are all there is.
    """
    one = op.Constant(value_ints=[1])
    rows, capacity = op.Shape(query, start=1, end=2), op.Shape(past_key, start=2, end=3)
    total = op.Where(op.Greater(rows, one), rows, capacity)
    return _attention(query, key, value, past_key, past_value, last, total, cos, sin)


def _attention(
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    total: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
) -> Any:
    heads, kv_heads = _head_counts(query, past_key)
    query, key, cos, sin = (_cast(x, past_key) for x in (query, key, cos, sin))
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


def _cast(x: ir.Value, like: ir.Value) -> Any:
    assert like.dtype is not None
    return x if x.dtype == like.dtype else op.Cast(x, to=int(like.dtype))


def _head_counts(query: ir.Value, past_key: ir.Value) -> tuple[int, int]:
    assert query.shape is not None
    assert past_key.shape is not None
    kv_heads, head_dim = past_key.shape[1], past_key.shape[3]
    width = query.shape[2]
    assert isinstance(kv_heads, int)
    assert isinstance(head_dim, int)
    assert isinstance(width, int)
    return width // head_dim, kv_heads
