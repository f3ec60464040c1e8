"""Runs in files that other frameworks read: `save_run` and `load_run`, and a model's `layout`.

What is in the file, and how names and axes go from one framework to another, is said in
`indian_core.run_file` and `indian_core.layouts`.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import OTHER_NAMES
from indian_core.layouts import Entry, Table
from indian_core.run_file import Array, Parameter, Run, load, save
from indian_core.run_target import Place, received, shared
from indian_keras import _private
from indian_keras.base import Optimizer

# The classes of layers by the kinds of their kernels. (A subclass counts: its kernel is of a kind.)
_KERNELS: tuple[tuple[Any, str], ...] = (
    (keras.layers.Dense, "dense kernel"),
    (keras.layers.Conv1D, "convolution 1d"),
    (keras.layers.Conv2D, "convolution 2d"),
    (keras.layers.Conv3D, "convolution 3d"),
)
_NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)


def save_run(path: str | os.PathLike[str], model: keras.Model) -> None:
    """Write a model's trainable variables, and its optimizer's state, to a file.

    Frozen weights, the running means of batch normalization and the seeds of dropout are not in it.

    Args:
        path: Where to.
        model: A built model, compiled with an `INDIAN` or `INNAprop`, in a `LossScaleOptimizer` or
            not.

    Raises:
        ValueError: If the state holds what a run's file does not: a moving average of the
            variables, gradients that are being accumulated, variables that are overwritten with
            their gradients. Nothing has been written then.
        TypeError: If the optimizer is neither of these.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile
        >>> import keras
        >>> from indian_keras import INDIAN, load_run, save_run
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(optimizer=INDIAN(), loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, model)
        ...     load_run(path, model)
        0
    """
    optimizer = _optimizer_of(model)
    begun = bool(int(optimizer.begun.value))
    steps = 0 if optimizer.count is None else int(optimizer.count.value)
    scale = optimizer._scale_at(float(optimizer.learning_rate))
    if scale == 0:
        raise ValueError("Invalid learning rate: 0 (Keras's momentum has no other form there)")
    groups: list[dict[str, Any]] = []
    parameters = {}
    for name, (variable, w, squares) in _members(model, optimizer).items():
        group = _hyperparameters(optimizer, variable)
        if group not in groups:
            groups.append(group)
        parameters[name] = Parameter(
            _array(variable),
            _array(w),
            scale,
            None if squares is None else _array(squares),
            steps,
            begun,
            groups.index(group),
            _dtype(variable),
        )
    save(path, Run(optimizer.method, tuple(groups), parameters, int(optimizer.iterations)))


def load_run(
    path: str | os.PathLike[str],
    model: keras.Model,
    table: Table | None = None,
    *,
    allow_rounding: bool = False,
) -> int:
    """Load a model's trainable variables and its optimizer's state from a file of any framework.

    The run goes on bit for bit if the file is of this adapter. The optimizer must have the run's
    hyperparameters already, all but the learning rate, whose schedule is the caller's and goes on
    from the step that the file names.

    Args:
        path: The file.
        model: A built model, compiled with an `INDIAN` or `INNAprop`, in a `LossScaleOptimizer` or
            not.
        table: For each trainable variable, by its path, where it is: see
            `indian_core.layouts.paired`. None: the names are the same.
        allow_rounding: Whether numbers may lose digits.

    Returns:
        How many steps the run has made, which `iterations` is now too.

    Raises:
        ValueError: If the file is damaged, or its run cannot go on here. Nothing has been changed
            then.
        TypeError: If the optimizer is neither of these; likewise.
        FileNotFoundError: If there is no file.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile
        >>> import keras
        >>> from indian_core.layouts import paired
        >>> from indian_keras import INDIAN, layout, load_run, save_run
        >>> old, new = (
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]) for _ in range(2)
        ... )
        >>> for model in (old, new):
        ...     model.compile(optimizer=INDIAN(), loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, old)
        ...     load_run(path, new, paired(layout(old), layout(new), "keras", "keras"))
        0
    """
    optimizer = _optimizer_of(model)
    members = _members(model, optimizer)
    places = {
        name: Place(
            tuple(variable.shape),
            _dtype(variable),
            _dtype(w),
            None if squares is None else _dtype(squares),
            _hyperparameters(optimizer, variable),
        )
        for name, (variable, w, squares) in members.items()
    }
    run = received(load(path), optimizer.method, places, table, allow_rounding=allow_rounding)
    group, begun, steps = shared(run)
    scale = optimizer._scale_at(group["lr"])
    for name, (variable, w, squares) in members.items():
        parameter = run.parameters[name]
        _put(variable, parameter.theta)
        same = parameter.scale == scale
        _put(w, parameter.momentum if same else parameter.w * scale)
        if squares is not None:
            _put(squares, parameter.squares)
    optimizer.begun.assign(int(begun))
    if optimizer.count is not None:
        optimizer.count.assign(steps)
    optimizer._iterations.assign(run.step * (optimizer.gradient_accumulation_steps or 1))
    return run.step


def layout(model: keras.Model) -> list[Entry]:
    """Return the parameters of a model's layers in their order, for `indian_core.layouts.paired`.

    Args:
        model: A built model of dense and convolutional layers, embeddings and normalizations.

    Raises:
        ValueError: If there is a trainable variable of a layer that is none of these.

    Examples:
        >>> import keras
        >>> from indian_keras import layout
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> [entry.kind for entry in layout(model)]
        ['dense kernel', 'bias']
    """
    entries: dict[int, Entry] = {}
    for layer in _layers(model):
        for variable in layer.trainable_variables:
            kind = _kind(layer, variable.name)
            if kind is not None and id(variable) not in entries:
                path = variable.path
                entries[id(variable)] = Entry(path, path.rpartition("/")[0], kind)
    for variable in model.trainable_variables:
        if id(variable) not in entries:
            raise ValueError(
                f"Invalid model: no layout is known of {variable.path} (a table can be written by "
                "hand)"
            )
    return list(entries.values())


def _layers(layer: Any) -> list[Any]:
    """Return the layers within a model, those within its layers in their places."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [each for child in inner for each in _layers(child)]


def _kind(layer: Any, name: str) -> str | None:
    if isinstance(layer, _NORMS):
        return {"gamma": "scale", "beta": "bias"}.get(name)
    if isinstance(layer, keras.layers.Embedding):
        return {"embeddings": "embedding"}.get(name)
    kind = next((kind for classes, kind in _KERNELS if isinstance(layer, classes)), None)
    return None if kind is None else {"kernel": kind, "bias": "bias"}.get(name)


def _optimizer_of(model: Any) -> Optimizer:
    """Return a model's optimizer, built, or raise if its state is not what a file holds."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            "Invalid model: its optimizer should be an INDIAN or INNAprop, not "
            f"{type(optimizer).__name__}"
        )
    if not model.built:
        raise ValueError("Invalid model: it is not built yet")
    if optimizer.use_ema:
        raise ValueError("Invalid optimizer: a run's file holds no moving average (use_ema=True)")
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    steps = optimizer.gradient_accumulation_steps
    if steps and int(optimizer._iterations.value) % steps:
        raise ValueError(
            "Invalid optimizer: it is accumulating gradients, which a run's file does not hold"
        )
    return optimizer


def _members(model: Any, optimizer: Optimizer) -> dict[str, tuple[Any, Any, Any]]:
    """Return each variable of the optimizer by its path, with the slots of its w and V, or raise.

    Raises:
        ValueError: If the optimizer's variables are not the model's, or have not a path each.
    """
    variables = optimizer._trainable_variables
    velocities = optimizer.velocities or [None] * len(variables)
    slots = zip(variables, optimizer.momentums, velocities, strict=True)
    members = {variable.path: (variable, w, squares) for variable, w, squares in slots}
    if {id(v) for v in variables} != {id(v) for v in model.trainable_variables}:
        raise ValueError("Invalid model: its trainable variables are not the optimizer's")
    if len(members) < len(variables):
        raise ValueError("Invalid model: two of its variables have the same path")
    for name, (_, w, _) in members.items():
        if w is None:
            raise ValueError(f"Invalid model: {name} is overwritten with its gradient")
    return members


def _hyperparameters(optimizer: Optimizer, variable: Any) -> dict[str, Any]:
    """Return a variable's hyperparameters by their names in PyTorch."""
    numbers = optimizer._numbers()
    group = {OTHER_NAMES.get(name, name): getattr(optimizer, name) for name in numbers}
    decays = optimizer.weight_decay and _private.decays(optimizer, variable)
    return group | {
        "lr": float(optimizer.learning_rate),
        "weight_decay": optimizer.weight_decay if decays else 0.0,
        "authors_weight_decay": optimizer.authors_weight_decay,
        "decoupled_weight_decay": True,
        "maximize": False,
    }


def _dtype(variable: Any) -> str:
    return str(keras.backend.standardize_dtype(variable.dtype))


def _array(variable: Any) -> Array:
    value = ops.convert_to_tensor(variable)
    if _dtype(variable) in ("float16", "bfloat16"):
        value = ops.cast(value, "float32")
    return np.array(ops.convert_to_numpy(value))


def _put(variable: Any, array: Any) -> None:
    """Assign an array, which may be wider, to a variable."""
    dtype = _dtype(variable)
    known = "float32" if dtype == "bfloat16" else dtype  # what NumPy has
    # (As a tensor of its own dtype: Keras would take it through floatx.)
    value = ops.convert_to_tensor(np.asarray(array).astype(known), dtype=known)
    variable.assign(ops.cast(value, dtype))
