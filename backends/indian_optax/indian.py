"""`indian` and `scale_by_indian`, and `from_sgd`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED
from indian_optax.base import Family, IndianState, checked_state, flattened
from indian_optax.dtypes import standard_promotion
from indian_optax.hyperparameters import as_scalar, as_scalar_or_schedule
from indian_optax.rules import indian_rule, momentum_rule

Mask = Any | Callable[[optax.Params], Any] | None


def indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike | None = INITIAL_SPEED,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Mask = None,
    *,
    reference_lr: float | None = None,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN optimizer, an inertial Newton algorithm (later named INNA).

    INDIAN discretizes $\ddot\theta + \alpha\dot\theta + \beta\nabla^2 J(\theta)\dot\theta +
    \nabla J(\theta) = 0$: a heavy ball with viscous damping α that is also damped along Newton's
    direction by β, yet needs first derivatives only. It keeps one buffer for each parameter, as SGD
    with momentum does, and with certain hyperparameters it *is* that method (see `from_sgd`).

    Let $\gamma_t$ be the learning rate, $v_t$ the gradient (potentially preprocessed by other
    transformations), $\theta_t$ the parameters and λ the weight decay. From $w_0 = (s - \beta)\,
    v_0$ the step t ≥ 0 is

    $$u_t = -\gamma_t (w_t + \beta v_t) - \gamma_t \lambda \theta_t$$

    $$w_{t+1} = (1 - \alpha\gamma_t)\, w_t + \gamma_t (1 - \alpha\beta)\, v_t$$

    and `optax.apply_updates` adds $u_t$. This is equation (11) of the paper, exactly and for any
    $\gamma_t$, in the variable $w = (\alpha - 1/\beta)\,\theta + \psi/\beta$ of its Theorem 14 in
    place of ψ; `psi` and `with_psi` convert.

    A parameter whose gradient is None rests. All parameters begin together: where the first
    gradient comes later than in the first step, the parameter starts from rest, w = 0, and the
    initial speed has no part. A step with a learning rate of 0 is no first step; and the count,
    which schedules follow, may be set to 0 in mid-run without making another one.

    A step is computed in the widest of gradient, momentum, parameter (where ``params`` are given)
    and float32. The updates have the wider dtype of gradient and parameter.

    The updates are the steps themselves. In `optax.chain`, transformations of the gradients come
    before this one, and nothing that scales the updates after it. Under `optax.inject_hyperparams`,
    name the arguments that are functions or dtypes but no schedules:
    ``static_args=("mask", "accumulator_dtype")``.

    Args:
        learning_rate: γ ≥ 0, the step size: a scalar, or a schedule of the step count, such as the
            paper's `power_decay`. On smooth losses of curvature at most L steps are stable below
            about 2/(βL).
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, the learning rate is SGD's at
            momentum 0.9: the step size in the end, γ/α, is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0: the initial velocity is $-s v_0$. None is β, a start from rest, and 1
            the paper's: see ``indian_core.PAPER``.
        weight_decay: λ, the strength of the decoupled weight decay, a scalar or a schedule. It is
            multiplied with the learning rate. With None ``update`` needs no ``params``.
        mask: A tree with same structure as (or a prefix of) the params PyTree, or a Callable that
            returns such a pytree given the params. The leaves should be booleans, True for
            leaves/subtrees you want to apply the weight decay to, and False for those you want to
            skip. Note that the INDIAN step is made for all parameters.
        reference_lr: The learning rate at which α and β hold, where they are to follow it so that
            a schedule leaves the momentum and αβ alone, as in `from_sgd`
            (``indian_core.kept_momentum``). None: they are constant.
        accumulator_dtype: Optional dtype of the momentum. With None it is the parameter's own, but
            float32 for narrower parameters.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. Its state is an `IndianState`.

    Raises:
        TypeError: If a hyperparameter is not a number, an array or (``learning_rate``,
            ``weight_decay``) a schedule, or ``accumulator_dtype`` no floating-point dtype.
            ``update`` raises it if the state is not an `IndianState`.
        ValueError: If a value is out of range, or an array is not a scalar; the value of an array
            is checked where it is known, outside of ``jax.jit``. ``update`` raises it if trees or
            shapes do not match, or weight decay is asked for and ``params`` are not given.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import indian
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> solver = indian(learning_rate=0.1)
        >>> params = jnp.array([1., 2., 3.])
        >>> print('Objective function: ', f(params))
        Objective function:  14.0
        >>> opt_state = solver.init(params)
        >>> for _ in range(5):
        ...     grad = jax.grad(f)(params)
        ...     updates, opt_state = solver.update(grad, opt_state, params)
        ...     params = optax.apply_updates(params, updates)
        ...     print('Objective function: {:.2E}'.format(f(params)))
        Objective function: 5.04E+00
        Objective function: 1.66E+00
        Objective function: 4.58E-01
        Objective function: 8.49E-02
        Objective function: 2.53E-03

    Source: Castera et al., [An Inertial Newton Algorithm for Deep
    Learning](https://jmlr.org/papers/v22/19-1024.html), 2021.
    """
    rule = indian_rule(learning_rate, alpha, beta, initial_speed, reference_lr)
    return optax.with_extra_args_support(
        _transformation(Family(rule, weight_decay, mask, accumulator_dtype))
    )


inna = indian
"""`indian`, by its later name."""


def scale_by_indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike | None = INITIAL_SPEED,
    *,
    reference_lr: float | None = None,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    r"""Rescale updates according to the INDIAN (INNA) algorithm.

    See `indian` for more details.

    The learning rate enters the recursion of the momentum, so it lives inside this transformation,
    and what comes out is the step itself, with its sign: ``optax.apply_updates`` adds it.
    Transform gradients before it (clip them, say); scaling its updates makes another method.

    Args:
        learning_rate: γ, the step size: a scalar, or a schedule of the step count.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None is β, a start
            from rest.
        reference_lr: See `indian`.
        accumulator_dtype: See `indian`.

    Returns:
        A `optax.GradientTransformation`. Its state is an `IndianState`. It needs no ``params``;
        with them, updates have the wider dtype of gradient and parameter, and on CPUs XLA updates
        parameters and momentum in place, without a temporary copy, if the buffers are donated and
        `optax.apply_updates` is what follows.

    Raises:
        TypeError: If a hyperparameter is not a number, an array or (``learning_rate``) a schedule,
            or ``accumulator_dtype`` no floating-point dtype. ``update`` raises it if the state is
            not an `IndianState`.
        ValueError: If a number is out of range, or an array is not a scalar. ``update`` raises it
            if the gradients' tree or shapes are not those of the parameters, or a gradient is
            complex and its parameter is not.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import scale_by_indian
        >>> solver = optax.chain(optax.clip(1.0), scale_by_indian(0.5, alpha=0.5, beta=0.5))
        >>> params = jnp.array([1., 2.])
        >>> updates, state = solver.update(jnp.array([0.5, 4.]), solver.init(params))
        >>> print(updates)
        [-0.125 -0.25 ]
    """
    rule = indian_rule(learning_rate, alpha, beta, initial_speed, reference_lr)
    return _transformation(Family(rule, accumulator_dtype=accumulator_dtype))


def from_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
    damping: jax.typing.ArrayLike | None = None,
    weight_decay: float | None = None,
    mask: Mask = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN that is this SGD, for a tuned SGD run to start from.

    From rest, INDIAN with

    $$\gamma_t = \sqrt{lr_t}, \quad \alpha_t = (1 - m)/\gamma_t, \quad \beta_t = d/\alpha_t$$

    makes the very steps of ``optax.sgd(lr, momentum=m, nesterov=...)`` at any schedule of its
    learning rate: with d = 1 − m of the heavy ball, with d = 1 − m² of Nesterov's momentum, and
    d = 1 is gradient descent. What is between, at the same learning rate, is more Newton damping.
    (Along a schedule w is kept in units of γ, as SGD keeps its momentum.)

    Args:
        learning_rate: SGD's learning rate: a number > 0, a schedule, or a scalar array that may be
            injected. A schedule may be 0 at times.
        momentum: SGD's momentum m, between 0 and 1; None is 0.
        nesterov: Whether SGD uses Nesterov momentum.
        damping: d = αβ, in the place of SGD's own, from 1 − m to 1.
        weight_decay: λ: λθ is added to the gradient, as by `optax.add_decayed_weights` before
            `optax.sgd`.
        mask: What is decayed, see `indian`.
        accumulator_dtype: See `indian`.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. The γ, α and β of its
        `IndianState` are those of the last step in which the learning rate was not 0.

    Raises:
        TypeError: If an argument is not a number, an array or (``learning_rate``) a schedule.
        ValueError: If an argument is out of range, or Nesterov momentum is asked for without any,
            or with a damping.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import from_sgd
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> def run(solver, params=jnp.array([1., 2., 3.]), opt_state=None):
        ...     opt_state = opt_state or solver.init(params)
        ...     for _ in range(5):
        ...         updates, opt_state = solver.update(jax.grad(f)(params), opt_state, params)
        ...         params = optax.apply_updates(params, updates)
        ...     return params, opt_state
        >>> schedule = optax.cosine_decay_schedule(0.02, 10)
        >>> for solver in (optax.sgd(schedule, 0.9), from_sgd(schedule, 0.9)):
        ...     params, opt_state = run(solver)
        ...     print('Objective function: {:.2E}'.format(f(params)))
        Objective function: 5.12E+00
        Objective function: 5.12E+00
        >>> more_damped = from_sgd(schedule, 0.9, damping=0.3)
        >>> params, opt_state = run(more_damped, params, opt_state)
        >>> print('Objective function: {:.2E}'.format(f(params)))
        Objective function: 2.03E+00

    Source: Ma et al., [Quasi-hyperbolic momentum and Adam for deep
    learning](https://arxiv.org/abs/1810.06801), 2019: the method that both are cases of, see
    ``indian_core.equivalences``.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    momentum = as_scalar("momentum", 0.0 if momentum is None else momentum)
    damping = None if damping is None else as_scalar("damping", damping)
    if isinstance(momentum, float) and isinstance(damping, float | None):
        # What is traced, or comes later, cannot be checked.
        lr = learning_rate if isinstance(learning_rate, float) else 1.0
        indian_core.from_sgd(lr, momentum, nesterov, damping)
    rule = momentum_rule(learning_rate, momentum, damping, nesterov=nesterov)
    step = optax.with_extra_args_support(
        _transformation(Family(rule, accumulator_dtype=accumulator_dtype))
    )
    if weight_decay is None:
        return step
    strength = indian_core.checked("weight_decay", weight_decay)
    return optax.chain(optax.add_decayed_weights(strength, mask), step)


def _transformation(family: Family) -> optax.GradientTransformation:
    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        return family.update(*flattened(updates), checked_state(state, IndianState), params)

    return optax.GradientTransformation(standard_promotion(family.init), update_fn)
