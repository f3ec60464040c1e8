r"""The scaled gradient by PyTorch's fused AdamW kernel, in pieces that stay in the cache.

With a learning rate of −1 and β1 = 0, on parameters that are zero, that kernel replaces the
parameters by u and updates V. Another kernel then makes the step from u, while all of it is still
in the cache. Over whole models each of the two kernels would go through memory.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from indian_torch import _private
from indian_torch.step.tensors import Tensors

# How many numbers a piece has for each thread: 2 MiB in float32 for each of six tensors. Smaller
# pieces need more calls, larger pieces leave the cache. A GPU needs far more numbers to be busy.
ON_CPU, ELSEWHERE = 2**19, 2**23


class Scratch:
    """Memory for u, and behind it for Adam's exp_avg, with the shapes of some tensors."""

    def __init__(self, memory: Tensor, tensors: list[Tensor]) -> None:
        *starts, n = itertools.accumulate((t.numel() for t in tensors), initial=0)
        self.memory = memory.narrow(0, 0, 2 * n)
        self.u, self.exp_avgs = (
            [
                memory.as_strided(t.shape, t.stride(), first + start)
                for t, start in zip(tensors, starts, strict=True)
            ]
            for first in (0, n)
        )


@dataclass
class Piece:
    """Some parameters, or a part of a large one."""

    params: list[Tensor]
    grads: list[Tensor]
    momentum_buffers: list[Tensor]
    exp_avg_sqs: list[Tensor]
    scratch: Scratch


class Plan:
    """Which parameters go into which piece, with scratch memory for the largest piece."""

    def __init__(self, params: list[Tensor]) -> None:
        first = params[0]
        on_cpu = first.device.type == "cpu"
        self.size = ON_CPU * torch.get_num_threads() if on_cpu else ELSEWHERE
        places: list[list[int]] = []
        room = 0
        for i, param in enumerate(params):
            n = param.numel()
            if n > room or not places:
                places.append([])
                # A parameter that is larger than a piece gets pieces of its own.
                room = self.size if n <= self.size else 0
            places[-1].append(i)
            room = max(room - n, 0)
        used = max(sum(params[i].numel() for i in some) for some in places)
        memory = torch.zeros(2 * min(used, self.size), dtype=first.dtype, device=first.device)
        self.places = [
            (some, self._scratches(memory, [params[i] for i in some])) for some in places
        ]

    def _scratches(self, memory: Tensor, tensors: list[Tensor]) -> list[Scratch]:
        """Return the scratch memory of a piece, or of all pieces of a large parameter."""
        if tensors[0].numel() <= self.size:
            return [Scratch(memory, tensors)]
        *whole, last = self._cut(tensors[0])
        return [Scratch(memory, whole[:1])] * len(whole) + [Scratch(memory, [last])]

    def _cut(self, tensor: Any) -> list[Tensor]:
        return list(tensor.as_strided((tensor.numel(),), (1,)).split(self.size))

    def pieces(self, *columns: list[Tensor]) -> Iterator[Piece]:
        """Yield the pieces of lists of parameters, gradients, momentum buffers and V."""
        for some, scratches in self.places:
            lists: list[Any] = [[column[i] for i in some] for column in columns]
            if lists[0][0].numel() > self.size:
                # The other tensors of its place are empty.
                lists = [[[part] for part in self._cut(first)] for first, *_ in lists]
            else:
                lists = [[tensors] for tensors in lists]
            for piece in zip(*lists, scratches, strict=True):
                yield Piece(*piece)


def pieces(bucket: Tensors) -> Iterator[Piece]:
    """Return the pieces of a bucket of a group's tensors."""
    layout, kind = bucket.layout, bucket.kind
    assert layout is not None
    assert kind is not None
    assert bucket.momentum_buffers is not None
    assert bucket.exp_avg_sqs is not None
    whole = len(layout.kinds[kind]) == len(bucket.params)
    plan = layout.plans.get(kind) if whole else None
    if plan is None:
        plan = Plan(bucket.params)
        if whole:
            layout.plans[kind] = plan
    return plan.pieces(bucket.params, bucket.grads, bucket.momentum_buffers, bucket.exp_avg_sqs)


def scaled(piece: Piece, count: Tensor, sigma: float, eps: float) -> list[Tensor]:
    """Return u, and update V in place, by the AdamW kernel."""
    piece.scratch.memory.zero_()
    u = piece.scratch.u
    _private.fused_adamw(
        u,
        piece.grads,
        piece.scratch.exp_avgs,
        piece.exp_avg_sqs,
        [],
        [count] * len(u),
        lr=-1.0,
        beta1=0.0,
        beta2=sigma,
        eps=eps,
        weight_decay=0.0,
        amsgrad=False,
        maximize=False,
    )
    return u


@functools.cache
def kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether PyTorch has the kernel here, and whether it computes what we expect."""
    numbers = torch.linspace(-1.0, 2.0, 4 * 19, dtype=torch.float64, device="cpu").reshape(4, 19)
    theta, gradient, other, squares = numbers.to(device, dtype)
    squares = squares.abs()
    scratch = Scratch(torch.zeros(2 * 19, dtype=dtype, device=device), [theta])
    piece = Piece([theta], [gradient], [other], [squares], scratch)
    expected = 0.75 * squares + 0.25 * gradient**2
    try:
        (u,) = scaled(piece, torch.full((), 2.0, device=device), 0.75, 0.5)
    except (AttributeError, TypeError, NotImplementedError, RuntimeError):
        return False
    root: Any = (expected / (1 - 0.75**2)) ** 0.5
    return torch.allclose(squares, expected, rtol=1e-5, atol=1e-5) and torch.allclose(
        u, gradient / (root + 0.5), rtol=1e-5, atol=1e-5
    )
