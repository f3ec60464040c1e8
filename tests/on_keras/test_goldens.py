"""keras.optimizers.SGD, which nobody here wrote, under the exact identities."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from indian_core import from_gradient_descent
from indian_keras import INDIAN
from tests.on_keras.runs import apply, arrays, assert_close, gradients, variables

STEPS = 30

# γ = 1/8, and powers of two throughout: Keras on TensorFlow rounds its own SGD's numbers to
# float32 on their way into float64.
LR = 2.0**-6
MOMENTUM = 0.875

pytestmark = pytest.mark.usefixtures("float64")


def run(optimizer: keras.optimizers.Optimizer) -> list:
    theta = variables()
    for k in range(STEPS):
        apply(optimizer, theta, gradients(k))
    return arrays(theta)


@pytest.mark.parametrize("weight_decay", [None, 0.25], ids=["", "decayed"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, MOMENTUM, 0.5, 2.0**-5])
def test_sgd(momentum: float, nesterov: bool, weight_decay: float | None) -> None:
    """Keras's weight decay is decoupled, and multiplied by the learning rate."""
    arguments = {"momentum": momentum, "weight_decay": weight_decay}
    if nesterov and not momentum:
        with pytest.raises(ValueError, match="Nesterov momentum requires a momentum > 0"):
            INDIAN.from_sgd(LR, nesterov=True, **arguments)
        return
    ours = INDIAN.from_sgd(LR, nesterov=nesterov, **arguments)
    theirs = keras.optimizers.SGD(LR, nesterov=nesterov, **arguments)
    assert_close(run(ours), run(theirs), 1e-12)


class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """A warm-up from 0 and a decay, in powers of two."""

    def __call__(self, step: Any) -> Any:
        rates = [0.0, 2.0**-8, 2.0**-7, 2.0**-6, 2.0**-6, 2.0**-7, 2.0**-8, 0.0]
        return keras.ops.convert_to_tensor(rates, "float64")[keras.ops.minimum(step // 4, 7)]


@pytest.mark.parametrize("weight_decay", [None, 0.25], ids=["", "decayed"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_under_a_schedule(nesterov: bool, weight_decay: float | None) -> None:
    numbers = {"momentum": MOMENTUM, "nesterov": nesterov, "weight_decay": weight_decay}
    ours = INDIAN.from_sgd(Decay(), **numbers)
    assert_close(run(ours), run(keras.optimizers.SGD(Decay(), **numbers)), 1e-12)


@pytest.mark.parametrize("weight_decay", [None, 0.25], ids=["", "decayed"])
def test_damping_of_one_is_gradient_descent_at_sgds_step_size(weight_decay: float | None) -> None:
    """η = lr/(1 − m); the decay of θ stays SGD's, lr times its own."""
    ours = INDIAN.from_sgd(LR, MOMENTUM, damping=1.0, weight_decay=weight_decay)
    decay = weight_decay and weight_decay * (1 - MOMENTUM)
    theirs = keras.optimizers.SGD(LR / (1 - MOMENTUM), weight_decay=decay)
    assert_close(run(ours), run(theirs), 1e-12)


def test_damping_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Invalid damping: 2\.0"):
        INDIAN.from_sgd(LR, MOMENTUM, damping=2.0)
    with pytest.raises(ValueError, match=r"Invalid weight_decay value: -0\.5"):
        INDIAN.from_sgd(LR, MOMENTUM, weight_decay=-0.5)


@pytest.mark.parametrize("beta", [0.1, 0.25, 2.0])
def test_gradient_descent_at_any_beta(beta: float) -> None:
    lr, alpha, beta, initial_speed = from_gradient_descent(LR, beta)
    ours = INDIAN(lr, alpha, beta, initial_speed)
    assert_close(run(ours), run(keras.optimizers.SGD(LR)), 1e-12)


@pytest.mark.parametrize("clip", [{"clipnorm": 0.5}, {"clipvalue": 0.5}, {"global_clipnorm": 0.5}])
def test_clipping_comes_before_the_step(clip: dict[str, float]) -> None:
    ours = INDIAN.from_sgd(LR, MOMENTUM, **clip)
    theirs = keras.optimizers.SGD(LR, momentum=MOMENTUM, **clip)
    assert_close(run(ours), run(theirs), 1e-12)


def test_exclude_from_weight_decay() -> None:
    def excluding(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        optimizer.exclude_from_weight_decay(var_names=["theta_1"])
        return optimizer

    ours = run(excluding(INDIAN.from_sgd(LR, MOMENTUM, weight_decay=0.25)))
    theirs = run(excluding(keras.optimizers.SGD(LR, momentum=MOMENTUM, weight_decay=0.25)))
    free = run(INDIAN.from_sgd(LR, MOMENTUM))
    assert_close(ours, theirs, 1e-12)
    assert_close([ours[1]], [free[1]], 0)
    assert abs(ours[0] - free[0]).max() > 1e-3


def test_the_moving_average_of_the_variables() -> None:
    ema = {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 4}
    ours = INDIAN.from_sgd(LR, MOMENTUM, **ema)
    theirs = keras.optimizers.SGD(LR, momentum=MOMENTUM, **ema)
    assert_close(run(ours), run(theirs), 1e-12)


def test_loss_scale_factor() -> None:
    ours = INDIAN.from_sgd(LR, MOMENTUM, loss_scale_factor=8.0)
    theirs = keras.optimizers.SGD(LR, momentum=MOMENTUM, loss_scale_factor=8.0)
    assert_close(run(ours), run(theirs), 1e-12)


def test_gradient_accumulation() -> None:
    ours = INDIAN.from_sgd(LR, MOMENTUM, gradient_accumulation_steps=4)
    theirs = keras.optimizers.SGD(LR, momentum=MOMENTUM, gradient_accumulation_steps=4)
    assert_close(run(ours), run(theirs), 1e-12)
