"""Short runs that the tests compare: open loop on variables, and models that are fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import phase_space
from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop

BACKEND = keras.backend.backend()
SHAPES = ((3, 2), (4,), ())
METHODS: dict[str, Any] = {
    "INDIAN": INDIAN,
    "INNAprop": INNAprop,
    "DampedSGD": DampedSGD,
    "DampedAdamW": DampedAdamW,
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
# Numbers that are no method's defaults.
NUMBERS: dict[Any, dict[str, Any]] = {
    INDIAN: {"alpha": 0.5, "beta": 0.25, "initial_speed": 0.5, "weight_decay": 0.5},
    INNAprop: {"alpha": 0.5, "beta": 0.5, "sigma": 0.5, "epsilon": 0.5, "weight_decay": 0.5},
    DampedSGD: {"momentum": 0.75, "damping": 0.5, "weight_decay": 0.5},
    DampedAdamW: {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 0.5, "damping": 0.5},
}


def only_on(*backends: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"needs Keras on {' or '.join(backends)}, not on {BACKEND}"
    )


def array(tensor: Any) -> np.ndarray:
    tensor = ops.convert_to_tensor(tensor)
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return np.array(ops.convert_to_numpy(tensor))


def arrays(tensors: Sequence[Any]) -> list[np.ndarray]:
    return [array(tensor) for tensor in tensors]


def starts() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [np.asarray(random.standard_normal(shape)) for shape in SHAPES]


def gradients(k: int) -> list[np.ndarray]:
    random = np.random.default_rng(100 + k)
    return [np.asarray(random.standard_normal(shape)) for shape in SHAPES]


def steps(optimizer: Any, theta: list[Any], first: int, last: int) -> None:
    """Make steps on the gradients of these numbers."""
    for k in range(first, last):
        apply(optimizer, theta, gradients(k))


def slots(optimizer: Any) -> list[Any]:
    return [*optimizer.momentums, *(optimizer.velocities or [])]


def variables(dtype: str | None = None) -> list[keras.Variable]:
    dtype = dtype or keras.config.floatx()
    return [
        keras.Variable(start.astype("float64"), dtype=dtype, name=f"theta_{i}")
        for i, start in enumerate(starts())
    ]


def apply(
    optimizer: keras.optimizers.Optimizer, theta: list[Any], values: Sequence[np.ndarray]
) -> None:
    tensors = [
        ops.convert_to_tensor(value, dtype=v.dtype) for value, v in zip(values, theta, strict=True)
    ]
    # Keras's conditionals on JAX are for programs only (or compile anew at every call).
    if BACKEND == "jax" and (
        optimizer.gradient_accumulation_steps
        or isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    ):
        apply_as_a_program(optimizer, theta, tensors)
    else:
        optimizer.apply(tensors, theta)


def apply_as_a_program(
    optimizer: keras.optimizers.Optimizer, theta: list[Any], tensors: list[Any]
) -> None:
    """Make a step on JAX as Keras's trainer does: stateless, compiled, its buffers donated."""
    import jax

    if not optimizer.built:
        optimizer.build(theta)
    if not hasattr(optimizer, "program"):
        optimizer.program = jax.jit(
            lambda values, state, grads: optimizer.stateless_apply(state, grads, values),
            donate_argnums=(0, 1),
        )
    new = optimizer.program(
        [v.value for v in theta], [v.value for v in optimizer.variables], tensors
    )
    for variable, value in zip([*theta, *optimizer.variables], [*new[0], *new[1]], strict=True):
        variable.assign(value)


def program(optimizer: Any, theta: list[Any]) -> Callable[[Sequence[np.ndarray]], None]:
    """Return the step as the backend compiles it. (On torch, nothing of it is compiled.)"""
    optimizer.build(theta)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda tensors: optimizer.apply(tensors, theta))
        return lambda values: compiled([tf.constant(v) for v in values])
    if BACKEND == "torch":
        return lambda values: apply(optimizer, theta, values)
    return lambda values: apply_as_a_program(
        optimizer, theta, [ops.convert_to_tensor(v) for v in values]
    )


def paper(
    lrs: Sequence[float], alpha: float, beta: float, initial_speed: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return θ and ψ after the paper's own steps on the gradients from the first."""
    psi = [
        phase_space.initial_psi(t, v, alpha, beta, initial_speed)
        for t, v in zip(starts(), gradients(0), strict=True)
    ]
    found = list(zip(starts(), psi, strict=True))
    for k, lr in enumerate(lrs):
        found = [
            phase_space.step(t, p, v, lr, alpha, beta)
            for (t, p), v in zip(found, gradients(k), strict=True)
        ]
    return [t for t, _ in found], [p for _, p in found]


def assert_close(found: Sequence[Any], expected: Sequence[np.ndarray], tolerance: float) -> None:
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(array(a), b, rtol=tolerance, atol=tolerance)


def assert_same_bits(found: Sequence[Any], expected: Sequence[Any]) -> None:
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array(a), array(b))


def data(samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    x = random.standard_normal((samples, 8)).astype("float32")
    return x, (x[:, :4].sum(1) > x[:, 4:].sum(1)).astype("int32")


def model(optimizer: Any, seed: int = 3, **compile_options: Any) -> keras.Model:
    """Return a small classifier of `data`, always from the same weights."""
    made = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                6, "tanh", kernel_initializer=keras.initializers.GlorotUniform(seed), name="hidden"
            ),
            keras.layers.Dense(
                2, kernel_initializer=keras.initializers.GlorotUniform(seed + 1), name="logits"
            ),
        ],
        name="classifier",
    )
    made.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_options,
    )
    return made


def fit(made: keras.Model, epochs: int = 1, **options: Any) -> list[float]:
    """Fit on `data`, in its order, and return the losses."""
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, "epochs": epochs} | options
    return [float(loss) for loss in made.fit(*data(), **options).history["loss"]]
