"""What people's scripts do to an optimizer: write numbers, subclass it, step by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop
from tests.on_keras.runs import (
    NUMBERS,
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    each_method,
    fit,
    gradients,
    model,
    program,
    steps,
    variables,
)

# What is written into an attribute is used at the next step, or refused.


@each_method
def test_every_number_takes_effect_at_the_next_step(method: Any, float64: None) -> None:
    """Written one by one before a step, they make the step of an optimizer that has them."""
    theta, other = variables(), variables()
    edited, made = method(0.25), method(0.125, **NUMBERS[method])
    apply(edited, theta, gradients(0))
    made.build(other)
    for new, old in zip([*other, *made.variables], [*theta, *edited.variables], strict=True):
        new.assign(array(old))
    for name, value in NUMBERS[method].items():
        setattr(edited, name, value)
    for optimizer, of_its_own in ((edited, theta), (made, other)):
        optimizer.learning_rate = 0.125
        apply(optimizer, of_its_own, gradients(1))
    assert_close([*theta, *edited.momentums], arrays([*other, *made.momentums]), 1e-12)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        (DampedSGD, "nesterov", "no"),
        # Numbers of other methods.
        (INDIAN, "momentum", 0.9),
        (INNAprop, "beta_1", 0.9),
        (INNAprop, "initial_speed", 1.0),
        (DampedSGD, "alpha", 0.1),
        (DampedAdamW, "nesterov", True),
    ],
)
def test_what_a_method_has_not_is_refused_by_name(method: Any, name: str, value: Any) -> None:
    optimizer = method()
    before = optimizer.get_config()
    with pytest.raises((TypeError, AttributeError), match=name):
        setattr(optimizer, name, value)
    assert optimizer.get_config() == before


@pytest.mark.parametrize(
    ("optimizer", "name", "value"),
    [
        (DampedSGD(0.1, damping=0.3), "momentum", 0.5),
        (DampedSGD(0.1, damping=0.3), "nesterov", True),
        (DampedAdamW(0.1), "beta_1", 0.5),
        (DampedAdamW(0.1), "damping", None),
    ],
    ids=lambda value: getattr(value, "method", str(value)),
)
def test_numbers_that_do_not_go_together_are_refused_in_the_step(
    optimizer: Any, name: str, value: Any
) -> None:
    theta = variables()
    apply(optimizer, theta, gradients(0))
    setattr(optimizer, name, value)
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises((TypeError, ValueError), match="damping"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.variables], before)


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """A damping of 1/4, 1/2, 3/4, 1, 1, …"""

    def __call__(self, step: Any) -> Any:
        return ops.minimum((ops.cast(step, "float32") + 1) / 4, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(("method", "name"), [(DampedSGD, "momentum"), (DampedAdamW, "beta_1")])
def test_a_scheduled_damping_works_in_a_program(method: Any, name: str, float64: None) -> None:
    scheduled = method(0.125, damping=Rising(), **{name: 0.875})
    edited = method(0.125, **{name: 0.875})
    theta, other = variables(), variables()
    step = program(scheduled, theta)
    for k in range(5):
        edited.damping = min((k + 1) / 4, 1.0)
        step(gradients(k))
        apply(edited, other, gradients(k))
    assert_close(theta, arrays(other), 1e-12)
    copy = method.from_config(scheduled.get_config(), {"Rising": Rising})
    assert isinstance(copy.damping, Rising)
    assert copy.get_config() == scheduled.get_config()


def test_a_scheduled_damping_is_checked_where_its_values_are_known() -> None:
    theta = variables()
    falling = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    optimizer = DampedSGD(0.125, 0.5, damping=falling)
    steps(optimizer, theta, 0, 2)  # The second is 1 − m.
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises(ValueError, match=r"damping: 0\.25"):
        apply(optimizer, theta, gradients(2))
    assert_same_bits([*theta, *optimizer.variables], before)
    with pytest.raises(ValueError, match="damping"):
        DampedSGD(0.125, 0.5, nesterov=True, damping=Rising())


class Ended(keras.optimizers.schedules.LearningRateSchedule):
    """As PolynomialDecay and others end."""

    def __call__(self, step: Any) -> Any:
        return ops.where(step < 1, 0.25, -3e-18)


@each_method
@pytest.mark.parametrize("kind", ["schedule", "variable"])
def test_rounding_dust_is_a_rate_of_zero(method: Any, kind: str) -> None:
    theta, other = variables(), variables()
    optimizer, stopped = method(Ended() if kind == "schedule" else 0.25), method(0.25)
    apply(optimizer, theta, gradients(0))
    apply(stopped, other, gradients(0))
    stopped.learning_rate = 0.0
    if kind == "variable":
        optimizer.variables[1].assign(-3e-18)
    apply(optimizer, theta, gradients(1))
    apply(stopped, other, gradients(1))
    assert_same_bits(theta, arrays(other))
    if kind == "variable":  # It is in a checkpoint too.
        store: dict[str, np.ndarray] = {}
        optimizer.save_own_variables(store)
        stopped.load_own_variables(store)


# Subclasses and steps by hand.


@each_method
def test_a_subclass_s_update_step_is_used(method: Any) -> None:
    class Frozen(method):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * 0)

    theta = variables()
    steps(Frozen(learning_rate=0.1), theta, 0, 3)
    assert_same_bits(theta, arrays(variables()))


def test_a_subclass_s_direction_is_used_in_a_fit() -> None:
    """SGD on the signs of the gradients, and its own rate for each layer, as users write it."""

    def signs(base: type) -> Any:
        class Signs(base):
            def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
                factor = 2.0 if len(variable.shape) == 2 else 1.0
                super().update_step(ops.sign(gradient), variable, learning_rate * factor)

        return Signs

    ends = []
    for base in (keras.optimizers.SGD, DampedSGD):
        made = model(signs(base)(0.125, momentum=0.5))
        fit(made)
        ends.append(arrays(made.trainable_variables))
    assert_close(*ends, 1e-5)


def test_an_update_step_of_the_instance_is_used() -> None:
    optimizer, theta = DampedSGD(0.1), variables()
    optimizer.build(theta)
    object.__setattr__(optimizer, "update_step", lambda *arguments: None)
    apply(optimizer, theta, gradients(0))
    assert_same_bits(theta, arrays(variables()))


@pytest.mark.parametrize("base", [INNAprop, DampedSGD])
def test_other_hooks_of_keras_are_used(base: Any) -> None:
    assigned = []

    class Watched(base):
        def assign(self, variable: Any, value: Any) -> None:
            assigned.append(variable)
            super().assign(variable, value)

        def _apply_weight_decay(self, variables: Any) -> None:
            pass

    theta, other = variables(), variables()
    steps(Watched(0.1, weight_decay=0.5), theta, 0, 2)
    steps(base(0.1, weight_decay=None), other, 0, 2)
    assert_close(theta, arrays(other), 1e-6)
    assert assigned


@each_method
@pytest.mark.parametrize("decay", [None, 0.5])
def test_update_step_from_outside_is_the_same_step(
    method: Any, decay: float | None, float64: None
) -> None:
    """As Lookahead and wrappers for several devices call it, with the count kept by them."""
    one, two = (method(0.25, weight_decay=decay) for _ in range(2))
    a, b = variables(), variables()
    two.build(b)
    for k in range(6):
        apply(one, a, gradients(k))
        for gradient, variable in zip(gradients(k), b, strict=True):
            two.update_step(ops.convert_to_tensor(gradient), variable, two.learning_rate)
        two.iterations.assign_add(1)
    assert_close(b, arrays(a), 1e-12)
    # And then by Keras again.
    steps(one, a, 6, 7)
    steps(two, b, 6, 7)
    assert_close(b, arrays(a), 1e-12)
