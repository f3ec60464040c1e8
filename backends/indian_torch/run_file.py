"""Runs in files that other frameworks read: `save_run` and `load_run`, and a model's `layout`.

`indian_core.runs.file` describes the contents of the file, and `indian_core.runs.layouts` how names
and axes are converted from one framework to another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from indian_core.runs.file import Array, Parameter, Run, load, save
from indian_core.runs.layouts import Entry, Table
from indian_core.runs.target import Place, received
from indian_torch import groups
from indian_torch.base import LinearOptimizer
from indian_torch.groups import Group
from indian_torch.step.layout import BUFFERS
from indian_torch.step.precision import SIXTEEN_BITS, new_buffer
from indian_torch.step.settings import is_unreadable

Named = nn.Module | Iterable[tuple[str, Tensor]]

# Options of a group that change the meaning of its numbers.
_MEANING = ("nesterov", "decoupled_weight_decay", "authors_weight_decay", "maximize")
_KERNELS: tuple[tuple[Any, str], ...] = (
    (nn.Linear, "dense kernel"),
    (nn.Conv1d, "convolution 1d"),
    (nn.Conv2d, "convolution 2d"),
    (nn.Conv3d, "convolution 3d"),
    (nn.Embedding, "embedding"),
    ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), "scale"),
    ((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), "scale"),
    ((nn.LayerNorm, nn.GroupNorm, nn.RMSNorm), "scale"),
)


def save_run(
    path: str | os.PathLike[str],
    params: Named,
    optimizer: LinearOptimizer,
    step: int | None = None,
) -> None:
    """Write the parameters that an optimizer trains, and its state, to a file.

    The file does not contain frozen parameters, nor buffers such as the running means of a batch
    norm.

    Args:
        path: The path of the file.
        params: The model, or its named parameters.
        optimizer: An optimizer of this package.
        step: The number of steps made. It is required for `INDIAN` and `DampedSGD`, which do not
            count their steps. For the others, None, the default, means the largest number of
            gradients that V holds for any parameter.

    Raises:
        ValueError: If a parameter of the optimizer has no name, or cannot be read here, or the step
            is missing. Nothing has been written then.
        TypeError: If the optimizer is not one of this package.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile, torch
        >>> from indian_torch import INDIAN, load_run, save_run
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = INDIAN(model.parameters(), lr=0.1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, model, optimizer, step=7)
        ...     load_run(path, model, optimizer)
        7
    """
    members = _members(params, optimizer)
    parameters = {
        name: _parameter(param, optimizer, number) for name, (param, number) in members.items()
    }
    if step is None:
        if "step" not in optimizer.entries:
            raise ValueError(
                f"Invalid step: None ({optimizer.method} does not count its steps: say how many)"
            )
        step = max(parameter.steps for parameter in parameters.values())
    numbers = tuple(_hyperparameters(optimizer, group) for group in optimizer.param_groups)
    save(path, Run(optimizer.method, numbers, parameters, step))


def load_run(
    path: str | os.PathLike[str],
    params: Named,
    optimizer: LinearOptimizer,
    table: Table | None = None,
) -> int:
    """Load the parameters and the optimizer's state from a file of any framework.

    A run saved by this framework resumes bit for bit. Numbers of another dtype are rounded to that
    of their tensor here. The optimizer must already have the run's
    hyperparameters, except lr, whose schedule is up to the caller. If an error is raised, nothing
    has been changed.

    Args:
        path: The path of the file.
        params: The model, or its named parameters.
        optimizer: An optimizer of these parameters, of the run's method.
        table: For each parameter, by its name here, where it is in the file (see
            `indian_core.runs.layouts.paired`). None, the default, means that the names are the
            same.

    Returns:
        The number of steps that the run has made, which is the position in its schedule.

    Raises:
        ValueError: If the file is damaged, or its run cannot be resumed here.
        TypeError: If the optimizer is not one of this package.
        FileNotFoundError: If the file does not exist.
        ImportError: If safetensors is missing.

    Examples:
        >>> import os, tempfile, torch
        >>> from indian_torch import INNAprop, load_run, save_run
        >>> old, new = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.safetensors")
        ...     save_run(path, old, INNAprop(old.parameters()))
        ...     load_run(path, new, INNAprop(new.parameters()))
        0
        >>> torch.equal(old.weight, new.weight)
        True
    """
    members = _members(params, optimizer)
    places = {
        name: Place(
            tuple(param.shape),
            str(param.dtype).removeprefix("torch."),
            _hyperparameters(optimizer, optimizer.param_groups[number]),
        )
        for name, (param, number) in members.items()
    }
    run = received(load(path), optimizer.method, places, table)
    for name, (param, number) in members.items():
        _put(run.parameters[name], param, optimizer, optimizer.param_groups[number])
    return run.step


def layout(model: nn.Module) -> list[Entry]:
    """Return the parameters of a model's layers in order, for `indian_core.runs.layouts.paired`.

    Args:
        model: A model of linear and convolutional layers, embeddings and norms.

    Raises:
        ValueError: If a parameter belongs to a layer of another kind.

    Examples:
        >>> import torch
        >>> from indian_torch import layout
        >>> [entry.kind for entry in layout(torch.nn.Sequential(torch.nn.Linear(2, 1)))]
        ['dense kernel', 'bias']
    """
    names = {param: name for name, param in model.named_parameters()}
    entries = []
    for layer, module in model.named_modules():
        kind = next((kind for classes, kind in _KERNELS if isinstance(module, classes)), None)
        for name, param in module.named_parameters(recurse=False):
            if names.pop(param, None) is None:  # shared with an earlier layer
                continue
            if kind is None or name not in ("weight", "bias"):
                raise ValueError(
                    f"Invalid model: {layer or 'it'} is a {type(module).__name__}, whose {name} no "
                    "layout is known of (a table can be written by hand)"
                )
            path = f"{layer}.{name}" if layer else name
            entries.append(Entry(path, layer, kind if name == "weight" else "bias"))
    return entries


def _members(params: Named, optimizer: LinearOptimizer) -> dict[str, tuple[Tensor, int]]:
    """Return each parameter of the optimizer by its name, with the number of its group, or raise.

    The order is that of `params`.
    """
    if not isinstance(optimizer, LinearOptimizer):
        name = type(optimizer).__name__
        raise TypeError(f"optimizer should be one of this package, not {name}")
    pairs = list(params.named_parameters() if isinstance(params, nn.Module) else params)
    if any(not isinstance(pair, tuple) or len(pair) != 2 for pair in pairs):
        raise TypeError("params should be a model or its named_parameters()")
    left = {
        param: number
        for number, group in enumerate(optimizer.param_groups)
        for param in group["params"]
    }
    members = {name: (param, left.pop(param)) for name, param in pairs if param in left}
    if left:
        shapes = [tuple(param.shape) for param in left]
        raise ValueError(f"Invalid params: the optimizer's of shapes {shapes} are not among them")
    for name, (param, _) in members.items():
        if hasattr(param, "placements"):
            raise ValueError(f"Invalid params: {name} is in shards (gather the run first)")
        if is_unreadable(param):
            raise ValueError(f"Invalid params: {name} has no numbers (it is on {param.device})")
    return members


def _hyperparameters(optimizer: LinearOptimizer, group: Group) -> dict[str, Any]:
    return groups.numbers(optimizer.method, group, optimizer.arguments) | {
        name: bool(group[name]) for name in _MEANING if name in group
    }


def _parameter(param: Tensor, optimizer: LinearOptimizer, number: int) -> Parameter:
    """Return a parameter and its state in the form in which a file holds them."""
    theta = _array(param)
    state = optimizer.state.get(param, {})
    buffers = {
        name: _array(state[name]) if name in state else np.zeros_like(theta)
        for name in _buffers(optimizer)
    }
    scale = state.get("scale", 0)
    if "scale" not in optimizer.entries and state:
        scale = optimizer.param_groups[number]["buffer_scale"]
    scale = float(scale)
    return Parameter(
        theta,
        buffers["momentum_buffer"],
        scale or 1.0,
        buffers.get("exp_avg_sq"),
        int(state.get("step", 0)),
        scale != 0,
        number,
    )


@torch.no_grad()
def _put(parameter: Parameter, param: Tensor, optimizer: LinearOptimizer, group: Group) -> None:
    """Set a parameter and its state to the values from the file."""
    param.copy_(_tensor(parameter.theta))
    state = optimizer.state[param]
    for name in optimizer.entries:
        state.pop(name, None)
    if not parameter.begun and not parameter.steps:
        return
    values = {"momentum_buffer": parameter.momentum, "exp_avg_sq": parameter.squares}
    if "scale" not in optimizer.entries and parameter.scale != group["buffer_scale"]:
        values["momentum_buffer"] = parameter.w * group["buffer_scale"]
    for name in _buffers(optimizer):
        state[name] = new_buffer(param).copy_(_tensor(values[name]))
    if "scale" in optimizer.entries:
        state["scale"] = parameter.scale if parameter.begun else 0.0
    if "step" in optimizer.entries:
        state["step"] = torch.tensor(float(parameter.steps), device="cpu")


def _buffers(optimizer: LinearOptimizer) -> list[str]:
    return [name for name in BUFFERS if name in optimizer.entries]


def _array(tensor: Tensor) -> Array:
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu()
    wide: Array = tensor.to(SIXTEEN_BITS.get(tensor.dtype, tensor.dtype)).numpy()
    return wide


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, order="C"))
