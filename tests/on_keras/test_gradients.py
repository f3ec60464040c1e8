"""Gradients of every kind that users hand over: the right step, or a refusal that names them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN, INNAprop
from tests.on_keras.runs import (
    BACKEND,
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    each_method,
    gradients,
    only_on,
    variables,
)

if BACKEND == "torch":
    import torch

LRS = [0.05, 0.1, 0.3]  # below, at and above β: three paths of the torch backend
START = np.array([[1.0, -2.0], [3.0, 0.5]], "float32")


def trained(give: Callable[[Any], Any], lr: float, **options: Any) -> list[np.ndarray]:
    """θ and w after five steps on J = |θ|²/2 with the gradient handed over in one way."""
    theta = keras.Variable(START)
    optimizer = INDIAN(lr, alpha=0.5, beta=0.1, **options)
    optimizer.build([theta])
    for _ in range(5):
        optimizer.apply([give(theta.value.detach())], [theta])
    return arrays([theta, *optimizer.momentums])


@only_on("torch")
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=["", "decayed"])
@pytest.mark.parametrize(
    "give",
    [
        lambda theta: theta,
        lambda theta: ops.convert_to_tensor(theta.numpy()),
        lambda theta: torch.view_as_complex(torch.stack([theta, -theta], -1)).conj().imag,
        lambda theta: torch._neg_view(-theta),
        lambda theta: theta.T.contiguous().T,
        lambda theta: torch.cat([theta.ravel(), theta.ravel()])[4:].view(2, 2),
        lambda theta: theta.to_sparse(),
    ],
    ids=[
        "shared",
        "shared through NumPy",
        "negated",
        "negated view",
        "transposed",
        "part",
        "sparse",
    ],
)
def test_a_gradient_without_memory_of_its_own(give: Callable, options: dict[str, Any]) -> None:
    for lr in LRS:
        expected = trained(lambda theta: theta.clone(), lr, **options)
        assert_same_bits(trained(give, lr, **options), expected)


@only_on("torch")
@pytest.mark.parametrize("lr", LRS)
def test_autograd_notices_the_step(lr: float) -> None:
    """A graph made before the step needs the old weights."""
    theta = keras.Variable(START)
    optimizer = INDIAN(lr, alpha=0.5, beta=0.1)
    optimizer.apply([torch.ones(2, 2)], [theta])
    x = torch.ones(2, 2, requires_grad=True)
    score = (x * theta.value).sum()
    held = optimizer.momentums[0].value
    version = held._version
    optimizer.apply([torch.ones(2, 2)], [theta])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        score.backward()
    assert held._version > version


@only_on("torch")
def test_a_variable_whose_tensor_was_replaced() -> None:
    """w is never read in the order of memory alone."""
    theta = keras.Variable(np.arange(8.0).reshape(2, 4), dtype="float32")
    optimizer = INDIAN()
    optimizer.apply([torch.ones(2, 4)], [theta])
    theta.value.data = theta.value.data.t().contiguous()
    before = arrays([theta.value, *optimizer.momentums])
    with pytest.raises((ValueError, RuntimeError), match=r"shape|size"):
        optimizer.apply([torch.ones(2, 4)], [theta])
    assert_same_bits([theta.value, *optimizer.momentums], before)


@pytest.mark.parametrize(
    "kind", [lambda g: g.tolist(), lambda g: g, lambda g: g.astype("float64"), keras.Variable]
)
def test_lists_arrays_and_variables_are_gradients(kind: Callable) -> None:
    theta, other = keras.Variable(START), keras.Variable(START)
    ours, reference = INDIAN(0.25), INDIAN(0.25)
    for _ in range(2):
        ours.apply([kind(START)], [theta])
        reference.apply([ops.convert_to_tensor(START)], [other])
    assert_close([theta], arrays([other]), 1e-6)


def sparse(rows: np.ndarray, values: np.ndarray, shape: Any) -> Any:
    if BACKEND == "tensorflow":
        import tensorflow as tf

        # Of Python's own numbers, as Keras's tests make it; an Embedding's has tensors.
        return tf.IndexedSlices(tf.constant(values), tuple(rows), shape)
    from jax.experimental import sparse as jax_sparse

    return jax_sparse.BCOO((values, rows[:, None]), shape=tuple(shape))


@only_on("tensorflow", "jax")
@each_method
def test_a_sparse_gradient_makes_the_step_of_the_dense_one(method: Any) -> None:
    rows, values = np.array([3, 1, 3]), np.arange(6.0, dtype="float32").reshape(3, 2)
    dense = np.zeros((5, 2), "float32")
    np.add.at(dense, rows, values)
    start = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    theta, other = keras.Variable(start), keras.Variable(start)
    ours, reference = method(0.25), method(0.25)
    for shape in ((5, 2), [5, 2], (5, 2)):
        ours.apply([sparse(rows, values, shape)], [theta])
        reference.apply([ops.convert_to_tensor(dense)], [other])
    assert_close([theta], arrays([other]), 1e-6)


@only_on("tensorflow", "jax")
def test_an_embedding_with_sparse_gradients_trains() -> None:
    layers = [keras.layers.Embedding(20, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
    made = keras.Sequential(layers)
    made.compile(optimizer=INDIAN(0.1, alpha=0.5, beta=0.2), loss="mse")
    tokens = np.arange(40).reshape(20, 2) % 20
    targets = (tokens[:, :1] > 9).astype("float32")
    history = made.fit(tokens, targets, epochs=30, batch_size=5, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]


def test_complex_variables_make_the_step_of_their_parts() -> None:
    gradient = START + 1j * START[::-1]
    theta = keras.Variable(START.astype("complex64"), dtype="complex64")
    parts = [keras.Variable(START), keras.Variable(0 * START)]
    ours, reference = INDIAN(0.25), INDIAN(0.25)
    for _ in range(3):
        ours.apply([ops.convert_to_tensor(gradient, "complex64")], [theta])
        reference.apply([ops.convert_to_tensor(g) for g in (gradient.real, gradient.imag)], parts)
    real, imag = arrays(parts)
    assert_close([theta], [real + 1j * imag], 1e-6)
    real, imag = (array(reference.psi(v)) for v in parts)
    assert_close([ours.psi(theta)], [real + 1j * imag], 1e-6)
    ours.set_psi(theta, real + 1j * imag)


def test_complex_variables_keep_the_phase_of_their_gradients() -> None:
    value = np.array([[3j, 4.0], [1 + 1j, -2j]], "complex64")
    theta = keras.Variable(np.zeros((2, 2), "complex64"), dtype="complex64")
    optimizer = INNAprop(0.5, beta=1.0, weight_decay=None)
    optimizer.apply([ops.convert_to_tensor(value, "complex64")], [theta])
    assert_close([theta], [-0.5 * value / abs(value)], 1e-5)
    assert keras.backend.standardize_dtype(optimizer.velocities[0].dtype) == "float32"


def test_complex_numbers_are_not_made_real_without_a_word() -> None:
    theta, wrong = keras.Variable(START), ops.convert_to_tensor(1j * START, "complex64")
    optimizer = INDIAN()
    optimizer.build([theta])
    with pytest.raises(ValueError, match="gradient"):
        optimizer.apply([wrong], [theta])
    for psi in (wrong, (1j * START).tolist()):
        with pytest.raises(ValueError, match="psi"):
            optimizer.set_psi(theta, psi)
    assert_same_bits([theta, *optimizer.momentums], [START, 0 * START])


def test_the_first_scaled_step_in_float32_has_its_digits() -> None:
    """At t = 1, V/(1 − σ) = v² and u = ±1, although σ = 0.999 is another number in float32."""
    theta, starts = variables(), arrays(variables())
    apply(INNAprop(1.0, beta=0.5, weight_decay=None), theta, gradients(0))
    moved = [2 * (t - array(v)) for t, v in zip(starts, theta, strict=True)]
    assert_close(moved, [np.sign(v) for v in gradients(0)], 2e-6)


def test_gradients_that_do_not_fit_are_refused() -> None:
    """Accumulated too, where the sum would be broadcast."""
    theta = [keras.Variable(START), keras.Variable(START)]
    optimizer = INDIAN(weight_decay=0.1, gradient_accumulation_steps=2)
    optimizer.build(theta)
    before = arrays([*theta, *optimizer.variables])
    for wrong in ([ops.ones((2, 2))], [ops.ones((2, 2)), ops.ones((1, 2))]):
        with pytest.raises(ValueError, match="gradient"):
            optimizer.apply(wrong, theta)
    assert_same_bits([*theta, *optimizer.variables], before)


@only_on("tensorflow")
def test_a_variable_of_tensorflows_own_is_named() -> None:
    import tensorflow as tf

    with pytest.raises(ValueError, match="raw"):
        INDIAN().apply([ops.ones(3)], [tf.Variable(START, name="raw")])


# What makes no step.
ELSEWHERE = {"testing", "tuning", "runs", "run_file", "curvature"}


def our_functions() -> Iterator[Any]:
    """Yield every function of ours that is loaded with the package and may be in a step."""
    for name, module in list(sys.modules.items()):
        package, *parts = name.split(".")
        if package not in ("indian_core", "indian_keras") or ELSEWHERE & set(parts):
            continue
        for owner in (module, *(c for _, c in inspect.getmembers(module, inspect.isclass))):
            for function in vars(owner).values():
                if (
                    inspect.isfunction(function)
                    and function.__code__.co_filename == module.__file__
                ):
                    yield function


@only_on("tensorflow")
def test_autograph_knows_all_that_we_write() -> None:
    """Where it does not, it warns every user of a tf.function."""
    import tensorflow as tf

    functions = list(our_functions())
    assert len(functions) > 80
    for function in functions:
        tf.autograph.to_graph(function)
