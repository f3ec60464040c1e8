"""Runs in files that other frameworks can read: `save_run` and `load_run`.

`indian_core.runs.file` describes the contents of the file, and `indian_core.runs.layouts` how names
and axes are converted between frameworks. A parameter's name is its path in the tree, joined by
"/".
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core.runs.file import Array, Parameter, Run, load, save
from indian_core.runs.layouts import Table
from indian_core.runs.target import TOLERANCE, Place, received, shared
from indian_optax.damped_adamw import DampedAdamWState
from indian_optax.innaprop import InnapropState
from indian_optax.layouts import named_leaves
from indian_optax.paper_law import IndianState
from indian_optax.psi import is_masked, leaves_of
from indian_optax.states import METHODS, check_params, is_state

Members = dict[str, tuple[Any, Any, Any]]

_WIDE = (np.float32, np.float64, np.complex64, np.complex128)


def save_run(
    path: str | os.PathLike[str],
    params: optax.Params,
    state: optax.OptState,
    step: int | None = None,
) -> None:
    """Write parameters and the state of their optimizer to a file.

    The file leaves out parameters without a momentum (frozen ones, or those of another optimizer)
    and the state of other transformations. A state knows no hyperparameters but α and β, so the
    file has none else.

    Args:
        path: The file to write.
        params: The parameters, arrays at the leaves of a tree.
        state: The state of one of this package's optimizers, or one that holds it.
        step: The number of steps made. It is required for a `damped_sgd` without a schedule, whose
            state does not count its steps. If None, it is the count in the state.

    Raises:
        ValueError: If the state does not hold exactly one state of this package, belongs to other
            parameters, or does not know its step. Nothing is written then.
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
    found = _found(state)
    members = _members(params, found)
    step = found.step if step is None else step
    if step is None:
        raise ValueError("Invalid step: None (the state does not count its steps: say how many)")
    parameters = {
        name: Parameter(
            _array(theta),
            _array(s),
            1.0,
            None if nu is None else _array(nu),
            found.steps,
            found.begun,
            0,
            str(theta.dtype),
        )
        for name, (theta, s, nu) in members.items()
    }
    save(path, Run(found.method, (found.group,), parameters, step))


def load_run(
    path: str | os.PathLike[str],
    params: optax.Params,
    state: optax.OptState,
    table: Table | None = None,
    *,
    allow_rounding: bool = False,
) -> tuple[optax.Params, optax.OptState]:
    """Return parameters and an optimizer's state from a file of any framework.

    If this package wrote the file, the run continues bit for bit. The optimizer must have the run's
    hyperparameters. A state holds only α and β, if any, so these are compared, and the caller is
    responsible for the others and for the learning rate schedule. The schedule continues from the
    step count in the file.

    Args:
        path: The file to read.
        params: Parameters like those to be returned. They are not changed.
        state: The state of one of this package's optimizers, or one that holds it, as
            ``init(params)`` returns it. The parts that belong to other transformations are kept.
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
    found = _found(state)
    members = _members(params, found)
    places = {
        name: Place(
            tuple(theta.shape),
            str(theta.dtype),
            str(s.dtype),
            None if nu is None else str(nu.dtype),
            {},  # A state knows only α and β, which are compared below.
        )
        for name, (theta, s, nu) in members.items()
    }
    run = received(load(path), found.method, places, table, allow_rounding=allow_rounding)
    _check_phase(shared(run).group, found.group)
    theta = {name: _like(run.parameters[name].theta, old) for name, (old, _, _) in members.items()}
    leaves = [theta.get(name, leaf) for name, leaf in named_leaves(params)]
    return jax.tree.unflatten(jax.tree.structure(params), leaves), _with_run(state, run, members)


def _with_run(node: Any, run: Run, members: Members) -> Any:
    """Return a state, or a part of one, with its contents replaced by those of a run."""
    group, begun, steps = shared(run)

    def scalar(value: Any, old: Any) -> Any:
        # Flax NNX wraps arrays in boxes, so the leaves are the arrays.
        return jax.tree.map(lambda x: jnp.asarray(value, jnp.asarray(x).dtype), old)

    def tree(values: list[Any], old: Any) -> Any:
        new = map(_like, values, jax.tree.leaves(old))
        return jax.tree.map(lambda _: next(new), old)

    parameters = [run.parameters[name] for name in members]
    momentums, squares = [p.w for p in parameters], [p.squares for p in parameters]

    def of_method(node: Any) -> Any:
        match node:
            case InnapropState():
                new_nu = tree(squares, node.nu)
                return InnapropState(
                    scalar(steps, node.nu_count), new_nu, of_method(node.inner_state)
                )
            case IndianState():
                return IndianState(
                    count=scalar(run.step, node.count),
                    begun=scalar(begun, node.begun),
                    alpha=scalar(group["alpha"], node.alpha),
                    beta=scalar(group["beta"], node.beta),
                    momentum=tree(momentums, node.momentum),
                )
            case DampedAdamWState():
                new, new_nu = tree(momentums, node.momentum), tree(squares, node.nu)
                return DampedAdamWState(scalar(steps, node.count), new, new_nu)
        return optax.TraceState(tree(momentums, node.trace))

    def replaced(node: Any) -> Any:
        if is_state(node):
            return of_method(node)
        if isinstance(node, optax.ScaleByScheduleState):
            return optax.ScaleByScheduleState(scalar(run.step, node.count))
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

    def is_replaced(node: Any) -> bool:
        ours = is_state(node) or isinstance(node, optax.ScaleByScheduleState)
        return ours or _is_injected(node)

    return jax.tree.map(replaced, node, is_leaf=is_replaced)


def _is_injected(node: Any) -> bool:
    """Return whether a state is that of `optax.inject_hyperparams`, around one of ours."""
    if not (hasattr(node, "hyperparams") and hasattr(node, "inner_state")):
        return False
    return any(map(is_state, jax.tree.leaves(node.inner_state, is_leaf=is_state)))


class _Found(NamedTuple):
    """What a state holds of a run.

    Attributes:
        method: The method.
        momentum: The momentum, a tree.
        nu: V, a tree, or None.
        step: The number of steps made, or None if the state does not count them.
        steps: The number of gradients that V holds.
        begun: Whether a first step was made.
        group: The hyperparameters that the state knows.
    """

    method: str
    momentum: Any
    nu: Any
    step: int | None
    steps: int
    begun: bool
    group: Mapping[str, float]


def _found(state: optax.OptState) -> _Found:
    """Return what the only state of ours in a state holds, or raise ValueError."""
    check_params(state)
    nodes = [node for node in jax.tree.leaves(state, is_leaf=is_state) if is_state(node)]
    if len(nodes) != 1:
        raise ValueError(
            f"Invalid state: it holds {len(nodes)} states of this package's optimizers, a run one: "
            f"{jax.tree.structure(state)}"
        )
    (node,) = nodes
    method = next(name for name, kind in METHODS.items() if isinstance(node, kind))
    if isinstance(node, optax.TraceState):
        count = _schedule_count(state)
        return _Found(method, node.trace, None, count, 0, True, {})
    if isinstance(node, DampedAdamWState):
        count = _number(node.count)
        return _Found(method, node.momentum, node.nu, count, count, True, {})
    nu, steps, inner = None, 0, node
    if isinstance(node, InnapropState):
        nu, steps, inner = node.nu, _number(node.nu_count), node.inner_state
    group = {"alpha": _number(inner.alpha), "beta": _number(inner.beta)}
    begun = bool(_number(inner.begun))
    return _Found(method, inner.momentum, nu, _number(inner.count), steps, begun, group)


def _schedule_count(state: optax.OptState) -> int | None:
    """Return the count of a schedule or of injected hyperparameters, or None if there is none."""

    def counts(node: Any) -> bool:
        return isinstance(node, optax.ScaleByScheduleState) or _is_injected(node)

    nodes = filter(counts, jax.tree.leaves(state, is_leaf=counts))
    return next((int(_number(node.count)) for node in nodes), None)


def _members(params: Any, found: _Found) -> Members:
    """Return θ, the momentum and V of each parameter that has a momentum, by its path."""
    squares = itertools.repeat(None) if found.nu is None else iter(leaves_of(found.nu, params))
    members = {}
    momentums = leaves_of(found.momentum, params)
    for (name, theta), s, nu in zip(named_leaves(params), momentums, squares, strict=False):
        if is_masked(s):
            continue
        if name in members:
            raise ValueError(f"Invalid params: two of them are at {name}")
        if not getattr(theta, "is_fully_addressable", True):
            raise ValueError(f"Invalid params: {name} is on other hosts too (gather the run first)")
        members[name] = (theta if hasattr(theta, "dtype") else jnp.asarray(theta), s, nu)
    return members


def _check_phase(theirs: Mapping[str, Any], ours: Mapping[str, float]) -> None:
    """Raise unless α and β are the run's, where both know them."""
    for name in theirs.keys() & ours.keys():
        if not math.isclose(ours[name], theirs[name], rel_tol=TOLERANCE):
            raise ValueError(
                f"Invalid optimizer: its {name} is {ours[name]}, and {theirs[name]} in the run"
            )


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
