"""Short runs on given gradients, by an optimizer and by the paper's own form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import indian_core
from indian_torch import INDIAN

SHAPES = ((5,), (3, 4), (2, 3, 3, 3), (), (0,))
IMPLEMENTATIONS: dict[str, dict[str, Any]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "capturable foreach": {"capturable": True, "foreach": True},
    "automatic": {},
}


def tensors(
    seed: int, shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def parameters(
    shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64
) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(tensor) for tensor in tensors(0, shapes, dtype)]


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def advance(
    optimizer: torch.optim.Optimizer,
    lrs: Sequence[float],
    first: int = 0,
    step: Callable[[], Any] | None = None,
) -> None:
    """Make the steps `first`, … of the run with these learning rates."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for k, lr in enumerate(lrs, start=first):
        set_lr(optimizer, lr)
        # .to() keeps a strided gradient strided, as autograd would.
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad.to(param.dtype)
        (step or optimizer.step)()


def by_the_paper(
    theta: Sequence[Tensor],
    lrs: Sequence[float],
    alpha: float,
    beta: float,
    initial_speed: float | None = None,
    sign: float = 1.0,
    decoupled: float = 0.0,
    coupled: float = 0.0,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return θ and ψ of the same run by equation (11).

    Decoupled weight decay changes θ and leaves w as it is, so ψ has to follow θ. Steps with
    γ = 0 before the first one are none.
    """
    initial_speed = beta if initial_speed is None else initial_speed
    theta = [t.detach().clone() for t in theta]
    psi: list[Tensor] = []
    for k, lr in enumerate(lrs):
        if lr == 0 and not psi:
            continue
        grads = [sign * grad for grad in tensors(k + 1, [t.shape for t in theta])]
        grads = [grad + coupled * t for grad, t in zip(grads, theta, strict=True)]
        decayed = [(1 - lr * decoupled) * t for t in theta]
        if psi:
            psi = [
                p + (1 - alpha * beta) * (after - before)
                for p, after, before in zip(psi, decayed, theta, strict=True)
            ]
        else:
            psi = [
                indian_core.initial_psi(t, grad, alpha, beta, initial_speed)
                for t, grad in zip(decayed, grads, strict=True)
            ]
        pairs = [
            indian_core.step(t, p, grad, lr, alpha, beta)
            for t, p, grad in zip(decayed, psi, grads, strict=True)
        ]
        theta, psi = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return theta, psi


def assert_follows(
    optimizer: INDIAN, theta: Sequence[Tensor], psi: Sequence[Tensor], tolerance: float = 1e-12
) -> None:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for param, t, p in zip(params, theta, psi, strict=True):
        torch.testing.assert_close(param.detach(), t, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(optimizer.psi(param), p, rtol=tolerance, atol=tolerance)
