"""The Lyapunov energy of a run under the paper's law."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy


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
        E, a scalar tensor. Before the first step w is 0, so E is that of a start from rest.

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
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not hasattr(optimizer, "set_psi"):
        raise TypeError(
            f"Invalid optimizer: {type(optimizer).__name__} (it must be INDIAN or INNAprop)"
        )
    if not optimizer.built:
        raise ValueError("The optimizer has no momentum yet: call build(variables) first")
    # A variable that Keras overwrites with its gradient has None.
    momentums = [w for w in optimizer.momentums if w is not None]
    loss = ops.convert_to_tensor(loss)
    name = keras.backend.standardize_dtype(loss.dtype)
    check_loss(tuple(loss.shape), name, is_real="complex" not in name)
    # Keras's own type promotion stops at float32.
    double = any(keras.backend.standardize_dtype(t.dtype) == "float64" for t in (loss, *momentums))
    dtype = "float64" if double else "float32"
    kinetic = sum(ops.cast(ops.sum(ops.square(w)), dtype) for w in momentums)
    loss = ops.cast(ops.reshape(loss, ()), dtype)
    return lyapunov_energy(loss, kinetic, optimizer.alpha, optimizer.beta)
