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
from tests.on_torch.runs import IMPLEMENTATIONS, advance, parameters

METHODS = [INDIAN, INNAprop, DampedSGD, DampedAdamW]


def pulled(optimizer: torch.optim.Optimizer, param: nn.Parameter, steps: int = 1) -> float:
    """Make steps on the gradient θ, and return the first number of θ."""
    for _ in range(steps):
        param.grad = param.detach().clone()
        optimizer.step()
    return float(param.detach()[0])


def one(method: Any, **options: Any) -> tuple[nn.Parameter, Any]:
    param = nn.Parameter(torch.ones(2))
    return param, method([param], **options)


# Numbers in groups.


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_momentum_written_into_a_group_is_used(implementation: str) -> None:
    param, optimizer = one(DampedSGD, lr=0.1, momentum=0.9, **IMPLEMENTATIONS[implementation])
    for momentum in (0.5, 0.6, 0.7, 0.8, 0.9):
        for group in optimizer.param_groups:
            group["momentum"] = momentum
        theta = pulled(optimizer, param)
    assert theta == pytest.approx(0.1512, abs=5e-5)  # torch.optim.SGD's


OTHERS = {
    INDIAN: ("momentum", "nesterov", "dampening", "damping", "betas", "amsgrad", "sigma", "eps"),
    INNAprop: ("momentum", "betas", "damping", "initial_speed"),
    DampedSGD: ("betas", "alpha", "beta", "eps", "sigma"),
    DampedAdamW: ("momentum", "alpha", "beta", "sigma", "initial_speed", "nesterov"),
}


@pytest.mark.parametrize(("method", "name"), [(m, n) for m, names in OTHERS.items() for n in names])
def test_a_number_of_another_method_is_refused(method: Any, name: str) -> None:
    param, optimizer = one(method)
    pulled(optimizer, param)
    before = copy.deepcopy((param.detach(), optimizer.state_dict()))
    loaded = copy.deepcopy(optimizer.state_dict())
    loaded["param_groups"][0][name] = 0.9
    with pytest.raises(ValueError, match=name):
        optimizer.load_state_dict(loaded)
    with pytest.raises(ValueError, match=name):
        optimizer.add_param_group({"params": parameters(), name: 0.9})
    torch.testing.assert_close((param.detach(), optimizer.state_dict()), before, rtol=0, atol=0)
    optimizer.param_groups[0][name] = 0.9
    with pytest.raises(ValueError, match=name):
        pulled(optimizer, param)
    assert torch.equal(param.detach(), before[0])


def test_a_number_that_a_group_has_lost_is_missed(method: Any) -> None:
    param, optimizer = one(method)
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(ValueError, match="lr"):
        pulled(optimizer, param)


def test_what_else_is_in_a_group_belongs_to_the_user(method: Any) -> None:
    param = nn.Parameter(torch.ones(2))
    own = {"name": "head", "initial_lr": 0.1, "lr_scale": 2.0, "max_momentum": 0.9}
    optimizer = method([{"params": [param], **own}])
    pulled(optimizer, param)
    optimizer.load_state_dict(optimizer.state_dict())
    pulled(optimizer, param)
    assert own.items() <= optimizer.param_groups[0].items()


def test_a_group_is_the_users_own_dict(method: Any) -> None:
    first, second = parameters([(2,), (3,)])
    mine, late = {"params": [first], "lr": 0.5}, {"params": [second]}
    optimizer = method([mine], lr=0.1)
    optimizer.add_param_group(late)
    assert optimizer.param_groups[0] is mine
    assert optimizer.param_groups[1] is late
    assert mine["lr"] == 0.5
    assert late["lr"] == 0.1
    before = first.detach().clone()
    mine["lr"] = 0.0
    first.grad = torch.ones_like(first)
    optimizer.step()
    assert torch.equal(first, before)


def test_a_group_that_is_refused_stays_as_it_was(method: Any) -> None:
    group: dict[str, Any] = {"params": parameters(), "weight_decay": -1.0}
    keys = list(group)
    with pytest.raises(ValueError, match="weight_decay"):
        method([group])
    assert list(group) == keys


def test_a_wrapper_may_share_the_groups(method: Any) -> None:
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"rho": 0.05})
            self.base = method(self.param_groups, lr=0.1)
            self.param_groups = self.base.param_groups

    wrapped, plain = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    wrapper, other = Wrapper([wrapped]), method([plain], lr=0.1)
    for optimizer in (wrapper, other):
        lr_scheduler.StepLR(optimizer, 1)
    for lr in (0.1, 0.05, 0.02):
        wrapper.param_groups[0]["lr"] = other.param_groups[0]["lr"] = lr
        pulled(wrapper.base, wrapped)
        pulled(other, plain)
    assert torch.equal(wrapped, plain)


@pytest.mark.parametrize("damping", [None, 0.3])
@pytest.mark.parametrize("implementation", ["fused", "foreach"])
def test_a_population_that_writes_numbers(implementation: str, damping: float | None) -> None:
    """Exploit and explore: a state dict of the best, with other numbers."""
    best, other = (
        DampedSGD(parameters(), damping=damping, **IMPLEMENTATIONS[each])
        for each in ("for-loop", implementation)
    )
    for k in range(5):
        advance(best, [0.05], first=k)
        other.load_state_dict(copy.deepcopy(best.state_dict()))
        other.param_groups[0].update({"foreach": None} | IMPLEMENTATIONS[implementation])
        with torch.no_grad():
            for p, q in zip(
                other.param_groups[0]["params"], best.param_groups[0]["params"], strict=True
            ):
                p.copy_(q)
        for optimizer in (best, other):
            optimizer.param_groups[0]["momentum"] = 0.8 + 0.03 * k
        advance(other, [0.05] * 3, first=k)
        advance(best, [0.05] * 3, first=k)
        for p, q in zip(
            other.param_groups[0]["params"], best.param_groups[0]["params"], strict=True
        ):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


# States.


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_missing_momentum_is_made_anew_alone(implementation: str, method: Any) -> None:
    first, second = parameters([(3,), (3,)])
    expected = nn.Parameter(second.detach().clone())
    options = IMPLEMENTATIONS[implementation]
    optimizer, alone = method([first, second], **options), method([expected], **options)
    for param in (first, second, expected):
        param.grad = torch.ones_like(param)
    for _ in range(3):
        optimizer.step()
        alone.step()
    del optimizer.state[first]["momentum_buffer"]
    optimizer.step()
    alone.step()
    torch.testing.assert_close(second, expected, rtol=1e-12, atol=1e-12)
    assert set(optimizer.state[first]) == set(optimizer.state[second])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_momentum_that_is_there_is_used(implementation: str) -> None:
    options = IMPLEMENTATIONS[implementation]
    ends = []
    for method in (DampedSGD, torch.optim.SGD):
        param = nn.Parameter(torch.ones(2))
        mine = options if method is DampedSGD else {}
        optimizer = method([param], lr=0.1, momentum=0.9, **mine)
        optimizer.state[param]["momentum_buffer"] = torch.full((2,), 5.0)
        ends.append(pulled(optimizer, param, 3))
    assert ends[0] == pytest.approx(ends[1], rel=1e-6)
    for method in (INDIAN, INNAprop, DampedAdamW):
        param = nn.Parameter(torch.ones(2))
        optimizer = method([param], lr=0.1, **options)
        optimizer.state[param]["momentum_buffer"] = torch.full((2,), 5.0)
        assert pulled(optimizer, param) < 0.9  # without it, 0.967 or more


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_state_of_another_shape_is_refused_before_anything_moves(
    implementation: str, method: Any
) -> None:
    params = parameters([(3,), (3,)])
    optimizer = method([{"params": [p]} for p in params], **IMPLEMENTATIONS[implementation])
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    del optimizer.state[params[0]]["momentum_buffer"]
    optimizer.state[params[1]]["momentum_buffer"] = torch.ones(2, dtype=torch.float64)
    before = [param.detach().clone() for param in params]
    with pytest.raises(ValueError, match="momentum_buffer"):
        optimizer.step()
    assert all(map(torch.equal, params, before))
    assert "momentum_buffer" not in optimizer.state[params[0]]


@pytest.mark.parametrize("step", [torch.zeros(1), torch.zeros(()), 0, 0.0, np.float32(0)])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_count_of_any_form_is_used(implementation: str, step: Any) -> None:
    for method in (INNAprop, DampedAdamW):
        ends = []
        for given in (copy.deepcopy(step), None):
            param, optimizer = one(method, lr=0.1, **IMPLEMENTATIONS[implementation])
            pulled(optimizer, param, 2)
            if given is not None:
                optimizer.state[param]["step"] = given
            else:
                optimizer.state[param]["step"].zero_()
            ends.append(pulled(optimizer, param, 2))
            assert float(optimizer.state[param]["step"]) == 2
        assert ends[0] == pytest.approx(ends[1], rel=1e-6)


@pytest.mark.parametrize("betas", [[0.9, 0.99], np.array([0.9, 0.99]), torch.tensor([0.9, 0.99])])
def test_betas_of_any_form_are_two_numbers(betas: Any) -> None:
    plain, expected = one(DampedAdamW, lr=0.1, betas=(0.9, 0.99))
    made, optimizer = one(DampedAdamW, lr=0.1, betas=betas)
    edited, other = one(DampedAdamW, lr=0.1)
    other.param_groups[0]["betas"] = betas
    for param, each in ((plain, expected), (made, optimizer), (edited, other)):
        pulled(each, param, 3)
    torch.testing.assert_close(made, plain)
    torch.testing.assert_close(edited, plain)


def test_states_are_tensors_where_torchs_are() -> None:
    for method, names in (
        (DampedSGD, {"momentum_buffer"}),
        (DampedAdamW, {"momentum_buffer", "exp_avg_sq", "step"}),
        (INDIAN, {"momentum_buffer", "scale"}),
        (INNAprop, {"momentum_buffer", "exp_avg_sq", "step", "scale"}),
    ):
        param, optimizer = one(method)
        pulled(optimizer, param, 2)
        state = optimizer.state[param]
        assert set(state) == names
        assert {name for name in state if not isinstance(state[name], Tensor)} <= {"scale"}
        adam = torch.optim.Adam([param])
        pulled(adam, param, 2)
        if "step" in state:
            theirs = adam.state[param]["step"]
            assert (state["step"].dtype, state["step"].shape) == (theirs.dtype, theirs.shape)
            assert state["step"].device == theirs.device
            assert torch.equal(state["step"], theirs)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
def test_rows_are_pruned_with_their_states(method: Any, implementation: str) -> None:
    (value,) = parameters([(6, 2)])
    mask = torch.tensor([True, False, True, True, False, True])
    pruned = nn.Parameter(value.detach().clone())
    optimizer = method([pruned], lr=0.1, **IMPLEMENTATIONS[implementation])
    whole = nn.Parameter(value.detach().clone())
    other = method([whole], lr=0.1, **IMPLEMENTATIONS[implementation])
    for each, param in ((optimizer, pruned), (other, whole)):
        for _ in range(2):
            param.grad = param.detach().clone()
            each.step()
    state = optimizer.state.pop(pruned)
    rows = nn.Parameter(pruned.detach()[mask])
    for key in state:
        if key != "step":
            state[key] = state[key][mask]
    optimizer.param_groups[0]["params"] = [rows]
    optimizer.state[rows] = state
    for each, param in ((optimizer, rows), (other, whole)):
        for _ in range(2):
            param.grad = param.detach().clone()
            each.step()
    torch.testing.assert_close(rows.detach(), whole.detach()[mask], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW, torch.optim.SGD])
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}])
def test_two_processes_that_share_an_optimizer_agree(method: Any, options: dict[str, Any]) -> None:
    """A process has the tensors in common with the other, and everything else to itself."""
    if method is torch.optim.SGD:
        options = options | {"momentum": 0.9}
    shared, alone = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    here, single = method([shared], lr=0.1, **options), method([alone], lr=0.1, **options)
    pulled(here, shared)
    pulled(single, alone)
    there = method([shared], lr=0.1, **options)
    there.state[shared].update(here.state[shared])
    for optimizer in (there, here, here, there, here):
        pulled(optimizer, shared)
        pulled(single, alone)
    assert torch.equal(shared, alone)


# Rates, and arguments.


@pytest.mark.parametrize("total", [3, 7, 10, 30])
def test_a_schedule_that_ends_in_rounding_dust_ends_at_0(total: int, method: Any) -> None:
    param, optimizer = one(method, lr=0.3)
    scheduler = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total)
    for _ in range(total + 2):
        pulled(optimizer, param)
        scheduler.step()
    optimizer.param_groups[0]["lr"] = -3e-18
    pulled(optimizer, param)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0
    optimizer.param_groups[0]["lr"] = -0.1
    with pytest.raises(ValueError, match="learning rate"):
        pulled(optimizer, param)


def test_numbers_are_checked_before_the_parameters(method: Any) -> None:
    with pytest.raises(ValueError, match="learning rate"):
        method(None, lr=-0.01)


def test_the_arguments_are_in_torchs_order() -> None:
    params = parameters()
    group = DampedSGD(params, 0.1, 0.8, 0, 0.05, True).param_groups[0]
    theirs = torch.optim.SGD(params, 0.1, 0.8, 0, 0.05, True).param_groups[0]
    shared = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    assert [group[name] for name in shared] == [theirs[name] for name in shared]
    group = DampedAdamW(params, 0.1, (0.8, 0.9), 1e-5, 0.05, False).param_groups[0]
    theirs = torch.optim.AdamW(params, 0.1, (0.8, 0.9), 1e-5, 0.05, False).param_groups[0]
    shared = ("lr", "betas", "eps", "weight_decay", "amsgrad")
    assert [group[name] for name in shared] == [theirs[name] for name in shared]
    assert DampedSGD(params).defaults["lr"] == torch.optim.SGD(params).defaults["lr"]
    assert (
        DampedAdamW(params).defaults.items()
        >= {name: torch.optim.AdamW(params).defaults[name] for name in shared}.items()
    )


@pytest.mark.parametrize("damping", [0.05, 1.5, -1.0, float("nan")])
def test_a_damping_out_of_range_is_refused(damping: float) -> None:
    for make in (
        lambda: DampedSGD(parameters(), momentum=0.9, damping=damping),
        lambda: DampedAdamW(parameters(), betas=(0.9, 0.99), damping=damping),
        lambda: DampedSGD([{"params": parameters(), "damping": damping}], momentum=0.9),
    ):
        with pytest.raises(ValueError, match="damping"):
            make()
    with pytest.raises(ValueError, match="damping"):
        DampedSGD(parameters(), nesterov=True, damping=0.5)
    with pytest.raises(ValueError, match="damping"):
        DampedSGD(parameters(), momentum=1.0, damping=0.5)


def test_a_cycle_of_the_momentum_that_leaves_the_dampings_range_is_refused() -> None:
    param, optimizer = one(DampedAdamW, lr=0.01, damping=0.15)
    pulled(optimizer, param)
    before = param.detach().clone()
    optimizer.param_groups[0]["betas"] = (0.8, 0.999)
    with pytest.raises(ValueError, match="damping"):
        pulled(optimizer, param)
    assert torch.equal(param, before)


# Other optimizers' state dicts.


def test_adamws_v_and_count_can_be_taken_but_not_its_average() -> None:
    params = parameters()
    adamw = torch.optim.AdamW(params)
    advance(adamw, [0.01] * 3)
    optimizer = DampedAdamW(params)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="exp_avg"):
        optimizer.load_state_dict(adamw.state_dict())
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)
    state_dict = copy.deepcopy(adamw.state_dict())
    for state in state_dict["state"].values():
        del state["exp_avg"]
    optimizer.load_state_dict(state_dict)
    advance(optimizer, [0.01])
    for param in params:
        assert float(optimizer.state[param]["step"]) == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_state_dict_of_another_optimizer_is_refused(method: Any) -> None:
    for other in (*METHODS, torch.optim.Adam, torch.optim.SGD):
        if other is method or (other, method) == (torch.optim.SGD, DampedSGD):
            continue
        theirs = other(parameters())
        advance(theirs, [0.01])
        with pytest.raises(ValueError, match="parameter"):
            method(parameters()).load_state_dict(theirs.state_dict())


# A subclass with a direction of its own.


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("base", METHODS)
def test_the_direction_of_a_subclass_is_used(base: Any, implementation: str) -> None:
    class Sign(base):  # type: ignore[misc]
        def direction(self, gradients: list[Tensor]) -> list[Tensor]:
            return [gradient.sign() for gradient in gradients]

    options = IMPLEMENTATIONS[implementation]
    ours, plain = Sign(parameters(), lr=0.1, **options), base(parameters(), lr=0.1, **options)
    for k in range(4):
        advance(ours, [0.1], first=k)
        for param, other in zip(
            plain.param_groups[0]["params"], ours.param_groups[0]["params"], strict=True
        ):
            assert other.grad is not None
            param.grad = other.grad.sign()
        plain.step()
    for one_, other in zip(
        ours.param_groups[0]["params"], plain.param_groups[0]["params"], strict=True
    ):
        torch.testing.assert_close(one_, other, rtol=1e-12, atol=1e-12)
