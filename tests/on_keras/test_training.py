"""The first step, and what Keras's users do around a step: callbacks, freezing, programs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import ALPHA
from indian_keras import INDIAN, PowerDecay
from tests.on_keras.runs import (
    BACKEND,
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
    starts,
    steps,
    variables,
)

TOLERANCE = 1e-12
summed = pytest.mark.parametrize("times", [1, 2], ids=["", "summed"])


# Which step is the first.


def of(times: int) -> dict[str, Any]:
    return {"gradient_accumulation_steps": times} if times > 1 else {}


def test_the_default_is_a_start_from_rest_at_the_present_beta(float64: None) -> None:
    theta = variables()
    optimizer = INDIAN(0.25)
    optimizer.beta = 0.75
    steps(optimizer, theta, 0, 4)
    assert_close(theta, paper([0.25] * 4, ALPHA, 0.75, 0.75)[0], TOLERANCE)


@summed
def test_a_step_with_a_rate_of_zero_is_not_the_first(times: int, float64: None) -> None:
    """A warm-up that starts at zero: the run begins with the first gradient that moves it."""
    theta = variables()
    optimizer = INDIAN(0.0, alpha=0.5, beta=0.1, initial_speed=1.0, **of(times))
    for _ in range(times):
        apply(optimizer, theta, gradients(9))
    assert_close([*theta, *optimizer.momentums], [*starts(), *np.zeros(3)], 0)
    optimizer.learning_rate = 0.25
    for k in range(3):
        for _ in range(times):
            apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper([0.25] * 3, 0.5, 0.1, 1.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close([optimizer.psi(v) for v in theta], expected_psi, TOLERANCE)


@each_method
@summed
def test_the_counter_set_back_is_no_new_start(method: Any, times: int, float64: None) -> None:
    """As users do for a warm restart of a schedule."""
    theta, other = variables(), variables()
    optimizer, unbroken = (method(0.25, **of(times)) for _ in range(2))
    for k in range(4):
        if k == 2:
            optimizer.variables[0].assign(0)  # Keras's count of minibatches
        for _ in range(times):
            apply(optimizer, theta, gradients(k))
            apply(unbroken, other, gradients(k))
    assert_same_bits(theta, other)
    if optimizer.count is not None:
        assert int(array(optimizer.count)) == 4


def test_psi_given_before_the_first_step_survives_saving(float64: None) -> None:
    theta, other = variables(), variables()
    optimizer, restored = (INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0) for _ in range(2))
    optimizer.build(theta)
    restored.build(other)
    # As if the initial speed had been 3.
    _, psi_0 = paper([], 0.5, 0.1, 3.0)
    for v, p in zip(theta, psi_0, strict=True):
        optimizer.set_psi(v, p)
    store: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(store)
    restored.load_own_variables(store)
    apply(restored, other, gradients(0))
    assert_close(other, paper([0.25], 0.5, 0.1, 3.0)[0], TOLERANCE)


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


def test_a_variable_without_a_gradient_keeps_its_place_and_starts_from_rest(float64: None) -> None:
    theta = variables()
    optimizer = INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0)
    optimizer.build(theta)
    first, second = gradients(0), gradients(1)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([keras.ops.convert_to_tensor(v) for v in first[:2]] + [None], theta)
    assert_close([theta[2]], [starts()[2]], 0)
    apply(optimizer, theta, second)
    assert_close([theta[2]], [starts()[2] - 0.25 * 0.1 * second[2]], TOLERANCE)
    assert_close(theta[:2], paper([0.25] * 2, 0.5, 0.1, 1.0)[0][:2], TOLERANCE)


# Around a step.


@each_method
def test_every_way_of_compiling_makes_the_same_run(method: Any) -> None:
    runs = []
    for options in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}):
        if BACKEND == "torch" and options.get("jit_compile"):
            continue  # Inductor takes a minute.
        made = model(method(0.05), **options)
        fit(made, epochs=2)
        runs.append(arrays(made.trainable_variables))
    for compiled in runs[1:]:
        assert_close(compiled, runs[0], 1e-5)


def test_learning_rate_scheduler_is_the_schedule() -> None:
    by_callback, by_schedule = model(INDIAN(0.5)), model(INDIAN(PowerDecay(0.5)))
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.5 * (epoch + 1) ** -0.5)
    fit(by_callback, epochs=5, batch_size=64, callbacks=[callback])
    fit(by_schedule, epochs=5, batch_size=64)
    assert_close(by_callback.trainable_variables, arrays(by_schedule.trainable_variables), 1e-6)


@each_method
def test_constraints_leave_the_slots(method: Any, float64: None) -> None:
    """A projection moves θ and is no velocity."""
    theta, others = variables(), variables()
    for v in theta:
        v.constraint = keras.constraints.NonNeg()
    bound, free = method(0.25), method(0.25)
    steps(bound, theta, 0, 4)
    steps(free, others, 0, 4)
    assert all((array(v) >= 0).all() for v in theta)
    assert_same_bits(bound.momentums, free.momentums)


@pytest.mark.parametrize("lr", [0.125, 0.25, 0.5], ids=["lr < beta", "lr = beta", "lr > beta"])
def test_frozen_variables_keep_their_w(lr: float, float64: None) -> None:
    """Those that miss a step of the others go on from where they were."""
    theta = variables()
    optimizer = INDIAN(lr, alpha=0.5, beta=0.25, initial_speed=0.25)
    expected = arrays(theta)
    w = [np.zeros_like(t) for t in expected]
    optimizer.build(theta)
    for k, moving in enumerate([[0, 1, 2], [1, 2], [0], [2], [0, 1, 2], [0, 1]]):
        apply(optimizer, [theta[i] for i in moving], [gradients(k)[i] for i in moving])
        for i in moving:
            expected[i] = expected[i] - lr * (w[i] + 0.25 * gradients(k)[i])
            w[i] = (1 - 0.5 * lr) * w[i] + lr * (1 - 0.5 * 0.25) * gradients(k)[i]
    assert_close(theta, expected, 1e-12)
    assert_close(optimizer.momentums, w, 1e-12)


@only_on("tensorflow", "torch")  # on JAX Keras's fit refuses any optimizer of other variables
def test_frozen_and_thawed_under_the_same_optimizer() -> None:
    made = model(INDIAN(0.25))
    optimizer, hidden = made.optimizer, made.get_layer("hidden")
    fit(made)
    held = arrays([*hidden.weights, *optimizer.momentums[:2]])
    for trainable in (False, True):
        hidden.trainable = trainable
        made.compile(optimizer=optimizer, loss=made.loss)
        assert_same_bits([*hidden.weights, *optimizer.momentums[:2]], held)
        losses = fit(made, epochs=3)
        assert losses[-1] < losses[0]
    assert not np.array_equal(array(hidden.weights[0]), held[0])


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
