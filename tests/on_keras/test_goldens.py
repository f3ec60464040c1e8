"""keras.optimizers.SGD and AdamW, which nobody here wrote: the same run, and the same slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from indian_keras import DampedAdamW, DampedSGD
from tests.on_keras.runs import (
    BACKEND,
    apply,
    arrays,
    assert_close,
    assert_same_bits,
    each_method,
    fit,
    gradients,
    model,
    steps,
    variables,
)

SGD, AdamW = keras.optimizers.SGD, keras.optimizers.AdamW
STEPS = 14

# Powers of two throughout: Keras on TensorFlow rounds its own SGD's numbers to float32 on their
# way into float64.
LR, MOMENTUM, DECAY = 2.0**-6, 0.875, 0.25

pytestmark = pytest.mark.usefixtures("float64")


def run(optimizer: Any, edit: Callable[[Any, int], None] | None = None) -> list[np.ndarray]:
    """Return θ and the momentum's slots after some steps, before each of which numbers change."""
    theta = variables()
    for k in range(STEPS):
        if edit is not None:
            edit(optimizer, k)
        apply(optimizer, theta, gradients(k))
    return arrays([*theta, *getattr(optimizer, "momentums", [])])


OPTIONS = [
    {},
    {"weight_decay": DECAY},
    {"clipnorm": 0.5},
    {"clipvalue": 0.5},
    {"global_clipnorm": 0.5},
    {"gradient_accumulation_steps": 4},
    {"loss_scale_factor": 8.0},
    {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 4},
]


each_option = pytest.mark.parametrize("options", OPTIONS, ids=" ".join)


@pytest.mark.parametrize("nesterov", [False, True], ids=["", "nesterov"])
@pytest.mark.parametrize("momentum", [0.0, MOMENTUM, 1.0])
def test_without_damping_it_is_sgd(momentum: float, nesterov: bool) -> None:
    numbers = {"momentum": momentum, "nesterov": nesterov}
    assert_close(run(DampedSGD(LR, **numbers)), run(SGD(LR, **numbers)), 1e-12)


@each_option
def test_what_keras_does_around_a_step_is_done_as_for_sgd(options: dict[str, Any]) -> None:
    numbers = {"momentum": MOMENTUM, "nesterov": True, **options}
    assert_close(run(DampedSGD(LR, **numbers)), run(SGD(LR, **numbers)), 1e-12)


def test_the_defaults_are_sgds_at_momentum_09() -> None:
    ours, theirs = DampedSGD(name="x").get_config(), SGD(momentum=0.9, name="x").get_config()
    assert ours == theirs | {"damping": None}
    ours, theirs = DampedAdamW(name="x").get_config(), AdamW(name="x").get_config()
    assert theirs.pop("amsgrad") is False
    assert ours == theirs | {"damping": 0.3}


def edit_everything(optimizer: Any, k: int) -> None:
    """Change every number at every step, to 0 and back too."""
    optimizer.learning_rate = [LR, 2 * LR, 0.0, LR / 2, 0.0, 4 * LR][k % 6]
    optimizer.momentum = [MOMENTUM, 0.5, 0.0, 1.0, 0.25, 0.75, 0.0][k % 7]
    optimizer.nesterov = bool(k // 2 % 2)
    optimizer.weight_decay = [None, DECAY, 0.0][k % 3]


def test_numbers_that_are_edited_at_every_step_are_sgds() -> None:
    ours, theirs = (make(LR, momentum=MOMENTUM) for make in (DampedSGD, SGD))
    assert_close(run(ours, edit_everything), run(theirs, edit_everything), 1e-12)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A warm-up from 0 and a decay, in powers of two."""

    def __call__(self, step: Any) -> Any:
        rates = [0.0, 2.0**-8, 2.0**-7, 2.0**-6, 2.0**-6, 2.0**-7, 2.0**-8, 0.0]
        return keras.ops.convert_to_tensor(rates, "float64")[keras.ops.minimum(step // 2, 7)]


def test_it_goes_on_from_sgds_own_variables() -> None:
    theirs, ours = SGD(LR, momentum=MOMENTUM), DampedSGD(1.0, momentum=MOMENTUM)
    theta, other = variables(), variables()
    steps(theirs, theta, 0, 5)
    store: dict[str, np.ndarray] = {}
    theirs.save_own_variables(store)
    ours.build(other)
    ours.load_own_variables(store)
    for ours_of, theirs_of in zip(other, theta, strict=True):
        ours_of.assign(theirs_of)
    steps(theirs, theta, 5, 10)
    steps(ours, other, 5, 10)
    assert_close([*other, *ours.momentums], arrays([*theta, *theirs.momentums]), 1e-15)


def test_built_without_momentum_it_has_no_slots_and_says_so() -> None:
    theta = variables()
    optimizer = DampedSGD(LR, momentum=0)
    apply(optimizer, theta, gradients(0))
    assert len(optimizer.variables) == len(SGD(LR).variables)
    optimizer.momentum = 0.5
    before = arrays(theta)
    with pytest.raises(ValueError, match="momentum"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits(theta, before)


def test_at_damping_1_it_is_gradient_descent_at_the_total_step_size() -> None:
    ours = DampedSGD(LR, momentum=MOMENTUM, damping=1.0, weight_decay=DECAY)
    theirs = SGD(LR / (1 - MOMENTUM), weight_decay=DECAY * (1 - MOMENTUM))
    assert_close(run(ours)[:3], run(theirs), 1e-12)


@each_option
def test_at_damping_1_it_is_adamw_without_momentum(options: dict[str, Any]) -> None:
    """At ε = 0, whose place is another in Keras."""
    numbers = {"beta_2": 0.9375, "epsilon": 0.0, "weight_decay": DECAY, **options}
    ours = DampedAdamW(Schedule(), beta_1=0.5, damping=1.0, **numbers)
    assert_close(run(ours)[:3], run(AdamW(Schedule(), beta_1=0.0, **numbers)), 1e-12)


@each_method
def test_excluded_variables_do_not_decay(method: Any) -> None:
    optimizers = [method(LR, weight_decay=decay) for decay in (8.0, None)]
    optimizers[0].exclude_from_weight_decay(var_names=["theta_1"])
    decayed, free = map(run, optimizers)
    assert_same_bits([decayed[1]], [free[1]])
    assert abs(decayed[0] - free[0]).max() > 1e-2


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"), reason="this Keras has no MultiOptimizer"
)
def test_one_of_several_optimizers_in_a_fit() -> None:
    """Each trains its own layer. Ours makes SGD's steps, so together they are SGD."""
    numbers = {"learning_rate": LR, "momentum": MOMENTUM}
    ours, theirs = DampedSGD(**numbers), SGD(**numbers)
    several = model(
        keras.optimizers.MultiOptimizer(lambda v: ours if "hidden" in v.path else theirs)
    )
    fit(several, epochs=2)
    assert len(ours.momentums) == len(theirs.momentums) == 2
    one = model(SGD(**numbers))
    fit(one, epochs=2)
    assert_close(several.trainable_variables, arrays(one.trainable_variables), 1e-5)


class Rates(keras.callbacks.Callback):
    """A callback that cycles the learning rate and the momentum, as fastai's and others do."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        assert hasattr(self.model.optimizer, "momentum")
        self.model.optimizer.learning_rate = LR * [1, 4, 2, 0, 1][epoch]
        self.model.optimizer.momentum = [0.875, 0.5, 0.75, 0.25, 0.0][epoch]


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {}], ids=["eager", "compiled"])
def test_a_callback_that_cycles_the_momentum_does_to_ours_what_it_does_to_sgd(
    options: dict,
) -> None:
    """Compiled, both keep the momentum that they were compiled with, except on torch."""
    options = options or {"jit_compile": BACKEND != "torch"}
    runs = []
    for make in (DampedSGD, SGD):
        made = model(make(LR, momentum=MOMENTUM), **options)
        fit(made, epochs=5, callbacks=[Rates()])
        runs.append(arrays(made.trainable_variables))
    assert_close(*runs, 1e-5)
