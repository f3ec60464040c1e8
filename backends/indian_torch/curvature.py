r"""The curvature of a loss in PyTorch, and the step size that follows from it.

The loss is evaluated once. ∇J keeps its graph, and each product ∇²J(θ) v is one more backward pass,
of ⟨∇J, v⟩. Attention uses its plain formula, whose kernel has second derivatives. Where another
operation has no second derivative, ∇²J(θ) v is a difference of two gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.optimizer import ParamsT

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import (
    SAFETY,
    Array,
    StepSize,
    central_difference,
    from_loss,
    join,
    largest_eigenvalue,
    split,
)

_INDEPENDENT = (
    "Invalid loss: it does not depend on the params as far as autograd can see (which "
    "checkpoint(..., use_reentrant=True) hides from it; use_reentrant=False does not)"
)
# Words in the errors of operations without a second derivative, and of compiled functions.
_NO_SECOND_DERIVATIVE = ("is not implemented", "not differentiable", "double backward")


def largest_curvature(loss_fn: Callable[[], Tensor], params: ParamsT) -> float:
    """Return the largest eigenvalue of the Hessian of a loss.

    See `suggest_lr` for the arguments, for what is left unchanged, and for the errors.

    Returns:
        The algebraically largest eigenvalue. It is negative if the loss curves down in all
        directions.

    Examples:
        >>> import torch
        >>> theta = torch.ones(3, requires_grad=True)
        >>> h = torch.tensor([1.0, 10.0, -20.0])
        >>> round(largest_curvature(lambda: (h * theta**2).sum() / 2, [theta]), 4)
        10.0
    """
    tensors = _trainable(params)
    with _untouched(tensors):
        return largest_eigenvalue(_Derivatives(loss_fn, tensors).product, _size(tensors))


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
    BatchNorm layer in training mode updates its running statistics in each of the two evaluations.

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
        ValueError: If there are no parameters; if the loss is not a real scalar, is NaN or
            infinite, or does not depend on the parameters; or if nothing limits the step (α = 0
            and no positive curvature).
        ImportError: If SciPy is missing: `pip install scipy`.
        RuntimeError: If the loss goes through ``checkpoint(..., use_reentrant=True)``.

    Examples:
        >>> import torch
        >>> from indian_torch.curvature import suggest_lr
        >>> theta = torch.ones(3, requires_grad=True)
        >>> h = torch.tensor([1.0, 10.0, 100.0])
        >>> found = suggest_lr(lambda: (h * theta**2).sum() / 2, [theta], 0.5, 0.5, safety=0.5)
        >>> round(found.curvature, 2), round(found.lr, 4), found.initial_speed
        (100.0, 0.0206, 0.5)
    """
    tensors = _trainable(params)
    with _untouched(tensors):
        at_start = _Derivatives(loss_fn, tensors)

        def gradient(displacement: Array) -> Array:
            if not displacement.any():
                return _flat(at_start.gradients)
            return at_start.gradient_at(displacement)

        return from_loss(at_start.product, gradient, _size(tensors), alpha, beta, safety)


class _Derivatives:
    """The gradient of a loss at the parameters' current values, and products with its Hessian.

    If an operation has no second derivative in PyTorch, a product is a difference of gradients.
    """

    def __init__(self, loss_fn: Callable[[], Tensor], params: list[Tensor]) -> None:
        self._loss_fn, self._params = loss_fn, params
        loss = self._loss()
        if not torch.isfinite(loss):
            raise ValueError(f"Invalid loss: {loss.item()}")
        gradients = self._gradients(loss, create_graph=True)
        if all(g is None for g in gradients):
            raise ValueError(_INDEPENDENT)
        self.gradients = self._dense(gradients)
        self._is_differentiable = not _ends_in_an_error(self.gradients)

    def product(self, vector: Array) -> Array:
        """Return ∇²J times a vector."""
        if self._is_differentiable:
            try:
                return self._exact_product(vector)
            except RuntimeError as error:
                if not any(words in str(error) for words in _NO_SECOND_DERIVATIVE):
                    raise
                self._is_differentiable = False
        eps = max(torch.finfo(param.dtype).eps for param in self._params)
        size = sum(float(param.detach().abs().square().sum()) for param in self._params) ** 0.5
        return central_difference(self.gradient_at, vector, size, eps)

    def gradient_at(self, displacement: Array) -> Array:
        """Return the gradient at θ + displacement, or NaN if the loss is not finite there."""
        with _displaced(self._params, displacement):
            loss = self._loss()
            if not torch.isfinite(loss):
                return np.full_like(displacement, np.nan)
            return _flat(self._dense(self._gradients(loss, create_graph=False)))

    def _loss(self) -> Tensor:
        cuda = sorted({param.device.index for param in self._params if param.is_cuda})
        # Autocast would reuse the weights that it cast at another point.
        torch.clear_autocast_cache()
        with (
            torch.enable_grad(),
            # Dropout must be the same in each evaluation.
            torch.random.fork_rng(devices=cuda, device_type="cuda"),
            # The other attention kernels have no second derivative.
            sdpa_kernel(SDPBackend.MATH),
        ):
            loss = self._loss_fn()
        torch.clear_autocast_cache()
        _check_loss(loss)
        return loss

    def _gradients(self, loss: Tensor, create_graph: bool) -> Sequence[Tensor | None]:
        try:
            return torch.autograd.grad(
                loss,
                self._params,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=False,
            )
        except RuntimeError as error:
            if "second time" in str(error):
                raise ValueError("Invalid loss: loss_fn must not call backward()") from error
            raise

    def _dense(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        return [
            torch.zeros_like(p) if g is None else g.to_dense()
            for p, g in zip(self._params, gradients, strict=True)
        ]

    def _exact_product(self, vector: Array) -> Array:
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


def _ends_in_an_error(gradients: Iterable[Tensor]) -> bool:
    """Return whether the backward of an operation can run only once (`once_differentiable`).

    Autograd puts a node there that raises. But the node leads to no parameter, so autograd.grad
    would skip it and treat the derivative as zero.
    """
    seen: set[Any] = set()
    nodes: list[Any] = [gradient.grad_fn for gradient in gradients]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if node.name().endswith("::Error"):
                return True
            nodes += [following for following, _ in node.next_functions]
    return False


def _trainable(params: Iterable[Any]) -> list[Tensor]:
    if isinstance(params, Tensor):
        raise TypeError("Invalid params: a tensor (they must be an iterable of tensors)")
    tensors = [param for param in _tensors(params) if param.requires_grad]
    if _size(tensors) == 0:
        raise ValueError("Invalid params: there are none that require gradients, or all are empty")
    return tensors


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


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise TypeError(f"Invalid loss: {type(loss).__name__} (loss_fn must return a tensor)")
    check_loss(loss.shape, loss.dtype, is_real=not loss.is_complex())
    if not loss.requires_grad:
        raise ValueError(_INDEPENDENT)


def _size(params: list[Tensor]) -> int:
    return sum(param.numel() * (2 if param.is_complex() else 1) for param in params)


def _flat(tensors: Iterable[Tensor]) -> Array:
    """Return tensors as one vector."""
    # PyTorch has zero tensors without storage, for which NumPy would read unrelated memory. A copy
    # has storage.
    dense = (t.to_dense() for t in tensors)
    wide = (t.to(torch.complex128 if t.is_complex() else torch.float64, copy=True) for t in dense)
    return join(t.numpy(force=True) for t in wide)


def _like(params: list[Tensor], vector: Array) -> list[Tensor]:
    """Return a vector as tensors of the parameters' shapes, dtypes and devices."""
    parts = split(vector, [p.shape for p in params], [p.is_complex() for p in params])
    return [
        torch.from_numpy(part).to(param.device, param.dtype)
        for part, param in zip(parts, params, strict=True)
    ]


@contextmanager
def _untouched(params: list[Tensor]) -> Iterator[None]:
    """Set `.grad` to None, and restore it at the end, even after an error."""
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
    """Move the parameters temporarily, without writing to the tensors that hold their values."""
    values = [param.data for param in params]
    try:
        for param, d in zip(params, _like(params, displacement), strict=True):
            param.data = param.data + d
        yield
    finally:
        for param, value in zip(params, values, strict=True):
            param.data = value
