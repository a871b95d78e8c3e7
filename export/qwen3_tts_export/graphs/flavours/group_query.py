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
    total: ir.Value,
) -> Any:
    """Norms are nodes of their own: the kernel has none. `total` is what it reads of the cache."""
    heads, kv_heads, head_dim = _sizes(qkv, past_key)
    ends = [0, *(n * head_dim for n in (heads, heads + kv_heads, heads + 2 * kv_heads))]

    def part(at: int) -> Any:
        first, end = (op.Constant(value_ints=[x]) for x in (ends[at], ends[at + 1]))
        return op.Slice(qkv, first, end, op.Constant(value_ints=[2]))

    def normed(x: Any, norm: ir.Value) -> Any:
        by_head = op.Reshape(x, op.Constant(value_ints=[0, 0, -1, head_dim]))
        by_head = op.RMSNormalization(by_head, norm, axis=-1, epsilon=eps)
        return op.Reshape(by_head, op.Constant(value_ints=[0, 0, -1]))

    return GROUP_QUERY_ATTENTION(
        normed(part(0), q_norm),
        normed(part(1), k_norm),
        part(2),
        past_key,
        past_value,
        _int32(last),
        total,
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
    total: ir.Value,
) -> Any:
    """All of it is one node.

    The kernel reads `total` in CPU memory and picks its launches by it; how far each batch row goes
    it reads on the GPU. Computed from `last` it would be copied from the GPU in every launch, so it
    comes in from the host. A launch that is captured is given the cache's capacity, which holds for
    every replay; several rows must be given exactly what they are the end of.

    Source: contrib_ops/cuda/bert/group_query_attention.cc of ONNX Runtime, where input 6 is
        registered in CPU memory and inputs 14 and 15 are the norms', and CheckInputs in
        group_query_attention_helper.h, which takes several rows of several batch rows only if they
        are all there is.
    """
    heads, kv_heads, _ = _sizes(qkv, past_key)
    cos, sin, q_norm, k_norm = (_cast(x, past_key) for x in (cos, sin, q_norm, k_norm))
    return GROUP_QUERY_ATTENTION(
        qkv,
        None,
        None,
        past_key,
        past_value,
        _int32(last),
        total,
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
