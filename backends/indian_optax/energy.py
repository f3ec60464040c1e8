"""The Lyapunov energy of an optimizer state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy
from indian_optax.dtypes import standard_promotion, working_dtype
from indian_optax.states import indian_states


@standard_promotion
def energy(state: optax.OptState, loss: jax.typing.ArrayLike) -> jax.Array:
    r"""Compute the Lyapunov energy of a run, which combines the loss and the kinetic energy.

    $$E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2$$

    With small enough steps and exact gradients it falls at every step, even if the loss rises.
    If E rises, the learning rate is too large or the gradients are noisy. The loss and the state
    must belong to the same moment: pass the loss that was computed with the gradients of a step,
    and the state before that step. The function may be jitted with the step.

    Args:
        state: The state of `indian` or `innaprop`, or one that holds it: the state of a chain, of
            a wrapper, or of `optax.partition` with several of them, which must have the same
            $\alpha$ and $\beta$. In ``jax.jit``, where these cannot be compared, the first ones
            are used.
        loss: $J(\theta)$, a scalar.

    Returns:
        $E$, a scalar. Before the first step $w_0$ is not known, so $E$ is that of a start from
        rest.

    Raises:
        ValueError: If the loss is not a real scalar; if the state holds no `IndianState`, or some
            that differ in $\alpha$ or $\beta$; or if a wrapper runs the optimizer on parameters of
            its own.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from indian_optax import indian
        >>> from indian_optax import energy
        >>> solver = indian(0.1, alpha=0.5, beta=1.0, initial_speed=1.0)
        >>> loss = lambda theta: jnp.sum(theta**2)
        >>> params = jnp.array([1., 2.])
        >>> state = solver.init(params)
        >>> for _ in range(3):
        ...   value, gradients = jax.value_and_grad(loss)(params)
        ...   print(round(float(energy(state, value)), 3))
        ...   updates, state = solver.update(gradients, state)
        ...   params = optax.apply_updates(params, updates)
        15.0
        9.65
        6.107

    Source: Castera et al, [An Inertial Newton Algorithm for Deep
    Learning](https://jmlr.org/papers/v22/19-1024.html), 2021, Lemmas 9 and 10.
    """
    loss = jnp.asarray(loss)
    check_loss(loss.shape, loss.dtype, is_real=not jnp.iscomplexobj(loss))
    states = indian_states(state)
    kinetic = sum(_squared(each.momentum) for each in states)
    numbers = [(each.alpha, each.beta) for each in states]
    if not isinstance(numbers[0][0], jax.core.Tracer):
        different = {(float(alpha), float(beta)) for alpha, beta in numbers}
        if len(different) > 1:
            raise ValueError(f"Invalid state: it has more than one (alpha, beta): {different}")
    loss = loss.reshape(()).astype(working_dtype(loss.dtype))
    return jnp.asarray(lyapunov_energy(loss, kinetic, *numbers[0]))


def _squared(momentum: optax.Updates) -> Any:
    """Return ‖w‖², in at least float32."""
    leaves = [jnp.abs(w.astype(working_dtype(w.dtype))) for w in jax.tree.leaves(momentum)]
    return sum((jnp.sum(jnp.square(w)) for w in leaves), jnp.zeros([]))
