r"""The curvature of a loss in PyTorch, and the step size that follows from it.

The loss is evaluated once; ∇J stays in its graph, and each product ∇²J(θ) v is one more backward
pass, of ⟨∇J, v⟩.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from indian_core import ALPHA, BETA
from indian_core.curvature import Array, largest_eigenvalue
from indian_core.step_size import SAFETY, StepSize, from_loss


def largest_curvature(loss_fn: Callable[[], Tensor], params: Iterable[Tensor]) -> float:
    """Return the largest eigenvalue of the Hessian of a loss.

    See `suggest_lr` for the arguments, what is left untouched, and the errors.

    Returns:
        The algebraically largest eigenvalue; negative if the loss curves down in all directions.

    Example:
        >>> import torch
        >>> theta = torch.ones(3, requires_grad=True)
        >>> h = torch.tensor([1.0, 10.0, -20.0])
        >>> round(largest_curvature(lambda: (h * theta**2).sum() / 2, [theta]), 4)
        10.0
    """
    params = _trainable(params)
    with _untouched(params):
        return largest_eigenvalue(_Derivatives(loss_fn, params).product, _size(params))


def suggest_lr(
    loss_fn: Callable[[], Tensor],
    params: Iterable[Tensor],
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    r"""Suggest a step size for INDIAN from the largest curvature of a loss, without a grid search.

    $$\gamma = \text{safety} \cdot \min(2/\alpha, \gamma_{\max}(L)), \qquad
      L = \lambda_{\max}(\nabla^2 J(\theta))$$

    with γ_max of `indian_core.stability.max_lr`. Give it a loss over as many samples as fit, in
    the mode that you train in; docs/tuning.md says what to expect. It costs some thirty
    gradients and `indian_core.curvature.LANCZOS_VECTORS` vectors of θ's size in double precision.

    The parameters, their gradients and torch's random number generators (of the CPU and of the
    parameters' devices) are left as they are. What ``loss_fn`` itself changes is not ours: a
    BatchNorm layer in training mode updates its running statistics with each of the two
    evaluations.

    Args:
        loss_fn: Evaluates the loss, a scalar tensor, at the parameters' current values. It must
            not call ``backward()``.
        params: θ, such as ``model.parameters()``. Those that do not require gradients are left
            out.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The part of the stability limit to suggest, > 0.

    Returns:
        The suggestion with the curvature and the limit that it comes from; ``print`` it. If the
        loss is nearly flat, or not smooth on the scale of a step, it holds warnings, which are
        also raised as UserWarning.

    Raises:
        TypeError: If the loss is not a tensor or the parameters are not tensors.
        ValueError: If there are no parameters, the loss is not a real scalar, is NaN or infinite,
            or does not depend on the parameters; or if nothing limits the step (α = 0 and no
            positive curvature).
        ImportError: If SciPy is missing: ``pip install "indian-optimizer[tuning]"``.
        RuntimeError: If an operation of the loss has no second derivative in PyTorch.

    Example:
        >>> import torch
        >>> from indian_torch.curvature import suggest_lr
        >>> theta = torch.ones(3, requires_grad=True)
        >>> h = torch.tensor([1.0, 10.0, 100.0])
        >>> found = suggest_lr(lambda: (h * theta**2).sum() / 2, [theta], 0.5, 0.5, safety=0.5)
        >>> round(found.curvature, 2), round(found.lr, 4), found.initial_speed
        (100.0, 0.0206, 0.5)
    """
    params = _trainable(params)
    with _untouched(params):
        at_start = _Derivatives(loss_fn, params)

        def gradient(displacement: Array) -> Array:
            if not displacement.any():
                return _flat(at_start.gradients)
            with _displaced(params, displacement):
                return _flat(_Derivatives(loss_fn, params).gradients)

        return from_loss(at_start.product, gradient, _size(params), alpha, beta, safety)


class _Derivatives:
    """The gradient of a loss at the parameters' current values, and its Hessian's products."""

    def __init__(self, loss_fn: Callable[[], Tensor], params: list[Tensor]) -> None:
        with torch.enable_grad():
            # Dropout is the same in each evaluation.
            with torch.random.fork_rng(devices=_cuda_devices(params), device_type="cuda"):
                loss = loss_fn()
            _check_loss(loss)
            try:
                gradients = torch.autograd.grad(
                    loss, params, create_graph=True, allow_unused=True, materialize_grads=False
                )
            except RuntimeError as error:
                if "second time" in str(error):
                    raise ValueError("Invalid loss: loss_fn must not call backward()") from error
                raise
        if all(g is None for g in gradients):
            raise ValueError("Invalid loss: it does not depend on the params")
        self._params = params
        self.gradients = [
            torch.zeros_like(p) if g is None else g for p, g in zip(params, gradients, strict=True)
        ]

    def product(self, vector: Array) -> Array:
        """Return ∇²J times a vector."""
        curved = [
            (g, v)
            for g, v in zip(self.gradients, _like(self._params, vector), strict=True)
            if g.requires_grad
        ]
        if not curved:  # The loss is linear.
            return np.zeros_like(vector)
        products = torch.autograd.grad(
            [g for g, _ in curved],
            self._params,
            grad_outputs=[v for _, v in curved],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return _flat(products)


def _trainable(params: Iterable[Tensor]) -> list[Tensor]:
    if isinstance(params, Tensor):
        raise TypeError("Invalid params: a tensor (they must be an iterable of tensors)")
    params = list(params)
    for param in params:
        if not isinstance(param, Tensor):
            raise TypeError(f"Invalid params: {type(param).__name__} (they must be tensors)")
    params = [param for param in params if param.requires_grad]
    if _size(params) == 0:
        raise ValueError("Invalid params: there are none that require gradients, or all are empty")
    return params


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise TypeError(f"Invalid loss: {type(loss).__name__} (loss_fn must return a tensor)")
    if loss.numel() != 1 or loss.is_complex():
        raise ValueError(
            f"Invalid loss: shape {tuple(loss.shape)}, {loss.dtype} (it must be a real scalar)"
        )
    if not torch.isfinite(loss):
        raise ValueError(f"Invalid loss: {loss.item()}")
    if not loss.requires_grad:
        raise ValueError("Invalid loss: it does not depend on the params")


def _cuda_devices(params: list[Tensor]) -> list[int]:
    return sorted({param.device.index for param in params if param.is_cuda})


def _size(params: list[Tensor]) -> int:
    return sum(param.numel() * (2 if param.is_complex() else 1) for param in params)


def _flat(tensors: Iterable[Tensor]) -> Array:
    """Return real numbers in one vector; a complex one is its real and its imaginary part."""
    real = (torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in tensors)
    # PyTorch has zeros without storage, where NumPy would see what lies in memory: copies have it.
    wide = (t.reshape(-1).to(torch.float64, copy=True) for t in real)
    return np.concatenate([t.numpy(force=True) for t in wide])


def _like(params: list[Tensor], vector: Array) -> list[Tensor]:
    """Return a vector as tensors of the parameters' shapes, dtypes and devices."""
    tensors, start = [], 0
    for param in params:
        size = _size([param])
        part = torch.from_numpy(vector[start : start + size])
        start += size
        if param.is_complex():
            part = torch.view_as_complex(part.reshape(*param.shape, 2))
        tensors.append(part.reshape(param.shape).to(param.device, param.dtype))
    return tensors


@contextmanager
def _untouched(params: list[Tensor]) -> Iterator[None]:
    """Leave `.grad` as it is, whatever happens."""
    gradients = [param.grad for param in params]
    try:
        for param in params:
            param.grad = None
        yield
    finally:
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient


@contextmanager
def _displaced(params: list[Tensor], displacement: Array) -> Iterator[None]:
    """Move the parameters for a while; the tensors that hold their values are not written to."""
    values = [param.data for param in params]
    try:
        for param, d in zip(params, _like(params, displacement), strict=True):
            param.data = param.data + d
        yield
    finally:
        for param, value in zip(params, values, strict=True):
            param.data = value
