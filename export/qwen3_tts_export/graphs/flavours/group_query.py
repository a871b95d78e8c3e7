"""Attention as ONNX Runtime's GroupQueryAttention, which rotates and writes the cache as well."""

from typing import Any

from onnxscript import ir, opset23

from qwen3_tts_export.graphs.flavours.contrib import GROUP_QUERY_ATTENTION

_INT32 = int(ir.DataType.INT32)
op: Any = opset23  # its type stubs do not know the values that a translation is given


def attention_cpu(
    qkv: ir.Value,
    q_norm: ir.Value,
    k_norm: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
    eps: float,
) -> Any:
    """Norms are nodes of their own: the kernel has none.

    The longest sequence of the batch, which is what is read of the cache, is computed.
    """
    heads, kv_heads, head_dim = _sizes(qkv, past_key)
    ends = [0, *(n * head_dim for n in (heads, heads + kv_heads, heads + 2 * kv_heads))]

    def part(at: int) -> Any:
        first, end = (op.Constant(value_ints=[x]) for x in (ends[at], ends[at + 1]))
        return op.Slice(qkv, first, end, op.Constant(value_ints=[2]))

    def normed(x: Any, norm: ir.Value) -> Any:
        by_head = op.Reshape(x, op.Constant(value_ints=[0, 0, -1, head_dim]))
        by_head = op.RMSNormalization(by_head, norm, axis=-1, epsilon=eps)
        return op.Reshape(by_head, op.Constant(value_ints=[0, 0, -1]))

    last, one = _int32(last), _int32(op.Constant(value_int=1))
    return GROUP_QUERY_ATTENTION(
        normed(part(0), q_norm),
        normed(part(1), k_norm),
        part(2),
        past_key,
        past_value,
        last,
        op.Add(op.ReduceMax(last, keepdims=0), one),
        cos,
        sin,
        num_heads=heads,
        kv_num_heads=kv_heads,
        do_rotary=1,
    )


def attention_cuda(
    qkv: ir.Value,
    q_norm: ir.Value,
    k_norm: ir.Value,
    past_key: ir.Value,
    past_value: ir.Value,
    last: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
    eps: float,
) -> Any:
    """All of it is one node, and the longest sequence is the cache's capacity, or the rows.

    The kernel reads that number in CPU memory and picks its launches by it; how far each batch row
    goes it reads on the GPU. Computed from `last` it would be copied from the GPU in every launch,
    so it is taken from shapes alone. Several rows are a prompt: they begin at position 0.

    Source: contrib_ops/cuda/bert/group_query_attention.cc of ONNX Runtime, where input 6 is
        registered in CPU memory and inputs 14 and 15 are the norms', and CheckInputs in
        group_query_attention_helper.h, which takes several rows of several batch rows only if they
        are all there is.
    """
    heads, kv_heads, _ = _sizes(qkv, past_key)
    one = op.Constant(value_ints=[1])
    rows, capacity = op.Shape(qkv, start=1, end=2), op.Shape(past_key, start=2, end=3)
    total = op.Where(op.Greater(rows, one), rows, capacity)
    cos, sin, q_norm, k_norm = (_cast(x, past_key) for x in (cos, sin, q_norm, k_norm))
    return GROUP_QUERY_ATTENTION(
        qkv,
        None,
        None,
        past_key,
        past_value,
        _int32(last),
        _int32(total),
        cos,
        sin,
        None,
        None,
        None,
        None,
        None,
        q_norm,
        k_norm,
        num_heads=heads,
        kv_num_heads=kv_heads,
        do_rotary=1,
        qk_norm_epsilon=eps,
    )


def _int32(x: Any) -> Any:
    return x if x.dtype == ir.DataType.INT32 else op.Cast(x, to=_INT32)


def _cast(x: ir.Value, like: ir.Value) -> Any:
    assert like.dtype is not None
    return x if x.dtype == like.dtype else op.Cast(x, to=int(like.dtype))


def _sizes(qkv: ir.Value, past_key: ir.Value) -> tuple[int, int, int]:
    """Heads, KV heads and their dimension."""
    assert qkv.shape is not None
    assert past_key.shape is not None
    kv_heads, head_dim, width = past_key.shape[1], past_key.shape[3], qkv.shape[2]
    assert isinstance(kv_heads, int)
    assert isinstance(head_dim, int)
    assert isinstance(width, int)
    return width // head_dim - 2 * kv_heads, kv_heads, head_dim
