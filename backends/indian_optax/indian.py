"""`indian`."""

from __future__ import annotations

from typing import Any

import jax
import optax

from indian_core import ALPHA, BETA, INITIAL_SPEED
from indian_optax.base import LinearStep, Mask, checked_state
from indian_optax.dtypes import standard_promotion
from indian_optax.paper_law import IndianState, PaperLaw


def indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike | None = INITIAL_SPEED,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Mask = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN optimizer, an inertial Newton algorithm (later named INNA).

    INDIAN discretizes $\ddot\theta + \alpha\dot\theta + \beta\nabla^2 J(\theta)\dot\theta +
    \nabla J(\theta) = 0$, a heavy ball with viscous damping α and Newton damping β. It needs first
    derivatives only, and one buffer for each parameter, like SGD with momentum. `damped_sgd` makes
    the same steps in SGD's own numbers (``indian_core.equivalences``).

    Let $\gamma_t$ be the learning rate, $v_t$ the gradient (potentially preprocessed by other
    transformations), $\theta_t$ the parameters and λ the weight decay. The momentum w starts at
    $w_0 = (s - \beta)\, v_0$, and step t ≥ 0 is

    $$u_t = -\gamma_t (w_t + \beta v_t) - \gamma_t \lambda \theta_t$$

    $$w_{t+1} = (1 - \alpha\gamma_t)\, w_t + \gamma_t (1 - \alpha\beta)\, v_t$$

    and `optax.apply_updates` adds $u_t$ to the parameters. This is exactly equation (11) of the
    paper, for any $\gamma_t$, with the variable $w = (\alpha - 1/\beta)\,\theta + \psi/\beta$ of
    its Theorem 14 instead of ψ. `psi` and `with_psi` convert between the two.

    The updates are complete steps, sign included. In `optax.chain`, put transformations of the
    gradients before this one, and do not scale the updates after it. Under
    `optax.inject_hyperparams`, pass ``static_args=("mask", "accumulator_dtype")``.

    A parameter whose gradient is None does not move, and its momentum does not change. All
    parameters have the same first step, the first one whose learning rate is not 0. A parameter
    whose first gradient comes later starts from rest. The step count, which schedules follow, may
    be set to 0 during a run; the next step is then no first step.

    A step is computed in the widest dtype of gradient, momentum, parameter (if ``params`` are
    given) and float32. The updates have the wider dtype of gradient and parameter.

    Args:
        learning_rate: γ ≥ 0, the step size: a scalar, or a schedule of the step count, such as the
            paper's `power_decay`. Where the loss has a large curvature L, steps are stable up to
            about 2/(βL).
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, begin with SGD's learning rate at
            momentum 0.9, and try up to three times as much: γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, which sets the initial velocity to $-s v_0$. None means β, a start
            from rest. The paper uses 1 (see ``indian_core.PAPER``).
        weight_decay: λ, the strength of the decoupled weight decay, a scalar or a schedule. It is
            multiplied by the learning rate. If None, ``update`` needs no ``params``.
        mask: A tree with same structure as (or a prefix of) the params PyTree, or a Callable that
            returns such a pytree given the params. The leaves should be booleans, True for
            leaves/subtrees you want to apply the weight decay to, and False for those you want to
            skip. The INDIAN step itself is made for all parameters.
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
    linear = LinearStep(weight_decay, mask, accumulator_dtype)
    law = PaperLaw(linear, learning_rate, alpha, beta, initial_speed)

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        new_updates, new, _ = law.update(updates, checked_state(state, IndianState), params)
        return new_updates, new

    return optax.with_extra_args_support(
        optax.GradientTransformation(standard_promotion(law.init), update_fn)
    )


inna = indian
"""`indian` under its later name."""
