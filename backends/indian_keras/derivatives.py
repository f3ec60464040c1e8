r"""First and second derivatives of a loss over Keras variables, by each backend's own autodiff.

Keras itself has no gradients. The loss is evaluated in a `keras.StatelessScope`, where the
variables have the values that they are given and nothing is written back to weights, BatchNorm's
statistics, metrics or the seeds of dropout. So dropout is the same each time.

A backend is imported only if Keras runs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from indian_core.arrays import check_loss
from indian_core.tuning import Array, join, split

LossFn = Callable[[], Any]


class Derivatives(Protocol):
    """Derivatives at a point, on flat float64 vectors."""

    def product(self, vector: Array) -> Array:
        """Return ∇²J times a vector."""

    def gradient(self, displacement: Array) -> Array:
        """Return ∇J at a displacement from the point."""


def derivatives(loss_fn: LossFn, variables: Sequence[Any]) -> Derivatives:
    """Return the derivatives of a loss at the variables' values, on Keras's backend.

    Raises:
        TypeError: If the loss is not a tensor.
        ValueError: If it is not a finite real scalar.
        NotImplementedError: If Keras runs on a backend without derivatives.
    """
    backends: dict[str, Callable[[LossFn, Sequence[Any]], Derivatives]] = {
        "jax": _OnJAX,
        "torch": _OnTorch,
        "tensorflow": _OnTensorFlow,
    }
    name = keras.backend.backend()
    if name not in backends:
        raise NotImplementedError(f"there are no derivatives on Keras's backend {name!r}")
    return backends[name](loss_fn, variables)


class _Point:
    """The loss as a function of a list of tensors, and the point where it is evaluated."""

    def __init__(self, loss_fn: LossFn, variables: Sequence[Any]) -> None:
        self._loss_fn = loss_fn
        self._variables = variables
        self._values = [ops.convert_to_tensor(v.value) for v in variables]

    def _loss(self, values: Sequence[Any]) -> Any:
        # `add_loss` and activity regularizers add losses only to a scope that collects them.
        mapping = zip(self._variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            loss = self._loss_fn()
        if not ops.is_tensor(loss):
            raise TypeError(f"Invalid loss: {type(loss).__name__} (loss_fn must return a tensor)")
        dtype = keras.backend.standardize_dtype(loss.dtype)
        check_loss(loss.shape, dtype, is_real=dtype.startswith(("float", "bfloat")))
        return ops.reshape(loss, ())

    def _like(self, vector: Array) -> list[Any]:
        """Return a vector as tensors of the variables' shapes and dtypes."""
        parts = split(vector, [v.shape for v in self._variables])
        return [
            ops.convert_to_tensor(part, dtype=v.dtype)
            for part, v in zip(parts, self._variables, strict=True)
        ]

    def _moved(self, displacement: Array) -> list[Any]:
        return [p + d for p, d in zip(self._values, self._like(displacement), strict=True)]


class _OnJAX(_Point):
    def __init__(self, loss_fn: LossFn, variables: Sequence[Any]) -> None:
        import jax  # noqa: PLC0415

        super().__init__(loss_fn, variables)
        # Not jitted: what a model creates in its first call would stay a tracer for ever.
        _check_finite(self._loss(self._values))
        gradient = jax.grad(self._loss)
        self._gradient = jax.jit(gradient)
        self._product = jax.jit(lambda theta, v: jax.jvp(gradient, (theta,), (v,))[1])

    def product(self, vector: Array) -> Array:
        return _flat(self._product(self._values, self._like(vector)))

    def gradient(self, displacement: Array) -> Array:
        return _flat(self._gradient(self._moved(displacement)))


class _OnTorch(_Point):
    def __init__(self, loss_fn: LossFn, variables: Sequence[Any]) -> None:
        super().__init__(loss_fn, variables)
        self._theta = [value.detach().requires_grad_() for value in self._values]
        self._gradients = self._with_graph(self._theta)

    def _with_graph(self, theta: list[Any]) -> list[Any]:
        import torch  # noqa: PLC0415
        import torch.nn.attention  # noqa: PLC0415

        with torch.enable_grad():
            # Dropout draws from torch's own generators here, so they start from the same state each
            # time. Of the kernels for attention, only this one has second derivatives.
            with (
                torch.random.fork_rng(range(torch.cuda.device_count())),
                torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
            ):
                # An outer autocast caches the weights of another call.
                torch.clear_autocast_cache()
                loss = self._loss(theta)
                torch.clear_autocast_cache()
            _check_finite(loss)
            if not loss.requires_grad:
                return [torch.zeros_like(t) for t in theta]
            return list(
                torch.autograd.grad(
                    loss, theta, create_graph=True, allow_unused=True, materialize_grads=True
                )
            )

    def product(self, vector: Array) -> Array:
        import torch  # noqa: PLC0415

        pairs = zip(self._gradients, self._like(vector), strict=True)
        curved = [(g, v) for g, v in pairs if g.grad_fn is not None]
        if not curved:  # The loss is linear.
            return np.zeros_like(vector)
        gradients, vectors = zip(*curved, strict=True)
        products = torch.autograd.grad(
            gradients,
            self._theta,
            grad_outputs=vectors,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        # PyTorch has zeros without storage, which Keras would not convert. Their copies have it.
        return _flat([p.clone() for p in products])

    def gradient(self, displacement: Array) -> Array:
        moved = [t.detach().requires_grad_() for t in self._moved(displacement)]
        return _flat([g.clone() for g in self._with_graph(moved)])


class _OnTensorFlow(_Point):
    def __init__(self, loss_fn: LossFn, variables: Sequence[Any]) -> None:
        super().__init__(loss_fn, variables)
        import tensorflow as tf  # noqa: PLC0415

        self._tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        with self._tape:
            self._tape.watch(self._values)
            self._gradients = self._of(self._values)

    def _of(self, theta: list[Any]) -> list[Any]:
        import tensorflow as tf  # noqa: PLC0415

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(theta)
            loss = self._loss(theta)
        _check_finite(loss)
        gradients = tape.gradient(loss, theta, unconnected_gradients="zero")
        return [tf.convert_to_tensor(g) for g in gradients]  # Embedding's are sparse

    def product(self, vector: Array) -> Array:
        import tensorflow as tf  # noqa: PLC0415

        products = self._tape.gradient(
            self._gradients,
            self._values,
            output_gradients=self._like(vector),
            unconnected_gradients="zero",
        )
        return _flat([tf.convert_to_tensor(p) for p in products])

    def gradient(self, displacement: Array) -> Array:
        return _flat(self._of(self._moved(displacement)))


def _check_finite(loss: Any) -> None:
    if not bool(ops.isfinite(loss)):
        value = ops.convert_to_numpy(ops.cast(loss, "float32"))
        raise ValueError(f"Invalid loss: {float(value)}")


def _flat(tensors: Sequence[Any]) -> Array:
    return join(map(ops.convert_to_numpy, tensors))
