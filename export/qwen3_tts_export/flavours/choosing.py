"""Choosing a code: scores are sorted, and the draw finds its place in their cumulative sum."""

from typing import Any

from onnxscript import ir, opset18

_FLOAT, _INT64 = int(ir.DataType.FLOAT), int(ir.DataType.INT64)
op: Any = opset18  # its type stubs do not know the values that a translation is given


def from_the_widest(
    scores: ir.Value,
    draw: ir.Value,
    temperature: ir.Value,
    top_k: ir.Value,
    top_p: ir.Value,
    ranks: ir.Value,
) -> Any:
    """Only as many as there are ranks are sorted out: 50 of 3072, not all of them.

    How many is a shape, not a number: a captured CUDA graph is one for each.
    """
    values, codes = op.TopK(scores, op.Shape(ranks), axis=-1)
    return _chosen(values, codes, ranks, draw, temperature, top_k, top_p)


def from_all(
    scores: ir.Value,
    draw: ir.Value,
    temperature: ir.Value,
    top_k: ir.Value,
    top_p: ir.Value,
    ranks: None = None,
) -> Any:
    """All scores are sorted: how many there are is a constant, and no shape hangs on a number."""
    assert ranks is None
    assert scores.shape is not None
    size = scores.shape[1]
    assert isinstance(size, int)
    values, codes = op.TopK(scores, op.Constant(value_ints=[size]), axis=-1)
    rank = op.Constant(value_ints=list(range(size)))
    return _chosen(values, codes, rank, draw, temperature, top_k, top_p)


def _chosen(
    values: ir.Value,
    codes: ir.Value,
    rank: ir.Value,
    draw: ir.Value,
    temperature: ir.Value,
    top_k: ir.Value,
    top_p: ir.Value,
) -> Any:
    # Counted in float32, which is exact: of whole numbers CUDA makes float32 and back to add them.
    column, last = op.Constant(value_ints=[1]), op.Constant(value_ints=[-1])
    values = op.Div(values, op.Unsqueeze(temperature, column))
    inside = op.Less(rank, op.Unsqueeze(top_k, column))
    values = op.Where(inside, values, op.Constant(value_float=float("-inf")))
    probability = op.Softmax(values, axis=-1)
    before = op.CumSum(probability, last, exclusive=1)
    kept = op.Less(before, op.Unsqueeze(top_p, column))
    probability = op.Where(kept, probability, op.Constant(value_float=0.0))
    cumulative = op.CumSum(probability, last)
    target = op.Mul(op.Unsqueeze(draw, column), op.Gather(cumulative, last, axis=1))
    passed = op.Cast(op.LessOrEqual(cumulative, target), to=_FLOAT)
    index = op.Cast(op.ReduceSum(passed, last, keepdims=1), to=_INT64)
    return op.Squeeze(op.GatherElements(codes, index, axis=1), column)
