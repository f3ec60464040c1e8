"""Short runs on given gradients, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop

METHODS: list[Any] = [INDIAN, INNAprop, DampedSGD, DampedAdamW]
SHAPES = ((5,), (3, 4), (2, 3, 3, 3), (), (0,))
IMPLEMENTATIONS: dict[str, dict[str, Any]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "capturable foreach": {"capturable": True, "foreach": True},
}
LRS = [0.4 * (k + 1) ** -0.5 for k in range(12)]


def with_arguments(*given: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return each of these arguments with each method that has them."""
    return [(m, each) for m in METHODS for each in given if each.keys() <= m.arguments.keys()]


def tensors(
    seed: int, shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def parameters(
    shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64
) -> list[nn.Parameter]:
    return [nn.Parameter(tensor) for tensor in tensors(0, shapes, dtype)]


def params_of(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def advance(
    optimizer: Optimizer,
    lrs: Sequence[float],
    first: int = 0,
    step: Callable[[], Any] | None = None,
) -> None:
    """Make the steps `first`, … of the run with these learning rates."""
    params = params_of(optimizer)
    for k, lr in enumerate(lrs, start=first):
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        # .to() keeps a strided gradient strided, as autograd would.
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad.to(param)
        (step or optimizer.step)()


def copy_params(source: Optimizer, target: Optimizer) -> None:
    with torch.no_grad():
        for param, value in zip(params_of(target), params_of(source), strict=True):
            param.copy_(value)


def assert_close(one: Any, other: Any, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def momenta(optimizer: Any) -> list[Tensor]:
    """Return the momentum of each parameter that has one, whatever its buffer's scale."""
    found = []
    for group in optimizer.param_groups:
        for state in [optimizer.state.get(param, {}) for param in group["params"]]:
            if "momentum_buffer" in state:
                scale = float(state.get("scale", 1)) or 1.0
                found.append(state["momentum_buffer"] / (scale * group.get("buffer_scale", 1.0)))
    return found


def assert_same_run(one: Optimizer, other: Optimizer, tolerance: float = 1e-12) -> None:
    assert_close(params_of(one), params_of(other), tolerance)
    assert_close(momenta(one), momenta(other), tolerance)
