"""INDIAN is torch.optim.SGD, and QHM, at the hyperparameters that ALGORITHM's identities name."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import indian_core
from indian_torch import INDIAN, INNAprop, PowerDecayLR
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    advance,
    parameters,
)

STEPS = 50
CLOSE: dict[str, float] = {"rtol": 1e-14, "atol": 1e-14}


def assert_same_run(ours: INDIAN, sgd: torch.optim.SGD) -> None:
    advance(ours, [ours.param_groups[0]["lr"]] * STEPS)
    advance(sgd, [sgd.param_groups[0]["lr"]] * STEPS)
    for mine, theirs in zip(
        ours.param_groups[0]["params"], sgd.param_groups[0]["params"], strict=True
    ):
        torch.testing.assert_close(mine, theirs, **CLOSE)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "sgd",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.0},
        {"momentum": 0.5, "weight_decay": 0.1},
        {"momentum": 1.0},
    ],
)
def test_from_sgd_is_torch_sgd(sgd: dict[str, Any], implementation: str) -> None:
    ours = INDIAN.from_sgd(parameters(), lr=0.01, **sgd, **IMPLEMENTATIONS[implementation])
    assert_same_run(ours, torch.optim.SGD(parameters(), lr=0.01, **sgd))


def warm_up_and_cosine(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    from torch.optim import lr_scheduler as schedulers

    parts = [
        schedulers.LinearLR(optimizer, 1e-3, total_iters=10),
        schedulers.CosineAnnealingLR(optimizer, 30),
    ]
    return schedulers.SequentialLR(optimizer, parts, milestones=[10])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "sgd",
    [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "weight_decay": 0.1},
    ],
)
@pytest.mark.parametrize("schedule", [warm_up_and_cosine, PowerDecayLR])
def test_sgd_under_torchs_own_schedulers(
    schedule: Any, sgd: dict[str, Any], implementation: str
) -> None:
    ours = INDIAN.from_sgd(parameters(), lr=0.1, **sgd, **IMPLEMENTATIONS[implementation])
    theirs = torch.optim.SGD(parameters(), lr=0.1, **sgd)
    schedulers = [schedule(optimizer) for optimizer in (ours, theirs)]
    for _ in range(45):  # beyond the end, where lr is 0
        advance(ours, [ours.param_groups[0]["lr"]])
        advance(theirs, [theirs.param_groups[0]["lr"]])
        for scheduler in schedulers:
            scheduler.step()
    for one, other in zip(
        ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True
    ):
        torch.testing.assert_close(one, other, **CLOSE)


def test_from_sgd_with_parameter_groups() -> None:
    def groups() -> list[dict[str, Any]]:
        first, second, *rest = parameters()
        return [
            {"params": [first]},
            {"params": [second], "lr": 0.02, "nesterov": True},
            {"params": rest, "momentum": 0.5, "weight_decay": 0.1},
        ]

    ours = INDIAN.from_sgd(groups(), lr=0.01, momentum=0.9)
    sgd = torch.optim.SGD(groups(), lr=0.01, momentum=0.9)
    for k in range(STEPS):
        for optimizer in (ours, sgd):
            for group in optimizer.param_groups:
                for i, param in enumerate(group["params"]):
                    param.grad = torch.full_like(param, (k * 7 + i) % 5 - 1.5)
            optimizer.step()
    for mine, theirs in zip(ours.param_groups, sgd.param_groups, strict=True):
        for one, other in zip(mine["params"], theirs["params"], strict=True):
            torch.testing.assert_close(one, other, **CLOSE)


def test_from_sgd_takes_indians_own_words_before_sgds() -> None:
    first, second = parameters([(3,), (4,)])
    groups = [{"params": [first], "dampening": 0}, {"params": [second], "beta": 7.0}]
    one, other = INDIAN.from_sgd(groups, 0.01, 0.9, beta=5.0, initial_speed=2.0).param_groups
    assert (one["lr"], one["beta"], one["initial_speed"]) == (0.01, 5.0, 2.0)
    assert (other["lr"], other["beta"], other["initial_speed"]) == (0.01, 7.0, 2.0)
    assert one["alpha"] == other["alpha"] == pytest.approx(0.1)
    assert "dampening" not in one


def test_groups_that_come_later_are_sgds_too() -> None:
    """Also where they have every key of SGD's own groups, and where an lr is γ."""
    for kept in (True, False):
        ours = INDIAN.from_sgd(parameters([(3,)]), 0.01, 0.9, keep_momentum=kept)
        theirs = torch.optim.SGD(parameters([(3,)]), 0.01, 0.9)
        later = {"lr": 0.02, "momentum": 0.5, "nesterov": True, "dampening": 0, "foreach": False}
        for optimizer in (ours, theirs):
            optimizer.add_param_group({"params": parameters([(4,)]), **later})
            for k in range(9):
                for group in optimizer.param_groups:
                    group["params"][0].grad = torch.full_like(group["params"][0], k % 3 - 0.5)
                optimizer.step()
        for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
            torch.testing.assert_close(mine["params"], other["params"], **CLOSE)
        with pytest.raises(ValueError, match=r"Invalid dampening: 0\.1"):
            ours.add_param_group({"params": parameters([(2,)]), "dampening": 0.1})


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("after", ["loading", "pickling", "deepcopy"])
def test_groups_are_translated_after_a_run_has_been_resumed(after: str, kept: bool) -> None:
    made = (
        INDIAN.from_sgd(parameters(), 0.04, 0.9, keep_momentum=kept),
        INNAprop.from_adam(parameters(), 0.04, keep_momentum=kept),
    )
    for optimizer, others in zip(made, ({"momentum": 0.5}, {"betas": (0.5, 0.9)}), strict=True):
        optimizer.add_param_group({"params": parameters([(2,)]), "lr": 0.01, **others})
        expected = {k: v for k, v in optimizer.param_groups[1].items() if k != "params"}
        resumed = {
            "loading": lambda o: o.load_state_dict(o.state_dict()) or o,
            "pickling": lambda o: pickle.loads(pickle.dumps(o)),
            "deepcopy": copy.deepcopy,
        }[after](optimizer)
        resumed.add_param_group({"params": parameters([(2,)]), "lr": 0.01, **others})
        assert {k: v for k, v in resumed.param_groups[2].items() if k != "params"} == expected


@pytest.mark.parametrize("kept", [True, False])
def test_a_group_may_keep_its_momentum_or_not(kept: bool) -> None:
    """Whatever the others do: at a constant lr it is SGD either way."""
    first, second = parameters([(3,), (4,)])
    groups = [{"params": [first], "keep_momentum": not kept}, {"params": [second]}]
    ours = INDIAN.from_sgd(groups, 0.01, 0.9, keep_momentum=kept)
    theirs = torch.optim.SGD(parameters([(3,), (4,)]), 0.01, 0.9)
    (params,) = (group["params"] for group in theirs.param_groups)
    for k in range(9):
        for param in (*params, first, second):
            param.grad = torch.full_like(param, k % 3 - 0.5)
        ours.step()
        theirs.step()
    torch.testing.assert_close([first, second], params, **CLOSE)


def test_a_state_dict_of_before_has_no_reference_lr() -> None:
    made = INDIAN(parameters(), 0.1)
    state_dict = made.state_dict()
    del state_dict["param_groups"][0]["reference_lr"]
    made.load_state_dict(state_dict)
    del made.param_groups[0]["reference_lr"]
    assert pickle.loads(pickle.dumps(made)).param_groups[0]["reference_lr"] is None


@pytest.mark.parametrize("name", ["momentum", "nesterov", "dampening", "betas", "damping"])
@pytest.mark.parametrize("method", [INDIAN, INNAprop])
def test_arguments_of_others_in_a_group_are_refused(method: Any, name: str) -> None:
    """They would have no effect."""
    with pytest.raises(TypeError, match=f"unexpected argument '{name}'"):
        method([{"params": parameters(), name: 0}])
    with pytest.raises(TypeError, match=r"Invalid nesterov: 0\.1"):
        INDIAN.from_sgd(parameters(), 0.1, 0.9, 0.1)  # in the order of torch's SGD


@pytest.mark.parametrize("lr", [0.0, torch.tensor(0.0), torch.tensor([0.25])])
def test_from_sgd_and_from_adam_take_the_lr_as_it_is(lr: Any) -> None:
    """0 is what a scheduler begins with, and a tensor what a compiled step needs."""
    for optimizer in (
        INDIAN.from_sgd(parameters(), lr=lr, momentum=0.9, dampening=0),
        INNAprop.from_adam(parameters(), lr=lr, amsgrad=False),
    ):
        assert optimizer.param_groups[0]["lr"] is lr or optimizer.param_groups[0]["lr"] == lr
    with pytest.raises((TypeError, ValueError), match="Invalid learning rate"):
        INDIAN.from_sgd(parameters(), lr=lr, keep_momentum=False)


def test_from_sgd_refuses_what_is_no_such_sgd() -> None:
    group = {"params": parameters(), "dampening": 0.5}
    with pytest.raises(ValueError, match=r"Invalid dampening: 0\.5"):
        INDIAN.from_sgd([group], 0.01, 0.9)
    for damping in (0.05, 1.5, -1.0):
        group = {"params": parameters(), "damping": damping}
        with pytest.raises(ValueError, match=f"Invalid damping: {damping}"):
            INDIAN.from_sgd([group], 0.01, 0.9)
    with pytest.raises(ValueError, match=r"Invalid damping: 0\.5 .*nesterov"):
        INDIAN.from_sgd(parameters(), 0.01, 0.9, nesterov=True, damping=0.5)
    with pytest.raises(TypeError, match="iterable of Tensors or dicts"):
        INDIAN.from_sgd(torch.ones(2), 0.01, 0.9)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_alpha_beta_1_is_gradient_descent(implementation: str) -> None:
    lr, alpha, beta, initial_speed = indian_core.from_gradient_descent(lr=0.01, beta=0.1)
    ours = INDIAN(parameters(), lr, alpha, beta, initial_speed, **IMPLEMENTATIONS[implementation])
    assert_same_run(ours, torch.optim.SGD(parameters(), lr=0.01))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("nu", [0.0, 0.7, 1.0])
def test_quasi_hyperbolic_momentum(nu: float, implementation: str) -> None:
    # QHM as its paper has it, made of two runs of torch's SGD: on given gradients its θ is the
    # average, with weights 1 − ν and ν, of plain SGD's and of damped momentum's.
    lr, momentum = 0.05, 0.9
    ours = INDIAN(
        parameters(),
        *indian_core.from_qhm(lr, momentum, nu),
        **IMPLEMENTATIONS[implementation],
    )
    plain = torch.optim.SGD(parameters(), lr=lr)
    damped = torch.optim.SGD(parameters(), lr=lr * (1 - momentum), momentum=momentum)
    for optimizer in (ours, plain, damped):
        advance(optimizer, [optimizer.param_groups[0]["lr"]] * STEPS)
    for mine, one, other in zip(
        *(optimizer.param_groups[0]["params"] for optimizer in (ours, plain, damped)), strict=True
    ):
        torch.testing.assert_close(mine, (1 - nu) * one + nu * other, rtol=1e-13, atol=1e-13)
