"""Choosing a code: scores are sorted, and the draw finds its place in their cumulative sum."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from onnxscript import ir, opset18

_FLOAT, _INT64 = int(ir.DataType.FLOAT), int(ir.DataType.INT64)
op: Any = opset18  # its type stubs do not know the values that a translation is given

_BLOCK = 64
_STEPS = 2.0**23


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
    """All scores are sorted: how many there are is a constant, and no shape hangs on a number.

    Without CumSum: TensorRT before 10.8 makes a loop of it, with a turn for every code, and from
    then on nobody says in which order it sums.

    Source: importer of CumSum in onnxOpImporters.cpp of onnx/onnx-tensorrt, 10.1; ICumulativeLayer
        in NvInfer.h of TensorRT 10.8.
    """
    assert ranks is None
    assert scores.shape is not None
    width = scores.shape[1]
    assert isinstance(width, int)
    values, codes = op.TopK(scores, op.Constant(value_ints=[width]), axis=-1)
    rank = op.Constant(value_ints=list(range(width)))
    summed = partial(_summed_by_products, width=width)
    return _chosen(values, codes, rank, draw, temperature, top_k, top_p, summed)


def _summed(x: ir.Value, *, exclusive: bool = False) -> Any:
    """Cumulative sums of rows, each number's own left out if `exclusive`."""
    return op.CumSum(x, op.Constant(value_ints=[-1]), exclusive=int(exclusive))


def _summed_by_products(x: ir.Value, *, width: int, exclusive: bool = False) -> Any:
    """The same: blocks by a triangular matrix, what came before a block by a smaller one.

    Of whole numbers of 2**-23, which float32 sums exactly in any order. So sums never fall, and
    past the last code that may be chosen all are the same: no draw finds a place there.
    Half a step for each code at most is lost, as float32 may lose it in any sum.
    """
    block = math.gcd(width, _BLOCK)
    whole = op.Round(op.Mul(x, op.Constant(value_float=_STEPS)))
    blocks = op.Reshape(whole, op.Constant(value_ints=[-1, width // block, block]))
    inside = op.MatMul(blocks, _ones_above(block, exclusive=exclusive))
    totals = op.ReduceSum(blocks, op.Constant(value_ints=[2]), keepdims=0)
    before = op.MatMul(totals, _ones_above(width // block, exclusive=True))
    sums = op.Add(inside, op.Unsqueeze(before, op.Constant(value_ints=[2])))
    sums = op.Reshape(sums, op.Constant(value_ints=[-1, width]))
    return op.Div(sums, op.Constant(value_float=_STEPS))


def _ones_above(size: int, *, exclusive: bool) -> Any:
    """float32 (size, size): a row times it is the row's cumulative sums."""
    ones = np.triu(np.ones((size, size), np.float32), int(exclusive))
    return op.Constant(value=ir.tensor(ones))


def _chosen(
    values: ir.Value,
    codes: ir.Value,
    rank: ir.Value,
    draw: ir.Value,
    temperature: ir.Value,
    top_k: ir.Value,
    top_p: ir.Value,
    summed: Callable[..., Any] = _summed,
) -> Any:
    # Counted in float32, which is exact: of whole numbers CUDA makes float32 and back to add them.
    column, last = op.Constant(value_ints=[1]), op.Constant(value_ints=[-1])
    values = op.Div(values, op.Unsqueeze(temperature, column))
    inside = op.Less(rank, op.Unsqueeze(top_k, column))
    values = op.Where(inside, values, op.Constant(value_float=float("-inf")))
    probability = op.Softmax(values, axis=-1)
    before = summed(probability, exclusive=True)
    kept = op.Less(before, op.Unsqueeze(top_p, column))
    probability = op.Where(kept, probability, op.Constant(value_float=0.0))
    cumulative = summed(probability)
    target = op.Mul(op.Unsqueeze(draw, column), op.Gather(cumulative, last, axis=1))
    passed = op.Cast(op.LessOrEqual(cumulative, target), to=_FLOAT)
    index = op.Cast(op.ReduceSum(passed, last, keepdims=1), to=_INT64)
    return op.Squeeze(op.GatherElements(codes, index, axis=1), column)
