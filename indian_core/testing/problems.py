"""The test problems: small losses with known gradients, on which all backends are compared.

A loss is written once over a namespace ``xp`` with NumPy's names, so that NumPy, torch, jax.numpy
and keras.ops evaluate and differentiate the same expression. Its gradient is derived by hand, in
NumPy. Minibatches are a fixed function of the iteration instead of a random number generator, so
that every framework on every machine sees the same minibatches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Arrays = tuple[Array, ...]


def _full_batch(_k: int) -> Arrays:
    return ()


@dataclass(frozen=True, eq=False)  # compared by identity, also where drivers cache it
class Problem:
    """A loss J(θ) over a tuple of arrays, its gradient, a start, and its minibatches.

    Attributes:
        name: The name in the trajectories.
        theta_0: The start, a tuple of float64 arrays.
        loss: ``loss(theta, batch, xp=numpy)``, a scalar.
        gradient: ``gradient(theta, batch)``, arrays of θ's shapes. It is exact where J is smooth.
            On a kink it is the subgradient in which the sign of 0 is 0, as in the frameworks. The
            valley's takes a namespace ``xp`` as well.
        batch: ``batch(k)``, the data of iteration k, a tuple of arrays. It is empty if J has no
            data.
    """

    name: str
    theta_0: Arrays
    loss: Callable[..., Any]
    gradient: Callable[..., Any]
    batch: Callable[[int], Arrays] = _full_batch


def quadratic(condition_number: float = 100.0, size: int = 8) -> Problem:
    """Return J(θ) = Σ h_i θ_i²/2, with log(h_i) evenly spaced and h_i from 1/κ to 1."""
    curvature = np.geomspace(1 / condition_number, 1.0, size)

    def loss(theta: Sequence[Any], batch: Sequence[Any], xp: Any = np) -> Any:
        return xp.sum(batch[0] * theta[0] ** 2) / 2

    def gradient(theta: Sequence[Array], batch: Arrays) -> Arrays:
        return (batch[0] * theta[0],)

    def batch(_k: int) -> Arrays:
        return (curvature,)

    return Problem("quadratic", (np.linspace(-1.0, 1.0, size),), loss, gradient, batch)


def rosenbrock() -> Problem:
    """Return Rosenbrock's valley J = (1 − θ_1)² + 100 (θ_2 − θ_1²)²."""

    def loss(theta: Sequence[Any], _batch: Sequence[Any], _xp: Any = np) -> Any:
        x, y = theta[0][0], theta[0][1]
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    def gradient(theta: Sequence[Array], _batch: Arrays) -> Arrays:
        x, y = theta[0]
        return (np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)]),)

    return Problem("rosenbrock", (np.array([-1.2, 1.0]),), loss, gradient)


def valley() -> Problem:
    """Return the nonsmooth valley of the paper's Figure 1, J = 100 (θ_2 − |θ_1|)² + |1 − θ_1|.

    Its only critical point, the minimum, is (1, 1). The start is Figure 1's, (−1, 1.5).
    """

    def loss(theta: Sequence[Any], _batch: Sequence[Any], xp: Any = np) -> Any:
        x, y = theta[0][0], theta[0][1]
        return 100 * (y - xp.abs(x)) ** 2 + xp.abs(1 - x)

    def gradient(theta: Sequence[Any], _batch: Sequence[Any], xp: Any = np) -> tuple[Any]:
        x, y = theta[0][0], theta[0][1]
        ridge = y - xp.abs(x)
        return (xp.stack([-200 * ridge * xp.sign(x) - xp.sign(1 - x), 200 * ridge]),)

    return Problem("valley", (np.array([-1.0, 1.5]),), loss, gradient)


def _minibatches(
    inputs: npt.ArrayLike, labels: npt.ArrayLike, batch_size: int
) -> tuple[Callable[[int], Arrays], int, int]:
    """Return batch(k) over the data, the number of features, and the number of classes."""
    features = np.asarray(inputs, np.float64)
    one_hot = np.eye(int(np.max(labels)) + 1)[np.asarray(labels)]
    # A stride coprime to the number of samples visits each once per epoch, in a mixed order.
    stride = next(s for s in range(769, 2 * len(features) + 770) if np.gcd(s, len(features)) == 1)

    def batch(k: int) -> Arrays:
        rows = (np.arange(batch_size) + k * batch_size) * stride % len(features)
        return features[rows], one_hot[rows]

    return batch, features.shape[1], one_hot.shape[1]


def _cross_entropy(logits: Any, one_hot: Any, xp: Any) -> Any:
    # Logits are small here, so the usual shift by their maximum is omitted. Then every framework
    # computes the same expression.
    log_total = xp.log(xp.sum(xp.exp(logits), axis=1))
    return xp.sum(log_total - xp.sum(logits * one_hot, axis=1)) / one_hot.shape[0]


def _cross_entropy_gradient(logits: Array, one_hot: Array) -> Array:
    exponentials = np.exp(logits)
    return np.asarray(
        (exponentials / exponentials.sum(axis=1, keepdims=True) - one_hot) / len(one_hot)
    )


def logistic_regression(
    inputs: npt.ArrayLike, labels: npt.ArrayLike, batch_size: int = 32
) -> Problem:
    """Return minibatch multinomial logistic regression, θ = (weights, biases), from zero.

    Args:
        inputs: The samples, of shape (n, features).
        labels: The samples' classes 0, 1, …, of shape (n,).
        batch_size: The number of samples per minibatch.
    """
    batch, features, classes = _minibatches(inputs, labels, batch_size)

    def loss(theta: Sequence[Any], batch: Sequence[Any], xp: Any = np) -> Any:
        return _cross_entropy(xp.matmul(batch[0], theta[0]) + theta[1], batch[1], xp)

    def gradient(theta: Sequence[Array], batch: Arrays) -> Arrays:
        delta = _cross_entropy_gradient(batch[0] @ theta[0] + theta[1], batch[1])
        return batch[0].T @ delta, delta.sum(axis=0)

    start = (np.zeros((features, classes)), np.zeros(classes))
    return Problem("logistic_regression", start, loss, gradient, batch)


def mlp(
    inputs: npt.ArrayLike, labels: npt.ArrayLike, batch_size: int = 32, hidden: int = 8
) -> Problem:
    """Return a minibatch perceptron with one hidden layer of tanh, θ = (W_1, b_1, W_2, b_2).

    Args:
        inputs: The samples, of shape (n, features).
        labels: The samples' classes 0, 1, …, of shape (n,).
        batch_size: The number of samples per minibatch.
        hidden: The number of units in the hidden layer.
    """
    batch, features, classes = _minibatches(inputs, labels, batch_size)

    def loss(theta: Sequence[Any], batch: Sequence[Any], xp: Any = np) -> Any:
        activations = xp.tanh(xp.matmul(batch[0], theta[0]) + theta[1])
        return _cross_entropy(xp.matmul(activations, theta[2]) + theta[3], batch[1], xp)

    def gradient(theta: Sequence[Array], batch: Arrays) -> Arrays:
        activations = np.tanh(batch[0] @ theta[0] + theta[1])
        delta = _cross_entropy_gradient(activations @ theta[2] + theta[3], batch[1])
        hidden_delta = (delta @ theta[2].T) * (1 - activations**2)
        return (
            batch[0].T @ hidden_delta,
            hidden_delta.sum(axis=0),
            activations.T @ delta,
            delta.sum(axis=0),
        )

    random = np.random.default_rng(0)
    start = (
        random.standard_normal((features, hidden)) / np.sqrt(features),
        np.zeros(hidden),
        random.standard_normal((hidden, classes)) / np.sqrt(hidden),
        np.zeros(classes),
    )
    return Problem("mlp", start, loss, gradient, batch)
