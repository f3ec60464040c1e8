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
from indian_optax.hyperparameters import as_scalar, as_scalar_or_schedule, refusing_others
from indian_optax.rules import indian_rule, momentum_rule

Mask = Any | Callable[[optax.Params], Any] | None


@refusing_others
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
    \nabla J(\theta) = 0$. This is a heavy ball with viscous damping α that is also damped along
    Newton's direction by β, but it needs only first derivatives. It keeps one buffer for each
    parameter, like SGD with momentum. With certain hyperparameters it *is* SGD with momentum (see
    `from_sgd`).

    Let $\gamma_t$ be the learning rate, $v_t$ the gradient (potentially preprocessed by other
    transformations), $\theta_t$ the parameters and λ the weight decay. The momentum w starts at
    $w_0 = (s - \beta)\, v_0$, and step t ≥ 0 is

    $$u_t = -\gamma_t (w_t + \beta v_t) - \gamma_t \lambda \theta_t$$

    $$w_{t+1} = (1 - \alpha\gamma_t)\, w_t + \gamma_t (1 - \alpha\beta)\, v_t$$

    and `optax.apply_updates` adds $u_t$ to the parameters. This is exactly equation (11) of the
    paper, for any $\gamma_t$, with the variable $w = (\alpha - 1/\beta)\,\theta + \psi/\beta$ of
    its Theorem 14 instead of ψ. `psi` and `with_psi` convert between the two.

    A parameter whose gradient is None does not move, and its momentum does not change. All
    parameters have the same first step. A parameter whose first gradient comes later starts from
    rest, with w = 0, and the initial speed does not affect it. A step with a learning rate of 0
    does not count as the first step, unless there is a ``reference_lr``. The step count, which
    schedules follow, may be set to 0 during a run; this does not cause another first step.

    A step is computed in the widest dtype of gradient, momentum, parameter (if ``params`` are
    given) and float32. The updates have the wider dtype of gradient and parameter.

    The updates are complete steps. In `optax.chain`, put transformations of the gradients before
    this one, and do not scale the updates after it. Under `optax.inject_hyperparams`, name the
    arguments that are functions or dtypes but not schedules:
    ``static_args=("mask", "accumulator_dtype")``.

    Args:
        learning_rate: γ ≥ 0, the step size: a scalar, or a schedule of the step count, such as the
            paper's `power_decay`. On smooth losses with curvature at most L, steps are stable
            below about 2/(βL).
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, the learning rate is on the scale
            of SGD's at momentum 0.9, because the overall step size γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, which sets the initial velocity to $-s v_0$. None means β, a start
            from rest. The paper uses 1 (see ``indian_core.PAPER``).
        weight_decay: λ, the strength of the decoupled weight decay, a scalar or a schedule. It is
            multiplied by the learning rate. If None, ``update`` needs no ``params``.
        mask: A tree with same structure as (or a prefix of) the params PyTree, or a Callable that
            returns such a pytree given the params. The leaves should be booleans, True for
            leaves/subtrees you want to apply the weight decay to, and False for those you want to
            skip. The INDIAN step itself is made for all parameters.
        reference_lr: The learning rate at which α and β hold. If it is given, α and β follow the
            learning rate so that a schedule does not change the momentum and αβ, as in `from_sgd`
            (see ``indian_core.kept_momentum``). If None, α and β are constant.
        accumulator_dtype: Optional dtype of the momentum. If None, it is the parameter's own dtype,
            or float32 for narrower parameters.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. Its state is an `IndianState`.

    Raises:
        TypeError: If a hyperparameter is not a number, an array or (``learning_rate``,
            ``weight_decay``) a schedule, or ``accumulator_dtype`` is not a floating-point dtype.
            ``update`` raises it if the state is not an `IndianState`.
        ValueError: If a value is out of range, or an array is not a scalar. The value of an array
            is checked only where it is known, outside ``jax.jit``. ``update`` raises it if trees or
            shapes do not match, or if weight decay is requested without ``params``.

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
"""`indian` under its later name."""


@refusing_others
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

    The learning rate enters the recursion of the momentum, so it belongs inside this
    transformation. The updates are complete steps, sign included, which ``optax.apply_updates``
    adds. Transform the gradients (for example, clip them) before this transformation. Scaling its
    updates would make a different method.

    Args:
        learning_rate: γ, the step size: a scalar, or a schedule of the step count.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None means β, a
            start from rest.
        reference_lr: See `indian`.
        accumulator_dtype: See `indian`.

    Returns:
        A `optax.GradientTransformation`. Its state is an `IndianState`. It needs no ``params``. If
        they are given, updates have the wider dtype of gradient and parameter. Then, on CPUs, XLA
        also updates parameters and momentum in place, without a temporary copy, if the buffers are
        donated and `optax.apply_updates` follows directly.

    Raises:
        TypeError: If a hyperparameter is not a number, an array or (``learning_rate``) a schedule,
            or ``accumulator_dtype`` is not a real or complex floating-point dtype. ``update``
            raises it if the state is not an `IndianState`.
        ValueError: If a number is out of range, or an array is not a scalar. ``update`` raises it
            if the gradients' tree or shapes are not those of the parameters, or if a gradient is
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


@refusing_others
def from_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
    damping: jax.typing.ArrayLike | None = None,
    weight_decay: jax.typing.ArrayLike | None = None,
    mask: Mask = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN that equals a given SGD, to start from a tuned SGD run.

    Started from rest, INDIAN with

    $$\gamma_t = \sqrt{lr_t}, \quad \alpha_t = (1 - m)/\gamma_t, \quad \beta_t = d/\alpha_t$$

    makes exactly the steps of ``optax.sgd(lr, momentum=m, nesterov=...)`` under any schedule of
    its learning rate. d = 1 − m gives the heavy ball, d = 1 − m² Nesterov's momentum, and d = 1
    gradient descent. Values of d in between add Newton damping at the same learning rate. (When a
    schedule changes γ, w is rescaled with it, so that w/γ behaves like SGD's momentum.)

    Args:
        learning_rate: SGD's learning rate: a number ≥ 0, a schedule, or a scalar array that may be
            injected.
        momentum: SGD's momentum m, between 0 and 1. None means 0.
        nesterov: Whether SGD uses Nesterov momentum.
        damping: d = αβ, from 1 − m to 1, which replaces SGD's own d.
        weight_decay: λ, the strength of L2 weight decay. λθ is added to the gradient, as by
            `optax.add_decayed_weights` before `optax.sgd`.
        mask: Which parameters are decayed; see `indian`.
        accumulator_dtype: See `indian`.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. The γ, α and β of its
        `IndianState` are those of the last step whose learning rate was not 0.

    Raises:
        TypeError: If an argument is not a number, an array or (``learning_rate``) a schedule.
        ValueError: If an argument is out of range, or if Nesterov momentum is requested without a
            momentum or together with a damping.

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
    learning](https://arxiv.org/abs/1810.06801), 2019. Both INDIAN and SGD are cases of its method;
    see ``indian_core.equivalences``.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    momentum = as_scalar("momentum", 0.0 if momentum is None else momentum)
    damping = None if damping is None else as_scalar("damping", damping)
    if isinstance(momentum, float) and isinstance(damping, float | None):
        # Traced values, and those that a schedule returns later, cannot be checked.
        lr = learning_rate if isinstance(learning_rate, float) else 1.0
        indian_core.from_sgd(lr, momentum, nesterov, damping)
    rule = momentum_rule(learning_rate, momentum, damping, nesterov=nesterov)
    step = optax.with_extra_args_support(
        _transformation(Family(rule, accumulator_dtype=accumulator_dtype))
    )
    if weight_decay is None:
        return step
    strength = as_scalar("weight_decay", weight_decay)
    return optax.chain(optax.add_decayed_weights(strength, mask), step)


def _transformation(family: Family) -> optax.GradientTransformation:
    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        return family.update(*flattened(updates), checked_state(state, IndianState), params)

    return optax.GradientTransformation(standard_promotion(family.init), update_fn)
