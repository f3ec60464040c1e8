"""What needs a GPU: the kernels there, CUDA graphs, and groups on several devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop
from indian_torch.step import pieces
from indian_torch.step.fused import kernel_works
from tests.on_torch import test_innaprop
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    assert_follows,
    by_the_paper,
    parameters,
    set_lr,
    tensors,
)
from tests.on_torch.test_implementations import RUNS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def on_gpu() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(param.detach().cuda()) for param in parameters()]


def advance(optimizer: Any, lrs: list[float]) -> None:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for k, lr in enumerate(lrs):
        set_lr(optimizer, lr)
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad.to(param.device)
        optimizer.step()


def check(optimizer: INDIAN | INNAprop, expected: Any) -> None:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    theta, psi = (
        [t.to(param.device) for t, param in zip(values, params, strict=True)] for values in expected
    )
    assert_follows(optimizer, theta, psi)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_makes_the_papers_steps(implementation: str, run: str) -> None:
    lrs, alpha, beta, initial_speed = RUNS[run]
    expected = by_the_paper(parameters(), lrs, alpha, beta, initial_speed)
    options = IMPLEMENTATIONS[implementation]
    optimizer = INDIAN(on_gpu(), alpha=alpha, beta=beta, initial_speed=initial_speed, **options)
    advance(optimizer, lrs)
    check(optimizer, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernels_are_there(dtype: torch.dtype) -> None:
    device = torch.device("cuda", 0)
    assert kernel_works(device, dtype)
    assert pieces.kernel_works(device, dtype)


def test_one_group_on_two_devices() -> None:
    lrs = RUNS["lr decays across beta"][0]
    expected = by_the_paper(parameters(), lrs, 0.5, 0.1)
    for options in IMPLEMENTATIONS.values():
        params = [
            p if i % 2 else q for i, (p, q) in enumerate(zip(parameters(), on_gpu(), strict=True))
        ]
        optimizer = INDIAN(params, **options)
        advance(optimizer, lrs)
        check(optimizer, expected)


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"foreach": False}])
@pytest.mark.parametrize("warm", [False, True])
def test_a_cuda_graph_of_the_step(warm: bool, options: dict[str, Any]) -> None:
    """Captured before or after its first step, with the lr as a tensor that a schedule fills."""
    lrs = RUNS["lr decays across beta"][0]
    expected = by_the_paper(parameters(), lrs, 0.5, 0.1)
    params = on_gpu()
    lr = torch.tensor(lrs[0], dtype=torch.float64, device="cuda")
    optimizer = INDIAN(params, lr=lr, capturable=True, **options)
    for param in params:
        param.grad = torch.zeros_like(param)

    def fill(k: int) -> None:
        lr.fill_(lrs[k])
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad.copy_(grad)

    first = 0
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        if warm:
            fill(0)
            optimizer.step()
            first = 1
        else:  # the state has to be there before the capture, without a step
            theta = [param.detach().clone() for param in params]
            optimizer.step()
            with torch.no_grad():
                for param, value in zip(params, theta, strict=True):
                    param.copy_(value)
            for state in optimizer.state.values():
                state["momentum_buffer"].zero_()
                state["scale"].zero_()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    for k in range(first, len(lrs)):
        fill(k)
        graph.replay()
    check(optimizer, expected)


def test_a_capture_without_capturable_is_refused() -> None:
    params = on_gpu()
    optimizer = INDIAN(params)
    advance(optimizer, [0.1])
    with (
        pytest.raises(RuntimeError, match="capturable is False"),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        optimizer.step()


@pytest.mark.parametrize("run", test_innaprop.RUNS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_makes_innaprops_steps(implementation: str, run: str) -> None:
    lrs, numbers = test_innaprop.RUNS[run]
    numbers = {"sigma": 0.99, "eps": 1e-8, "weight_decay": 0.1} | numbers
    expected = test_innaprop.by_the_paper(parameters(), lrs, **numbers)
    optimizer = INNAprop(on_gpu(), **numbers, **IMPLEMENTATIONS[implementation])
    advance(optimizer, lrs)
    check(optimizer, expected)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_momentum_law_there_is_that_of_the_cpu(implementation: str) -> None:
    """Under edits of the momentum and the damping, which change the scale of the buffers."""
    for method in (DampedSGD, DampedAdamW):
        there, here = method(on_gpu(), **IMPLEMENTATIONS[implementation]), method(parameters())
        for k, momentum in enumerate((0.9, 0.9, 0.8, 0.95, 0.9, 0.9)):
            edit: dict[str, Any] = {"damping": 0.3 if k % 2 else 0.5}
            edit |= {"momentum": momentum} if method is DampedSGD else {"betas": (momentum, 0.99)}
            for optimizer in (there, here):
                optimizer.param_groups[0].update(edit)
                advance(optimizer, [0.05])
        pairs = zip(there.param_groups[0]["params"], here.param_groups[0]["params"], strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one.cpu(), other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [True, False])
def test_damped_sgd_is_torchs_sgd_there(fused: bool) -> None:
    ours = DampedSGD(on_gpu(), lr=0.05, fused=fused)
    theirs = torch.optim.SGD(on_gpu(), lr=0.05, momentum=0.9, fused=fused)
    for momentum in (0.9, 0.5, 0.0, 0.9):
        for optimizer in (ours, theirs):
            optimizer.param_groups[0]["momentum"] = momentum
            advance(optimizer, [0.05] * 3)
    pairs = zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
