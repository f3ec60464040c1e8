r"""The scaled gradient by PyTorch's fused AdamW kernel, in pieces that stay in the cache.

At a learning rate of −1 and β1 = 0, on zeros, that kernel leaves u where the parameter was, and
updates V. Another kernel then makes the step from u, while all is still in the cache: over whole
models the two would each go through memory.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from indian_torch import _private
from indian_torch.step.part import Part
from indian_torch.step.scalars import Step

# How many numbers there are in a piece, for each thread: five of these are a megabyte each in
# float32. A GPU has work enough in pieces of many more.
_ON_CPU, _ELSEWHERE = 2**18, 2**23


@dataclass
class Piece:
    """Some parameters, or a part of a large one, with scratch memory for u and Adam's exp_avg."""

    params: list[Tensor]
    grads: list[Tensor]
    momentum_buffers: list[Tensor]
    exp_avg_sqs: list[Tensor]
    u: list[Tensor]
    exp_avgs: list[Tensor]
    scratch: Tensor


class Plan:
    """Which parameters go into which piece, with scratch memory for the largest of the pieces."""

    def __init__(self, params: list[Tensor]) -> None:
        first = params[0]
        on_cpu = first.device.type == "cpu"
        self.size = _ON_CPU * torch.get_num_threads() if on_cpu else _ELSEWHERE
        self.places: list[list[int]] = []
        room = 0
        for i, param in enumerate(params):
            n = param.numel()
            if n > room or not self.places:
                self.places.append([])
                # One that is larger than a piece is in pieces of its own.
                room = self.size if n <= self.size else 0
            self.places[-1].append(i)
            room = max(room - n, 0)
        used = max((sum(params[i].numel() for i in some) for some in self.places), default=0)
        self.scratch = torch.zeros(2, min(used, self.size), dtype=first.dtype, device=first.device)
        self.views = [
            [self._like([params[i] for i in some], row) for row in range(2)] for some in self.places
        ]

    def _like(self, tensors: list[Tensor], row: int) -> list[Tensor]:
        """Return views of a row of the scratch memory, like the tensors of a piece."""
        if tensors[0].numel() > self.size:
            return [self.scratch[row]]
        starts = itertools.accumulate(
            (t.numel() for t in tensors), initial=row * len(self.scratch.T)
        )
        return [
            self.scratch.as_strided(t.shape, t.stride(), start)
            for t, start in zip(tensors, starts, strict=False)
        ]

    def pieces(self, *columns: list[Tensor]) -> Iterator[Piece]:
        """Yield the pieces of lists of parameters, gradients, momentum buffers and V."""
        for some, (u, exp_avgs) in zip(self.places, self.views, strict=True):
            params, grads, buffers, squares = ([column[i] for i in some] for column in columns)
            if params[0].numel() <= self.size:
                yield Piece(params, grads, buffers, squares, u, exp_avgs, self.scratch)
                continue
            flat: Any = [column[some[0]] for column in columns]
            flat = [t.as_strided((t.numel(),), (1,)).split(self.size) for t in flat]
            for param, grad, buffer, square in zip(*flat, strict=True):
                n = len(param)
                if n < self.size:  # the last one
                    u, exp_avgs = [u[0][:n]], [exp_avgs[0][:n]]
                yield Piece([param], [grad], [buffer], [square], u, exp_avgs, self.scratch)


def pieces(part: Part, indices: Sequence[int]) -> Iterator[Piece]:
    """Return the pieces of a part of a step, whose indices are these ones of its layout."""
    layout, first = part.layout, part.params[0]
    assert layout is not None
    assert part.exp_avg_sqs is not None
    kind = (first.device, first.dtype)
    plan = layout.plans.get(kind)
    if plan is None or layout.fused[kind] is not indices:
        plan = Plan(part.params)
        if layout.fused[kind] is indices:
            layout.plans[kind] = plan
    return plan.pieces(part.params, part.grads, part.momentum_buffers, part.exp_avg_sqs)


def scaled(piece: Piece, step: Step, count: Tensor) -> list[Tensor]:
    """Return u; V is updated."""
    piece.scratch.zero_()
    _kernel(piece, piece.u, count, lr=-1.0, beta2=step.sigma, eps=step.eps)
    return piece.u


def adamw(piece: Piece, step: Step, count: Tensor) -> None:
    """Make the step without momentum (αβ = 1), which is AdamW's with β1 = 0."""
    assert not isinstance(step.lr, Tensor)
    piece.scratch.zero_()
    _kernel(
        piece,
        piece.params,
        count,
        lr=step.lr * step.beta,
        beta2=step.sigma,
        eps=step.eps,
        weight_decay=step.weight_decay / step.beta,
        maximize=step.sign < 0,
    )


def _kernel(piece: Piece, params: list[Tensor], count: Tensor, **scalars: Any) -> None:
    _private.fused_adamw(
        params,
        piece.grads,
        piece.exp_avgs,
        piece.exp_avg_sqs,
        [],
        [count] * len(params),
        **{"beta1": 0.0, "weight_decay": 0.0, "amsgrad": False, "maximize": False} | scalars,
    )


@functools.cache
def kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether PyTorch has the kernel here, and whether it does what we take it for."""
    numbers = torch.linspace(-1.0, 2.0, 4 * 19, dtype=torch.float64, device="cpu").reshape(4, 19)
    theta, gradient, other, squares = numbers.to(device, dtype)
    squares = squares.abs()
    u, scratch = torch.zeros_like(theta), torch.zeros_like(theta)
    piece = Piece([theta], [gradient], [other], [squares], [u], [scratch], scratch)
    expected = 0.75 * squares + 0.25 * gradient**2
    try:
        _kernel(piece, [u], torch.full((), 2.0, device=device), lr=-1.0, beta2=0.75, eps=0.5)
    except (AttributeError, TypeError, NotImplementedError, RuntimeError):
        return False
    root: Any = (expected / (1 - 0.75**2)) ** 0.5
    return torch.allclose(squares, expected, rtol=1e-5, atol=1e-5) and torch.allclose(
        u, gradient / (root + 0.5), rtol=1e-5, atol=1e-5
    )
