"""Functions called in processes of their own, with the environment that a framework needs."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from . import data
from .log import Result
from .runs import Run, train

# The modules that a framework needs, and the extra of indian-optimizer that installs them.
KERAS_BACKENDS = ("tensorflow", "jax", "torch")
_NEEDS = {
    "torch": (("torch",), "torch"),
    "jax": (("jax", "optax"), "optax"),
} | {f"keras on {backend}": (("keras", backend), f"keras-{backend}") for backend in KERAS_BACKENDS}
FRAMEWORKS = ("torch", "keras", "jax")


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


def environment(framework: str) -> dict[str, str]:
    """Return the environment variables of a framework's process."""
    variables = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # On a GPU convolutions may round their float32 inputs to fewer bits.
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        # The kernels are too short for two threads. On a busy machine, the threads wait for each
        # other ten times longer than they work. For larger images, a user can set the variable.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    if framework == "keras":
        variables["KERAS_BACKEND"] = keras_backend()
    return variables


def module_of(framework: str) -> Any:
    """Return the framework's module of the harness. Call it in that framework's own process."""
    return importlib.import_module(f"{__package__}.on_{framework}")


def apart(
    function: Callable[..., Any],
    jobs: Iterable[tuple[Any, ...]],
    environment: dict[str, str],
    processes: int = 1,
) -> Iterator[Any]:
    """Yield what ``function(*job)`` returns for each job, as they are done.

    They are called in processes of their own, some at a time. The function is one of an importable
    module. What it raises is raised here.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _set, (environment,)) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _set(environment: dict[str, str]) -> None:
    os.environ |= environment


def make(runs: Sequence[Run], folder: str | None) -> list[Result]:
    """Return the results of one framework's runs; called in its own process.

    Args:
        runs: The runs.
        folder: The folder of the images, or None: see `data.load`.
    """
    module, dataset = module_of(runs[0].framework), data.load(folder)
    groups = [[run] for run in runs]
    if runs[0].framework == "jax":  # makes several runs at once
        groups = [list(group) for _, group in itertools.groupby(runs, Run.shared)]
    made = (zip(*train(group, dataset, module.Trainer), strict=True) for group in groups)
    records = (tuple(column) for group in made for column in group)
    return [Result(run, module.VERSIONS, each) for run, each in zip(runs, records, strict=True)]
