"""What hands write into groups and states is used or refused, never ignored."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop
from tests.on_torch.runs import METHODS, advance, assert_close, parameters, params_of


def pulled(optimizer: torch.optim.Optimizer, steps: int = 1) -> Tensor:
    """Make steps on the gradient θ of the first parameter, and return it."""
    param = params_of(optimizer)[0]
    for _ in range(steps):
        param.grad = param.detach().clone()
        optimizer.step()
    return param.detach().clone()


def one(method: Any, **options: Any) -> Any:
    return method([nn.Parameter(torch.ones(2))], **options)


# Numbers in groups.


def test_a_momentum_written_into_a_group_is_used() -> None:
    optimizer = one(DampedSGD, lr=0.1, momentum=0.9)
    for momentum in (0.5, 0.6, 0.7, 0.8, 0.9):
        for group in optimizer.param_groups:
            group["momentum"] = momentum
        theta = pulled(optimizer)
    assert float(theta[0]) == pytest.approx(0.1512, abs=5e-5)  # torch.optim.SGD's


OTHERS = {
    INDIAN: ("momentum", "nesterov", "dampening", "damping", "betas", "amsgrad", "sigma", "eps"),
    INNAprop: ("momentum", "betas", "damping", "initial_speed"),
    DampedSGD: ("betas", "alpha", "beta", "eps", "sigma"),
    DampedAdamW: ("momentum", "alpha", "beta", "sigma", "initial_speed", "nesterov"),
}


@pytest.mark.parametrize(("method", "name"), [(m, n) for m, names in OTHERS.items() for n in names])
def test_a_number_of_another_method_is_refused(method: Any, name: str) -> None:
    optimizer = one(method)
    theta = pulled(optimizer)
    state_dict = copy.deepcopy(optimizer.state_dict())
    loaded = copy.deepcopy(state_dict)
    loaded["param_groups"][0][name] = 0.9
    with pytest.raises(ValueError, match=name):
        optimizer.load_state_dict(loaded)
    with pytest.raises(ValueError, match=name):
        optimizer.add_param_group({"params": parameters(), name: 0.9})
    assert_close(optimizer.state_dict(), state_dict, 0)
    optimizer.param_groups[0][name] = 0.9
    with pytest.raises(ValueError, match=name):
        pulled(optimizer)
    assert_close(params_of(optimizer), [theta], 0)


def test_a_number_that_a_group_has_lost_is_missed(method: Any) -> None:
    optimizer = one(method)
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(ValueError, match="lr"):
        pulled(optimizer)


def test_what_else_is_in_a_group_belongs_to_the_user(method: Any) -> None:
    own = {"name": "head", "initial_lr": 0.1, "lr_scale": 2.0, "max_momentum": 0.9}
    optimizer = method([{"params": parameters(), **own}])
    pulled(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    pulled(optimizer)
    assert own.items() <= optimizer.param_groups[0].items()


def test_a_group_is_the_users_own_dict(method: Any) -> None:
    first, second = parameters([(2,), (3,)])
    mine, late = {"params": [first], "lr": 0.5}, {"params": [second]}
    optimizer = method([mine], lr=0.1)
    optimizer.add_param_group(late)
    assert optimizer.param_groups[0] is mine
    assert optimizer.param_groups[1] is late
    assert (mine["lr"], late["lr"]) == (0.5, 0.1)
    mine["lr"] = 0.0
    before = first.detach().clone()
    assert torch.equal(pulled(optimizer), before)


def test_a_wrapper_may_share_the_groups(method: Any) -> None:
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"rho": 0.05})
            self.base = method(self.param_groups, lr=0.1)
            self.param_groups = self.base.param_groups

    wrapper, plain = Wrapper([nn.Parameter(torch.ones(2))]), one(method, lr=0.1)
    for optimizer in (wrapper, plain):
        lr_scheduler.StepLR(optimizer, 1)
    for lr in (0.1, 0.05, 0.02):
        wrapper.param_groups[0]["lr"] = plain.param_groups[0]["lr"] = lr
        assert torch.equal(pulled(wrapper.base), pulled(plain))


@pytest.mark.parametrize("total", [3, 7, 10, 30])
def test_a_schedule_that_ends_in_rounding_dust_ends_at_0(total: int, method: Any) -> None:
    optimizer = one(method, lr=0.3)
    scheduler = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total)
    for _ in range(total + 2):
        pulled(optimizer)
        scheduler.step()
    optimizer.param_groups[0]["lr"] = -3e-18
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0


def test_numbers_are_checked_before_the_parameters(method: Any) -> None:
    with pytest.raises(ValueError, match="learning rate"):
        method(None, lr=-0.01)


SGD_S = {"lr": 0.1, "momentum": 0.8, "dampening": 0, "weight_decay": 0.05, "nesterov": True}
ADAMW_S = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-5, "weight_decay": 0.05, "amsgrad": False}


@pytest.mark.parametrize(
    ("method", "theirs", "arguments"),
    [(DampedSGD, torch.optim.SGD, SGD_S), (DampedAdamW, torch.optim.AdamW, ADAMW_S)],
)
def test_the_arguments_are_in_torchs_order(
    method: Any, theirs: Any, arguments: dict[str, Any]
) -> None:
    for make in (method, theirs):
        assert arguments.items() <= make(parameters(), *arguments.values()).defaults.items()
    expected = theirs(parameters()).defaults | {"momentum": 0.9}  # at 0 SGD would have none
    assert {name: method(parameters()).defaults[name] for name in arguments} == {
        name: expected[name] for name in arguments
    }


@pytest.mark.parametrize("betas", [[0.9, 0.99], np.array([0.9, 0.99]), torch.tensor([0.9, 0.99])])
def test_betas_of_any_form_are_two_numbers(betas: Any) -> None:
    edited = one(DampedAdamW)
    edited.param_groups[0]["betas"] = betas
    ends = [
        pulled(one(DampedAdamW, betas=(0.9, 0.99)), 3),
        pulled(one(DampedAdamW, betas=betas), 3),
    ]
    assert_close([*ends, pulled(edited, 3)], [ends[0]] * 3, 1e-6)


# States.


def test_states_are_tensors_where_torchs_are(method: Any) -> None:
    optimizer, adam = one(method), one(torch.optim.Adam)
    pulled(optimizer, 2)
    pulled(adam, 2)
    (state,), (theirs,) = optimizer.state.values(), adam.state.values()
    names = {
        INDIAN: {"momentum_buffer", "scale"},
        INNAprop: {"momentum_buffer", "exp_avg_sq", "step", "scale"},
        DampedSGD: {"momentum_buffer"},
        DampedAdamW: {"momentum_buffer", "exp_avg_sq", "step"},
    }[method]
    assert set(state) == names
    assert {name for name in state if not isinstance(state[name], Tensor)} <= {"scale"}
    if "step" in state:
        assert_close(state["step"], theirs["step"], 0)


def test_a_missing_momentum_is_made_anew_alone(method: Any, options: dict[str, Any]) -> None:
    optimizer, alone = method(parameters(), **options), method(parameters(), **options)
    for each in (optimizer, alone):
        advance(each, [0.1] * 3)
    first = params_of(optimizer)[0]
    del optimizer.state[first]["momentum_buffer"]
    for each in (optimizer, alone):
        advance(each, [0.1], first=3)
    assert_close(params_of(optimizer)[1:], params_of(alone)[1:])
    assert not torch.equal(first, params_of(alone)[0])
    assert set(optimizer.state[first]) == set(method.entries)


def test_a_momentum_that_is_there_is_used(method: Any, options: dict[str, Any]) -> None:
    def end(method: Any, **options: Any) -> float:
        optimizer = one(method, lr=0.1, **options)
        optimizer.state[params_of(optimizer)[0]]["momentum_buffer"] = torch.full((2,), 5.0)
        return float(pulled(optimizer)[0])

    if method is DampedSGD:
        assert end(method, **options) == pytest.approx(end(torch.optim.SGD, momentum=0.9), rel=1e-6)
    else:
        assert end(method, **options) < 0.9  # without it, 0.967 or more


@pytest.mark.parametrize("step", [torch.zeros(1), torch.zeros(()), 0, 0.0, np.float32(0)], ids=repr)
@pytest.mark.parametrize("method", [INNAprop, DampedAdamW])
def test_a_count_of_any_form_is_used(method: Any, options: dict[str, Any], step: Any) -> None:
    given, zeroed = one(method, lr=0.1, **options), one(method, lr=0.1, **options)
    for optimizer in (given, zeroed):
        pulled(optimizer, 2)
    (state,), (other,) = given.state.values(), zeroed.state.values()
    state["step"] = copy.deepcopy(step)
    other["step"].zero_()
    assert_close(pulled(given, 2), pulled(zeroed, 2), 1e-6)
    assert float(state["step"]) == 2


@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
def test_rows_are_pruned_with_their_states(method: Any, options: dict[str, Any]) -> None:
    mask = torch.tensor([True, False, True, True, False, True])
    pruned, whole = (method(parameters([(6, 2)]), lr=0.1, **options) for _ in range(2))
    for optimizer in (pruned, whole):
        pulled(optimizer, 2)
    (param,) = params_of(pruned)
    state = pruned.state.pop(param)
    rows = nn.Parameter(param.detach()[mask])
    pruned.param_groups[0]["params"] = [rows]
    pruned.state[rows] = {k: v if k == "step" else v[mask] for k, v in state.items()}
    assert_close(pulled(pruned, 2), pulled(whole, 2)[mask])


@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}])
def test_two_processes_that_share_an_optimizer_agree(method: Any, options: dict[str, Any]) -> None:
    """A process has the tensors in common with the other, and everything else to itself."""
    here, single = one(method, lr=0.1, **options), one(method, lr=0.1, **options)
    pulled(here)
    pulled(single)
    there = method(params_of(here), lr=0.1, **options)
    there.state[params_of(here)[0]].update(here.state[params_of(here)[0]])
    for optimizer in (there, here, here, there, here):
        assert torch.equal(pulled(optimizer), pulled(single))


# Other optimizers' state dicts. (SGD's: test_goldens.)


def test_adamws_v_and_count_can_be_taken_but_not_its_average() -> None:
    adamw, optimizer = torch.optim.AdamW(parameters()), DampedAdamW(parameters())
    advance(adamw, [0.01] * 3)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="exp_avg"):
        optimizer.load_state_dict(adamw.state_dict())
    assert_close(optimizer.state_dict(), before, 0)
    state_dict = copy.deepcopy(adamw.state_dict())
    for state in state_dict["state"].values():
        del state["exp_avg"]
    optimizer.load_state_dict(state_dict)
    advance(optimizer, [0.01])
    assert {float(state["step"]) for state in optimizer.state.values()} == {4}


def test_a_state_dict_of_another_optimizer_is_refused(method: Any) -> None:
    for other in (*METHODS, torch.optim.Adam, torch.optim.SGD):
        if other is method or (other, method) == (torch.optim.SGD, DampedSGD):
            continue
        theirs = other(parameters())
        advance(theirs, [0.01])
        with pytest.raises(ValueError, match="parameter"):
            method(parameters()).load_state_dict(theirs.state_dict())
