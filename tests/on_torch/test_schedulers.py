"""PowerDecayLR, and torch's averages. (Torch's schedulers: test_goldens.)"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from indian_torch import INDIAN, DampedAdamW, PowerDecayLR
from tests.on_torch.runs import momenta, parameters


def scheduled(scheduler: Any, count: int) -> list[float]:
    """Return the learning rates of the first group in so many steps."""
    used = []
    for _ in range(count):
        used.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        scheduler.step()
    return used


@pytest.mark.parametrize("power", [0.5, 0.25, 1.0, 0.0])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_power_decay(as_tensor: bool, power: float, method: Any) -> None:
    lr: Any = torch.tensor(0.3, dtype=torch.float64) if as_tensor else 0.3
    optimizer = method(parameters(), lr=lr)
    lrs = scheduled(PowerDecayLR(optimizer, power), 10)
    assert lrs == pytest.approx([0.3 * (k + 1) ** -power for k in range(10)], rel=1e-14)
    assert optimizer.param_groups[0]["lr"] is lr or not as_tensor


def test_power_decay_of_several_groups_resumes() -> None:
    def start() -> PowerDecayLR:
        first, second = parameters([(3,), (4,)])
        groups = [{"params": [first], "lr": 0.3}, {"params": [second], "lr": 0.6}]
        return PowerDecayLR(INDIAN(groups))

    broken, resumed = start(), start()
    scheduled(broken, 3)
    resumed.optimizer.load_state_dict(broken.optimizer.state_dict())
    resumed.load_state_dict(broken.state_dict())
    scheduled(resumed, 4)
    assert resumed.get_last_lr() == pytest.approx([0.3 * 8**-0.5, 0.6 * 8**-0.5], rel=1e-15)


def test_power_decay_from_a_later_epoch() -> None:
    optimizer = INDIAN(parameters(), lr=0.3)
    optimizer.param_groups[0]["initial_lr"] = 0.3
    assert PowerDecayLR(optimizer, last_epoch=7).get_last_lr() == [pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("power", "error"), [(-1.0, ValueError), (float("nan"), ValueError), ("0.5", TypeError)]
)
def test_power_decay_of_a_wrong_power(power: Any, error: type[Exception]) -> None:
    optimizer = INDIAN(parameters())
    with pytest.raises(error, match="power"):
        PowerDecayLR(optimizer, power)
    assert "initial_lr" not in optimizer.param_groups[0]


def test_schedulers_that_cycle_the_momentum() -> None:
    """Where there is none they say so, and β1 is one. (SGD's: test_goldens.)"""
    with pytest.raises(ValueError, match="momentum"):
        lr_scheduler.OneCycleLR(INDIAN(parameters()), 0.3, 12)
    optimizer = DampedAdamW(parameters(), damping=0.3)
    scheduled(lr_scheduler.OneCycleLR(optimizer, 0.3, 12), 4)
    assert optimizer.param_groups[0]["betas"][0] < 0.9


def test_averaged_weights_can_be_swapped_in_and_trained_on(method: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1, dtype=torch.float64)
    average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = method(model.parameters(), lr=0.05)
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
    before = momenta(optimizer)
    model.load_state_dict(average.module.state_dict())
    # θ has jumped; w has not.
    assert all(map(torch.equal, momenta(optimizer), before))
    assert train(20) < 0.5 * first
