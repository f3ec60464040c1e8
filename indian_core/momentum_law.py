r"""The momentum law: the step of SGD and of AdamW with a damping, in their own numbers.

With lr, the momentum m (AdamW's β1) and the damping d, the share of the newest direction u,

$$\theta \leftarrow \theta - lr\,((1 - d)\, s + r\, u), \qquad s \leftarrow m\, s + u, \qquad
  r = d/(1 - m)$$

where the first line reads the old s. Without a damping of its own, d is that of the heavy ball,
1 − m (r = 1), or of Nesterov's momentum, 1 − m² (r = 1 + m). Then the step *is* SGD, and s is its
momentum buffer, whatever lr, m and d do from step to step. At d = 1 there is no momentum.

u is the gradient for SGD. For AdamW it is the scaled gradient (`indian_core.directions`), s is an
average of it, and the step is multiplied by 1 − m:

$$\theta \leftarrow \theta - lr\,((1 - d)\, s + d\, u), \qquad s \leftarrow m\, s + (1 - m)\, u$$

At constant numbers this is INDIAN's step (`indian_core.equivalences`), and quasi-hyperbolic
momentum (Ma and Yarats, arXiv:1810.06801) with ν = (1 − d)/m. Everything here is plain arithmetic
without branches on m and d, so these may be a framework's scalars, traced or not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from indian_core.hyperparameters import checked
from indian_core.linear_step import Coefficients


class Weights(NamedTuple):
    """What a step of SGD moves θ by, over −lr: the result of `weights`.

    Attributes:
        buffer: The weight of the old s, 1 − d.
        direction: The weight of u, r.
    """

    buffer: Any
    direction: Any


def weights(momentum: Any, nesterov: bool = False, damping: Any = None) -> Weights:
    """Return the weights of the old s and of u in a step of SGD.

    Args:
        momentum: m, with m < 1 if there is a damping.
        nesterov: Whether the momentum is Nesterov's, if there is no damping.
        damping: d, or None.

    Returns:
        (m, 1) for the heavy ball, (m², 1 + m) for Nesterov's momentum, and (1 − d, d/(1 − m)).

    Examples:
        >>> weights(0.75, nesterov=True)
        Weights(buffer=0.5625, direction=1.75)
        >>> weights(0.75, damping=0.5)
        Weights(buffer=0.5, direction=2.0)
    """
    if damping is not None:
        return Weights(1 - damping, damping / (1 - momentum))
    return Weights(momentum**2, 1 + momentum) if nesterov else Weights(momentum, 1)


def new_buffer_weights(momentum: Any, nesterov: bool = False, damping: Any = None) -> Weights:
    """Return the weights of the *new* s and of u in the same step of SGD.

    The new s is m times the old one plus u. So its weight is (1 − d)/m, and that of u is r minus
    it. At m = 0, where the new s is u, its weight is 0 if there is a damping.

    Args:
        momentum: m.
        nesterov: As in `weights`.
        damping: As in `weights`.

    Examples:
        >>> new_buffer_weights(0.75, nesterov=True)
        Weights(buffer=0.75, direction=1)
        >>> new_buffer_weights(0.5, damping=0.75)
        Weights(buffer=0.5, direction=1.0)
    """
    if damping is None:
        return Weights(momentum, 1) if nesterov else Weights(1, 0)
    share = (1 - damping) / (momentum + (momentum == 0))
    return Weights(share, weights(momentum, damping=damping).direction - share)


def sgd_coefficients(
    lr: Any, momentum: Any, nesterov: bool = False, damping: Any = None
) -> Coefficients:
    """Return the step in the form of PyTorch and optax: s is SGD's momentum buffer.

    Args:
        lr: SGD's learning rate of this step. It may be 0.
        momentum: As in `weights`.
        nesterov: As in `weights`.
        damping: As in `weights`.

    Examples:
        >>> tuple(sgd_coefficients(0.5, 0.75, nesterov=True))
        (-0.28125, -0.875, 0.75, 1)
    """
    buffer, direction = weights(momentum, nesterov, damping)
    return Coefficients(-lr * buffer, -lr * direction, momentum, 1)


def keras_sgd_coefficients(
    lr: Any, momentum: Any, nesterov: bool = False, damping: Any = None
) -> Coefficients:
    """Return the step in the form of Keras, whose SGD adds each gradient times its own step's lr.

    The buffer is minus the slot of Keras's SGD. At a constant lr it is lr times the s of
    `sgd_coefficients`.

    Args:
        lr: SGD's learning rate of this step. It may be 0.
        momentum: As in `weights`.
        nesterov: As in `weights`.
        damping: As in `weights`.

    Examples:
        >>> tuple(keras_sgd_coefficients(0.5, 0.75, nesterov=True))
        (-0.5625, -0.875, 0.75, 0.5)
    """
    buffer, direction = weights(momentum, nesterov, damping)
    return Coefficients(-buffer, -lr * direction, momentum, lr)


def adamw_coefficients(lr: Any, momentum: Any, damping: Any) -> Coefficients:
    """Return the step in the form of AdamW: s is an average of the scaled gradients.

    Args:
        lr: AdamW's learning rate of this step. It may be 0.
        momentum: AdamW's β1.
        damping: d.

    Examples:
        >>> tuple(adamw_coefficients(0.5, 0.75, damping=0.25))
        (-0.375, -0.125, 0.75, 0.25)
    """
    return Coefficients(-lr * (1 - damping), -lr * damping, momentum, 1 - momentum)


def checked_damping(damping: Any, momentum: float, *, nesterov: bool = False) -> float | None:
    """Return a damping as a float, or None, or raise if it does not go with the momentum.

    Args:
        damping: d, from 1 − m (the heavy ball) to 1 (no momentum), or None for SGD's own.
        momentum: m, checked.
        nesterov: Whether the momentum is Nesterov's, which has a d of its own.

    Raises:
        TypeError: If d is not a real number.
        ValueError: If d is outside its range, or is given with Nesterov's momentum or with m = 1.

    Examples:
        >>> checked_damping(0.3, momentum=0.9), checked_damping(None, momentum=0.9)
        (0.3, None)
    """
    if damping is None:
        return None
    if nesterov:
        raise ValueError(f"Invalid damping: {damping} (nesterov=True has its own, 1 - momentum**2)")
    number = checked("damping", damping)
    if momentum >= 1:
        raise ValueError(f"Invalid damping: {number} (it takes a momentum < 1, not {momentum})")
    # A user's decimal 1 − m may be an ulp less than the result of the subtraction.
    if number < (1 - momentum) * (1 - 1e-12):
        raise ValueError(
            f"Invalid damping: {number} (it must be from 1 - momentum = {1 - momentum:.6g} to 1)"
        )
    return number
