"""`innaprop`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_optax.base import LinearStep, Mask, checked_state
from indian_optax.dtypes import standard_promotion
from indian_optax.hyperparameters import as_scalar
from indian_optax.paper_law import IndianState, PaperLaw
from indian_optax.scaled import init_squares, scaled_by_rms


class InnapropState(NamedTuple):
    """State of `innaprop`.

    Attributes:
        nu_count: The number of gradients that V holds, an int32 scalar, for the bias correction. It
            is separate from the count that schedules follow.
        nu: V, the mean square of the gradients, a tree like the parameters.
        inner_state: The state of INDIAN's step, which holds w.
    """

    nu_count: jax.Array
    nu: optax.Updates
    inner_state: IndianState


def innaprop(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = 0.1,
    beta: jax.typing.ArrayLike = 0.9,
    sigma: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = 0.01,
    mask: Mask = None,
    accumulator_dtype: Any | None = None,
    *,
    authors_weight_decay: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""The INNAprop optimizer: INDIAN's step, started from rest, on an RMS-scaled gradient.

    With the gradient $v_t$, t = 1, 2, …, and the learning rate $\gamma_t$, INNAprop makes the step
    of `indian` on

    $$g_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}, \qquad
      V_t = \sigma V_{t-1} + (1 - \sigma)\, |v_t|^2$$

    instead of $v_t$:

    $$u_t = -\gamma_t (w_t + \beta g_t) - \gamma_t \lambda \theta_t$$

    $$w_{t+1} = (1 - \alpha\gamma_t)\, w_t + \gamma_t (1 - \alpha\beta)\, g_t$$

    If you come from AdamW, begin with `damped_adamw`, which has AdamW's own numbers.

    A scaled gradient $g_t$ moves a parameter by γβ $g_t$ at once, and by γ/α $g_t$ in all, over
    1/(αγ) steps. At the defaults and γ = 1e-3 these are 10,000 steps: so long a parameter goes on
    moving when its gradients have become zero. The state has two buffers for each parameter, like
    Adam's.

    ε is added outside the root, after the bias correction, as in `optax.adamw`. The momentum is
    not bias-corrected. At αβ = 1 INNAprop *is* ``optax.adamw(γβ, b1=0, b2=σ, weight_decay=λ/β)``,
    under any schedule. The bias correction counts all steps, also those in which a parameter has no
    gradient.

    `suggest_lr` does not apply to INNAprop, because the learning rate of a scaled gradient does not
    follow from the curvature of the loss. `psi`, `with_psi` and `energy` take its state as they
    take INDIAN's.

    A step is computed in the widest dtype of gradient, momentum, parameter (if ``params`` are
    given) and float32, and V in at least float32. The updates have the wider dtype of gradient and
    parameter. On CPUs XLA updates θ, w and V in place if ``params`` are given and the buffers are
    donated.

    Args:
        learning_rate: γ ≥ 0, the step size: a scalar, or a schedule of the step count.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping. It is not a pair of betas as in Adam.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V (Adam's b2).
        eps: ε ≥ 0.
        weight_decay: λ, the strength of the decoupled weight decay, a scalar or a schedule. It is
            multiplied by the learning rate. If None, ``update`` needs no ``params``.
        mask: Which parameters are decayed; see `indian`.
        accumulator_dtype: Optional dtype of w. V has the same dtype if that is wider than float32,
            otherwise float32. If None, both have the parameter's own dtype, or float32 for narrower
            parameters.
        authors_weight_decay: Whether to decay weights as the authors' code does, to replicate their
            runs. That decay leaves ψ unchanged, so it also adds (1/β − α) γλθ to w.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. Its state is an `InnapropState`.

    Raises:
        TypeError: If a hyperparameter is not a number, an array or (``learning_rate``,
            ``weight_decay``) a schedule, or an argument is not one of INNAprop's. ``update`` raises
            it if the state is not an `InnapropState`.
        ValueError: If a value is out of range, or an array is not a scalar. ``update`` raises it if
            trees or shapes do not match, or if weight decay is requested without ``params``.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import innaprop
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> solver = innaprop(learning_rate=0.1)
        >>> params = jnp.array([1., 2., 3.])
        >>> opt_state = solver.init(params)
        >>> for _ in range(3):
        ...     grad = jax.grad(f)(params)
        ...     updates, opt_state = solver.update(grad, opt_state, params)
        ...     params = optax.apply_updates(params, updates)
        ...     print('Objective function: {:.2E}'.format(f(params)))
        Objective function: 1.29E+01
        Objective function: 1.18E+01
        Objective function: 1.07E+01

    Source: Bolte et al., [A second-order-like optimizer with adaptive gradient scaling for deep
    learning](https://arxiv.org/abs/2410.05871), 2024.
    """
    sigma, eps = as_scalar("sigma", sigma), as_scalar("eps", eps)
    linear = LinearStep(weight_decay, mask, accumulator_dtype)
    theirs = bool(authors_weight_decay)
    law = PaperLaw(linear, learning_rate, alpha, beta, authors_weight_decay=theirs)

    @standard_promotion
    def init_fn(params: optax.Params) -> InnapropState:
        inner_state = law.init(params)
        nu = init_squares(inner_state.momentum)
        return InnapropState(jnp.zeros([], jnp.int32), nu, inner_state)

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, InnapropState]:
        nu_count, nu, inner_state = checked_state(state, InnapropState)
        inner_state = checked_state(inner_state, IndianState)
        nu_count = optax.safe_increment(jnp.asarray(nu_count))
        direction = scaled_by_rms(sigma, eps, nu_count)
        new_updates, inner_state, nu = law.update(updates, inner_state, params, direction, nu)
        return new_updates, InnapropState(nu_count, nu, inner_state)

    return optax.with_extra_args_support(optax.GradientTransformation(init_fn, update_fn))
