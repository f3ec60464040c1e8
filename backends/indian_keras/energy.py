"""The Lyapunov energy of a run, and a callback that logs it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy
from indian_keras.base import Optimizer


def energy(optimizer: keras.optimizers.Optimizer, loss: Any) -> Any:
    r"""Return the Lyapunov energy of a run, which combines the loss and the kinetic energy.

    $$E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2$$

    With small enough steps and exact gradients it falls at every step, even if the loss rises.
    If E rises, the learning rate is too large or the gradients are noisy. The loss and the
    momentum must belong to the same moment: pass the loss that was computed with the gradients of
    a step, before the optimizer makes that step.

    Args:
        optimizer: An `INDIAN` or `INNAprop`, or a LossScaleOptimizer around one. It is not changed.
        loss: J(θ), a scalar: a number or a tensor.

    Returns:
        E, a scalar tensor. Before the first step w is 0, so E is that of a start from rest. With
        ``INDIAN.from_sgd``, E is infinite at a learning rate of 0 if there is momentum left.

    Raises:
        TypeError: If the optimizer is neither `INDIAN` nor `INNAprop`.
        ValueError: If it is not built, or if the loss is not a scalar.

    Source: Castera et al., Lemmas 9 and 10.

    Examples:
        >>> import keras
        >>> from indian_keras import INDIAN
        >>> from indian_keras.energy import energy
        >>> theta = keras.Variable([1.0, 2.0])
        >>> optimizer = INDIAN(0.1, alpha=0.5, beta=1.0)
        >>> optimizer.build([theta])
        >>> for _ in range(3):
        ...     loss = keras.ops.stop_gradient(keras.ops.sum(theta**2))
        ...     print(round(float(energy(optimizer, loss)), 3))
        ...     optimizer.apply([2 * keras.ops.convert_to_tensor(theta)])
        15.0
        9.65
        6.107
    """
    optimizer = _unwrapped(optimizer)
    if not optimizer.built:
        raise ValueError("The optimizer has no momentum yet: call build(variables) first")
    # (A variable that Keras overwrites with its gradient has None.)
    momentums = [w for w in optimizer.momentums if w is not None]
    loss = ops.convert_to_tensor(loss)
    name = keras.backend.standardize_dtype(loss.dtype)
    check_loss(tuple(loss.shape), name, is_real="complex" not in name)
    # (Keras's own type promotion stops at float32.)
    double = any(keras.backend.standardize_dtype(t.dtype) == "float64" for t in (loss, *momentums))
    dtype = "float64" if double else "float32"
    kinetic = sum(ops.cast(ops.sum(ops.square(w)), dtype) for w in momentums)
    loss = ops.cast(ops.reshape(loss, ()), dtype)
    units = optimizer._squared_units()
    if units == math.inf:  # With a kept momentum at lr = 0, where any w is infinitely fast.
        kinetic, units = ops.cast(ops.where(kinetic > 0, math.inf, 0.0), dtype), 1.0
    numbers = (optimizer.alpha, optimizer.beta, units)
    return lyapunov_energy(loss, kinetic, *numbers)


class EnergyLogger(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs the Lyapunov energy after each epoch, as ``logs["energy"]``, for History and others.

    Args:
        x: Samples to evaluate the loss on, as in ``model.evaluate``: the training data, or a fixed
            part of it. Without ``x``, the loss is the one that Keras logs, the mean over the
            epoch's minibatches, each at the weights of its own step. That costs nothing, but lags
            behind while the loss falls fast.
        y: The targets of ``x``.
        batch_size: The number of samples to evaluate at once.
        name: The name under which the energy is logged.

    Raises:
        TypeError: When training begins, if the model's optimizer is neither `INDIAN` nor
            `INNAprop`.

    Examples:
        >>> import keras
        >>> import numpy as np
        >>> from indian_keras import INDIAN
        >>> from indian_keras.energy import EnergyLogger
        >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(optimizer=INDIAN(0.1), loss="mse")
        >>> logger = EnergyLogger(x, 3 * x)
        >>> history = model.fit(x, 3 * x, epochs=3, verbose=0, callbacks=[logger])
        >>> first, *_, last = history.history["energy"]
        >>> last < first
        True
    """

    def __init__(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, name: str = "energy"
    ) -> None:
        super().__init__()
        self.x = x
        self.y = y
        self.batch_size = batch_size
        self.name = name

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuse any other optimizer before anything is trained."""
        del logs
        _unwrapped(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the energy."""
        del epoch
        if logs is None:
            return
        if self.x is None:
            loss = logs["loss"]
        else:
            loss = self.model.evaluate(
                self.x, self.y, batch_size=self.batch_size, verbose=0, return_dict=True
            )["loss"]
        logs[self.name] = float(energy(self.model.optimizer, loss))


def _unwrapped(optimizer: Any) -> Any:
    """Return the optimizer itself, out of mixed precision's LossScaleOptimizer."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"Invalid optimizer: {type(optimizer).__name__} (it must be INDIAN or INNAprop)"
        )
    return optimizer
