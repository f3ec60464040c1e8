"""`damped_adamw`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_core import DAMPING, adamw_coefficients
from indian_optax.base import LinearStep, Mask, Scalars, checked_state
from indian_optax.dtypes import standard_promotion
from indian_optax.hyperparameters import (
    as_scalar,
    as_scalar_or_schedule,
    at_count,
    cast,
    check_damping,
)
from indian_optax.scaled import init_squares, scaled_by_rms


class DampedAdamWState(NamedTuple):
    """State of `damped_adamw`.

    Attributes:
        count: The number of steps made, an int32 scalar, for schedules and the bias correction.
        momentum: s, the average of the scaled gradients, a tree like the parameters.
        nu: V, the mean square of the gradients, a tree like the parameters.
    """

    count: jax.Array  # type: ignore[assignment]  # as in optax, it hides tuple.count
    momentum: optax.Updates
    nu: optax.Updates


def damped_adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: Any | None = None,
    weight_decay: optax.ScalarOrSchedule | None = 1e-4,
    mask: Mask = None,
    *,
    damping: jax.typing.ArrayLike = DAMPING,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamW with a damping of its momentum, at AdamW's own learning rate and schedule.

    With the learning rate lr, the momentum m = b1 and the damping d, the share of the newest
    scaled gradient $g_t$ in a step,

    $$g_t = \frac{v_t}{\sqrt{V_t/(1 - b_2^t)} + \varepsilon}, \qquad
      V_t = b_2 V_{t-1} + (1 - b_2)\, |v_t|^2$$

    $$u_t = -lr_t\,((1 - d)\, s_{t-1} + d\, g_t + \lambda \theta_t), \qquad
      s_t = m\, s_{t-1} + (1 - m)\, g_t$$

    The momentum is an average of scaled gradients, where Adam scales an average of gradients. It is
    not bias-corrected. At d = 1 this is `optax.adamw` with b1 = 0, exactly. At d = 1 − b1² it
    trains like `optax.nadamw`. At constant numbers it is `innaprop`
    (``indian_core.equivalences``).

    The state has two buffers for each parameter, like Adam's. All numbers can be injected by
    `optax.inject_hyperparams`, with ``static_args=("mask", "mu_dtype")``.

    Args:
        learning_rate: AdamW's learning rate ≥ 0, a scalar or a schedule.
        b1: m, 0 ≤ m < 1. Begin with 0.9 up to 1,000 steps, beyond it with 0.97.
        b2: The decay rate of V, 0 ≤ b2 < 1.
        eps: ε ≥ 0, outside the root.
        eps_root: A number ≥ 0 that is added inside the root. It keeps derivatives of the step
            finite where gradients are zero.
        mu_dtype: Optional dtype of the momentum. V is at least float32. If None, both have the
            parameter's own dtype, or float32 for narrower parameters.
        weight_decay: λ, the strength of the decoupled weight decay, a scalar or a schedule. It is
            multiplied by the learning rate. If None, ``update`` needs no ``params``.
        mask: Which parameters are decayed; see `indian`.
        damping: d, from 1 − b1 to 1. Begin with the default.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. Its state is a
        `DampedAdamWState`.

    Raises:
        TypeError: If a number is neither a real number nor an array nor (``learning_rate``,
            ``weight_decay``) a schedule, or ``mu_dtype`` is not a floating-point dtype.
        ValueError: If a number that is known is out of range. ``update`` raises it if trees or
            shapes do not match, or if weight decay is requested without ``params``.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import damped_adamw
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> solver = damped_adamw(optax.cosine_decay_schedule(0.1, 100))
        >>> params = jnp.array([1., 2., 3.])
        >>> opt_state = solver.init(params)
        >>> for _ in range(100):
        ...     updates, opt_state = solver.update(jax.grad(f)(params), opt_state, params)
        ...     params = optax.apply_updates(params, updates)
        >>> bool(f(params) < 0.1)
        True

    Source: ``indian_core.momentum_law``; at constant numbers Bolte et al., [A second-order-like
    optimizer with adaptive gradient scaling for deep learning](https://arxiv.org/abs/2410.05871),
    2024.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    momentum, damping = as_scalar("b1", b1), as_scalar("damping", damping)
    b2, eps, eps_root = as_scalar("b2", b2), as_scalar("eps", eps), as_scalar("eps_root", eps_root)
    check_damping(damping, momentum)
    linear = LinearStep(weight_decay, mask, mu_dtype)

    @standard_promotion
    def init_fn(params: optax.Params) -> DampedAdamWState:
        zeros = linear.init(params)
        return DampedAdamWState(jnp.zeros([], jnp.int32), zeros, init_squares(zeros))

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, DampedAdamWState]:
        count, old, nu = checked_state(state, DampedAdamWState)
        lr = at_count("learning_rate", learning_rate, count)

        def scalars(dtype: Any) -> Scalars:
            step = adamw_coefficients(*cast(dtype, lr, momentum, damping))
            return Scalars(step, linear.shrinkage(dtype, lr, count))

        new_count = optax.safe_increment(jnp.asarray(count))
        direction = scaled_by_rms(b2, eps, new_count, eps_root)
        new_updates, new, nu = linear.update(
            updates, old, params, scalars, new_count, direction, nu
        )
        return new_updates, DampedAdamWState(new_count, new, nu)

    return optax.with_extra_args_support(optax.GradientTransformation(init_fn, update_fn))
