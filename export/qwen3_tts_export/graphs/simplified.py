"""A traced graph without what a trace leaves behind: constants folded, idle operations out.

These are onnxscript's own steps. Its `optimize` tries some forty rules more, none of which finds
anything in these networks; one of them looks through the whole graph for every node of it.
"""

from onnx_ir.passes import common
from onnxscript import ir, optimizer
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules import common as rules

_RULES = (
    rules.collapse_slice_rule,
    rules.fuse_pad_into_conv_rule,
    rules.materialize_reshape_shape_rule,
    rules.max_min_rule,
    rules.mul_by_1_rule,
    rules.remove_optional_bias_from_conv_rule,
    rules.squeeze_reshape_1d_rule,
    rules.unsqueeze_unsqueeze_rule,
)
_ROUNDS = 3  # what one leaves is constant in the next


def simplify(model: ir.Model) -> None:
    """Fold a graph's constants and write a few patterns shorter, in place."""
    common.InlinePass()(model)
    for _ in range(_ROUNDS):
        optimizer.fold_constants_ir(model, onnx_shape_inference=True)
        rewrite(model, _RULES)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.DeduplicateInitializersPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.OutputFixPass()(model)
    common.NameFixPass()(model)
