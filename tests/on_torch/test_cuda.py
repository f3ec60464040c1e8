"""What needs a GPU beside the trajectories there (tests/conformance): kernels, graphs, devices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN, DampedSGD
from indian_torch.step import pieces
from indian_torch.step.fused import kernel_works
from tests.on_torch.runs import (
    LRS,
    advance,
    assert_close,
    momenta,
    parameters,
    params_of,
    tensors,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def on_gpu() -> list[nn.Parameter]:
    return [nn.Parameter(param.detach().cuda()) for param in parameters()]


def check(optimizer: Any, expected: Any) -> None:
    """Assert that a run on the GPU is one on the CPU."""
    assert_close([param.cpu() for param in params_of(optimizer)], params_of(expected))
    assert_close([momentum.cpu() for momentum in momenta(optimizer)], momenta(expected))


def run_on_cpu(method: Any) -> Any:
    optimizer = method(parameters(), foreach=False)
    advance(optimizer, LRS)
    return optimizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernels_are_there(dtype: torch.dtype) -> None:
    device = torch.device("cuda", 0)
    assert kernel_works(device, dtype)
    assert pieces.kernel_works(device, dtype)


def test_one_group_on_two_devices(method: Any, options: dict[str, Any]) -> None:
    pairs = zip(parameters(), on_gpu(), strict=True)
    optimizer = method([p if i % 2 else q for i, (p, q) in enumerate(pairs)], **options)
    advance(optimizer, LRS)
    check(optimizer, run_on_cpu(method))


@pytest.mark.parametrize("fused", [True, False])
def test_damped_sgd_is_torchs_sgd_there(fused: bool) -> None:
    ours = DampedSGD(on_gpu(), lr=0.05, fused=fused)
    theirs = torch.optim.SGD(on_gpu(), lr=0.05, momentum=0.9, fused=fused)
    for momentum in (0.9, 0.5, 0.0, 0.9):
        for optimizer in (ours, theirs):
            optimizer.param_groups[0]["momentum"] = momentum
            advance(optimizer, [0.05] * 3)
    assert_close(params_of(ours), params_of(theirs))


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"foreach": False}])
@pytest.mark.parametrize("warm", [False, True])
def test_a_cuda_graph_of_the_step(warm: bool, options: dict[str, Any]) -> None:
    """Captured before or after its first step, with the lr as a tensor that a schedule fills."""
    params = on_gpu()
    lr = torch.tensor(LRS[0], dtype=torch.float64, device="cuda")
    optimizer = INDIAN(params, lr=lr, capturable=True, **options)
    for param in params:
        param.grad = torch.zeros_like(param)

    def fill(k: int) -> None:
        lr.fill_(LRS[k])
        for param, grad in zip(params, tensors(k + 1), strict=True):
            gradient = param.grad
            assert isinstance(gradient, Tensor)
            gradient.copy_(grad)

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
    for k in range(first, len(LRS)):
        fill(k)
        graph.replay()
    check(optimizer, run_on_cpu(INDIAN))


def test_a_capture_without_capturable_is_refused(method: Any) -> None:
    optimizer = method(on_gpu())
    advance(optimizer, [0.1])
    graph = torch.cuda.graph(torch.cuda.CUDAGraph())
    with pytest.raises(RuntimeError, match="capturable"), graph:
        optimizer.step()
