"""The energy of a Keras run: the paper's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import ALPHA, BETA, momentum_from_psi
from indian_core.energy import lyapunov_energy
from indian_core.testing import ReferenceINDIAN, problems
from indian_keras import INDIAN, DampedSGD
from indian_keras.energy import energy


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [problems.quadratic, problems.valley])
def test_it_is_the_energy_of_the_papers_own_algorithm(make: Any) -> None:
    problem, lr, alpha, beta = make(), 2.0**-8, 0.5, 0.25
    theta = [keras.Variable(t, dtype="float64") for t in problem.theta_0]
    optimizer = INDIAN(lr, alpha, beta, initial_speed=beta)
    optimizer.build(theta)
    reference = ReferenceINDIAN(problem.theta_0, alpha, beta, initial_speed=beta)
    for k in range(40):
        at = [np.array(ops.convert_to_numpy(t)) for t in theta]
        loss = problem.loss(at, problem.batch(k))
        psi = reference.psi
        squared = 0.0
        if psi is not None:
            for t, y in zip(reference.theta, psi, strict=True):
                squared += float(np.sum(momentum_from_psi(t, y, alpha, beta) ** 2))
        found = energy(optimizer, ops.convert_to_tensor(loss, "float64"))
        assert float(found) == pytest.approx(lyapunov_energy(loss, squared, alpha, beta), rel=1e-9)
        v = problem.gradient(at, problem.batch(k))
        optimizer.apply([ops.convert_to_tensor(g, "float64") for g in v])
        reference.step(v, lr)


def test_mixed_precisions_loss_scaling_is_seen_through() -> None:
    inner = INDIAN(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(inner)
    theta = keras.Variable([1.0] * 3)
    scaled.build([theta])
    assert float(energy(scaled, 3.0)) == pytest.approx(2 * (1 + ALPHA * BETA) * 3)
    inner.momentums[0].assign(np.full(3, 2.0))
    assert float(energy(scaled, 3.0)) == pytest.approx(2 * (1 + ALPHA * BETA) * 3 + 12)


def test_variables_without_a_momentum_have_no_part_in_it() -> None:
    theta = [keras.Variable([1.0] * 3), keras.Variable([1.0])]
    theta[1].overwrite_with_gradient = True
    optimizer = INDIAN(0.1)
    optimizer.build(theta)
    optimizer.momentums[0].assign(np.full(3, 2.0))
    assert float(energy(optimizer, 3.0)) == pytest.approx(2 * (1 + ALPHA * BETA) * 3 + 12)


def test_bad_input_is_refused() -> None:
    for other in (keras.optimizers.SGD(), DampedSGD()):
        with pytest.raises(TypeError, match="optimizer"):
            energy(other, 1.0)
    with pytest.raises(ValueError, match="build"):
        energy(INDIAN(), 1.0)
    optimizer = INDIAN()
    optimizer.build([keras.Variable([1.0] * 3)])
    with pytest.raises(ValueError, match="loss"):
        energy(optimizer, np.ones(2))
