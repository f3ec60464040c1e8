"""`indian`, the optimizer with its weight decay, `scale_by_indian`, and `from_sgd`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED
from indian_optax.base import transformation
from indian_optax.hyperparameters import as_scalar


def indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike | None = INITIAL_SPEED,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any | Callable[[optax.Params], Any] | None = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN optimizer, an inertial Newton algorithm (later named INNA).

    INDIAN discretizes :math:`\ddot\theta + \alpha\dot\theta + \beta\nabla^2 J(\theta)\dot\theta +
    \nabla J(\theta) = 0`: a heavy ball with viscous damping :math:`\alpha` that is also damped
    along Newton's direction by :math:`\beta`, yet needs first derivatives only. It keeps one
    buffer for each parameter, as SGD with momentum does, and with certain hyperparameters it *is*
    that method (see :func:`indian_optax.from_sgd`).

    Let :math:`\gamma_t` be the learning rate, :math:`v_t` the gradient (potentially preprocessed
    by other transformations), :math:`\theta_t` the parameters and :math:`\lambda` the weight
    decay. The ``init`` function makes the state :math:`S_0 := (0, 0)` of step count and momentum.
    For :math:`t \geq 0` and with :math:`w_0 = (s - \beta)\, v_0` the ``update`` function computes

    .. math::

      \begin{align*}
        u_t &\leftarrow -\gamma_t (w_t + \beta v_t) - \gamma_t \lambda \theta_t \\
        w_{t+1} &\leftarrow (1 - \alpha\gamma_t)\, w_t + \gamma_t (1 - \alpha\beta)\, v_t \\
        S_{t+1} &\leftarrow (t + 1, w_{t+1}),
      \end{align*}

    and :func:`optax.apply_updates` adds :math:`u_t`. This is equation (11) of the paper, exactly
    and for any :math:`\gamma_t`, in the variable :math:`w = (\alpha - 1/\beta)\,\theta +
    \psi/\beta` of its Theorem 14 in place of :math:`\psi`; :func:`indian_optax.psi` and
    :func:`indian_optax.with_psi` convert.

    A parameter whose gradient is None rests. All parameters begin together: where the first
    gradient comes later than in the first step, the parameter starts from rest, :math:`w = 0`,
    and the initial speed has no part. A step with a learning rate of 0 is no first step; and the
    count, which schedules follow, may be set to 0 in mid-run without making another one.

    A step is computed in the widest of gradient, momentum, parameter (where ``params`` are given)
    and float32. The updates have the wider dtype of gradient and parameter.

    Args:
      learning_rate: :math:`\gamma > 0`, the step size: a scalar, or a schedule of the step count,
        such as the paper's :func:`indian_optax.power_decay`. On smooth losses of curvature at most
        :math:`L` steps are stable below about :math:`2/(\beta L)`.
      alpha: :math:`\alpha \geq 0`, the viscous damping.
      beta: :math:`\beta > 0`, the Newton damping.
      initial_speed: :math:`s \geq 0`: the initial velocity is :math:`-s v_0`. ``None`` is
        :math:`\beta`, a start from rest, and 1 the paper's: see ``indian_core.PAPER``.
      weight_decay: :math:`\lambda`, the strength of the decoupled weight decay, a scalar or a
        schedule. It is multiplied with the learning rate. With ``None`` ``update`` needs no
        ``params``.
      mask: A tree with same structure as (or a prefix of) the params PyTree, or a Callable that
        returns such a pytree given the params/updates. The leaves should be booleans, ``True`` for
        leaves/subtrees you want to apply the weight decay to, and ``False`` for those you want to
        skip. Note that the INDIAN step is made for all parameters.
      accumulator_dtype: Optional ``dtype`` of the momentum. With ``None`` it is the parameter's
        own, but float32 for narrower parameters.

    Returns:
      The corresponding :class:`optax.GradientTransformationExtraArgs`. Its state is an
      :class:`indian_optax.IndianState`.

    Raises:
      TypeError: If a hyperparameter is not a number, an array or (``learning_rate``,
        ``weight_decay``) a schedule, or ``accumulator_dtype`` no floating-point dtype. ``update``
        raises it if the state is not an :class:`indian_optax.IndianState`.
      ValueError: If a value is out of range, or an array is not a scalar; the value of an array is
        checked where it is known, outside of ``jax.jit``. ``update`` raises it if trees or shapes
        do not match, or weight decay is asked for and ``params`` are not given.

    Examples:
      >>> import optax
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from indian_optax import indian
      >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
      >>> solver = indian(learning_rate=0.2)
      >>> params = jnp.array([1., 2., 3.])
      >>> print('Objective function: ', f(params))
      Objective function:  14.0
      >>> opt_state = solver.init(params)
      >>> for _ in range(5):
      ...  grad = jax.grad(f)(params)
      ...  updates, opt_state = solver.update(grad, opt_state, params)
      ...  params = optax.apply_updates(params, updates)
      ...  print('Objective function: {:.2E}'.format(f(params)))
      Objective function: 1.29E+01
      Objective function: 1.00E+01
      Objective function: 6.29E+00
      Objective function: 2.86E+00
      Objective function: 6.22E-01

    References:
      Castera et al, `An Inertial Newton Algorithm for Deep Learning
      <https://jmlr.org/papers/v22/19-1024.html>`_, 2021

    .. note::
      The updates are the steps themselves. In :func:`optax.chain`, transformations of the
      gradients come before this one, and nothing that scales the updates after it.
      Under :func:`optax.inject_hyperparams`, name the arguments that are functions or dtypes but
      no schedules: ``static_args=("mask", "accumulator_dtype")``.
    """
    step = transformation(
        learning_rate,
        alpha,
        beta,
        initial_speed,
        weight_decay,
        mask,
        accumulator_dtype=accumulator_dtype,
    )
    return optax.with_extra_args_support(step)


inna = indian


def scale_by_indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike | None = INITIAL_SPEED,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    r"""Rescale updates according to the INDIAN (INNA) algorithm.

    See :func:`indian_optax.indian` for more details.

    The learning rate enters the recursion of the momentum, so it lives inside this transformation,
    and what comes out is the step itself, with its sign: ``optax.apply_updates`` adds it.
    Transform gradients before it (clip them, say); scaling its updates makes another method.

    Args:
      learning_rate: :math:`\gamma`, the step size: a scalar, or a schedule of the step count.
      alpha: :math:`\alpha \geq 0`, the viscous damping.
      beta: :math:`\beta > 0`, the Newton damping.
      initial_speed: :math:`s \geq 0`, the initial speed in units of the first gradient. ``None``
        is :math:`\beta`, a start from rest.
      accumulator_dtype: Optional ``dtype`` of the momentum. With ``None`` it is the parameter's
        own, but float32 for narrower parameters.

    Returns:
      A :class:`optax.GradientTransformation` object. Its state is an :class:`IndianState`. It needs
      no ``params``; with them, updates have the wider dtype of gradient and parameter, and on CPUs
      XLA updates parameters and momentum in place, without a temporary copy, if the buffers are
      donated and :func:`optax.apply_updates` is what follows.

    Raises:
      TypeError: If a hyperparameter is not a number, an array or (``learning_rate``) a schedule,
        or ``accumulator_dtype`` no floating-point dtype. ``update`` raises it if the state is not
        an :class:`IndianState`.
      ValueError: If a number is out of range, or an array is not a scalar. ``update`` raises it if
        the gradients' tree or shapes are not those of the parameters, or a gradient is complex and
        its parameter is not.

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
    return transformation(
        learning_rate, alpha, beta, initial_speed, accumulator_dtype=accumulator_dtype
    )


def from_sgd(
    learning_rate: jax.typing.ArrayLike,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
    damping: jax.typing.ArrayLike | None = None,
    weight_decay: float | None = None,
    mask: Any | Callable[[optax.Params], Any] | None = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN that is this SGD, for a tuned SGD run to start from.

    At a constant learning rate and from rest, INDIAN with

    .. math::

      \gamma = \sqrt{lr}, \quad \alpha = (1 - m)/\gamma, \quad \beta = d/\alpha

    makes the very steps of ``optax.sgd(lr, momentum=m, nesterov=...)``: with :math:`d = 1 - m` of
    the heavy ball, with :math:`d = 1 - m^2` of Nesterov's momentum, and :math:`d = 1` is gradient
    descent. What is between, at the same learning rate, is more Newton damping.

    Args:
      learning_rate: SGD's learning rate, > 0: a number, or a scalar array that may be injected.
      momentum: SGD's momentum :math:`m`, between 0 and 1; ``None`` is 0.
      nesterov: Whether SGD uses Nesterov momentum.
      damping: :math:`d = \alpha\beta`, in the place of SGD's own, from :math:`1 - m` to 1.
      weight_decay: :math:`\lambda`: :math:`\lambda\theta` is added to the gradient, as by
        :func:`optax.add_decayed_weights` before ``optax.sgd``.
      mask: What is decayed, see :func:`indian_optax.indian`.
      accumulator_dtype: See :func:`indian_optax.indian`.

    Returns:
      The corresponding :class:`optax.GradientTransformationExtraArgs`.

    Raises:
      TypeError: If an argument is not a number or an array.
      ValueError: If an argument is out of range, or Nesterov momentum is asked for without any, or
        with a damping.

    Examples:
      >>> import optax
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from indian_optax import from_sgd
      >>> def f(x): return jnp.sum(x ** 2)  # simple quadratic function
      >>> def run(solver, params=jnp.array([1., 2., 3.]), opt_state=None):
      ...  opt_state = opt_state or solver.init(params)
      ...  for _ in range(5):
      ...   updates, opt_state = solver.update(jax.grad(f)(params), opt_state, params)
      ...   params = optax.apply_updates(params, updates)
      ...  return params, opt_state
      >>> for solver in (optax.sgd(0.01, 0.9), from_sgd(0.01, 0.9)):
      ...  params, opt_state = run(solver)
      ...  print('Objective function: {:.2E}'.format(f(params)))
      Objective function: 7.86E+00
      Objective function: 7.86E+00
      >>> more_damped = from_sgd(0.01, 0.9, damping=0.3)
      >>> params, opt_state = run(more_damped, params, opt_state)
      >>> print('Objective function: {:.2E}'.format(f(params)))
      Objective function: 7.57E-01

    References:
      Ma et al, `Quasi-hyperbolic momentum and Adam for deep learning
      <https://arxiv.org/abs/1810.06801>`_, 2019: the method that both are cases of, see
      :mod:`indian_core.equivalences`
    """
    given = {"learning_rate": learning_rate, "momentum": 0.0 if momentum is None else momentum}
    if damping is not None:
        given["damping"] = damping
    values: dict[str, Any] = {
        name: as_scalar(name, value, positive=name == "learning_rate" or None)
        for name, value in given.items()
    }
    lr, m, d = values["learning_rate"], values["momentum"], values.get("damping")
    gamma: Any
    if all(isinstance(value, float) for value in values.values()):
        gamma, alpha, beta, _ = indian_core.from_sgd(lr, m, nesterov, d)
    else:  # Injected: what is traced cannot be checked.
        gamma = jnp.sqrt(lr)
        alpha = (1 - m) / gamma
        beta = gamma * (1 + m * nesterov) if d is None else d / alpha
    step = indian(gamma, alpha, beta, accumulator_dtype=accumulator_dtype)
    if weight_decay is None:
        return step
    strength = indian_core.checked("weight_decay", weight_decay)
    return optax.chain(optax.add_decayed_weights(strength, mask), step)
