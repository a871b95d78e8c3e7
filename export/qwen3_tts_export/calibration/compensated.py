"""Round a matrix row by row, and let the rows to come make up for the error of those before.

The method is GPTQ (Frantar and others, 2022, arXiv:2210.17323): the error that counts is that of
the products, whose second moments say how an input's error can be undone by the others. Here each
block of inputs also chooses, for each output, the scale that leaves the least of it.
"""

import torch
from torch import Tensor

LEAST, MOST = -8, 7
_DAMPING = 0.05
"""Of the moments' mean diagonal: what was heard too rarely says little of what will be."""
_SHRUNK = tuple(1.0 - 0.04 * step for step in range(11))
"""Scales that are tried, over the one that the largest number needs."""


def compensated(weight: Tensor, moments: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Round a matrix to numbers of four bits.

    Args:
        weight: float32 (in, out).
        moments: (in, in), the sum of the outer products of what it multiplied.
        block: Inputs that share a scale.

    Returns:
        Numbers int8 (in, out) in -8..7, and scales float32 (in / block, out), which float16 holds
        too: every graph stores these very numbers.
    """
    inverse = _inverse_root(moments)
    left = weight.float().clone()
    numbers = torch.empty_like(left, dtype=torch.int8)
    scales = torch.empty(len(left) // block, left.shape[1], device=left.device)
    for at in range(0, len(left), block):
        here = slice(at, at + block)
        found, chosen, error = _block(left[here], inverse[here, here])
        numbers[here], scales[at // block] = found.to(torch.int8), chosen
        left[at + block :] -= inverse[here, at + block :].T @ error
    return numbers, scales


def whole(numbers: Tensor, scales: Tensor) -> Tensor:
    """Compute what a rounded matrix stands for, float32 (in, out)."""
    return numbers * spread(scales, numbers)


def spread(scales: Tensor, matrix: Tensor) -> Tensor:
    """Give each number of a matrix (in, out) its scale."""
    return scales.repeat_interleave(len(matrix) // len(scales), dim=0)


def storable(scales: Tensor) -> Tensor:
    """Round scales to what float16 holds, and none to 0."""
    halves = scales.half().float()
    return torch.where(halves == 0, torch.ones_like(halves), halves)


def _inverse_root(moments: Tensor) -> Tensor:
    """Give the upper triangular root of the inverse of damped moments, float32 (in, in)."""
    damped = moments.double().clone()
    mean = damped.diagonal().mean()
    damped.diagonal().add_(_DAMPING * mean if mean > 0 else torch.ones_like(mean))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    root: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return root.float()


def _block(weight: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Round the rows of one block, once for each scale, and keep the best for each output.

    Args:
        weight: (block, out).
        inverse: (block, block), of the inverse root.

    Returns:
        Numbers (block, out), scales (out,), and errors (block, out), over the root's diagonal.
    """
    shrunk = torch.tensor(_SHRUNK, device=weight.device)[:, None]
    scales = storable(weight.abs().amax(dim=0) / MOST * shrunk)
    left = weight.expand(len(scales), -1, -1).clone()
    numbers, errors = torch.empty_like(left), torch.empty_like(left)
    for row in range(len(weight)):
        numbers[:, row] = (left[:, row] / scales).round().clamp(LEAST, MOST)
        errors[:, row] = (left[:, row] - numbers[:, row] * scales) / inverse[row, row]
        left[:, row + 1 :] -= inverse[row, row + 1 :, None] * errors[:, None, row]
    best = errors.square().sum(dim=1).argmin(dim=0, keepdim=True)

    def of_best(tried: Tensor) -> Tensor:
        return tried.gather(0, best.expand(len(weight), -1)[None])[0]

    return of_best(numbers), scales.gather(0, best)[0], of_best(errors)
