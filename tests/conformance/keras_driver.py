"""indian_keras under the conformance suite, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import functools
import importlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from indian_core.testing import Arrays, Problem, Settings
from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop, suggest_lr

# Keras's names of hyperparameters, where they are not PyTorch's.
_NAMES = {"lr": "learning_rate", "eps": "epsilon"}
BACKEND = keras.backend.backend()


@contextmanager
def _keras_to_numpy() -> Iterator[None]:
    """Silence what NumPy 2 says of the way in which Keras turns tensors into arrays."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning
        )
        yield


def _array(tensor: Any) -> np.ndarray:
    with _keras_to_numpy():
        return np.array(ops.convert_to_numpy(tensor))


class _Parameters(keras.Model):  # type: ignore[misc]
    """A model that is nothing but θ, so that Keras's own files can hold a run."""

    def __init__(self, theta_0: Sequence[np.ndarray], dtype: str) -> None:
        super().__init__(name="parameters")
        self.theta = [
            self.add_weight(shape=t.shape, dtype=dtype, initializer="zeros", name=f"theta_{i}")
            for i, t in enumerate(theta_0)
        ]
        for variable, value in zip(self.theta, theta_0, strict=True):
            variable.assign(value.astype(dtype))
        self.built = True


def _tensorflow_step(optimizer: Any, variables: list[Any], jit: bool) -> Callable[..., None]:
    import tensorflow as tf

    @tf.function(jit_compile=jit)
    def step(gradients: list[Any]) -> None:
        optimizer.apply(gradients, variables)

    return step


def _jax_step(optimizer: Any, variables: list[Any]) -> Callable[..., None]:
    import jax

    # As Keras's own trainer does: one program for the whole step, its buffers donated.
    program = jax.jit(
        lambda theta, state, gradients: optimizer.stateless_apply(state, gradients, theta),
        donate_argnums=(0, 1),
    )

    def step(gradients: list[Any]) -> None:
        new_theta, new_state = program(
            [v.value for v in variables], [v.value for v in optimizer.variables], gradients
        )
        for variable, value in zip(variables, new_theta, strict=True):
            variable.assign(value)
        for variable, value in zip(optimizer.variables, new_state, strict=True):
            variable.assign(value)

    return step


@contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    """Work in a dtype: Keras keeps the learning rate in floatx."""
    if BACKEND == "jax" and dtype == "float64":
        import jax

        jax.config.update("jax_enable_x64", True)
    floatx = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)


def _numpy() -> Any:
    """Return the backend's own NumPy: keras.ops takes products of float64 in floatx."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.experimental.numpy
    return importlib.import_module("torch" if BACKEND == "torch" else "jax.numpy")


@functools.cache
def _gradient_of(problem: Problem) -> Callable[[list[Any], list[Any]], Any]:
    """Return the backend's own gradient of the problem's loss, compiled where that pays."""
    numpy = _numpy()
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def gradient(theta: list[Any], batch: list[Any]) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(theta)
                loss = problem.loss(theta, batch, numpy)
            return tape.gradient(loss, theta)

        return gradient
    if BACKEND == "jax":
        import jax

        return jax.jit(jax.grad(lambda theta, batch: problem.loss(theta, batch, numpy)))
    import torch

    def torch_gradient(theta: list[Any], batch: list[Any]) -> Any:
        leaves = [t.detach().requires_grad_() for t in theta]
        return torch.autograd.grad(problem.loss(leaves, batch, numpy), leaves)

    return torch_gradient


def _gradients(problem: Problem, k: int, variables: list[Any]) -> list[Any]:
    dtype = variables[0].dtype
    batch = [ops.convert_to_tensor(b.astype(dtype)) for b in problem.batch(k)]
    theta = [ops.convert_to_tensor(v.value) for v in variables]
    return list(_gradient_of(problem)(theta, batch))


class KerasDriver:
    """One run of indian_keras on the backend of this process."""

    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": INDIAN,
        "INNAprop": INNAprop,
        "DampedSGD": DampedSGD,
        "DampedAdamW": DampedAdamW,
    }
    sgd_as_keras: ClassVar[bool] = True
    # Each run of these compiles a program of its own.
    slow_variants: ClassVar[tuple[str, ...]] = ("compiled", "jit")
    variants: ClassVar[tuple[str, ...]] = {
        "tensorflow": ("eager", "compiled", "jit"),
        "jax": ("eager", "jit"),
        "torch": ("eager",),
    }[BACKEND]

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        with _floatx(dtype):
            self.optimizer = self.methods[settings.method](
                learning_rate=settings.lrs[0],
                **{_NAMES.get(key, key): value for key, value in settings.hyperparameters.items()},
            )
        self.settings = settings
        self.variant = variant
        self.dtype = dtype
        self.model = _Parameters(theta_0, dtype)
        self.model.compile(optimizer=self.optimizer)
        self.optimizer.build(self.model.theta)
        self._compile()

    def _compile(self) -> None:
        self._apply: Callable[..., None]
        if self.variant == "eager":
            self._apply = lambda gradients: self.optimizer.apply(gradients, self.model.theta)
        elif BACKEND == "tensorflow":
            self._apply = _tensorflow_step(self.optimizer, self.model.theta, self.variant == "jit")
        else:
            self._apply = _jax_step(self.optimizer, self.model.theta)

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        with _floatx("float64"), _keras_to_numpy():
            variables = [keras.Variable(theta, dtype="float64") for theta in theta_0]
            batch = [ops.convert_to_tensor(array, dtype="float64") for array in problem.batch(0)]
            return suggest_lr(
                lambda: problem.loss([v.value for v in variables], batch, _numpy()),
                variables,
                **arguments,
            )

    def _step(self, gradients: list[Any]) -> None:
        k = int(self.optimizer.iterations)
        self.optimizer.learning_rate = self.settings.lrs[k]
        self._edit(self.settings.edits.get(k, {}))
        self._apply(gradients)

    def _edit(self, numbers: Mapping[str, Any]) -> None:
        for name, value in numbers.items():
            setattr(self.optimizer, _NAMES.get(name, name), value)
        if numbers:  # A program keeps the numbers it was compiled with.
            self._compile()

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        native = [ops.convert_to_tensor(g.astype(self.dtype)) for g in gradients]
        self._step(native)
        return [_array(g).astype(np.float64) for g in native]

    def step_on(self, problem: Problem, k: int) -> None:
        self._step(_gradients(problem, k, self.model.theta))

    def theta(self) -> Arrays:
        return [_array(v).astype(np.float64) for v in self.model.theta]

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self.model.theta, theta, strict=True):
            variable.assign(value.astype(self.dtype))

    def momentum(self) -> Arrays:
        # SGD's slot is minus the momentum, AdamW's is the momentum.
        sign = -1.0 if isinstance(self.optimizer, DampedSGD) else 1.0
        return [sign * _array(s).astype(np.float64) for s in self.optimizer.momentums]

    def psi(self) -> Arrays:
        return [_array(self.optimizer.psi(v)).astype(np.float64) for v in self.model.theta]

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self.model.theta, psi, strict=True):
            self.optimizer.set_psi(variable, value.astype(self.dtype))

    def energy(self, loss: float) -> float:
        return float(self.optimizer.energy(ops.convert_to_tensor(loss, dtype=self.dtype)))

    def save(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.weights.h5"
            with _keras_to_numpy():
                self.model.save_weights(path)
            return path.read_bytes()

    def load(self, checkpoint: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.weights.h5"
            path.write_bytes(checkpoint)
            self.model.load_weights(path)
        # A file of weights holds no hyperparameters, as with Keras's own optimizers.
        for k, numbers in self.settings.edits.items():
            if k < int(self.optimizer.iterations):
                self._edit(numbers)
