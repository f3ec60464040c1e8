"""`innaprop` and `scale_by_innaprop`, and `innaprop_from_adam`."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import indian_core
from indian_core import LARGE, second_moment
from indian_optax.base import Family, IndianState, checked_state, flattened
from indian_optax.dtypes import standard_promotion, working_dtype
from indian_optax.hyperparameters import (
    Scalar,
    as_scalar,
    as_scalar_or_schedule,
    refusing_others,
)
from indian_optax.in_place import after, varies_as
from indian_optax.indian import Mask
from indian_optax.leaf import Again
from indian_optax.rules import indian_rule, momentum_rule
from indian_optax.trees import leaves_like


class InnapropState(NamedTuple):
    """State of `scale_by_innaprop`.

    Attributes:
        nu_count: The number of gradients that V holds, an int32 scalar, for the bias correction. It
            is separate from the count that schedules follow.
        nu: V, the mean square of the gradients, a tree like the parameters.
        inner_state: The state of INDIAN's step, which holds w.
    """

    nu_count: jax.Array
    nu: optax.Updates
    inner_state: IndianState


@refusing_others
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
    reference_lr: float | None = None,
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

    A scaled gradient $g_t$ therefore moves a parameter by γβ $g_t$ at once and by γ/α $g_t$ in
    total, over a memory of 1/(αγ) steps. At the defaults and γ = 1e-3 the memory is 10,000 steps,
    for which a parameter coasts when its gradients become zero. The state has two buffers for each
    parameter, like Adam's. If you come from AdamW, begin with `innaprop_from_adam`.

    ε is added outside the root, after the bias correction, as in `optax.adamw`. The momentum is
    not bias-corrected. At αβ = 1 INNAprop *is* ``optax.adamw(γβ, b1=0, b2=σ, weight_decay=λ/β)``,
    under any schedule. For all α and β it equals, up to rounding, ``optax.scale_by_rms(σ, ε,
    eps_in_sqrt=False, bias_correction=True)`` followed by `indian`. The bias correction counts all
    steps, including those in which a parameter has no gradient and does not move.

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
        reference_lr: The learning rate at which α and β hold. If it is given, α and β follow the
            learning rate so that a schedule does not change the momentum and αβ, as in
            `innaprop_from_adam` (see ``indian_core.kept_momentum``). If None, α and β are constant.
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
    family = Family(
        indian_rule(learning_rate, alpha, beta, None, reference_lr),
        weight_decay,
        mask,
        accumulator_dtype,
        authors_weight_decay=bool(authors_weight_decay),
    )
    return optax.with_extra_args_support(_transformation(family, sigma, eps))


@refusing_others
def scale_by_innaprop(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = 0.1,
    beta: jax.typing.ArrayLike = 0.9,
    sigma: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    *,
    reference_lr: float | None = None,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    """Rescale updates according to the INNAprop algorithm.

    See `innaprop` for more details. The updates are complete steps, sign included.

    Args:
        learning_rate: γ, the step size: a scalar, or a schedule of the step count.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V.
        eps: ε ≥ 0.
        reference_lr: See `innaprop`.
        accumulator_dtype: See `innaprop`.

    Returns:
        A `optax.GradientTransformation`. Its state is an `InnapropState`. It needs no ``params``.

    Raises:
        TypeError: See `innaprop`.
        ValueError: See `innaprop`.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax import scale_by_innaprop
        >>> solver = scale_by_innaprop(0.5, alpha=0.5, beta=0.5, sigma=0.75)
        >>> params = jnp.array([1., 2.])
        >>> updates, state = solver.update(jnp.array([0.5, -4.]), solver.init(params))
        >>> print(jnp.round(updates, 3))
        [-0.25  0.25]
    """
    family = Family(
        indian_rule(learning_rate, alpha, beta, None, reference_lr),
        accumulator_dtype=accumulator_dtype,
    )
    return _transformation(family, sigma, eps)


@refusing_others
def innaprop_from_adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: optax.ScalarOrSchedule | None = 1e-4,
    damping: jax.typing.ArrayLike | None = None,
    mask: Mask = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INNAprop that replaces a given AdamW, at AdamW's own learning rate.

    With AdamW's learning rate η, m = b1 and d = αβ, this is INNAprop with

    $$\gamma_t = \sqrt{\eta_t (1 - m)}, \quad \alpha_t = \sqrt{(1 - m)/\eta_t}, \quad
      \beta_t = d/\alpha_t$$

    and each step's weight decay ηλ is AdamW's. INNAprop equals AdamW itself only at b1 = 0, because
    AdamW scales after the momentum. Along a schedule of η, the memory 1/(1 − m) and d stay
    constant.

    Args:
        learning_rate: AdamW's learning rate η: a number ≥ 0, a schedule, or a scalar array that may
            be injected.
        b1: AdamW's b1, 0 ≤ b1 < 1, which is the momentum m.
        b2: AdamW's b2, 0 ≤ b2 < 1, which is σ.
        eps: AdamW's ε ≥ 0.
        weight_decay: AdamW's λ ≥ 0, a scalar or a schedule. If None, ``update`` needs no
            ``params``.
        damping: d = αβ, from 1 − m (the heavy ball) to 1 (no momentum). None means 1 − m²
            (Nesterov's momentum), which trains like NAdamW.
        mask: Which parameters are decayed; see `indian`.
        accumulator_dtype: See `innaprop`.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. Its state is an `InnapropState`,
        whose γ, α and β are those of the last step whose learning rate was not 0.

    Raises:
        TypeError: If an argument is not a number, an array or (``learning_rate``,
            ``weight_decay``) a schedule.
        ValueError: If an argument is out of range.

    Examples:
        >>> import optax
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from indian_optax import innaprop_from_adam
        >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
        >>> solver = innaprop_from_adam(optax.cosine_decay_schedule(0.1, 100))
        >>> params = jnp.array([1., 2., 3.])
        >>> opt_state = solver.init(params)
        >>> for _ in range(100):
        ...     updates, opt_state = solver.update(jax.grad(f)(params), opt_state, params)
        ...     params = optax.apply_updates(params, updates)
        >>> bool(f(params) < 0.1)
        True

    Source: ``indian_core.adam``.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    momentum = as_scalar("b1", b1, below=1)
    damping = None if damping is None else as_scalar("damping", damping)
    if isinstance(momentum, float) and isinstance(damping, float | None):
        # Traced values, and those that a schedule returns later, cannot be checked.
        lr = learning_rate if isinstance(learning_rate, float) else 1.0
        indian_core.from_adam(lr, (momentum, 0.0), damping=damping)
    rule = momentum_rule(learning_rate, momentum, damping, nesterov=True, total=True)
    family = Family(rule, weight_decay, mask, accumulator_dtype)
    sigma = as_scalar("b2", b2, below=1)
    return optax.with_extra_args_support(_transformation(family, sigma, eps))


def _transformation(family: Family, sigma: Any, eps: Any) -> optax.GradientTransformation:
    sigma, eps = as_scalar("sigma", sigma), as_scalar("eps", eps)

    @standard_promotion
    def init_fn(params: optax.Params) -> InnapropState:
        inner_state = family.init(params)
        nu = jax.tree.map(
            lambda w: jnp.zeros_like(w, dtype=np.finfo(working_dtype(w.dtype)).dtype),
            inner_state.momentum,
        )
        return InnapropState(jnp.zeros([], jnp.int32), nu, inner_state)

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, InnapropState]:
        nu_count, old_nu, inner_state = checked_state(state, InnapropState)
        inner_state = checked_state(inner_state, IndianState)
        gradients, treedef = flattened(updates)
        nu = leaves_like(treedef, gradients, old_nu, "gradients", "nu")
        nu_count = optax.safe_increment(jnp.asarray(nu_count))
        # Cached, because most leaves have the same precision.
        numbers = functools.cache(functools.partial(_numbers, sigma, eps, nu_count))

        def scaled(i: int, v: jax.Array, made: Any) -> tuple[jax.Array, Again]:
            """Return the scaled gradient of leaf i, and replace its old V by the new one."""
            dtype = np.finfo(v.dtype).dtype
            decay, least, inverse = numbers(dtype)
            if made is not None and varies_as(made, v):
                decay = after(decay, made, nu_count)
            new_nu = second_moment(nu[i].astype(dtype), jnp.abs(v), decay)
            nu[i] = new_nu.astype(nu[i].dtype)

            def of(inverse: jax.Array) -> jax.Array:
                return v / (jnp.sqrt(new_nu * inverse) + least)

            if v.size < LARGE:
                return of(inverse), None
            return of(inverse), lambda theta: of(after(inverse, theta, nu_count))

        new_updates, inner_state = family.update(gradients, treedef, inner_state, params, scaled)
        return new_updates, InnapropState(nu_count, treedef.unflatten(nu), inner_state)

    return optax.GradientTransformation(init_fn, update_fn)


def _numbers(sigma: Scalar, eps: Scalar, t: jax.Array, dtype: Any) -> tuple[jax.Array, ...]:
    """Return σ, ε and 1/(1 − σ^t) in this precision."""
    decay = jnp.asarray(sigma, dtype)
    # (From the σ of this precision, and with all digits for a σ near 1. An error here would be an
    # error of the corrected V.)
    correction = -jnp.expm1(t.astype(dtype) * jnp.log1p(decay - 1))
    return decay, jnp.asarray(eps, dtype), 1 / correction
