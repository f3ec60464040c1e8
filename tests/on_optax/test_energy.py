"""The energy of a state: the paper's, and falling along small steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import PAPER, momentum_from_psi
from indian_core.energy import lyapunov_energy
from indian_core.testing import ReferenceINDIAN, problems
from indian_optax import energy, indian


def energies(
    problem: problems.Problem, lr: float, alpha: float, beta: float, steps: int
) -> tuple[np.ndarray, Any]:
    """E before each step, jitted with the step, and the gradients."""
    solver = indian(lr, alpha, beta, initial_speed=beta)
    params = [jnp.asarray(t) for t in problem.theta_0]
    batch = [jnp.asarray(b) for b in problem.batch(0)]

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        loss, v = jax.value_and_grad(lambda p: problem.loss(p, batch, jnp))(params)
        before = energy(state, loss)
        updates, state = solver.update(v, state)
        return (optax.apply_updates(params, updates), state), (before, v)

    _, (found, v) = jax.lax.scan(step, (params, solver.init(params)), length=steps)
    return np.asarray(found), v


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("make", [problems.quadratic, problems.valley])
def test_it_is_the_energy_of_the_papers_own_algorithm(make: Any) -> None:
    problem, lr, alpha, beta = make(), 0.003, 0.5, 0.2
    found, gradients = energies(problem, lr, alpha, beta, 60)
    reference = ReferenceINDIAN(problem.theta_0, alpha, beta, initial_speed=beta)
    for k in range(60):
        loss = problem.loss(reference.theta, problem.batch(k))
        psi = reference.psi
        squared = 0.0
        if psi is not None:
            for theta, y in zip(reference.theta, psi, strict=True):
                squared += float(np.sum(momentum_from_psi(theta, y, alpha, beta) ** 2))
        assert found[k] == pytest.approx(lyapunov_energy(loss, squared, alpha, beta), rel=1e-9)
        reference.step([np.asarray(v[k]) for v in gradients], lr)


@pytest.mark.usefixtures("x64")
def test_it_falls_at_every_small_step_and_along_the_nonsmooth_valley() -> None:
    for make in (problems.quadratic, problems.rosenbrock):
        found, _ = energies(make(), 1e-4, 0.5, 0.1, 2000)
        assert (np.diff(found) < 0).all()
    found, _ = energies(problems.valley(), 1e-3, 0.5, 0.1, 12_000)
    stretches = found[::500][found[::500] > 0.01]
    assert len(stretches) > 10
    assert (np.diff(stretches) < 0).all()


def test_it_finds_the_momentum_in_any_state() -> None:
    params = {"a": jnp.ones(2), "b": jnp.full(3, 2.0)}
    gradients = jax.tree.map(jnp.ones_like, params)
    found = []
    for solver in (
        indian(0.1, **PAPER),
        optax.chain(optax.clip(1.0), indian(0.1, **PAPER)),
        optax.partition(
            {"x": indian(0.1, **PAPER), "y": indian(0.1, **PAPER)},
            {"a": "x", "b": "y"},
        ),
        optax.inject_hyperparams(indian)(0.1, **PAPER),
    ):
        state = solver.init(params)
        _, state = solver.update(gradients, state, params)
        found.append(float(energy(state, 3.0)))
    # w_1 = (1 − αγ)(1 − β) + γ (1 − αβ) for each of five gradients of 1.
    w = 0.95 * 0.9 + 0.1 * 0.95
    np.testing.assert_allclose(found, 2 * 1.05 * 3 + 5 * w * w, rtol=1e-6)


def test_complex_and_16_bit_momenta_count() -> None:
    params = {"z": jnp.zeros(2, jnp.complex64), "h": jnp.zeros(2, jnp.bfloat16)}
    solver = indian(1.0, alpha=0.0, beta=0.1, initial_speed=0.1)
    gradients = {"z": jnp.full(2, 3 + 4j), "h": jnp.full(2, 2, jnp.bfloat16)}
    _, state = solver.update(gradients, solver.init(params))
    assert float(energy(state, 0.0)) == pytest.approx(2 * 25 + 2 * 4, rel=1e-6)


def test_a_16_bit_loss_is_not_rounded_again() -> None:
    state = indian(0.1, **PAPER).init(jnp.ones(3))
    found = energy(state, jnp.asarray(3.0, jnp.bfloat16))
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(6.3, rel=1e-6)


def test_parts_with_their_own_damping_count_by_it() -> None:
    """2 J + Σ ‖w_i‖²/(1 + α_i β_i), times the first one's 1 + αβ."""
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    solver = optax.partition(
        {"x": indian(0.1, 0.5, 0.1, 0.1), "y": indian(0.1, 2.0, 1.0, 1.0)}, {"a": "x", "b": "y"}
    )
    _, state = solver.update(params, solver.init(params), params)
    squares = 2 * (0.1 * 0.95) ** 2, 3 * (0.1 * -1.0) ** 2
    expected = 1.05 * (2 * 3.0 + squares[0] / 1.05 + squares[1] / 3)
    assert float(energy(state, 3.0)) == pytest.approx(expected, rel=1e-6)


def test_bad_input_is_refused() -> None:
    state = indian(0.1, **PAPER).init(jnp.ones(3))
    with pytest.raises(ValueError, match=r"Invalid loss: shape \(2,\)"):
        energy(state, jnp.ones(2))
    with pytest.raises(ValueError, match="complex64"):
        energy(state, jnp.array(1j))
    with pytest.raises(ValueError, match="holds no IndianState, so there is no energy"):
        energy(optax.adam(0.1).init(jnp.ones(3)), 1.0)
