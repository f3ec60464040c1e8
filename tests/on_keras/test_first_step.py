"""Which step is the first, and what counts as a step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from indian_core import ALPHA
from indian_keras import INDIAN
from tests.on_keras.runs import (
    apply,
    array,
    assert_close,
    assert_same_bits,
    each_method,
    gradients,
    paper,
    starts,
    steps,
    variables,
)

TOLERANCE = 1e-12

pytestmark = pytest.mark.usefixtures("float64")
summed = pytest.mark.parametrize("times", [1, 2], ids=["", "summed"])


def of(times: int) -> dict[str, Any]:
    return {"gradient_accumulation_steps": times} if times > 1 else {}


def test_the_default_is_a_start_from_rest_at_the_present_beta() -> None:
    theta = variables()
    optimizer = INDIAN(0.25)
    optimizer.beta = 0.75
    steps(optimizer, theta, 0, 4)
    assert_close(theta, paper([0.25] * 4, ALPHA, 0.75, 0.75)[0], TOLERANCE)


@summed
def test_a_step_with_a_rate_of_zero_is_not_the_first(times: int) -> None:
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
def test_the_counter_set_back_is_no_new_start(method: Any, times: int) -> None:
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


def test_psi_given_before_the_first_step_survives_saving() -> None:
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


def test_the_first_step_is_the_first_that_loss_scaling_does_not_skip() -> None:
    theta = variables()
    inner = INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    apply(optimizer, theta, [np.full_like(v, np.inf) for v in gradients(0)])
    assert_close(theta, starts(), 0)
    assert float(array(optimizer.dynamic_scale)) == 2.0
    for k in range(3):
        apply(optimizer, theta, [2.0 * v for v in gradients(k)])
    assert_close(theta, paper([0.25] * 3, 0.5, 0.1, 1.0)[0], TOLERANCE)


def test_a_variable_without_a_gradient_keeps_its_place_and_starts_from_rest() -> None:
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
