"""torch.compile of the step and of a training step; steps that decide nothing on the host."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from indian_core import ALPHA, BETA
from indian_torch import INDIAN, PowerDecayLR
from tests.on_torch.runs import advance, assert_follows, by_the_paper, parameters

LRS = [0.3 * (k + 1) ** -0.5 for k in range(12)]


@pytest.fixture(autouse=True)
def no_graphs_from_before(inductor: str) -> None:
    torch._dynamo.reset()


def tensor_lr() -> torch.Tensor:
    return torch.tensor(0.1, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"foreach": True}])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_the_step_compiled_by_inductor_under_a_schedule(
    as_tensor: bool, options: dict[str, Any], inductor: str
) -> None:
    params = parameters([(5,), (3, 4)])
    expected = by_the_paper(params, LRS, ALPHA, BETA, decoupled=0.1)
    lr: Any = tensor_lr() if as_tensor else 0.1
    optimizer = INDIAN(params, lr=lr, weight_decay=0.1, **options)
    advance(optimizer, LRS, step=torch.compile(optimizer.step, backend=inductor))
    assert_follows(optimizer, *expected)


def test_tensors_of_a_compiled_step_may_change(inductor: str, method: Any) -> None:
    values = {"lr": 0.3, "weight_decay": 0.1}
    if "alpha" in method.arguments:
        values |= {"alpha": 0.5, "beta": 0.4}
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
    params, plain = parameters([(5,), (3, 4)]), parameters([(5,), (3, 4)])
    compiled, eager = method(params, **given), method(plain, **values)
    step = torch.compile(compiled.step, backend=inductor)
    for k, lr in enumerate(LRS):
        for name, tensor in given.items():
            tensor.mul_(0.9)
            eager.param_groups[0][name] = tensor.item()
        advance(compiled, [lr], k, step)
        advance(eager, [lr], k)
    for one, other in zip(params, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


# Dynamo looks at the .grad of the loss.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_training_step_compiled_by_inductor(inductor: str, method: Any) -> None:
    torch.manual_seed(0)
    compiled = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    plain = copy.deepcopy(compiled)
    inputs = torch.randn(16, 4)

    def training_step(model: torch.nn.Module, optimizer: Any) -> torch.Tensor:
        loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    losses = []
    for model, step in (
        (compiled, torch.compile(training_step, backend=inductor)),
        (plain, training_step),
    ):
        optimizer = method(model.parameters(), lr=torch.tensor(0.1))
        scheduler = PowerDecayLR(optimizer)
        losses.append([])
        for _ in range(8):
            losses[-1].append(step(model, optimizer).item())
            scheduler.step()
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]
    for one, other in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"capturable": True}])
def test_a_tensor_lr_is_never_a_reason_to_compile_again(
    options: dict[str, Any], method: Any
) -> None:
    optimizer = method(parameters([(5,), (3, 4)]), lr=tensor_lr(), **options)
    counter = CompileCounter()
    step = torch.compile(optimizer.step, backend=counter)
    advance(optimizer, LRS[:2], step=step)
    compiled = counter.frame_count
    assert compiled > 0
    advance(optimizer, LRS[2:], first=2, step=step)
    assert counter.frame_count == compiled


def test_a_float_lr_is_one_only_once(method: Any) -> None:
    optimizer = method(parameters([(5,), (3, 4)]))
    counter = CompileCounter()
    step = torch.compile(optimizer.step, backend=counter)
    advance(optimizer, LRS, step=step)
    # Dynamo makes it an input when it sees it change, some versions at the second time.
    assert 1 < counter.frame_count <= 3 < len(LRS)


def test_compiled_and_eager_steps_and_checkpoints_mix() -> None:
    params = parameters([(5,), (3, 4)])
    expected = by_the_paper(params, LRS, 0.5, 0.2)
    optimizer = INDIAN(params, alpha=0.5, beta=0.2, fused=True)
    step = torch.compile(optimizer.step, backend="aot_eager")
    advance(optimizer, LRS[:3])  # leaves a scale that is not 1
    assert {state["scale"] for state in optimizer.state.values()} != {1.0}
    advance(optimizer, LRS[3:5], first=3, step=step)
    advance(optimizer, LRS[5:7], first=5)
    state_dict = copy.deepcopy(optimizer.state_dict())
    theta = [param.detach().clone() for param in params]
    advance(optimizer, LRS[7:9], first=7, step=step)
    optimizer.load_state_dict(state_dict)
    with torch.no_grad():
        for param, value in zip(params, theta, strict=True):
            param.copy_(value)
    advance(optimizer, LRS[7:], first=7, step=step)
    assert_follows(optimizer, *expected)


def test_a_late_parameter_makes_its_own_first_step_in_the_graph() -> None:
    early, late = parameters([(5,), (3, 4)])
    expected = by_the_paper([late], LRS[4:], ALPHA, BETA)
    optimizer = INDIAN([early, late])
    step = torch.compile(optimizer.step, backend="aot_eager")
    for k, lr in enumerate(LRS):
        optimizer.param_groups[0]["lr"] = lr
        early.grad = torch.ones_like(early)
        late.grad = None if k < 4 else by_the_paper_gradient(k - 4)
        step()
    torch.testing.assert_close(late.detach(), expected[0][0], rtol=1e-12, atol=1e-12)


def by_the_paper_gradient(k: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(k + 1)
    return torch.randn((3, 4), generator=generator, dtype=torch.float64)


def test_capturable_state_is_made_once_and_stays(method: Any) -> None:
    optimizer = method(parameters(), capturable=True)
    advance(optimizer, LRS[:1])
    before = {param: dict(state) for param, state in optimizer.state.items()}
    advance(optimizer, LRS[1:], first=1)
    for param, state in before.items():
        assert all(optimizer.state[param][name] is tensor for name, tensor in state.items())
        if "scale" in state:
            optimizer.set_psi(param, torch.zeros_like(param))
            assert optimizer.state[param]["scale"] is state["scale"]
