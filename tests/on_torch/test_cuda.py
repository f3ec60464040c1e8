"""What needs a GPU: the fused kernel there, CUDA graphs, and groups on several devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from indian_torch import INDIAN, fused
from tests.on_torch.runs import IMPLEMENTATIONS, advance, assert_follows, by_the_paper, parameters
from tests.on_torch.test_implementations import RUNS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def on_gpu(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(param.detach().cuda()) for param in parameters(dtype=dtype)]


def check(optimizer: INDIAN, expected: Any, tolerance: float = 1e-12) -> None:
    theta, psi = (
        [t.cuda().to(p.dtype) for t, p in zip(ts, optimizer.param_groups[0]["params"], strict=True)]
        for ts in expected
    )
    assert_follows(optimizer, theta, psi, tolerance)


def advance_on_gpu(optimizer: INDIAN, lrs: list[float]) -> None:
    step = optimizer.step

    def move_and_step() -> None:
        for param in optimizer.param_groups[0]["params"]:
            param.grad = param.grad.cuda()
        step()

    params = optimizer.param_groups[0]["params"]
    from tests.on_torch.runs import set_lr, tensors

    for k, lr in enumerate(lrs):
        set_lr(optimizer, lr)
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad.to(param.device, param.dtype)
        step()
