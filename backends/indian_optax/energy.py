"""The Lyapunov energy of an optimizer state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from indian_core.energy import lyapunov_energy
from indian_optax.hyperparameters import as_scalar
from indian_optax.transform import IndianState


def energy(
    state: optax.OptState,
    loss: jax.typing.ArrayLike,
    alpha: jax.typing.ArrayLike,
    beta: jax.typing.ArrayLike,
) -> jax.Array:
    r"""Compute the Lyapunov energy of a run, the loss and the kinetic energy together.

    .. math::
      E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2

    With small enough steps and exact gradients it falls at every step although the loss may rise;
    where E rises, the learning rate is too large or the gradients are noisy. Loss and state must
    be of the same moment: give it the loss that came with the gradients of a step, and the state
    that goes into that step. It may be jitted with the step.

    Args:
      state: The state of :func:`indian_optax.indian`, or one that holds it: of a chain, a wrapper,
        or :func:`optax.partition` with several, whose momenta are added.
      loss: :math:`J(\theta)`, a scalar.
      alpha: :math:`\alpha`, the viscous damping of the run.
      beta: :math:`\beta`, the Newton damping of the run.

    Returns:
      :math:`E`, a scalar. Before the first step, where :math:`w_0` is not yet known, it is that of
      a start from rest.

    Raises:
      TypeError: If α or β is not a number or an array.
      ValueError: If α or β is out of range, the loss is not a scalar, or the state holds no
        :class:`indian_optax.IndianState`.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from indian_optax import indian
      >>> from indian_optax.energy import energy
      >>> solver = indian(0.1, alpha=0.5, beta=1.0, initial_speed=1.0)
      >>> loss = lambda theta: jnp.sum(theta**2)
      >>> params = jnp.array([1., 2.])
      >>> state = solver.init(params)
      >>> for _ in range(3):
      ...   value, gradients = jax.value_and_grad(loss)(params)
      ...   print(round(float(energy(state, value, alpha=0.5, beta=1.0)), 3))
      ...   updates, state = solver.update(gradients, state)
      ...   params = optax.apply_updates(params, updates)
      15.0
      9.65
      6.107

    References:
      Castera et al, `An Inertial Newton Algorithm for Deep Learning
      <https://jmlr.org/papers/v22/19-1024.html>`_, 2021, Lemmas 9 and 10
    """
    alpha, beta = as_scalar("alpha", alpha), as_scalar("beta", beta)
    if jnp.size(loss) != 1:
        raise ValueError(f"Invalid loss: shape {jnp.shape(loss)} (it must be a scalar)")
    states = [s for s in jax.tree.leaves(state, is_leaf=_is_indian) if _is_indian(s)]
    if not states:
        raise ValueError(
            f"The state holds no IndianState, so there is no energy: {jax.tree.structure(state)}"
        )
    squares = [
        jnp.sum(jnp.square(jnp.abs(w.astype(jnp.promote_types(w.dtype, jnp.float32)))))
        for s in states
        for w in jax.tree.leaves(s.momentum)
    ]
    return jnp.asarray(lyapunov_energy(jnp.reshape(loss, ()), sum(squares, 0.0), alpha, beta))


def _is_indian(node: Any) -> bool:
    return isinstance(node, IndianState)
