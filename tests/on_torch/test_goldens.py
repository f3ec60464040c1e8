"""The methods are torch.optim's own at the numbers that the identities name."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, RMSprop, lr_scheduler, swa_utils

from indian_core import innaprop_from_damped_adamw
from indian_torch import DampedAdamW, DampedSGD, INNAprop, PowerDecayLR
from tests.on_torch.runs import (
    advance,
    assert_close,
    assert_same_run,
    copy_params,
    parameters,
    params_of,
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("given", [{}, {"weight_decay": 0.1}, {"maximize": True}], ids=str)
def test_damped_sgd_is_torchs_sgd_whatever_is_written_into_its_group(
    options: dict[str, Any], given: dict[str, Any], dtype: torch.dtype
) -> None:
    draw = random.Random(0)
    ours = DampedSGD(parameters(dtype=dtype), lr=0.1, **given, **options)
    # Torch's own implementation of the same kind, which rounds alike.
    theirs = SGD(
        parameters(dtype=dtype),
        momentum=0.9,
        **given,
        foreach=bool(options.get("foreach")) and "capturable" not in options,
        fused=bool(options.get("fused")),
    )
    for k in range(80):
        momentum = draw.choice([0.0, 0.3, 0.5, 0.9, 0.99])
        nesterov = draw.random() < 0.5 and momentum > 0
        lr = draw.choice([0.0, 1e-3, 0.02, 0.05])
        for optimizer in (ours, theirs):
            optimizer.param_groups[0].update({"momentum": momentum, "nesterov": nesterov})
            advance(optimizer, [lr], first=k)
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    assert_close(params_of(ours), params_of(theirs), bound)
    # Weight decay feeds on θ, and `maximize` is a sign elsewhere: else the buffers are SGD's own.
    for param, other in zip(params_of(ours), params_of(theirs), strict=True):
        buffers = (each.state[p]["momentum_buffer"] for each, p in ((ours, param), (theirs, other)))
        assert_close(*buffers, bound if given else 0)


def test_at_momentum_0_there_is_no_buffer_and_one_that_is_there_stays(
    options: dict[str, Any],
) -> None:
    optimizer = DampedSGD(parameters(), momentum=0.0, **options)
    advance(optimizer, [0.1] * 2)
    assert not any(optimizer.state.values())
    group = optimizer.param_groups[0]
    group["momentum"] = 0.9
    advance(optimizer, [0.1] * 2)
    before = [state["momentum_buffer"].clone() for state in optimizer.state.values()]
    group["momentum"] = 0.0
    advance(optimizer, [0.1] * 2)
    assert_close([state["momentum_buffer"] for state in optimizer.state.values()], before, 0)


@pytest.mark.parametrize("nesterov", [False, True])
def test_it_goes_on_from_sgds_own_state_dict(options: dict[str, Any], nesterov: bool) -> None:
    sgd = SGD(parameters(), lr=0.05, momentum=0.9, nesterov=nesterov)
    params_of(sgd)[1].requires_grad_(False)
    advance(sgd, [0.05] * 7)
    sgd.state[params_of(sgd)[2]]["momentum_buffer"] = None  # as SGD leaves it too
    ours = DampedSGD(parameters(), lr=1.0, **options)
    copy_params(sgd, ours)
    ours.load_state_dict(sgd.state_dict())
    group = ours.param_groups[0]
    assert (group["lr"], group["nesterov"]) == (0.05, nesterov)
    group.update({"foreach": None, "fused": None, "capturable": False, **options})
    for optimizer in (sgd, ours):
        advance(optimizer, [0.05, 0.04, 0.0, 0.03] * 3, first=7)
    assert_same_run(ours, sgd)


def test_sgds_state_goes_on_with_a_damping(options: dict[str, Any]) -> None:
    sgd, unbroken = SGD(parameters(), momentum=0.9), DampedSGD(parameters(), momentum=0.9)
    for optimizer in (sgd, unbroken):
        advance(optimizer, [0.05] * 7)
    ours = DampedSGD(parameters(), damping=0.3, **options)
    copy_params(sgd, ours)
    ours.load_state_dict(sgd.state_dict())
    ours.param_groups[0].update({"foreach": None, "fused": None, "capturable": False, **options})
    unbroken.param_groups[0]["damping"] = 0.3
    for optimizer in (ours, unbroken):
        advance(optimizer, [0.05] * 5, first=7)
    assert_same_run(ours, unbroken)


BETA = 0.4  # αβ = 1


@pytest.mark.parametrize(
    ("make", "rate"),
    [
        (lambda **given: DampedAdamW(parameters(), betas=(0.9, 0.95), damping=1.0, **given), 1.0),
        (lambda **given: DampedAdamW(parameters(), betas=(0.0, 0.95), damping=1.0, **given), 1.0),
        (lambda **given: INNAprop(parameters(), 0.1, 1 / BETA, BETA, 0.95, **given), BETA),
    ],
)
def test_without_momentum_it_is_adamw_with_beta_1_0(
    make: Callable[..., Any], rate: float, options: dict[str, Any]
) -> None:
    ours, adamw = make(**options), AdamW(parameters(), betas=(0.0, 0.95))
    for k, lr in enumerate([0.01 * (k + 1) ** -0.5 for k in range(30)] + [0.0, 0.01]):
        ours.param_groups[0]["weight_decay"] = 0.1 * (k % 3)
        adamw.param_groups[0]["weight_decay"] = 0.1 * (k % 3) / rate
        advance(ours, [lr], first=k)
        advance(adamw, [lr * rate], first=k)
    assert_close(params_of(ours), params_of(adamw))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("method", [DampedAdamW, INNAprop])
def test_at_sgds_dampings_it_is_sgd_on_the_scaled_gradient(
    method: Any, nesterov: bool, options: dict[str, Any]
) -> None:
    m, sigma, lr = 0.9, 0.99, 0.05
    damping = 1 - m * m if nesterov else 1 - m
    options = options | {"eps": 0.0, "weight_decay": 0.0}
    if method is DampedAdamW:
        ours = DampedAdamW(parameters(), lr, (m, sigma), damping=damping, **options)
    else:
        gamma, alpha, beta, _ = innaprop_from_damped_adamw(lr, m, damping)
        ours = INNAprop(parameters(), gamma, alpha, beta, sigma, **options)
    sgd = SGD(parameters(), lr * (1 - m), m, nesterov=nesterov)
    # u is what torch's RMSprop, whose V is uncorrected, would subtract of zeros.
    rmsprop = RMSprop([nn.Parameter(torch.zeros_like(p)) for p in params_of(sgd)], 1.0, sigma, 0.0)
    for k in range(20):
        advance(ours, [ours.param_groups[0]["lr"]], first=k)
        advance(rmsprop, [1.0], first=k)
        for param, zero in zip(params_of(sgd), params_of(rmsprop), strict=True):
            param.grad = -zero.detach() * (1 - sigma ** (k + 1)) ** 0.5
            zero.data.zero_()
        sgd.step()
    assert_close(params_of(ours), params_of(sgd))


Scheduler = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Scheduler] = {
    "PowerDecayLR": PowerDecayLR,
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda k: min(1.0, k / 4)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 3),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 8),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, 20),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), PowerDecayLR(o)], [3]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o
    ),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.05, anneal_epochs=4),
}


# Older SequentialLRs call step(epoch) themselves.
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("schedule", SCHEDULERS)
@pytest.mark.parametrize("nesterov", [False, True])
def test_schedulers_at_their_defaults_do_what_they_do_to_sgd(schedule: str, nesterov: bool) -> None:
    """Those that cycle the momentum as well. (Of the other methods: tests/conformance.)"""
    runs = [m(parameters(), lr=0.1, momentum=0.9, nesterov=nesterov) for m in (DampedSGD, SGD)]
    schedulers = [SCHEDULERS[schedule](optimizer) for optimizer in runs]
    for k in range(18):
        for optimizer, scheduler in zip(runs, schedulers, strict=True):
            advance(optimizer, [optimizer.param_groups[0]["lr"]], first=k)
            scheduler.step(*([1.0] if schedule == "ReduceLROnPlateau" else []))
    assert_same_run(*runs)
