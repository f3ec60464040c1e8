"""`damped_sgd` and `scale_by_damped_momentum`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import new_buffer_weights
from indian_optax.base import checked_state
from indian_optax.dtypes import checked_dtype, init_momentum, standard_promotion, update_dtype
from indian_optax.hyperparameters import as_scalar, as_scalar_or_schedule, check_damping
from indian_optax.trees import rows_of


def damped_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: jax.typing.ArrayLike | None = 0.9,
    nesterov: bool = False,
    damping: jax.typing.ArrayLike | None = None,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""SGD with a damping of its momentum.

    With the learning rate lr, the momentum m and the damping d, the share of the newest gradient
    $v_t$ in a step,

    $$s_t = m\, s_{t-1} + v_t, \qquad
      u_t = -lr_t \left(\frac{1 - d}{m}\, s_t + \Big(\frac{d}{1 - m} - \frac{1 - d}{m}\Big)
      v_t\right)$$

    Without a damping this is `optax.sgd` itself, up to rounding, with the heavy ball's momentum
    (d = 1 − m) or Nesterov's (d = 1 − m²). More damping, for example 0.3, moves weight from the
    momentum to the newest gradient, and leaves the learning rate and its schedule as they are. At
    constant numbers it is `indian` (``indian_core.equivalences``).

    The state is that of `optax.sgd`, so a run of it can go on here. All numbers can be injected by
    `optax.inject_hyperparams`, and may then follow schedules. For weight decay, put
    `optax.add_decayed_weights` before it, as for `optax.sgd`.

    Args:
        learning_rate: SGD's learning rate ≥ 0, a scalar or a schedule.
        momentum: m, 0 ≤ m ≤ 1. Begin with your own; with a longer one keep lr/(1 − m). None means
            no momentum, and no buffer.
        nesterov: Whether the momentum is Nesterov's.
        damping: d, from 1 − m to 1. Begin with 0.3. None means SGD's own.
        accumulator_dtype: Optional dtype of the momentum. If None, it is the parameter's own dtype,
            or float32 for narrower parameters.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`.

    Raises:
        TypeError: If a number is neither a real number nor an array, or ``accumulator_dtype`` is
            not a floating-point dtype.
        ValueError: If a number that is known is out of range (in ``jax.jit`` injected ones are
            not), or a damping is given with Nesterov's momentum.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import damped_sgd
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> solver = damped_sgd(optax.cosine_decay_schedule(0.02, 10), 0.9, damping=0.3)
        >>> params = jnp.array([1., 2., 3.])
        >>> opt_state = solver.init(params)
        >>> for _ in range(5):
        ...     updates, opt_state = solver.update(jax.grad(f)(params), opt_state, params)
        ...     params = optax.apply_updates(params, updates)
        ...     print('Objective function: {:.2E}'.format(f(params)))
        Objective function: 1.08E+01
        Objective function: 7.87E+00
        Objective function: 5.44E+00
        Objective function: 3.66E+00
        Objective function: 2.48E+00

    Source: Ma et al., [Quasi-hyperbolic momentum and Adam for deep
    learning](https://arxiv.org/abs/1810.06801), 2019; ``indian_core.momentum_law``.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    direction = optax.identity()
    if momentum is not None or damping is not None:
        direction = scale_by_damped_momentum(
            0.0 if momentum is None else momentum, nesterov, damping, accumulator_dtype
        )
    return optax.chain(direction, optax.scale_by_learning_rate(learning_rate))


def scale_by_damped_momentum(
    momentum: jax.typing.ArrayLike,
    nesterov: bool = False,
    damping: jax.typing.ArrayLike | None = None,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    """Rescale updates by a momentum with damping, as `optax.trace` does by a momentum.

    See `damped_sgd` for more details. `optax.scale_by_learning_rate` follows it in a chain.

    Args:
        momentum: m, 0 ≤ m ≤ 1.
        nesterov: Whether the momentum is Nesterov's.
        damping: d, from 1 − m to 1. None means SGD's own.
        accumulator_dtype: See `damped_sgd`.

    Returns:
        A `optax.GradientTransformation`. Its state is an `optax.TraceState`.

    Raises:
        TypeError: See `damped_sgd`.
        ValueError: See `damped_sgd`. ``update`` raises it if the gradients' tree or shapes are not
            those of the parameters.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax import scale_by_damped_momentum
        >>> transformation = scale_by_damped_momentum(0.5, damping=0.75)
        >>> state = transformation.init(jnp.zeros(2))
        >>> for _ in range(2):
        ...     updates, state = transformation.update(jnp.array([1., 2.]), state)
        ...     print(updates)
        [1.5 3. ]
        [1.75 3.5 ]
    """
    momentum = as_scalar("momentum", momentum)
    damping = None if damping is None else as_scalar("damping", damping)
    if damping is not None:
        check_damping(damping, momentum, nesterov=bool(nesterov))
    accumulator_dtype = checked_dtype("accumulator_dtype", accumulator_dtype)

    def init_fn(params: optax.Params) -> optax.TraceState:
        return optax.TraceState(init_momentum(params, accumulator_dtype))

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.TraceState]:
        rows, treedef = rows_of(updates, params, checked_state(state, optax.TraceState).trace)
        weight, direct = new_buffer_weights(momentum, nesterov, damping)
        moves: list[Any] = []
        new: list[Any] = []
        for v, p, s, _ in rows:
            if v is None:  # As in optax.trace, the parameter does not move.
                moves.append(None)
                new.append(s)
                continue
            made = _sum((1, v), (momentum, s))
            move = _sum((weight, made), (direct, v))
            moves.append(move.astype(update_dtype(v.dtype, jnp.result_type(s if p is None else p))))
            new.append(made.astype(s.dtype))
        return treedef.unflatten(moves), optax.TraceState(treedef.unflatten(new))

    return optax.GradientTransformation(standard_promotion(init_fn), update_fn)


def _sum(*terms: tuple[Any, jax.Array]) -> Any:
    """Return the sum of factors times arrays, without those whose factor is the number 0.

    An infinite gradient times 0 would be NaN. An array as a factor gets the array's precision.
    """
    products = []
    for factor, array in terms:
        if not isinstance(factor, float | int):
            products.append(factor.astype(np.finfo(array.dtype).dtype) * array)
        elif factor:
            products.append(array if factor == 1 else factor * array)
    return sum(products[1:], products[0])
