"""The end of the codec decoder, kept in float32 where the rest is bfloat16."""

from typing import Any


def widen_end(model: Any) -> None:
    """Write the last convolution as products and sums, in place.

    OpenVINO leaves in float32 what comes after the last product of matrices. A convolution there
    would round the wave itself, and silence would hiss: -61 dBFS where float32 has -69.

    Args:
        model: An `openvino.Model` that ends in a convolution of stride 1 to one channel.
    """
    from openvino import opset13 as op

    last = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"][-1]
    inputs, weight = last.input_value(0), last.input_value(1)
    _, _, kernel = weight.get_shape()
    axis = op.constant([2])
    total = None
    for tap in range(kernel):
        end = op.constant([tap + 1 - kernel or 2**31 - 1])
        seen = op.slice(inputs, op.constant([tap]), end, op.constant([1]), axis)
        product = op.multiply(seen, op.gather(weight, op.constant([tap]), op.constant(2)))
        total = product if total is None else op.add(total, product)
    summed = op.reduce_sum(total, op.constant([1]), keep_dims=True)
    for user in last.output(0).get_target_inputs():
        user.replace_source_output(summed.output(0))
