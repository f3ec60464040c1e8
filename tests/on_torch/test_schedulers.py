"""PowerDecayLR, and torch's own schedulers and averages around INDIAN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from indian_core import ALPHA, BETA
from indian_torch import INDIAN, PowerDecayLR
from tests.on_torch.runs import by_the_paper, parameters, tensors


def steps(optimizer: torch.optim.Optimizer, scheduler: Any, count: int) -> list[float]:
    """Make steps on given gradients, and return the learning rates that they were made with."""
    used = []
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for k in range(count):
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad
        used.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step(*((1.0,) if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else ()))
    return used


@pytest.mark.parametrize("power", [0.5, 0.25, 1.0, 0.0])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_power_decay(as_tensor: bool, power: float) -> None:
    lr: Any = torch.tensor(0.3, dtype=torch.float64) if as_tensor else 0.3
    params = parameters()
    optimizer = INDIAN(params, lr=lr)
    scheduler = PowerDecayLR(optimizer, power)
    lrs = steps(optimizer, scheduler, 10)
    torch.testing.assert_close(
        lrs, [0.3 * (k + 1) ** -power for k in range(10)], rtol=1e-14, atol=0
    )
    assert optimizer.param_groups[0]["lr"] is lr or not as_tensor


def test_power_decay_of_several_groups_resumes() -> None:
    def start() -> tuple[INDIAN, PowerDecayLR]:
        first, second = parameters([(3,), (4,)])
        optimizer = INDIAN([{"params": [first], "lr": 0.3}, {"params": [second], "lr": 0.6}])
        return optimizer, PowerDecayLR(optimizer)

    unbroken, broken, resumed = start(), start(), start()
    steps(*unbroken, 7)
    steps(*broken, 3)
    resumed[0].load_state_dict(broken[0].state_dict())
    resumed[1].load_state_dict(broken[1].state_dict())
    steps(*resumed, 4)
    assert resumed[1].get_last_lr() == unbroken[1].get_last_lr()
    assert unbroken[1].get_last_lr() == pytest.approx([0.3 * 8**-0.5, 0.6 * 8**-0.5], rel=1e-15)


def test_power_decay_from_a_later_epoch() -> None:
    optimizer = INDIAN(parameters(), lr=0.3)
    optimizer.param_groups[0]["initial_lr"] = 0.3
    assert PowerDecayLR(optimizer, last_epoch=7).get_last_lr() == [pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("power", "error"), [(-1.0, ValueError), (float("nan"), ValueError), ("0.5", TypeError)]
)
def test_power_decay_of_a_wrong_power(power: Any, error: type[Exception]) -> None:
    optimizer = INDIAN(parameters())
    with pytest.raises(error, match="Invalid power"):
        PowerDecayLR(optimizer, power)
    assert "initial_lr" not in optimizer.param_groups[0]


SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (k + 1)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 3),
    "LinearLR from 0": lambda o: lr_scheduler.LambdaLR(o, lambda k: min(1.0, k / 4)),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR to 0": lambda o: lr_scheduler.PolynomialLR(o, 8),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 3, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, 12, cycle_momentum=False),
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
@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("options", [{"foreach": False}, {"fused": True}])
def test_torchs_schedulers(name: str, options: dict[str, Any]) -> None:
    params = parameters()
    start = [param.detach().clone() for param in params]
    optimizer = INDIAN(params, lr=0.2, **options)
    lrs = steps(optimizer, SCHEDULERS[name](optimizer), 10)
    theta, _ = by_the_paper(start, lrs, ALPHA, BETA)
    for param, expected in zip(params, theta, strict=True):
        torch.testing.assert_close(param.detach(), expected, rtol=1e-12, atol=1e-12)


def test_momentum_cycling_schedulers_say_that_they_need_a_momentum() -> None:
    with pytest.raises(ValueError, match="optimizer must support momentum"):
        lr_scheduler.OneCycleLR(INDIAN(parameters()), 0.3, 12)


def test_averaged_weights_can_be_swapped_in_and_trained_on() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1, dtype=torch.float64)
    average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = INDIAN(model.parameters(), lr=0.05)
    inputs = torch.randn(32, 4, dtype=torch.float64)

    def train(count: int) -> float:
        for _ in range(count):
            optimizer.zero_grad()
            loss = (model(inputs) - inputs[:, :1]).square().mean()
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
        return loss.item()

    first = train(1)
    train(20)
    momenta = [state["momentum_buffer"].clone() for state in optimizer.state.values()]
    model.load_state_dict(average.module.state_dict())
    # θ has jumped; w has not.
    for momentum, state in zip(momenta, optimizer.state.values(), strict=True):
        assert torch.equal(momentum, state["momentum_buffer"])
    assert train(20) < 0.5 * first
