"""The first step, and what people do around a step: write numbers, subclass, step by hand."""

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
    only_on,
    paper,
    program,
    starts,
    steps,
    variables,
)

TOLERANCE = 1e-12


# Which step is the first.


def test_a_sum_with_a_rate_of_zero_is_not_the_first_step(float64: None) -> None:
    """A warm-up that starts at zero: the run begins with the first gradient that moves it."""
    theta = variables()
    optimizer = INDIAN(0.0, alpha=0.5, beta=0.1, initial_speed=1.0, gradient_accumulation_steps=2)
    for _ in range(2):
        apply(optimizer, theta, gradients(9))
    assert_close([*theta, *optimizer.momentums], [*starts(), *np.zeros(3)], 0)
    optimizer.learning_rate = 0.25
    for k in range(3):
        for _ in range(2):
            apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper([0.25] * 3, 0.5, 0.1, 1.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close([optimizer.psi(v) for v in theta], expected_psi, TOLERANCE)


@each_method
@pytest.mark.parametrize("times", [1, 2], ids=["", "summed"])
def test_the_counter_set_back_is_no_new_start(method: Any, times: int, float64: None) -> None:
    """As users do for a warm restart of a schedule."""
    theta, other = variables(), variables()
    options = {"gradient_accumulation_steps": times} if times > 1 else {}
    optimizer, unbroken = (method(0.25, **options) for _ in range(2))
    for k in range(4):
        if k == 2:
            optimizer.variables[0].assign(0)  # Keras's count of minibatches
        for _ in range(times):
            apply(optimizer, theta, gradients(k))
            apply(unbroken, other, gradients(k))
    assert_same_bits(theta, other)
    if optimizer.count is not None:
        assert int(array(optimizer.count)) == 4


def test_the_first_step_is_the_first_that_loss_scaling_does_not_skip(float64: None) -> None:
    theta = variables()
    inner = INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    apply(optimizer, theta, [np.full_like(v, np.inf) for v in gradients(0)])
    assert_close(theta, starts(), 0)
    assert float(array(optimizer.dynamic_scale)) == 2.0
    for k in range(3):
        apply(optimizer, theta, [2.0 * v for v in gradients(k)])
    assert_close(theta, paper([0.25] * 3, 0.5, 0.1, 1.0)[0], TOLERANCE)


# Around a step.


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
@pytest.mark.parametrize("lr", [0.125, 0.25, 0.5], ids=["lr < beta", "lr = beta", "lr > beta"])
@pytest.mark.parametrize("given", ["None", "left out"])
def test_variables_that_miss_a_step_keep_their_w(lr: float, given: str, float64: None) -> None:
    """They go on from where they were, and start from rest if they miss the first step."""
    theta = variables()
    optimizer = INDIAN(lr, alpha=0.5, beta=0.25, initial_speed=1.0)
    expected, starting = arrays(theta), [0.75, 0.75, 0.0]
    w = [x * v for x, v in zip(starting, gradients(0), strict=True)]
    optimizer.build(theta)
    for k, moving in enumerate([[0, 1], [1, 2], [0], [2], [0, 1, 2], [0, 1]]):
        which = moving if given == "left out" else range(3)
        values = [ops.convert_to_tensor(v) for v in gradients(k)]
        optimizer.apply(
            [values[i] if i in moving else None for i in which], [theta[i] for i in which]
        )
        for i in moving:
            expected[i] = expected[i] - lr * (w[i] + 0.25 * gradients(k)[i])
            w[i] = (1 - 0.5 * lr) * w[i] + lr * (1 - 0.5 * 0.25) * gradients(k)[i]
    assert_close([*theta, *optimizer.momentums], [*expected, *w], 1e-12)


@only_on("jax", "torch")  # on TensorFlow Keras itself has none: its variables are assigned to
@each_method
def test_a_stateless_step_leaves_what_it_is_given(method: Any, float64: None) -> None:
    theta = variables()
    optimizer = method(0.25, weight_decay=0.125)
    optimizer.build(theta)
    values = [ops.convert_to_tensor(start) for start in starts()]
    state = [ops.copy(v.value) for v in optimizer.variables]
    before = arrays([*values, *state, *optimizer.variables, *theta])
    for _ in range(2):
        grads = [ops.convert_to_tensor(v) for v in gradients(0)]
        new_values, new_state = optimizer.stateless_apply(state, grads, values)
        assert_same_bits([*values, *state, *optimizer.variables, *theta], before)
        assert_same_bits(grads, gradients(0))
    apply(optimizer, theta, gradients(0))
    assert_close([*new_values, *new_state], arrays([*theta, *optimizer.variables]), 1e-15)


@only_on("jax")
@pytest.mark.parametrize("alpha", [0.5, 4.0], ids=["", "alpha lr = 1"])
def test_donated_buffers_are_updated_in_place(alpha: float) -> None:
    """θ is written from the old w: unordered, XLA would copy every w. See `on_graph`."""
    import jax

    theta = [keras.Variable(np.ones((64, 64)), dtype="float32") for _ in range(3)]
    optimizer = INDIAN(0.25, alpha=alpha)
    optimizer.build(theta)
    program = jax.jit(
        lambda values, state, grads: optimizer.stateless_apply(state, grads, values),
        donate_argnums=(0, 1),
    )
    values = [v.value for v in theta]
    compiled = program.lower(values, [v.value for v in optimizer.variables], values).compile()
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < 64 * 64 * 4
    assert memory.alias_size_in_bytes >= 2 * 3 * 64 * 64 * 4


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
    ("method", "name"),
    [(INDIAN, "momentum"), (INNAprop, "initial_speed"), (DampedSGD, "alpha")],
)
def test_a_number_that_a_method_has_not_is_refused(method: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        setattr(method(), name, 0.5)
    with pytest.raises(TypeError, match="nesterov"):
        DampedSGD().nesterov = "no"


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


# Subclasses and steps by hand.


@each_method
def test_an_update_step_of_the_instance_is_used(method: Any) -> None:
    optimizer, theta = method(0.1), variables()
    object.__setattr__(optimizer, "update_step", lambda *arguments: None)
    steps(optimizer, theta, 0, 2)
    assert_same_bits(theta, variables())


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
