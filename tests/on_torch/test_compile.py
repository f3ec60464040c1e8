"""torch.compile of the step and of a training step; steps that decide nothing on the host."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from indian_torch import INDIAN, DampedAdamW, PowerDecayLR
from tests.conformance.torch_driver import inductor
from tests.on_torch.runs import (
    LRS,
    advance,
    assert_close,
    assert_same_run,
    copy_params,
    parameters,
    params_of,
    tensors,
)

SHAPES = [(5,), (3, 4)]


@pytest.fixture(autouse=True)
def no_graphs_from_before() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize("options", [{}, {"foreach": True}])
@pytest.mark.parametrize("method", [INDIAN, DampedAdamW])
def test_a_float_rate_that_inductor_must_not_keep(method: Any, options: dict[str, Any]) -> None:
    """The trajectories of a Tensor rate: tests/conformance."""
    compiled, eager = (method(parameters(SHAPES), **options) for _ in range(2))
    advance(compiled, LRS, step=torch.compile(compiled.step, backend=inductor()))
    advance(eager, LRS)
    assert_same_run(compiled, eager)


def test_the_rate_of_a_compiled_step_may_change_in_place(method: Any) -> None:
    lr = torch.tensor(0.3, dtype=torch.float64)
    compiled, eager = (method(parameters(SHAPES), rate, weight_decay=0.1) for rate in (lr, 0.3))
    step = torch.compile(compiled.step, backend=inductor())
    for k in range(6):
        lr.mul_(0.9)
        eager.param_groups[0]["lr"] = lr.item()
        for optimizer, call in ((compiled, step), (eager, eager.step)):
            for param, gradient in zip(params_of(optimizer), tensors(k, SHAPES), strict=True):
                param.grad = gradient
            call()
    assert_close(params_of(compiled), params_of(eager))


# Dynamo looks at the .grad of the loss.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_training_step_compiled_by_inductor(method: Any) -> None:
    torch.manual_seed(0)
    compiled = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    plain = copy.deepcopy(compiled)
    inputs = torch.randn(16, 4)

    def training_step(model: nn.Module, optimizer: Any) -> Tensor:
        loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    program = torch.compile(training_step, backend=inductor())
    losses: list[list[float]] = []
    for model, step in ((compiled, program), (plain, training_step)):
        optimizer = method(model.parameters(), lr=torch.tensor(0.1))
        scheduler = PowerDecayLR(optimizer)
        losses.append([])
        for _ in range(8):
            losses[-1].append(step(model, optimizer).item())
            scheduler.step()
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]
    assert_close([*compiled.parameters()], [*plain.parameters()], 1e-4)


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"capturable": True}], ids=str)
def test_a_tensor_lr_is_never_a_reason_to_compile_again(
    options: dict[str, Any], method: Any
) -> None:
    lr = torch.tensor(0.1, dtype=torch.float64)
    optimizer = method(parameters(SHAPES), lr=lr, **options)
    counter = CompileCounter()
    step = torch.compile(optimizer.step, backend=counter)
    advance(optimizer, LRS[:2], step=step)
    compiled = counter.frame_count
    assert compiled > 0
    advance(optimizer, LRS[2:], first=2, step=step)
    assert counter.frame_count == compiled


def test_a_float_lr_is_one_only_once(method: Any) -> None:
    optimizer = method(parameters(SHAPES))
    counter = CompileCounter()
    advance(optimizer, LRS, step=torch.compile(optimizer.step, backend=counter))
    # Dynamo makes it an input when it sees it change, some versions at the second time.
    assert 1 < counter.frame_count <= 3 < len(LRS)


def test_compiled_and_eager_steps_and_checkpoints_mix(paper_method: Any) -> None:
    optimizer, eager = (paper_method(parameters(SHAPES), fused=True) for _ in range(2))
    advance(eager, LRS)
    step = torch.compile(optimizer.step, backend="aot_eager")
    advance(optimizer, LRS[:3])
    assert {state["scale"] for state in optimizer.state.values()} != {1.0}
    advance(optimizer, LRS[3:5], first=3, step=step)
    advance(optimizer, LRS[5:7], first=5)
    saved = copy.deepcopy(optimizer)
    advance(optimizer, LRS[7:9], first=7, step=step)
    optimizer.load_state_dict(saved.state_dict())
    copy_params(saved, optimizer)
    advance(optimizer, LRS[7:], first=7, step=step)
    assert_same_run(optimizer, eager)


def test_a_late_parameter_makes_its_own_first_step_in_the_graph() -> None:
    optimizer = INDIAN(parameters(SHAPES), initial_speed=1.0)
    (late,) = params_of(optimizer)[1:]
    alone = INDIAN([nn.Parameter(late.detach().clone())], initial_speed=1.0)
    step = torch.compile(optimizer.step, backend="aot_eager")
    for k, lr in enumerate(LRS):
        gradients = tensors(k, SHAPES)
        late_grad = gradients[1] if k >= 4 else None
        params_of(optimizer)[0].grad = gradients[0]
        late.grad = params_of(alone)[0].grad = late_grad
        optimizer.param_groups[0]["lr"] = alone.param_groups[0]["lr"] = lr
        step()
        alone.step()
    assert_close([late], params_of(alone))


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
