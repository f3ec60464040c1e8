"""Keras on one of its backends: INDIAN and INNAprop against Keras's own SGD, Adam, AdamW and Lion.

Each optimizer is timed in the backend's usual modes: "eager" is a bare ``optimizer.apply``,
"compiled" is TensorFlow's graph, and "jit" is an XLA program, in JAX with donated buffers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.step_time.contenders import Contender
from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop

Step = Callable[[], None]
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
else:
    import torch

MODES = {"tensorflow": ("jit", "compiled"), "jax": ("jit",), "torch": ("eager",)}[BACKEND]

# The learning rates are small, so that no run leaves the range of float32, even after many steps.
OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "INDIAN": functools.partial(INDIAN, 1e-3),
    "INDIAN, lr = beta": functools.partial(INDIAN, 0.1, beta=0.1),
    "SGD Nesterov": functools.partial(keras.optimizers.SGD, 1e-3, momentum=0.9, nesterov=True),
    "DampedSGD": functools.partial(DampedSGD, 1e-3, damping=0.3),
    "DampedAdamW": DampedAdamW,
    "INNAprop": INNAprop,
    "INNAprop, alpha beta = 1": functools.partial(INNAprop, alpha=1.0, beta=1.0),
    "AdamW": functools.partial(keras.optimizers.AdamW, 1e-3),
    "Adam": functools.partial(keras.optimizers.Adam, 1e-3),
    "Lion": functools.partial(keras.optimizers.Lion, 1e-3),
}

BASELINES = (f"SGD Nesterov ({MODES[0]})", f"Adam ({MODES[0]})", f"AdamW ({MODES[0]})")


def contenders(shapes: Sequence[tuple[int, ...]]) -> Iterator[Contender]:
    random = np.random.default_rng(0)
    grads = [
        ops.convert_to_tensor(1e-3 * random.standard_normal(shape, np.float32)) for shape in shapes
    ]
    yield Contender("copy", _copy(grads), 0)
    for mode in MODES:
        for name, make in OPTIMIZERS.items():
            variables = [keras.Variable(ops.zeros(shape)) for shape in shapes]
            optimizer = make()
            optimizer.build(variables)
            step = _STEPS[BACKEND](optimizer, variables, grads, mode)
            yield Contender(f"{name} ({mode})", step, _bytes(optimizer))


TRAINED = ("INDIAN", "DampedSGD", "INNAprop", "DampedAdamW", "SGD Nesterov", "AdamW")
TRAINING_BASELINES = ("SGD Nesterov", "AdamW")


def training(widths: Sequence[int], batch: int) -> Iterator[Contender]:
    """Yield contenders that train as `fit` does, with metrics. Keras chooses what it compiles."""
    random = np.random.default_rng(0)
    inputs = random.standard_normal((batch, widths[0]), np.float32)
    labels = np.arange(batch) % widths[-1]
    for name in TRAINED:
        *hidden, classes = widths[1:]
        layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
        model = keras.Sequential([keras.Input(widths[:1]), *layers, keras.layers.Dense(classes)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = OPTIMIZERS[name]()
        model.compile(optimizer=optimizer, loss=loss)
        step = functools.partial(model.train_on_batch, inputs, labels)
        step()  # builds the optimizer's state, whose size is needed
        yield Contender(name, step, _bytes(optimizer))


def _bytes(optimizer: keras.optimizers.Optimizer) -> int:
    return sum(
        int(np.prod(v.shape)) * np.dtype(keras.backend.standardize_dtype(v.dtype)).itemsize
        for v in optimizer.variables
    )


def _copy(grads: list[Any]) -> Step:
    """Return the bandwidth reference: a copy of everything into existing buffers."""
    targets = [ops.zeros_like(grad) for grad in grads]
    if BACKEND == "torch":
        return lambda: _wait_for_torch(torch._foreach_copy_(targets, grads))
    if BACKEND == "jax":
        # Without the negation, XLA would return the input itself. The last copy's buffers are
        # reused.
        program = jax.jit(lambda _, new: [-x for x in new], donate_argnums=0, keep_unused=True)

        def copy() -> None:
            targets[:] = program(list(targets), grads)
            jax.block_until_ready(targets)

        return copy
    variables = [tf.Variable(target) for target in targets]

    @tf.function(jit_compile=True)
    def assign() -> None:
        for variable, grad in zip(variables, grads, strict=True):
            variable.assign(-grad)

    return functools.partial(_run_on_tensorflow, assign)


def _torch_step(optimizer: Any, variables: list[Any], grads: list[Any], _mode: str) -> Step:
    return lambda: _wait_for_torch(optimizer.apply(grads, variables))


def _wait_for_torch(_: None) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _jax_step(optimizer: Any, variables: list[Any], grads: list[Any], _mode: str) -> Step:
    # The gradients are arguments, or XLA would embed their values in the program.
    program = jax.jit(
        lambda theta, state, grads: optimizer.stateless_apply(state, grads, theta),
        donate_argnums=(0, 1),
    )
    # These are copies, so that donation leaves the variables themselves intact.
    run = [[ops.copy(v.value) for v in group] for group in (variables, optimizer.variables)]

    def jit() -> None:
        run[:] = program(*run, grads)
        jax.block_until_ready(run)

    return jit


def _tensorflow_step(optimizer: Any, variables: list[Any], grads: list[Any], mode: str) -> Step:
    @tf.function(jit_compile=mode == "jit")
    def compiled(grads: list[Any]) -> None:
        optimizer.apply(grads, variables)

    return functools.partial(_run_on_tensorflow, compiled, grads)


def _run_on_tensorflow(program: Callable[..., Any], *arguments: Any) -> None:
    program(*arguments)
    if tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


_STEPS = {"torch": _torch_step, "jax": _jax_step, "tensorflow": _tensorflow_step}
