r"""A step size from the curvature of a loss in PyTorch.

The curvature comes from gradients at some points near the parameters' values. So every operation
that has a gradient will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import SAFETY, StepSize, from_gradients


def suggest_lr(
    loss_fn: Callable[[], Tensor],
    params: ParamsT,
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    r"""Suggest a step size for INDIAN from the largest curvature of a loss, without a grid search.

    $$\gamma = \text{safety} \cdot \min(2/\alpha, \gamma_{\max}(L)), \qquad
      L = \lambda_{\max}(\nabla^2 J(\theta))$$

    with γ_max of `indian_core.tuning.max_lr`. Evaluate the loss over as many samples as fit, in the
    mode that you train in. Train with the same α and β; 0.5 and 0.5 worked best (docs/suggest.md
    has what to expect). The suggestion is not for INNAprop, whose gradient is scaled.

    It costs about thirty gradients, and `indian_core.tuning.LANCZOS_VECTORS` vectors of θ's size in
    double precision.

    The parameters, their gradients and torch's random number generators (of the CPU and of the
    parameters' devices) are left unchanged. Other changes by ``loss_fn`` remain: for example, a
    BatchNorm layer in training mode updates its running statistics at each gradient. For such a
    model ask a `copy.deepcopy` of it.

    Args:
        loss_fn: A function that returns the loss, a scalar tensor, at the parameters' current
            values. It must not call ``backward()``.
        params: θ, such as ``model.parameters()``, or named parameters or parameter groups.
            Parameters that do not require gradients are ignored.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit behind it; ``print`` shows all of it. If
        the loss is nearly flat, or not smooth on the scale of a step, it holds warnings, which are
        also raised as UserWarning.

    Raises:
        TypeError: If the loss is not a tensor, or the parameters are not tensors.
        ValueError: If there are no parameters; if the loss is not a real scalar, does not depend on
            the parameters, or has a gradient that is not finite; or if nothing limits the step
            (α = 0 and no positive curvature).
        ImportError: If SciPy is missing: `pip install scipy`.
        RuntimeError: If ``loss_fn`` calls ``backward()``. (Parameters under
            ``checkpoint(..., use_reentrant=True)`` are not seen.)

    Examples:
        >>> import torch
        >>> from indian_torch.curvature import suggest_lr
        >>> theta = torch.ones(3, requires_grad=True)
        >>> h = torch.tensor([1.0, 10.0, 100.0])
        >>> found = suggest_lr(lambda: (h * theta**2).sum() / 2, [theta], 0.5, 0.5, safety=0.5)
        >>> round(found.curvature, 2), round(found.lr, 4), found.initial_speed
        (100.0, 0.0206, 0.5)
    """
    if isinstance(params, Tensor):
        raise TypeError("Invalid params: a tensor (they must be an iterable of tensors)")
    tensors = [param for param in dict.fromkeys(_tensors(params)) if param.requires_grad]

    def gradient(theta: list[Any]) -> list[Any]:
        for param, value in zip(tensors, theta, strict=True):
            param.data = torch.from_numpy(value).to(param.device, param.dtype)
        return list(map(_array, _gradients(loss_fn, tensors)))

    with _restored(tensors):
        values = [_array(param.detach()) for param in tensors]
        eps = max((torch.finfo(param.dtype).eps for param in tensors), default=1.0)
        return from_gradients(gradient, values, alpha, beta, safety, eps)


def _gradients(loss_fn: Callable[[], Tensor], params: list[Tensor]) -> list[Tensor]:
    cuda = sorted({param.device.index for param in params if param.is_cuda})
    # Autocast would use the weights again that it cast at another point. Dropout must be the same
    # at each point.
    torch.clear_autocast_cache()
    with torch.enable_grad(), torch.random.fork_rng(devices=cuda, device_type="cuda"):
        loss = loss_fn()
    torch.clear_autocast_cache()
    if not isinstance(loss, Tensor):
        raise TypeError(f"Invalid loss: {type(loss).__name__} (loss_fn must return a tensor)")
    check_loss(loss.shape, loss.dtype, is_real=not loss.is_complex())
    found: Sequence[Tensor | None] = [None] * len(params)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=False)
    if not any(isinstance(each, Tensor) for each in found):
        raise ValueError(
            "Invalid loss: it does not depend on the params as far as autograd can see (which "
            "checkpoint(..., use_reentrant=True) hides from it; use_reentrant=False does not)"
        )
    pairs = zip(found, params, strict=True)
    return [torch.zeros_like(param) if each is None else each for each, param in pairs]


def _tensors(params: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors of an optimizer's params, including named parameters and groups."""
    for param in params:
        if isinstance(param, dict) and "params" in param:
            inner = param["params"]
            yield from _tensors([inner] if isinstance(inner, Tensor) else inner)
        elif isinstance(param, tuple) and len(param) == 2 and isinstance(param[1], Tensor):
            yield param[1]
        elif isinstance(param, Tensor):
            yield param
        else:
            raise TypeError(f"Invalid params: {type(param).__name__} (they must be tensors)")


def _array(tensor: Tensor) -> Any:
    # PyTorch has zero tensors without storage, for which NumPy would read unrelated memory. A copy
    # has storage.
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    return tensor.to_dense().to(wide, copy=True).numpy(force=True)


@contextmanager
def _restored(params: list[Tensor]) -> Iterator[None]:
    """Restore the parameters' values and gradients at the end, even after an error.

    `suggest_lr` replaces the tensors that hold the values, and does not write to them.
    """
    before = [(param.data, param.grad) for param in params]
    try:
        for param in params:
            param.grad = None
        yield
    finally:
        for param, (value, gradient) in zip(params, before, strict=True):
            param.data, param.grad = value, gradient
