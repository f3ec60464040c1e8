r"""The scaled gradient u = v/(√(V/c) + ε) with the bias correction c = 1 − σ^t.

It is computed as √c · v/(√V + ε √c), and the factor √c goes into the coefficients of the step. The
square does not depend on the sign of v, so ``maximize`` goes into the coefficients too.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients, bias_correction
from indian_torch.step.settings import Settings


def factor(count: Any, settings: Settings, dtype: torch.dtype) -> Any:
    """Return √(1 − σ^t).

    Args:
        count: t, which is 1 in the first step: a number, a tensor with one number, or a vector.
        settings: The settings of the step. They must have a σ.
        dtype: The dtype of the computation if `count` is a tensor.
    """
    assert settings.sigma is not None
    if not isinstance(count, Tensor):
        return math.sqrt(bias_correction(settings.sigma, count))
    return bias_correction(settings.sigma, count.to(dtype), torch.expm1).sqrt()


def scaled(linear: Coefficients, by: Any) -> Coefficients:
    """Return the step's coefficients for v/(√V + ε √c), with √c = `by`."""
    return linear._replace(
        theta_gradient=linear.theta_gradient * by, momentum_gradient=linear.momentum_gradient * by
    )


def quotient(grad: Tensor, squares: Tensor, by: Any, settings: Settings) -> tuple[Tensor, Tensor]:
    """Return v/(√V + ε √c) and the new V, in place unless autograd needs the old one."""
    assert settings.sigma is not None
    if settings.differentiable:
        squares = squares.mul(settings.sigma).addcmul(grad, grad, value=1 - settings.sigma)
        return grad / (squares.sqrt() + settings.eps * by), squares
    squares.mul_(settings.sigma).addcmul_(grad, grad, value=1 - settings.sigma)
    return grad / squares.sqrt().add_(settings.eps * by), squares


def denominators(
    grads: list[Tensor], squares: list[Tensor], by: Any, settings: Settings
) -> list[Tensor]:
    """Return √V + ε √c for lists of tensors. V is updated in place."""
    assert settings.sigma is not None
    torch._foreach_mul_(squares, settings.sigma)
    torch._foreach_addcmul_(squares, grads, grads, 1 - settings.sigma)
    roots: Any = torch._foreach_sqrt(squares)
    epsilons = settings.eps * by
    torch._foreach_add_(
        roots, list(epsilons.unbind()) if isinstance(epsilons, Tensor) else epsilons
    )
    return list(roots)
