"""The methods are torch.optim's own, and QHM, at the numbers that the identities name."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import indian_core
from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop, PowerDecayLR
from tests.on_torch.runs import IMPLEMENTATIONS, advance, parameters, tensors

STEPS = 50
CLOSE: dict[str, float] = {"rtol": 1e-12, "atol": 1e-12}


def assert_same(ours: torch.optim.Optimizer, theirs: torch.optim.Optimizer) -> None:
    for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        for one, two in zip(mine["params"], other["params"], strict=True):
            torch.testing.assert_close(one, two, **CLOSE)


def assert_same_run(ours: torch.optim.Optimizer, theirs: torch.optim.Optimizer) -> None:
    for optimizer in (ours, theirs):
        advance(optimizer, [optimizer.param_groups[0]["lr"]] * STEPS)
    assert_same(ours, theirs)


def torchs_own(implementation: str, dtype: torch.dtype) -> dict[str, Any]:
    """Return the options of torch's own implementation of the same kind, which rounds alike."""
    fused = implementation == "fused" or (implementation == "automatic" and dtype == torch.float32)
    return {"foreach": implementation == "foreach", "fused": fused}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"maximize": True}])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_damped_sgd_is_torchs_sgd_whatever_is_written_into_its_group(
    implementation: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    draw = random.Random(0)
    ours = DampedSGD(parameters(dtype=dtype), lr=0.1, **options, **IMPLEMENTATIONS[implementation])
    theirs = torch.optim.SGD(
        parameters(dtype=dtype),
        lr=0.1,
        momentum=0.9,
        **options,
        **torchs_own(implementation, dtype),
    )
    for k in range(80):
        momentum = draw.choice([0.0, 0.3, 0.5, 0.9, 0.99])
        edit = {
            "lr": draw.choice([0.0, 1e-3, 0.02, 0.05]),
            "momentum": momentum,
            "nesterov": draw.random() < 0.5 and momentum > 0,
        }
        for optimizer in (ours, theirs):
            optimizer.param_groups[0].update(edit)
            advance(optimizer, [edit["lr"]], first=k)
    bound = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5}
    bound = {"atol": 1e-5} | bound
    for one, other in zip(ours.state.items(), theirs.state.items(), strict=True):
        torch.testing.assert_close(one[0], other[0], **bound)
        mine, buffer = one[1]["momentum_buffer"], other[1]["momentum_buffer"]
        if options:  # weight decay feeds on θ, and `maximize` is a sign elsewhere
            torch.testing.assert_close(mine, buffer, **bound)
        else:
            assert torch.equal(mine, buffer)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_at_momentum_0_there_is_no_buffer_and_one_that_is_there_stays(implementation: str) -> None:
    optimizer = DampedSGD(parameters(), momentum=0.0, **IMPLEMENTATIONS[implementation])
    advance(optimizer, [0.1] * 2)
    assert not any(optimizer.state.values())
    group = optimizer.param_groups[0]
    group["momentum"] = 0.9
    advance(optimizer, [0.1] * 2)
    before = [state["momentum_buffer"].clone() for state in optimizer.state.values()]
    group["momentum"] = 0.0
    advance(optimizer, [0.1] * 2)
    for state, buffer in zip(optimizer.state.values(), before, strict=True):
        assert torch.equal(state["momentum_buffer"], buffer)


def warm_up_and_cosine(optimizer: torch.optim.Optimizer) -> Any:
    parts = [
        lr_scheduler.LinearLR(optimizer, 1e-3, total_iters=10),
        lr_scheduler.CosineAnnealingLR(optimizer, 30),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[10])


SCHEDULES = {
    "warm-up and cosine": warm_up_and_cosine,
    "power": PowerDecayLR,
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=50),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 7),
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedulers_at_their_defaults_cycle_the_momentum_as_sgds(
    schedule: str, nesterov: bool, implementation: str
) -> None:
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": nesterov}
    ours = DampedSGD(parameters(), **options, **IMPLEMENTATIONS[implementation])
    theirs = torch.optim.SGD(parameters(), **options)
    schedulers = [SCHEDULES[schedule](optimizer) for optimizer in (ours, theirs)]
    for k in range(45):
        for optimizer, scheduler in zip((ours, theirs), schedulers, strict=True):
            advance(optimizer, [optimizer.param_groups[0]["lr"]], first=k)
            scheduler.step()
        assert ours.param_groups[0]["momentum"] == theirs.param_groups[0]["momentum"]
    assert_same(ours, theirs)


def test_groups_of_their_own() -> None:
    def groups() -> list[dict[str, Any]]:
        first, second, *rest = parameters()
        return [
            {"params": [first]},
            {"params": [second], "lr": 0.02, "nesterov": True},
            {"params": rest, "momentum": 0.5, "weight_decay": 0.1},
        ]

    ours, sgd = DampedSGD(groups(), 0.01, 0.9), torch.optim.SGD(groups(), 0.01, 0.9)
    for optimizer in (ours, sgd):
        lrs = [group["lr"] for group in optimizer.param_groups]
        for k in range(STEPS):
            for group, lr in zip(optimizer.param_groups, lrs, strict=True):
                shapes = [param.shape for param in group["params"]]
                for param, grad in zip(group["params"], tensors(k, shapes), strict=True):
                    param.grad = grad
                group["lr"] = lr
            optimizer.step()
    assert_same(ours, sgd)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_it_goes_on_from_sgds_own_state_dict(implementation: str, nesterov: bool) -> None:
    sgd = torch.optim.SGD(parameters(), lr=0.05, momentum=0.9, nesterov=nesterov)
    sgd.param_groups[0]["params"][1].requires_grad_(False)
    advance(sgd, [0.05] * 7)
    sgd.state[sgd.param_groups[0]["params"][2]]["momentum_buffer"] = None  # as SGD leaves it too
    ours = DampedSGD(parameters(), lr=1.0, **IMPLEMENTATIONS[implementation])
    with torch.no_grad():
        for one, other in zip(
            ours.param_groups[0]["params"], sgd.param_groups[0]["params"], strict=True
        ):
            one.copy_(other)
    options = {name: ours.param_groups[0][name] for name in ("foreach", "fused", "capturable")}
    ours.load_state_dict(sgd.state_dict())
    assert ours.param_groups[0]["lr"] == 0.05
    assert ours.param_groups[0]["nesterov"] is nesterov
    ours.param_groups[0].update(options)
    for optimizer in (sgd, ours):
        advance(optimizer, [0.05, 0.04, 0.0, 0.03] * 3, first=7)
    assert_same(ours, sgd)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_without_momentum_damped_adamw_is_adamw_with_beta_1_0(implementation: str) -> None:
    lrs = [0.01 * (k + 1) ** -0.5 for k in range(30)] + [0.0, 0.01]
    for betas in ((0.9, 0.95), (0.0, 0.95)):
        ours = DampedAdamW(
            parameters(), betas=betas, damping=1.0, **IMPLEMENTATIONS[implementation]
        )
        adamw = torch.optim.AdamW(parameters(), betas=(0.0, 0.95))
        for k, lr in enumerate(lrs):
            for optimizer in (ours, adamw):
                optimizer.param_groups[0]["weight_decay"] = 0.1 * (k % 3)
                advance(optimizer, [lr], first=k)
        assert_same(ours, adamw)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_damped_adamw_is_sgd_on_the_scaled_gradient(implementation: str) -> None:
    """At d = 1 − m² it is Nesterov's momentum of u, which torch's RMSprop divides out."""
    m, sigma, lr = 0.9, 0.99, 0.05
    ours = DampedAdamW(
        parameters(),
        lr,
        (m, sigma),
        eps=0.0,
        weight_decay=0.0,
        damping=1 - m * m,
        **IMPLEMENTATIONS[implementation],
    )
    theirs = parameters()
    sgd = torch.optim.SGD(theirs, lr * (1 - m), m, nesterov=True)
    zeros = [torch.nn.Parameter(torch.zeros_like(param)) for param in theirs]
    rmsprop = torch.optim.RMSprop(zeros, lr=1.0, alpha=sigma, eps=0.0)
    for k in range(20):
        advance(ours, [lr], first=k)
        advance(rmsprop, [1.0], first=k)
        for param, zero in zip(theirs, zeros, strict=True):
            param.grad = -zero.detach() * (1 - sigma ** (k + 1)) ** 0.5
            zero.data.zero_()
        sgd.step()
    for mine, other in zip(ours.param_groups[0]["params"], theirs, strict=True):
        torch.testing.assert_close(mine, other, **CLOSE)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("damping", [0.1, 0.19, 0.3, 0.7, 1.0])
def test_at_constant_numbers_the_two_laws_are_one(damping: float, implementation: str) -> None:
    options = IMPLEMENTATIONS[implementation]
    sgd = DampedSGD(parameters(), 0.04, 0.9, damping=damping, **options)
    phase = indian_core.equivalences.indian_from_damped_sgd(0.04, 0.9, damping)
    assert_same_run(sgd, INDIAN(parameters(), *phase, **options))
    adamw = DampedAdamW(
        parameters(), 0.04, (0.9, 0.99), damping=damping, weight_decay=0.1, **options
    )
    lr, alpha, beta, decay = indian_core.equivalences.innaprop_from_damped_adamw(
        0.04, 0.9, damping, 0.1
    )
    options = options | {"sigma": 0.99, "weight_decay": decay}
    assert_same_run(adamw, INNAprop(parameters(), lr, alpha, beta, **options))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
@pytest.mark.parametrize("implementation", ["foreach", "fused", "automatic", "capturable"])
def test_every_implementation_follows_edits_of_all_numbers(
    implementation: str, method: Any, dtype: torch.dtype
) -> None:
    """The buffers' scale moves with the momentum and the damping, and nobody sees it."""
    draw = random.Random(1)
    runs = [
        method(parameters(dtype=dtype), damping=0.3, **IMPLEMENTATIONS[each])
        for each in ("for-loop", implementation)
    ]
    for k in range(60):
        m, lr = draw.choice([0.0, 0.8, 0.9, 0.99]), draw.choice([0.0, 0.01, 0.05])
        d = draw.choice([1.0, 1 - m, 1 - m / 2])
        edit = {"damping": d, "weight_decay": draw.choice([0.0, 0.1])}
        edit |= {"momentum": m} if method is DampedSGD else {"betas": [m, 0.99]}
        for optimizer in runs:
            optimizer.param_groups[0].update(edit)
            advance(optimizer, [lr], first=k)
    bound = 1e-12 if dtype == torch.float64 else 1e-4
    pairs = zip(*(run.param_groups[0]["params"] for run in runs), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=bound, atol=bound)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_alpha_beta_1_is_gradient_descent(implementation: str) -> None:
    ours = INDIAN(parameters(), lr=0.1, alpha=10.0, beta=0.1, **IMPLEMENTATIONS[implementation])
    assert_same_run(ours, torch.optim.SGD(parameters(), lr=0.01))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("nu", [0.0, 0.7, 1.0])
def test_quasi_hyperbolic_momentum(nu: float, implementation: str) -> None:
    # QHM as its paper has it, made of two runs of torch's SGD: on given gradients its θ is the
    # average, with weights 1 − ν and ν, of plain SGD's and of damped momentum's.
    lr, momentum = 0.05, 0.9
    ours = DampedSGD(
        parameters(),
        lr * (1 - momentum),
        momentum,
        damping=1 - nu * momentum,
        **IMPLEMENTATIONS[implementation],
    )
    plain = torch.optim.SGD(parameters(), lr=lr)
    damped = torch.optim.SGD(parameters(), lr=lr * (1 - momentum), momentum=momentum)
    for optimizer in (ours, plain, damped):
        advance(optimizer, [optimizer.param_groups[0]["lr"]] * STEPS)
    for mine, one, other in zip(
        *(optimizer.param_groups[0]["params"] for optimizer in (ours, plain, damped)), strict=True
    ):
        torch.testing.assert_close(mine, (1 - nu) * one + nu * other, **CLOSE)
