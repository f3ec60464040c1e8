"""Gradients of every kind that users hand over: the right step, or a refusal that names them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN
from tests.on_keras.runs import BACKEND, array, arrays, assert_close, assert_same_bits, only_on

if BACKEND == "torch":
    import torch

LRS = [0.05, 0.1, 0.3]  # below, at and above β: three paths of the torch backend
START = np.array([[1.0, -2.0], [3.0, 0.5]], "float32")


def trained(give: Callable[[keras.Variable], Any], lr: float, **options: Any) -> list[np.ndarray]:
    """θ and w after five steps on J = |θ|²/2 with the gradient handed over in one way."""
    theta = keras.Variable(START)
    optimizer = INDIAN(lr, alpha=0.5, beta=0.1, **options)
    optimizer.build([theta])
    for _ in range(5):
        optimizer.apply([give(theta)], [theta])
    return arrays([theta, *optimizer.momentums])


@only_on("torch")
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=["", "decayed"])
@pytest.mark.parametrize("lr", LRS)
@pytest.mark.parametrize(
    "give",
    [
        lambda theta: theta.value.detach(),
        lambda theta: ops.convert_to_tensor(theta.numpy()),
        lambda theta: (
            torch.view_as_complex(torch.stack([theta.value.detach(), -theta.value.detach()], -1))
            .conj()
            .imag
        ),
        lambda theta: torch._neg_view(-theta.value.detach()),
        lambda theta: theta.value.detach().T.contiguous().T,
        lambda theta: theta.value.detach().to_sparse(),
    ],
    ids=["shared", "shared through NumPy", "negated", "negated view", "transposed", "sparse"],
)
def test_a_gradient_without_memory_of_its_own(give: Callable, lr: float, options: dict) -> None:
    expected = trained(lambda theta: theta.value.detach().clone(), lr, **options)
    assert_same_bits(trained(give, lr, **options), expected)


@only_on("torch")
@pytest.mark.parametrize("lr", LRS)
def test_expanded_gradients_and_parts_of_one_flat_buffer(lr: float) -> None:
    flat = torch.arange(8.0)

    def run(copy: bool) -> list[np.ndarray]:
        theta = [keras.Variable(START), keras.Variable(START), keras.Variable(START)]
        optimizer = INDIAN(lr, alpha=0.5, beta=0.1)
        values = [flat[:4].view(2, 2), flat[4:].view(2, 2), flat[1].expand(2, 2)]
        for _ in range(3):
            optimizer.apply([v.clone() if copy else v for v in values], theta)
        return arrays([*theta, *optimizer.momentums])

    assert_same_bits(run(copy=False), run(copy=True))
    np.testing.assert_array_equal(flat, np.arange(8.0))


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
@pytest.mark.parametrize("replacement", [torch.flatten, torch.t] if BACKEND == "torch" else [None])
def test_a_variable_whose_tensor_was_replaced(replacement: Callable) -> None:
    """w is never read in the order of memory alone."""
    theta = keras.Variable(np.arange(6.0, dtype="float32").reshape(2, 3))
    optimizer = INDIAN()
    optimizer.apply([torch.ones(2, 3)], [theta])
    theta.value.data = replacement(theta.value.data).contiguous()
    before = arrays([theta.value, *optimizer.momentums])
    with pytest.raises((ValueError, RuntimeError), match=r"shape|size"):
        optimizer.apply([torch.ones(2, 3)], [theta])
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


def test_complex_numbers_are_not_made_real_without_a_word() -> None:
    theta = keras.Variable(START)
    optimizer = INDIAN()
    optimizer.build([theta])
    before = arrays([theta, *optimizer.variables])
    with pytest.raises(ValueError, match=r"Invalid gradient: its dtype is complex64.*is float32"):
        optimizer.apply([ops.convert_to_tensor(1j * START, "complex64")], [theta])
    for psi in (1j * START, ops.convert_to_tensor(1j * START, "complex64"), (1j * START).tolist()):
        with pytest.raises(ValueError, match=r"Invalid psi: its dtype is complex.*is float32"):
            optimizer.set_psi(theta, psi)
    assert_same_bits([theta, *optimizer.variables], before)


def test_too_few_gradients_are_refused() -> None:
    theta = [keras.Variable(START), keras.Variable(START)]
    with pytest.raises(ValueError, match="Invalid gradients: 1 for 2 variables"):
        INDIAN().apply([ops.ones((2, 2))], theta)


@only_on("tensorflow")
def test_a_variable_of_tensorflows_own_is_named() -> None:
    import tensorflow as tf

    theta = tf.Variable(START, name="raw")
    with pytest.raises(ValueError, match=r"its shape is \(3,\), but that of the variable 'raw"):
        INDIAN().apply([ops.ones(3)], [theta])


GRAPH_MODULES = (
    "indian_core.energy",
    "indian_core.hyperparameters",
    "indian_core.linear_step",
    "indian_core.momentum_law",
    "indian_core.directions",
    "indian_core.schedules",
    "indian_keras._private",
    "indian_keras.backend.on_graph",
    "indian_keras.base",
    "indian_keras.damped_adamw",
    "indian_keras.damped_sgd",
    "indian_keras.damping",
    "indian_keras.energy",
    "indian_keras.gradients",
    "indian_keras.indian",
    "indian_keras.innaprop",
    "indian_keras.psi",
    "indian_keras.schedules",
)


def functions_of(name: str) -> Iterator[Any]:
    module = importlib.import_module(name)
    owners = [module, *(c for _, c in inspect.getmembers(module, inspect.isclass))]
    for owner in owners:
        for function in vars(owner).values():
            if inspect.isfunction(function) and function.__module__ == name:
                yield function


@only_on("tensorflow")
@pytest.mark.parametrize("name", GRAPH_MODULES)
def test_autograph_knows_all_that_we_write(name: str) -> None:
    """Where it does not, it warns every user of a tf.function."""
    import tensorflow as tf

    functions = list(functions_of(name))
    assert functions
    for function in functions:
        tf.autograph.to_graph(function)
