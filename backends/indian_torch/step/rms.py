r"""The scaled gradient u = v/(√(V/c) + ε) of INNAprop with the bias correction c = 1 − σ^t.

It is computed as √c · v/(√V + ε √c), and the factor √c goes into the coefficients of the step. The
square does not depend on the sign of v, so ``maximize`` goes into the coefficients too.
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
        count: t, which is 1 in the first step: a number, a tensor with one number, or a vector.
        step: The step. It must have a σ.
        dtype: The dtype of the computation if `count` is a tensor.
    """
    assert step.sigma is not None
    if not isinstance(count, Tensor):
        return math.sqrt(bias_correction(step.sigma, count))
    return bias_correction(step.sigma, count.to(dtype), torch.expm1).sqrt()


def scaled(step: Coefficients, by: Any) -> Coefficients:
    """Return the step's coefficients for v/(√V + ε √c), with √c = `by`."""
    return step._replace(
        theta_gradient=step.theta_gradient * by, momentum_gradient=step.momentum_gradient * by
    )


def quotient(grad: Tensor, squares: Tensor, by: Any, step: Step) -> tuple[Tensor, Tensor]:
    """Return v/(√V + ε √c) and the new V, in place unless autograd needs the old one."""
    assert step.sigma is not None
    if step.differentiable:
        squares = squares.mul(step.sigma).addcmul(grad, grad, value=1 - step.sigma)
        return grad / (squares.sqrt() + step.eps * by), squares
    squares.mul_(step.sigma).addcmul_(grad, grad, value=1 - step.sigma)
    return grad / squares.sqrt().add_(step.eps * by), squares


def denominators(grads: list[Tensor], squares: list[Tensor], by: Any, step: Step) -> list[Tensor]:
    """Return √V + ε √c for lists of tensors. V is updated in place."""
    assert step.sigma is not None
    torch._foreach_mul_(squares, step.sigma)
    torch._foreach_addcmul_(squares, grads, grads, 1 - step.sigma)
    roots: Any = torch._foreach_sqrt(squares)
    epsilons = step.eps * by
    torch._foreach_add_(
        roots, list(epsilons.unbind()) if isinstance(epsilons, Tensor) else epsilons
    )
    return list(roots)
