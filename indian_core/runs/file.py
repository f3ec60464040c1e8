r"""A run in a file: what a half-trained model and its optimizer need to resume in any framework.

The file is a safetensors file. It holds θ, the momentum buffer σs and, where the gradient is
scaled, V of each parameter, as arrays named `theta/NAME`, `momentum/NAME` and `squares/NAME`. The
key `indian-run` of the metadata holds a JSON object with

* `version`: 1,
* `method`: a key of `indian_core.METHODS`,
* `groups`: the hyperparameters of each parameter group, by their names in that table, as far as the
  framework knows them,
* `step`: the number of steps made,
* `parameters`: for each parameter, in order, its name, its group, the buffer's scale σ, the number
  of gradients that V holds, and whether it has begun.

s is the paper's w. Under the momentum law it is the momentum buffer of PyTorch's SGD, or the
average of scaled gradients. The file stores w instead of the paper's ψ, because ψ loses digits.
After loading, the optimizer's `psi` returns ψ. Reading and writing the file needs safetensors, the
extra `move`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from indian_core.hyperparameters import METHODS, checked_hyperparameters

Array = npt.NDArray[Any]
VERSION = 1
_KEY = "indian-run"
_FIELDS = ("scale", "steps", "begun", "group")


class Parameter(NamedTuple):
    """One parameter of a run.

    Attributes:
        theta: θ, in float32 if NumPy does not have θ's own dtype.
        momentum: σs, of θ's shape.
        scale: σ ≠ 0. It is 1 if the buffer is s itself.
        squares: V, of θ's shape, or None for a method without V.
        steps: The number of gradients that V holds.
        begun: Whether the parameter has made a step.
        group: The index of the parameter's group in the run's groups.
    """

    theta: Array
    momentum: Array
    scale: float = 1.0
    squares: Array | None = None
    steps: int = 0
    begun: bool = True
    group: int = 0

    @property
    def w(self) -> Array:
        """The momentum s itself, in double precision if σ is not 1."""
        if self.scale == 1:
            return self.momentum
        return np.asarray(self.momentum.astype(np.float64) / self.scale)


class Run(NamedTuple):
    """A run: its method, its groups' hyperparameters, its parameters by name, and its step."""

    method: str
    groups: tuple[Mapping[str, Any], ...]
    parameters: Mapping[str, Parameter]
    step: int


def save(path: str | os.PathLike[str], run: Run) -> None:
    """Write a run to a file. If this fails, the file is as it was before.

    Args:
        path: The path of the file.
        run: The run.

    Raises:
        ValueError: If the run is invalid; see `checked_run`.
        ImportError: If safetensors is missing.

    Examples:
        >>> import tempfile
        >>> parameter = Parameter(np.ones(2), np.zeros(2))
        >>> run = Run("INDIAN", ({"lr": 0.1, "alpha": 0.5, "beta": 0.1},), {"w": parameter}, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/run.safetensors", run)
        ...     load(f"{folder}/run.safetensors").parameters["w"].theta
        array([1., 1.])
    """
    save_file = _safetensors("numpy").save_file
    checked_run(run)
    tensors, rows = {}, []
    for name, parameter in run.parameters.items():
        for kind in ("theta", "momentum", "squares"):
            array = getattr(parameter, kind)
            if array is not None:
                tensors[f"{kind}/{name}"] = np.array(array, order="C")
        rows.append({"name": name} | {field: getattr(parameter, field) for field in _FIELDS})
    header = {
        "version": VERSION,
        "method": run.method,
        "groups": [dict(group) for group in run.groups],
        "step": run.step,
        "parameters": rows,
    }
    path = Path(path)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, beside, metadata={_KEY: json.dumps(header, allow_nan=False)})
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Run:
    """Return the run that a file holds.

    Args:
        path: The path of the file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, holds no run, or has a later version.
        ImportError: If safetensors is missing.

    Examples:
        >>> load("nowhere.safetensors")
        Traceback (most recent call last):
        FileNotFoundError: No such file or directory: nowhere.safetensors
    """
    package = _safetensors()
    try:
        with package.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except package.SafetensorError as error:
        raise ValueError(f"Invalid run file: {str(path)!r} ({error})") from error
    if _KEY not in metadata:
        raise ValueError(f"Invalid run file: {str(path)!r} (it holds no run)")
    try:
        header = json.loads(metadata[_KEY])
        if header["version"] > VERSION:
            raise ValueError(f"it is of version {header['version']}, and {VERSION} is known here")
        parameters = {row["name"]: _parameter(row, tensors) for row in header["parameters"]}
        run = Run(header["method"], tuple(header["groups"]), parameters, header["step"])
        if tensors:
            raise ValueError(f"it has no parameter for {sorted(tensors)}")
        checked_run(run)
    except KeyError as error:
        raise ValueError(f"Invalid run file: {str(path)!r} (it has no {error})") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"Invalid run file: {str(path)!r} ({error})") from error
    return run


def _parameter(row: dict[str, Any], tensors: dict[str, Array]) -> Parameter:
    """Return the parameter of a row of the header, and remove its arrays from the tensors."""
    name = row.pop("name")
    theta, momentum = tensors.pop(f"theta/{name}"), tensors.pop(f"momentum/{name}")
    fields = {field: row[field] for field in _FIELDS}
    return Parameter(theta, momentum, squares=tensors.pop(f"squares/{name}", None), **fields)


def checked_run(run: Run) -> Run:
    """Return a run, or raise if it is invalid.

    Args:
        run: The run.

    Raises:
        ValueError: If the method is unknown, a hyperparameter or number is out of range, or a
            parameter's arrays do not belong together.
        TypeError: If a hyperparameter is not a number.
    """
    if run.method not in METHODS:
        raise ValueError(f"Invalid method: {run.method!r} (it must be one of {list(METHODS)})")
    _check_count("step", run.step)
    if not run.parameters:
        raise ValueError("Invalid run: it has no parameters")
    method = METHODS[run.method]
    for group in run.groups:
        numbers = {k: v for k, v in group.items() if k in method.numbers and v is not None}
        checked_hyperparameters(**numbers)
        missing = [name for name in ("alpha", "beta") if name in method.numbers.keys() - group]
        if missing:
            raise ValueError(f"Invalid run: a group of it has no {missing[0]}")
    for name, parameter in run.parameters.items():
        shape = parameter.theta.shape
        arrays = [parameter.momentum, *([] if parameter.squares is None else [parameter.squares])]
        if any(map(np.iscomplexobj, (parameter.theta, *arrays))):
            raise ValueError(f"Invalid parameter {name}: it is complex (a file holds real numbers)")
        if any(array.shape != shape for array in arrays):
            raise ValueError(f"Invalid parameter {name}: its arrays have several shapes")
        if not (math.isfinite(parameter.scale) and parameter.scale != 0):
            raise ValueError(f"Invalid parameter {name}: its buffer's scale is {parameter.scale}")
        if (parameter.squares is None) == method.scaled:
            raise ValueError(f"Invalid parameter {name}: {run.method} does not go with its arrays")
        if parameter.squares is not None and (parameter.squares < 0).any():
            raise ValueError(f"Invalid parameter {name}: V has negative numbers")
        if not parameter.begun and np.any(parameter.momentum):
            raise ValueError(f"Invalid parameter {name}: it has not begun, but has a momentum")
        _check_count(f"parameter {name}", parameter.steps)
        _check_count(f"parameter {name}", parameter.group)
        if parameter.group >= len(run.groups):
            raise ValueError(f"Invalid parameter {name}: there is no group {parameter.group}")
    return run


def _check_count(what: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"Invalid {what}: {value!r} (it must be a whole number >= 0)")


def _safetensors(module: str = "") -> Any:
    try:
        import safetensors  # noqa: PLC0415 (needed only for files)
        import safetensors.numpy  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            'A run in a file needs safetensors: pip install safetensors (the extra "move")'
        ) from error
    return getattr(safetensors, module) if module else safetensors
