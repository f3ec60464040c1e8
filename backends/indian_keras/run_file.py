"""Runs in files that other frameworks can read: `save_run`, `load_run`, and a model's `layout`.

`indian_core.runs.file` describes the contents of the file, and `indian_core.runs.layouts` how names
and axes are converted between frameworks.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import OTHER_NAMES
from indian_core.runs.file import Array, Parameter, Run, load, save
from indian_core.runs.layouts import Entry, Table
from indian_core.runs.target import Place, received, shared
from indian_keras import _private
from indian_keras.base import Optimizer
from indian_keras.damped_sgd import DampedSGD
from indian_keras.schedules import is_schedule

# The kind of each layer's main variable, by the variable's name. A subclass has the same kind.
_KINDS: tuple[tuple[Any, str, str], ...] = (
    (keras.layers.Dense, "kernel", "dense kernel"),
    (keras.layers.Conv1D, "kernel", "convolution 1d"),
    (keras.layers.Conv2D, "kernel", "convolution 2d"),
    (keras.layers.Conv3D, "kernel", "convolution 3d"),
    (keras.layers.Embedding, "embeddings", "embedding"),
    (keras.layers.BatchNormalization, "gamma", "scale"),
    (keras.layers.LayerNormalization, "gamma", "scale"),
    (keras.layers.GroupNormalization, "gamma", "scale"),
)


def save_run(path: str | os.PathLike[str], model: keras.Model) -> None:
    """Write a model's trainable variables, and its optimizer's state, to a file.

    The file leaves out frozen weights, the running means of batch normalization and the seeds of
    dropout. A `DampedSGD`'s momentum is divided by the present learning rate, because its slots in
    Keras, as SGD's, hold each gradient times the learning rate of its own step. So a run that goes
    on in another framework is the same one if the learning rate has been constant.

    Args:
        path: The file to write.
        model: A built model, compiled with an optimizer of this package, with or without a
            `LossScaleOptimizer` around it.

    Raises:
        ValueError: If the state holds what a run's file cannot: a moving average of the variables,
            gradients that are being accumulated, variables that are overwritten with their
            gradients, or a `DampedSGD`'s momentum at a learning rate of 0. Nothing is written then.
        TypeError: If the optimizer is not one of this package.
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
    start = getattr(optimizer, "start", None)
    begun = start is None or int(start.value) < 0
    steps = 0 if optimizer.count is None else int(optimizer.count.value)
    scale = _scale(optimizer, float(optimizer.learning_rate))
    groups: list[dict[str, Any]] = []
    parameters = {}
    for name, (variable, momentum, squares) in _members(model, optimizer).items():
        group = _hyperparameters(optimizer, variable)
        if group not in groups:
            groups.append(group)
        parameters[name] = Parameter(
            _array(variable),
            np.zeros_like(_array(variable)) if momentum is None else _array(momentum),
            scale,
            None if squares is None else _array(squares),
            steps,
            begun,
            groups.index(group),
        )
    save(path, Run(optimizer.method, tuple(groups), parameters, int(optimizer.iterations)))


def load_run(
    path: str | os.PathLike[str],
    model: keras.Model,
    table: Table | None = None,
) -> int:
    """Load a model's trainable variables and its optimizer's state from a file of any framework.

    If this package wrote the file, the run continues bit for bit. Numbers of another dtype are
    rounded to that of their variable here. The optimizer must already have the run's
    hyperparameters. The caller is responsible for the learning rate and for schedules,
    which continue from the step count in the file.

    Args:
        path: The file to read.
        model: A built model, compiled with an optimizer of this package, with or without a
            `LossScaleOptimizer` around it.
        table: The place in the file of each trainable variable, by the variable's path; see
            `indian_core.runs.layouts.paired`. If None, the names are the same.

    Returns:
        The number of steps that the run has made, to which `iterations` is set.

    Raises:
        ValueError: If the file is damaged, or its run cannot continue with this model. Nothing is
            changed then.
        TypeError: If the optimizer is not one of this package. Nothing is changed then.
        FileNotFoundError: If the file does not exist.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile
        >>> import keras
        >>> from indian_core.runs.layouts import paired
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
        name: Place(tuple(variable.shape), _dtype(variable), _hyperparameters(optimizer, variable))
        for name, (variable, _, _) in members.items()
    }
    run = received(load(path), optimizer.method, places, table)
    group, begun, steps = shared(run)
    # A file of optax does not know the learning rate.
    scale = _scale(optimizer, group.get("lr", float(optimizer.learning_rate)))
    for name, (variable, momentum, squares) in members.items():
        parameter = run.parameters[name]
        _put(variable, parameter.theta)
        if momentum is not None:
            same = parameter.scale == scale
            _put(momentum, parameter.momentum if same else parameter.w * scale)
        if squares is not None:
            _put(squares, parameter.squares)
    if getattr(optimizer, "start", None) is not None:
        optimizer.start.assign(-1 if begun else run.step)
    if optimizer.count is not None:
        optimizer.count.assign(steps)
    optimizer._iterations.assign(run.step * (optimizer.gradient_accumulation_steps or 1))
    return run.step


def layout(model: keras.Model) -> list[Entry]:
    """Return the parameters in the order of the model's layers, for `layouts.paired`.

    Args:
        model: A built model of dense and convolutional layers, embeddings and normalizations.

    Raises:
        ValueError: If a trainable variable belongs to a layer that is none of these.

    Examples:
        >>> import keras
        >>> from indian_keras import layout
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> [entry.kind for entry in layout(model)]
        ['dense kernel', 'bias']
    """
    kinds = {
        id(variable): _kind(layer, variable.name)
        for layer in _layers(model)
        for variable in layer.trainable_variables
    }
    entries = []
    for variable in model.trainable_variables:
        kind, path = kinds.get(id(variable)), variable.path
        if kind is None:
            raise ValueError(
                f"Invalid model: no layout is known of {path} (a table can be written by hand)"
            )
        entries.append(Entry(path, path.rpartition("/")[0], kind))
    return entries


def _layers(layer: Any) -> list[Any]:
    """Return a model's layers in order, where a layer that has layers is replaced by them."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [each for child in inner for each in _layers(child)]


def _kind(layer: Any, name: str) -> str | None:
    for kind_of_layer, main, kind in _KINDS:
        if isinstance(layer, kind_of_layer):
            return {main: kind, "bias": "bias", "beta": "bias"}.get(name)
    return None


def _optimizer_of(model: Any) -> Optimizer:
    """Return a model's optimizer, built, or raise if a file cannot hold its state."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"Invalid model: its optimizer is {type(optimizer).__name__}, and none of this package"
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
        ValueError: If the optimizer's variables are not the model's, if two of them have the same
            path, or if one of them is overwritten with its gradient.
    """
    variables = optimizer._trainable_variables
    none = [None] * len(variables)
    slots = zip(variables, optimizer.momentums or none, optimizer.velocities or none, strict=True)
    members = {each[0].path: each for each in slots}
    if {id(v) for v in variables} != {id(v) for v in model.trainable_variables}:
        raise ValueError("Invalid model: its trainable variables are not the optimizer's")
    if len(members) < len(variables):
        raise ValueError("Invalid model: two of its variables have the same path")
    for name, (variable, _, _) in members.items():
        if getattr(variable, "overwrite_with_gradient", False):
            raise ValueError(f"Invalid model: {name} is overwritten with its gradient")
    return members


def _scale(optimizer: Optimizer, lr: float) -> float:
    """Return the ratio of the slots to the file's s: −lr for SGD's slots, at this lr, otherwise 1.

    Raises:
        ValueError: If the ratio is 0.
    """
    if not isinstance(optimizer, DampedSGD) or not optimizer.momentums:
        return 1.0
    if lr == 0:
        raise ValueError(
            "Invalid learning rate: 0 (SGD's slots in Keras hold the momentum times the learning "
            "rate, and a run's file holds it without)"
        )
    return -lr


def _hyperparameters(optimizer: Optimizer, variable: Any) -> dict[str, Any]:
    """Return a variable's hyperparameters by their names in PyTorch."""
    group = {OTHER_NAMES.get(name, name): getattr(optimizer, name) for name in optimizer.names()}
    if is_schedule(group.get("damping")):  # which, as a learning rate's, is up to the caller
        del group["damping"]
    decays = optimizer.weight_decay and _private.decays(optimizer, variable)
    return group | {
        "lr": float(optimizer.learning_rate),
        "weight_decay": optimizer.weight_decay if decays else 0.0,
        "authors_weight_decay": getattr(optimizer, "authors_weight_decay", False),
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
    # As a tensor of its own dtype, because Keras would convert it to floatx first.
    value = ops.convert_to_tensor(np.asarray(array).astype(known), dtype=known)
    variable.assign(ops.cast(value, dtype))
