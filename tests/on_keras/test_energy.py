"""The energy of a Keras run: the paper's, and logged by a callback."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import ALPHA, BETA, momentum_from_psi
from indian_core.energy import lyapunov_energy
from indian_core.testing import ReferenceINDIAN, problems
from indian_keras import INDIAN
from indian_keras.energy import EnergyLogger, energy


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


def regression() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [-1.0], [0.5]], np.float32)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    return model, x, y


def squared_momentum(model: keras.Model) -> float:
    momentums = model.optimizer.momentums
    return sum(float(np.sum(np.square(ops.convert_to_numpy(w)))) for w in momentums)


def test_the_callback_logs_the_energy_of_the_moment() -> None:
    model, x, y = regression()
    model.compile(optimizer=INDIAN(0.01, alpha=0.5, beta=0.25, initial_speed=0.25), loss="mse")
    seen = []

    class Check(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            loss = self.model.evaluate(x, y, verbose=0)
            expected = lyapunov_energy(loss, squared_momentum(self.model), 0.5, 0.25)
            assert logs["energy"] == pytest.approx(expected, rel=1e-5)
            seen.append(logs["energy"])

    callbacks = [EnergyLogger(x, y, batch_size=64), Check()]
    history = model.fit(x, y, batch_size=64, epochs=8, verbose=0, callbacks=callbacks).history
    assert history["energy"] == seen
    assert (np.diff(seen) < 0).all()  # the whole data at each step, and small steps


def test_without_data_it_takes_the_loss_that_keras_logs() -> None:
    model, x, y = regression()
    model.compile(optimizer=INDIAN(0.01, alpha=0.5, beta=0.25), loss="mse")
    logger = EnergyLogger(name="E")
    history = model.fit(x, y, epochs=1, verbose=0, callbacks=[logger]).history
    expected = lyapunov_energy(history["loss"][-1], squared_momentum(model), 0.5, 0.25)
    assert history["E"][-1] == pytest.approx(expected, rel=1e-5)


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
    model, x, y = regression()
    model.compile(optimizer="sgd", loss="mse")
    weights = [np.array(w) for w in model.get_weights()]
    with pytest.raises(TypeError, match=r"Invalid optimizer: SGD \(it must be INDIAN or"):
        model.fit(x, y, verbose=0, callbacks=[EnergyLogger()])
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    with pytest.raises(ValueError, match="The optimizer has no momentum yet"):
        energy(INDIAN(), 1.0)
    optimizer = INDIAN()
    optimizer.build([keras.Variable([1.0] * 3)])
    with pytest.raises(ValueError, match=r"Invalid loss: shape \(2,\)"):
        energy(optimizer, np.ones(2))


def test_at_a_learning_rate_of_0_it_is_a_number() -> None:
    """As a warm-up has it at first: 0 times the infinite is none."""
    variable = keras.Variable([1.0, 2.0])
    optimizer = INDIAN.from_sgd(0.1, 0.9)
    optimizer.build([variable])
    optimizer.learning_rate = 0.0
    assert float(energy(optimizer, 1.0)) == pytest.approx(2 * (1 + 0.1))
    optimizer.learning_rate = 0.1
    optimizer.apply([keras.ops.ones(2)], [variable])
    optimizer.learning_rate = 0.0
    assert float(energy(optimizer, 1.0)) == float("inf")
