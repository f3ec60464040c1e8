"""Runs in files that other frameworks can read: `save_run` and `load_run`.

`indian_core.runs.file` describes the contents of the file, and `indian_core.runs.layouts` how names and
axes are converted between frameworks. A parameter's name is its path in the tree, joined by "/".
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core.runs.file import Array, Parameter, Run, load, save
from indian_core.runs.layouts import Table
from indian_core.runs.target import TOLERANCE, Place, received, shared
from indian_optax.base import IndianState
from indian_optax.innaprop import InnapropState
from indian_optax.layouts import named_leaves
from indian_optax.phase_space import is_masked, momentum_leaves
from indian_optax.states import is_indian, states_with_these_params

Members = dict[str, tuple[Any, Any, Any]]

_STATES = (IndianState, InnapropState)
_WIDE = (np.float32, np.float64, np.complex64, np.complex128)


def save_run(path: str | os.PathLike[str], params: optax.Params, state: optax.OptState) -> None:
    """Write parameters and the state of their optimizer to a file.

    The file leaves out parameters without a momentum (frozen ones, or those of another optimizer)
    and the state of other transformations.

    Args:
        path: The file to write.
        params: The parameters, arrays at the leaves of a tree.
        state: The state of `indian` or `innaprop`, or one that holds it.

    Raises:
        ValueError: If the state does not hold exactly one state of `indian` or `innaprop`, or
            belongs to other parameters. Nothing is written then.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile
        >>> import jax.numpy as jnp
        >>> from indian_optax import indian, load_run, save_run
        >>> params = {"kernel": jnp.array([1., 2.])}
        >>> state = indian(0.1).init(params)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, params, state)
        ...     params, state = load_run(path, params, state)
        >>> print(params["kernel"])
        [1. 2.]
    """
    inner, scaling = _states_of(state)
    members = _members(params, inner, scaling)
    steps = 0 if scaling is None else _number(scaling.nu_count)
    begun = bool(_number(inner.begun))
    parameters = {
        name: Parameter(
            _array(theta),
            _array(w),
            1.0,
            None if nu is None else _array(nu),
            steps,
            begun,
            0,
            str(theta.dtype),
        )
        for name, (theta, w, nu) in members.items()
    }
    gamma, alpha, beta = _phase(inner)
    group = {"lr": gamma, "alpha": alpha, "beta": beta}
    save(path, Run(_method(scaling), (group,), parameters, _number(inner.count)))


def load_run(
    path: str | os.PathLike[str],
    params: optax.Params,
    state: optax.OptState,
    table: Table | None = None,
    *,
    allow_rounding: bool = False,
) -> tuple[optax.Params, optax.OptState]:
    """Return parameters and an optimizer's state from a file of any framework.

    If this adapter wrote the file, the run continues bit for bit. The optimizer must have the run's
    hyperparameters. A state holds only α and β, so these are compared, and the caller is
    responsible for the others and for the learning rate schedule. The schedule continues from the
    step count in the file.

    Args:
        path: The file to read.
        params: Parameters like those to be returned. They are not changed.
        state: The state of `indian` or `innaprop`, or one that holds it, as ``init(params)``
            returns it. The parts that belong to other transformations are kept.
        table: The place in the file of each parameter, by the parameter's path; see
            `indian_core.runs.layouts.paired`. If None, the names are the same.
        allow_rounding: Whether numbers may lose digits.

    Returns:
        The parameters and the state.

    Raises:
        ValueError: If the file is damaged, or its run cannot continue with this state.
        FileNotFoundError: If the file does not exist.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile
        >>> import jax.numpy as jnp
        >>> from indian_core.runs.layouts import Move
        >>> from indian_optax import indian, load_run, save_run
        >>> solver = indian(0.1)
        >>> theirs, ours = {"kernel": jnp.array([[1., 2.]])}, {"weight": jnp.zeros((2, 1))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, theirs, solver.init(theirs))
        ...     table = {"weight": Move("kernel", axes=(1, 0))}
        ...     ours, state = load_run(path, ours, solver.init(ours), table)
        >>> print(ours["weight"].T)
        [[1. 2.]]
    """
    inner, scaling = _states_of(state)
    members = _members(params, inner, scaling)
    places = {
        name: Place(
            tuple(theta.shape),
            str(theta.dtype),
            str(w.dtype),
            None if nu is None else str(nu.dtype),
            {},  # (A state knows only α and β, which are compared below.)
        )
        for name, (theta, w, nu) in members.items()
    }
    run = received(load(path), _method(scaling), places, table, allow_rounding=allow_rounding)
    _check_phase(shared(run).group, inner)
    theta = {name: _like(run.parameters[name].theta, old) for name, (old, _, _) in members.items()}
    leaves = [theta.get(name, leaf) for name, leaf in named_leaves(params)]
    return jax.tree.unflatten(jax.tree.structure(params), leaves), _with_run(state, run, members)


def _with_run(node: Any, run: Run, members: Members) -> Any:
    """Return a state, or a part of one, with its contents replaced by those of a run."""
    group, begun, steps = shared(run)

    def scalar(value: Any, old: Any) -> Any:
        # (Flax NNX wraps arrays in boxes, so the leaves are the arrays.)
        return jax.tree.map(lambda x: jnp.asarray(value, jnp.asarray(x).dtype), old)

    def tree(values: list[Any], old: Any) -> Any:
        new = map(_like, values, jax.tree.leaves(old))
        return jax.tree.map(lambda _: next(new), old)

    parameters = [run.parameters[name] for name in members]

    def replaced(node: Any) -> Any:
        if isinstance(node, InnapropState):
            return InnapropState(
                scalar(steps, node.nu_count),
                tree([parameter.squares for parameter in parameters], node.nu),
                replaced(node.inner_state),
            )
        if isinstance(node, IndianState):
            return IndianState(
                count=scalar(run.step, node.count),
                begun=scalar(begun, node.begun),
                gamma=scalar(group["lr"], node.gamma),
                alpha=scalar(group["alpha"], node.alpha),
                beta=scalar(group["beta"], node.beta),
                momentum=tree([parameter.w for parameter in parameters], node.momentum),
            )
        if _is_injected(node):
            # The schedules of injected hyperparameters have counts of their own.
            schedules = {
                name: each._replace(count=scalar(run.step, each.count))
                for name, each in getattr(node, "hyperparams_states", {}).items()
                if hasattr(each, "count")
            }
            if schedules:
                node = node._replace(hyperparams_states=node.hyperparams_states | schedules)
            inner_state = _with_run(node.inner_state, run, members)
            return node._replace(count=scalar(run.step, node.count), inner_state=inner_state)
        return node

    return jax.tree.map(replaced, node, is_leaf=lambda x: isinstance(x, _STATES) or _is_injected(x))


def _is_injected(node: Any) -> bool:
    """Return whether a state is that of `optax.inject_hyperparams`, around one of ours."""
    if not (hasattr(node, "hyperparams") and hasattr(node, "inner_state")):
        return False
    return any(map(is_indian, jax.tree.leaves(node.inner_state, is_leaf=is_indian)))


def _states_of(state: optax.OptState) -> tuple[IndianState, InnapropState | None]:
    """Return the only `IndianState` in a state, and the `InnapropState` around it, if any."""
    states = states_with_these_params(state)
    if len(states) > 1:
        raise ValueError(
            f"Invalid state: it holds {len(states)} states of indian or innaprop, a run one"
        )

    def is_scaling(node: Any) -> bool:
        return isinstance(node, InnapropState)

    nodes = jax.tree.leaves(state, is_leaf=is_scaling)
    return states[0], next(filter(is_scaling, nodes), None)


def _members(params: Any, inner: IndianState, scaling: InnapropState | None) -> Members:
    """Return θ, w and V of each parameter that has a momentum, by its path."""
    squares: Iterable[Any] = itertools.repeat(None)
    if scaling is not None:
        squares = momentum_leaves(inner._replace(momentum=scaling.nu), params)
    members = {}
    for (name, theta), w, nu in zip(
        named_leaves(params), momentum_leaves(inner, params), squares, strict=False
    ):
        if is_masked(w):
            continue
        if name in members:
            raise ValueError(f"Invalid params: two of them are at {name}")
        if not getattr(theta, "is_fully_addressable", True):
            raise ValueError(f"Invalid params: {name} is on other hosts too (gather the run first)")
        members[name] = (theta if hasattr(theta, "dtype") else jnp.asarray(theta), w, nu)
    return members


def _check_phase(group: Mapping[str, Any], inner: IndianState) -> None:
    """Raise unless α and β are the run's or, if they follow γ, αγ and αβ are.

    `from_sgd` keeps αγ = 1 − m and αβ constant along a schedule.
    """
    gamma, alpha, beta = _phase(inner)
    theirs = group["lr"], group["alpha"], group["beta"]

    def alike(x: Sequence[float], y: Sequence[float]) -> bool:
        return all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(x, y, strict=True))

    same = alike((alpha, beta), theirs[1:])
    shares = (alpha * gamma, alpha * beta), (theirs[1] * theirs[0], theirs[1] * theirs[2])
    if not same and not (alpha > 0 and alike(*shares)):
        raise ValueError(
            f"Invalid optimizer: its (alpha, beta) is {(alpha, beta)}, and {theirs[1:]} in the run"
        )


def _method(scaling: InnapropState | None) -> str:
    return "INDIAN" if scaling is None else "INNAprop"


def _phase(inner: IndianState) -> tuple[float, float, float]:
    return _number(inner.gamma), _number(inner.alpha), _number(inner.beta)


def _number(scalar: Any) -> Any:
    """Return a scalar of a state as a number."""
    return np.asarray(jax.tree.leaves(scalar)[0]).item()


def _array(value: Any) -> Array:
    """Return an array as a file holds it, with floats of 16 bits or fewer in float32."""
    array = np.asarray(jax.device_get(value))
    return array if array.dtype in _WIDE else array.astype(np.float32)


def _like(array: Any, old: Any) -> Any:
    """Return an array, which may be wider, with the dtype and the placement of another one."""
    new = np.asarray(array).astype(old.dtype)
    if isinstance(old, np.ndarray):
        return new
    placed = jnp.asarray(new)
    return jax.device_put(placed, old.sharding) if getattr(old, "committed", True) else placed
