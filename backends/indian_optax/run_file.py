"""Runs in files that other frameworks can read: `save_run` and `load_run`.

`indian_core.runs.file` describes the contents of the file, and `indian_core.runs.layouts` how names
and axes are converted between frameworks. A parameter's name is its path in the tree, joined by
"/".
"""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np
import optax

from indian_core.runs.file import Array, Parameter, Run, load, save
from indian_core.runs.layouts import Table
from indian_core.runs.target import Place, received, shared
from indian_optax.damped_adamw import DampedAdamWState
from indian_optax.dtypes import working_dtype
from indian_optax.innaprop import InnapropState
from indian_optax.layouts import name_of
from indian_optax.paper_law import IndianState
from indian_optax.states import states_of
from indian_optax.trees import at_momentum, by_path, placed_like

# The state of each method. That of `damped_sgd` is SGD's own.
_STATES = {
    "INDIAN": IndianState,
    "INNAprop": InnapropState,
    "DampedSGD": optax.TraceState,
    "DampedAdamW": DampedAdamWState,
}


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
    method, fields, group = _contents(state)
    if step is None and "count" in fields:
        step = _number(fields["count"])
    elif step is None:
        counts = filter(_is_counting, jax.tree.leaves(state, is_leaf=_is_counting))
        step = next((_number(node.count) for node in counts), None)
    if step is None:
        raise ValueError("Invalid step: None (the state does not count its steps: say how many)")
    steps = _number(fields.get("nu_count", fields.get("count"))) if "nu" in fields else 0
    parameters = {
        name: Parameter(
            theta=_array(theta),
            momentum=_array(s),
            squares=None if nu is None else _array(nu),
            steps=steps,
            begun="begun" not in fields or bool(_number(fields["begun"])),
        )
        for name, (theta, s, nu) in _members(params, fields).items()
    }
    save(path, Run(method, (group,), parameters, step))


def load_run(
    path: str | os.PathLike[str],
    params: optax.Params,
    state: optax.OptState,
    table: Table | None = None,
) -> tuple[optax.Params, optax.OptState]:
    """Return parameters and an optimizer's state from a file of any framework.

    If this package wrote the file, the run continues bit for bit. Numbers of another dtype are
    rounded to that of their array here. The optimizer must have the run's
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
    method, fields, group = _contents(state)
    members = _members(params, fields)
    places = {
        name: Place(tuple(theta.shape), str(theta.dtype), group)
        for name, (theta, _, _) in members.items()
    }
    run = received(load(path), method, places, table)
    new = {
        name: placed_like(run.parameters[name].theta, old) for name, (old, _, _) in members.items()
    }
    new_params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: new.get(name_of(path), leaf), params
    )
    return new_params, _with_run(state, run, list(members))


def _contents(state: optax.OptState) -> tuple[str, dict[str, Any], dict[str, float]]:
    """Return the method of the only state of ours in a state, its fields, and its α and β."""
    nodes = states_of(state, *_STATES.values())
    if len(nodes) != 1:
        raise ValueError(
            f"Invalid state: it holds {len(nodes)} states of this package's optimizers, a run one: "
            f"{jax.tree.structure(state)}"
        )
    method = next(name for name, kind in _STATES.items() if isinstance(nodes[0], kind))
    fields = nodes[0]._asdict()
    if method == "INNAprop":
        fields |= fields.pop("inner_state")._asdict()
    return method, fields, {k: _number(fields[k]) for k in ("alpha", "beta") if k in fields}


def _members(params: Any, fields: dict[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
    """Return θ, the momentum and V of each parameter that has a momentum, by its name."""
    momentum = fields.get("momentum", fields.get("trace"))
    squares = by_path(fields.get("nu"))
    theta = at_momentum(momentum, params, "params")
    members = {
        name_of(path): (theta[path], s, squares.get(path)) for path, s in by_path(momentum).items()
    }
    if len(members) < len(theta):
        raise ValueError(f"Invalid params: two of them have the same name: {list(members)}")
    return members


def _with_run(state: optax.OptState, run: Run, names: list[str]) -> Any:
    """Return a state with the contents of a run, wherever it has fields for them."""
    group, begun, steps = shared(run)
    momentums = [run.parameters[name].w for name in names]
    contents: dict[str, list[Any]] = {
        "count": [run.step],
        "nu_count": [steps],
        "begun": [begun],
        "alpha": [group.get("alpha")],
        "beta": [group.get("beta")],
        "momentum": momentums,
        "trace": momentums,
        "nu": [run.parameters[name].squares for name in names],
    }

    def put(values: list[Any], old: Any) -> Any:
        # A scalar too may be a tree: Flax NNX puts it into a box.
        new = map(placed_like, values, jax.tree.leaves(old))
        return jax.tree.map(lambda _: next(new), old)

    def filled(node: Any) -> Any:
        if not is_filled(node):
            return node
        ours = contents
        if isinstance(node, DampedAdamWState):  # whose count is that of V
            ours = contents | {"count": [steps]}
        new = {
            name: put(ours[name], old) if name in ours else within(old)
            for name, old in node._asdict().items()
        }
        return type(node)(**new)

    def is_filled(node: Any) -> bool:
        return isinstance(node, tuple(_STATES.values())) or _is_counting(node)

    def within(tree: Any) -> Any:
        return jax.tree.map(filled, tree, is_leaf=is_filled)

    return within(state)


def _is_counting(node: Any) -> bool:
    """Return whether a state is that of a schedule, or of injected hyperparameters."""
    return getattr(node, "_fields", ()) == ("count",) or hasattr(node, "hyperparams_states")


def _number(scalar: Any) -> Any:
    """Return a scalar of a state as a number."""
    return np.asarray(jax.tree.leaves(scalar)[0]).item()


def _array(value: Any) -> Array:
    """Return an array as a file holds it, with floats of 16 bits or fewer in float32."""
    return np.asarray(jax.device_get(value)).astype(working_dtype(value.dtype))
