r"""The scaled gradient u = v/(√(V/c) + ε) of INNAprop, c = 1 − σ^t its bias correction.

As √c · v/(√V + ε √c), whose first factor goes into the coefficients of the step. The square is
blind to the sign of v: ``maximize`` is in the coefficients too.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients, bias_correction
from indian_torch.step.scalars import Step


def factor(count: Any, step: Step, dtype: torch.dtype) -> Any:
    """Return √(1 − σ^t).

    Args:
        count: t, 1 in the first step: a number, a tensor of one, or a vector of them.
        step: The step; it has a σ.
        dtype: What a tensor is computed in.
    """
    assert step.sigma is not None
    if not isinstance(count, Tensor):
        return math.sqrt(bias_correction(step.sigma, count))
    return bias_correction(step.sigma, count.to(dtype), torch.expm1).sqrt()


def scaled(step: Coefficients, by: Any) -> Coefficients:
    """Return the coefficients for v/(√V + ε √c), given √c."""
    return step._replace(
        theta_gradient=step.theta_gradient * by, momentum_gradient=step.momentum_gradient * by
    )


def quotient(grad: Tensor, squares: Tensor, by: Any, step: Step) -> tuple[Tensor, Tensor]:
    """Return v/(√V + ε √c) and the new V, which is the old tensor but for autograd."""
    assert step.sigma is not None
    if step.differentiable:
        squares = squares.mul(step.sigma).addcmul(grad, grad, value=1 - step.sigma)
        return grad / (squares.sqrt() + step.eps * by), squares
    squares.mul_(step.sigma).addcmul_(grad, grad, value=1 - step.sigma)
    return grad / squares.sqrt().add_(step.eps * by), squares


def denominators(grads: list[Tensor], squares: list[Tensor], by: Any, step: Step) -> list[Tensor]:
    """Return √V + ε √c of lists of tensors. V is written to."""
    assert step.sigma is not None
    torch._foreach_mul_(squares, step.sigma)
    torch._foreach_addcmul_(squares, grads, grads, 1 - step.sigma)
    roots: Any = torch._foreach_sqrt(squares)
    epsilons = step.eps * by
    torch._foreach_add_(
        roots, list(epsilons.unbind()) if isinstance(epsilons, Tensor) else epsilons
    )
    return list(roots)
