"""Runs in separate processes, one per framework, and the environment that each process needs."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

from . import apart, data
from .log import Result
from .runs import Run, train

# The modules that a framework needs, and the extra of indian-optimizer that installs them.
KERAS_BACKENDS = ("tensorflow", "jax", "torch")
_NEEDS = {
    "torch": (("torch",), "torch"),
    "jax": (("jax", "optax"), "optax"),
} | {f"keras on {backend}": (("keras", backend), f"keras-{backend}") for backend in KERAS_BACKENDS}
FRAMEWORKS = ("torch", "keras", "jax")
# A framework uses any GPU that it sees. The frameworks' curves are compared on the CPU, because on
# a GPU convolutions may round their float32 inputs to fewer bits.
DEVICES = {"cpu": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}, "cuda": {}}


def check_installed(frameworks: Sequence[str]) -> None:
    """Raise unless all these frameworks can be imported.

    Raises:
        ValueError: If KERAS_BACKEND does not name one of Keras's backends.
        ImportError: If a framework is missing. The message names the extra to install.
    """
    for framework in frameworks:
        name = f"keras on {keras_backend()}" if framework == "keras" else framework
        modules, extra = _NEEDS[name]
        missing = [module for module in modules if not _installed(module)]
        if missing:
            raise ImportError(
                f"{name} needs {' and '.join(missing)}: "
                f'pip install ".[{extra}]", or choose other frameworks'
            )


def keras_backend() -> str:
    """Return the backend of Keras's runs: KERAS_BACKEND, else TensorFlow if installed, else JAX."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend is None:
        return "tensorflow" if _installed("tensorflow") else "jax"
    if backend not in KERAS_BACKENDS:
        raise ValueError(
            f"Invalid KERAS_BACKEND: {backend!r} (it must be one of {list(KERAS_BACKENDS)})"
        )
    return backend


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def environment(framework: str, device: str) -> dict[str, str]:
    """Return the environment variables of a framework's process; on "cpu" it sees no GPU."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if framework == "keras":
        variables["KERAS_BACKEND"] = keras_backend()
    if device == "cpu":
        # The kernels are too short for two threads. On a busy machine, the threads wait for each
        # other ten times longer than they work. For larger images, a user can set the variable.
        variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    return variables | DEVICES[device]


def module_of(framework: str, device: str) -> Any:
    """Return the framework's module of the harness. Call it in that framework's own process.

    Raises:
        RuntimeError: If the framework does not run on this device.
    """
    module = importlib.import_module(f"{__package__}.on_{framework}")
    if module.device() != device:
        raise RuntimeError(f"{module.VERSIONS} runs on {module.device()}, not on {device}")
    return module


def train_all(
    runs: Sequence[Run],
    folder: str | None,
    bar: Any,
    device: str = "cpu",
    processors: Sequence[int] = (),
) -> list[Result]:
    """Return the results of one framework's runs, made in a separate process.

    Args:
        runs: The runs.
        folder: The folder of the images, or None: see `data.load`.
        bar: A progress bar, which is advanced by the number of optimizer steps made.
        device: "cpu", or "cuda" for a GPU.
        processors: The numbers of the processors that the process may use; all by default.

    Raises:
        RuntimeError: If the process fails. The message ends with the process's last output.
    """
    framework = runs[0].framework
    software, records = apart.call(
        make,
        *(framework, runs, folder, device),
        environment=environment(framework, device),
        bar=bar,
        processors=processors,
    )
    return [Result(run, software, column) for run, column in zip(runs, records, strict=True)]


def make(
    framework: str,
    runs: Sequence[Run],
    folder: str | None,
    device: str,
    on_steps: Callable[[int], None],
) -> tuple[str, list[Any]]:
    """Return the framework's versions and the records of all runs; called in its own process."""
    module = module_of(framework, device)
    dataset = data.load(folder)
    groups = [[run] for run in runs]
    if framework == "jax":  # makes several runs at once
        groups = [list(group) for _, group in itertools.groupby(runs, Run.shared)]
    made = (zip(*train(group, dataset, module.Trainer, on_steps), strict=True) for group in groups)
    return module.VERSIONS, [records for group in made for records in group]
