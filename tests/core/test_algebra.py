"""Properties of the algebra, on random hyperparameters, step sizes and gradients."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indian_core import (
    SMALLEST_DECAY,
    as_nesterov_sgd,
    coefficients,
    initial_psi,
    momentum_from_psi,
    psi_from_momentum,
    step,
)

# Dyadic rationals: Fractions make of them what they are, and nothing is rounded.
alphas = st.fractions(0, 8, max_denominator=64)
betas = st.fractions(Fraction(1, 64), 8, max_denominator=64)
speeds = st.fractions(0, 4, max_denominator=64)
rates = st.fractions(0, 2, max_denominator=64)
numbers = st.fractions(-8, 8, max_denominator=64)
steps = st.lists(st.tuples(rates, numbers), min_size=1, max_size=12)


@given(numbers, numbers, alphas, betas)
def test_the_change_of_variables_inverts(
    theta: Fraction, psi: Fraction, alpha: Fraction, beta: Fraction
) -> None:
    momentum = momentum_from_psi(theta, psi, alpha, beta)
    assert psi_from_momentum(theta, momentum, alpha, beta) == psi
    # The paper's own definition, in the proof of Theorem 14.
    assert momentum == (alpha - 1 / beta) * theta + psi / beta


@given(numbers, steps, alphas, betas, speeds)
def test_the_momentum_form_is_the_phase_space_form_exactly(
    theta: Fraction,
    steps: list[tuple[Fraction, Fraction]],
    alpha: Fraction,
    beta: Fraction,
    speed: Fraction,
) -> None:
    theirs, ours, momentum = theta, theta, Fraction(0)
    psi = initial_psi(theta, steps[0][1], alpha, beta, speed)
    for k, (lr, v) in enumerate(steps):
        theirs, psi = step(theirs, psi, v, lr, alpha, beta)
        a, b, c, d = coefficients(lr, alpha, beta, speed, first=k == 0)
        ours, momentum = ours + a * momentum + b * v, c * momentum + d * v
        assert ours == theirs
        assert psi_from_momentum(ours, momentum, alpha, beta) == psi


@given(numbers, alphas, betas, speeds)
def test_the_initial_velocity_is_minus_speed_times_the_gradient(
    v: Fraction, alpha: Fraction, beta: Fraction, speed: Fraction
) -> None:
    theta, lr = Fraction(3), Fraction(1, 8)
    psi = initial_psi(theta, v, alpha, beta, speed)
    moved, _ = step(theta, psi, v, lr, alpha, beta)
    assert (moved - theta) / lr == -speed * v


@given(numbers, steps, alphas, betas, speeds)
def test_one_sgd_call_on_a_scaled_buffer_is_the_same_step(
    theta: Fraction,
    steps: list[tuple[Fraction, Fraction]],
    alpha: Fraction,
    beta: Fraction,
    speed: Fraction,
) -> None:
    """Against the exact step from the same θ and w, so that errors do not build up."""
    scale, buffer, position = 1.0, 0.0, float(theta)
    for k, (lr, v) in enumerate(steps):
        scalars = coefficients(lr, alpha, beta, speed, first=k == 0)
        a, b, c, d = scalars
        call = as_nesterov_sgd(scalars, scale, fresh=k == 0)
        momentum = Fraction(buffer) / Fraction(scale)
        expected = Fraction(position) + a * momentum + b * v, c * momentum + d * v
        size = max(abs(x) for x in (Fraction(position), a * momentum, b * v, c * momentum, d * v))
        if call is None:
            assert k > 0
            assert lr == 0 or abs(c) < SMALLEST_DECAY or c == 1
            position, buffer = float(expected[0]), float(expected[1]) * scale
            continue
        buffer *= call.factor
        gradient = float(v)
        buffer = call.momentum * buffer + (1 - call.dampening) * gradient
        position -= call.lr * (gradient + call.momentum * buffer if call.nesterov else buffer)
        scale = call.scale
        assert np.isfinite([position, buffer, scale]).all()
        # Dividing by C loses at most log2(1/SMALLEST_DECAY) bits more than the step itself.
        tolerance = 1e-13 * float(size) / min(1.0, abs(float(c)) or 1.0)
        assert position == pytest.approx(float(expected[0]), rel=0, abs=tolerance)
        assert buffer / scale == pytest.approx(float(expected[1]), rel=0, abs=tolerance)


def test_the_scale_settles_where_the_docstring_says() -> None:
    alpha, beta, lr = 0.5, 0.3, 0.1
    scale = 1.0
    for k in range(60):
        call = as_nesterov_sgd(coefficients(lr, alpha, beta, 1.0, k == 0), scale, fresh=k == 0)
        assert call is not None
        scale = call.scale
    assert scale == pytest.approx(1 / ((1 - alpha * lr) * (beta - lr)), rel=1e-12)


def test_the_default_is_the_heavy_ball_kernel() -> None:
    """γ = β, where Nesterov's form has lr = 0: exactly, and an ulp away from it."""
    for lr in (0.1, np.nextafter(0.1, 1), np.nextafter(0.1, 0)):
        call = as_nesterov_sgd(coefficients(float(lr), 0.5, 0.1), 2.0)
        assert call is not None
        assert not call.nesterov
        assert call.scale == 2.0


def test_the_buffer_is_negated_once_when_the_rate_crosses_beta() -> None:
    scale, negations = 1.0, []
    for k, lr in enumerate(np.linspace(0.2, 0.05, 40)):
        call = as_nesterov_sgd(coefficients(float(lr), 0.5, 0.1, 1.0, k == 0), scale, k == 0)
        assert call is not None
        negations.append(call.factor == -1)
        scale = call.scale
    # Once into the sign of γ > β, after the free first step, and once across.
    assert sum(negations) == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("decay", [0.0, 1e-4])
def test_the_scale_follows_the_buffer_that_the_kernel_rounds(dtype: type, decay: float) -> None:
    """Without gradients w only decays: as much by the kernel's product as by the scale's."""
    buffer = dtype(0.7)
    scale, w = 1.0, 0.7
    for k in range(3000):
        lr = (200_000 + k) ** -0.5
        step = coefficients(lr, decay / lr, 0.1)
        call = as_nesterov_sgd(step, scale, dtype=dtype)
        w *= step.momentum_momentum
        if call is None:
            assert decay == 0
            continue
        assert float(dtype(call.momentum)) == call.momentum
        buffer = dtype(call.momentum) * (dtype(call.factor) * buffer)
        scale = call.scale
    unit = float(np.finfo(dtype).eps) / 2
    # Where nothing decays, nothing happens; else a product with a constant near 1 may be rounded
    # the same way each time, in the plain order too.
    assert buffer / scale == pytest.approx(w, rel=(3000 if decay else 4) * unit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_decay_a_constant_rate_has_a_call_and_a_jump_of_it_too(dtype: type) -> None:
    scale = 1.0
    for lr in [0.01] * 5 + [0.03] * 5 + [0.2] * 5:
        step = coefficients(lr, 0.0, 0.1)
        call = as_nesterov_sgd(step, scale, dtype=dtype)
        assert call is not None
        assert call.momentum == 1
        a = -call.lr * call.scale
        assert a == pytest.approx(step.theta_momentum, rel=4 * float(np.finfo(dtype).eps))
        assert (1 - call.dampening) / call.scale == pytest.approx(step.momentum_gradient, rel=1e-12)
        scale = call.scale


@pytest.mark.parametrize("lr", [0.0, 0.5 / 0.25])
def test_no_sgd_call_where_there_is_none(lr: float) -> None:
    assert as_nesterov_sgd(coefficients(lr, 0.5, 0.1), 1.0) is None


def test_coefficients_work_on_arrays_and_leave_them_alone() -> None:
    lrs = np.array([0.1, 0.2])
    kept = lrs.copy()
    together = coefficients(lrs, 0.5, 0.1, 1.0, np.array([1, 0]))
    for i, first in enumerate((True, False)):
        apart = coefficients(float(lrs[i]), 0.5, 0.1, 1.0, first)
        assert [float(c[i]) for c in together] == pytest.approx(list(apart), rel=1e-15)
    np.testing.assert_array_equal(lrs, kept)
