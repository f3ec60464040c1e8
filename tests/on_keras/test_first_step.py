"""Which step is the first, and what the initial speed and ψ have to do with it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from indian_core import ALPHA
from indian_keras import INDIAN, PowerDecay
from tests.on_keras.runs import (
    BACKEND,
    apply,
    array,
    arrays,
    assert_close,
    gradients,
    only_on,
    paper,
    starts,
    variables,
)

TOLERANCE = 1e-12

pytestmark = pytest.mark.usefixtures("float64")


def psis(optimizer: INDIAN, theta: list) -> list[np.ndarray]:
    return arrays([optimizer.psi(v) for v in theta])


@pytest.mark.parametrize("initial_speed", [1.0, 0.1, 0.0, 3.0])
@pytest.mark.parametrize("schedule", [0.25, PowerDecay(0.5, 0.25)], ids=["constant", "decaying"])
def test_the_run_is_the_papers(initial_speed: float, schedule: object) -> None:
    theta = variables()
    optimizer = INDIAN(schedule, alpha=0.5, beta=0.1, initial_speed=initial_speed)
    for k in range(8):
        apply(optimizer, theta, gradients(k))
    lrs = [0.25 if schedule == 0.25 else 0.5 * (k + 1) ** -0.25 for k in range(8)]
    expected_theta, expected_psi = paper(lrs, 0.5, 0.1, initial_speed)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


@pytest.mark.parametrize("beta", [0.1, 0.75])
def test_the_default_is_a_start_from_rest_at_the_present_beta(beta: float) -> None:
    theta = variables()
    optimizer = INDIAN(0.25)
    optimizer.beta = beta
    for k in range(4):
        apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper([0.25] * 4, ALPHA, beta, beta)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


def test_the_initial_velocity_is_minus_s_times_the_gradient() -> None:
    theta = variables()
    optimizer = INDIAN(0.125, initial_speed=0.75)
    apply(optimizer, theta, gradients(0))
    moved = [(array(v) - t) / 0.125 for v, t in zip(theta, starts(), strict=True)]
    assert_close(moved, [-0.75 * v for v in gradients(0)], TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}], ids=["", "summed"])
def test_a_step_with_a_rate_of_zero_is_not_the_first(options: dict) -> None:
    """A warm-up that starts at zero: the run begins with the first gradient that moves it."""
    theta = variables()
    optimizer = INDIAN(0.0, alpha=0.5, beta=0.1, initial_speed=1.0, **options)
    times = options.get("gradient_accumulation_steps", 1)
    for _ in range(times):
        apply(optimizer, theta, gradients(9))
    assert_close([*theta, *optimizer.momentums], [*starts(), *np.zeros(3)], 0)
    optimizer.learning_rate = 0.25
    for k in range(3):
        for _ in range(times):
            apply(optimizer, theta, gradients(k))
    assert_close(theta, paper([0.25] * 3, 0.5, 0.1, 1.0)[0], TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}], ids=["", "summed"])
def test_the_counter_set_back_is_no_new_start(options: dict) -> None:
    """As users do for a warm restart of a schedule."""
    theta = variables()
    optimizer = INDIAN(PowerDecay(0.5, 0.25), alpha=0.5, beta=0.1, initial_speed=1.0, **options)
    lrs = [0.5, 0.5 * 2**-0.25, 0.5, 0.5 * 2**-0.25]
    if options:  # Keras counts minibatches; the rate of a step is that of its last.
        lrs = [0.5 * 2**-0.25, 0.5 * 4**-0.25] * 2
    for k in range(4):
        if k == 2:
            optimizer._iterations.assign(0)
        for _ in range(options.get("gradient_accumulation_steps", 1)):
            apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper(lrs, 0.5, 0.1, 1.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


def test_psi_given_before_the_first_step_is_the_initial_one() -> None:
    theta = variables()
    optimizer = INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0)
    optimizer.build(theta)
    # This ψ_0 is that of the gradients number 0; the run goes on with those from number 0, but
    # a second start, at them, would give another initial speed than 3.
    _, psi_0 = paper([], 0.5, 0.1, 3.0)
    for v, p in zip(theta, psi_0, strict=True):
        optimizer.set_psi(v, p)
    assert_close(psis(optimizer, theta), psi_0, TOLERANCE)
    for k in range(4):
        apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper([0.25] * 4, 0.5, 0.1, 3.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


def test_psi_given_before_the_first_step_survives_saving() -> None:
    theta, other = variables(), variables()
    optimizer, restored = (INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0) for _ in range(2))
    optimizer.build(theta)
    restored.build(other)
    _, psi_0 = paper([], 0.5, 0.1, 3.0)
    for v, p in zip(theta, psi_0, strict=True):
        optimizer.set_psi(v, p)
    store: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(store)
    restored.load_own_variables(store)
    apply(restored, other, gradients(0))
    assert_close(other, paper([0.25], 0.5, 0.1, 3.0)[0], TOLERANCE)


def test_the_first_step_is_the_first_full_one_under_gradient_accumulation() -> None:
    theta = variables()
    optimizer = INDIAN(0.25, alpha=0.5, beta=0.1, gradient_accumulation_steps=3, initial_speed=1.0)
    parts = np.array([0.5, 1.0, 1.5])
    for k in range(4):
        for part in parts:
            before = arrays(theta)
            apply(optimizer, theta, [part * v for v in gradients(k)])
            if part != parts[-1]:
                assert_close(theta, before, 0)
    expected_theta, expected_psi = paper([0.25] * 4, 0.5, 0.1, 1.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


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


@pytest.mark.parametrize("alpha_lr", [1.0, 1 + 2.0**-30, 0.97, 1.5, 2.0])
def test_a_decay_of_zero_or_less_is_exact(alpha_lr: float) -> None:
    theta = variables()
    optimizer = INDIAN(alpha_lr / 4, alpha=4.0, beta=0.1, initial_speed=1.0)
    for k in range(6):
        apply(optimizer, theta, gradients(k))
    expected_theta, expected_psi = paper([alpha_lr / 4] * 6, 4.0, 0.1, 1.0)
    assert_close(theta, expected_theta, TOLERANCE)
    assert_close(psis(optimizer, theta), expected_psi, TOLERANCE)


@only_on("torch")
@pytest.mark.parametrize("alpha_lr", [0.5, 1.5])
def test_the_fused_kernel_never_gets_a_negative_momentum(
    alpha_lr: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA's refuses one."""
    import torch

    fused, decays = torch._fused_sgd_, []

    def spy(*tensors: list, momentum: float, **options: object) -> None:
        decays.append(momentum)
        fused(*tensors, momentum=momentum, **options)

    monkeypatch.setattr(torch, "_fused_sgd_", spy)
    apply(INDIAN(alpha_lr / 4, alpha=4.0, beta=0.1), variables(), gradients(0))
    assert decays == ([0.5] if alpha_lr == 0.5 else [])


def test_update_step_takes_a_bare_learning_rate() -> None:
    """It is Keras's public hook, called here as other optimizers' are."""
    theta = variables()
    optimizer = INDIAN(0.9, alpha=0.5, beta=0.1, initial_speed=1.0)
    optimizer.build(theta)
    for variable, gradient in zip(theta, gradients(0), strict=True):
        native = variable.value if BACKEND == "tensorflow" else variable
        optimizer.update_step(keras.ops.convert_to_tensor(gradient), native, 0.25)
    assert_close(theta, paper([0.25], 0.5, 0.1, 1.0)[0], TOLERANCE)


def test_psi_refuses_what_it_cannot_serve() -> None:
    theta = variables()
    optimizer = INDIAN()
    with pytest.raises(ValueError, match="This optimizer has no ψ yet"):
        optimizer.psi(theta[0])
    optimizer.build(theta)
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.psi(keras.Variable([1.0]))
    with pytest.raises(ValueError, match=r"Invalid psi: its shape is \(2,\).*is \(3, 2\)"):
        optimizer.set_psi(theta[0], [1.0, 2.0])
    overwritten = keras.Variable([1.0])
    overwritten.overwrite_with_gradient = True
    other = INDIAN()
    other.build([overwritten])
    for call in (lambda: other.psi(overwritten), lambda: other.set_psi(overwritten, [1.0])):
        with pytest.raises(ValueError, match="has no ψ: it is overwritten with its gradient"):
            call()
    assert int(array(other.start)) == 0
    assert int(array(optimizer.start)) == 0
    assert_close(optimizer.momentums, [np.zeros_like(v) for v in starts()], 0)
