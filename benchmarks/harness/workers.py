"""Runs in processes of their own, one per framework: they share no threads, memory or logs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence

from . import apart, worker
from .apart import Bar
from .log import Result
from .runs import Record, Run

# What must be importable for a framework, and the extra of indian-optimizer that installs it.
KERAS_BACKENDS = ("tensorflow", "jax", "torch")
_NEEDS = {
    "torch": (("torch",), "torch"),
    "jax": (("jax", "optax"), "optax"),
} | {f"keras on {backend}": (("keras", backend), f"keras-{backend}") for backend in KERAS_BACKENDS}
FRAMEWORKS = ("torch", "keras", "jax")


def check_installed(frameworks: Sequence[str]) -> None:
    """Raise unless all these frameworks can be imported.

    Raises:
        ValueError: If a framework or Keras's backend is not one of those there are.
        ImportError: If one is missing; the text names the extra to install.
    """
    for framework in frameworks:
        if framework not in FRAMEWORKS:
            raise ValueError(
                f"Invalid framework: {framework!r} (it must be one of {list(FRAMEWORKS)})"
            )
        name = f"keras on {keras_backend()}" if framework == "keras" else framework
        modules, extra = _NEEDS[name]
        missing = [module for module in modules if not _installed(module)]
        if missing:
            raise ImportError(
                f"{name} needs {' and '.join(missing)}: "
                f'pip install ".[{extra}]", or choose other frameworks'
            )


def keras_backend() -> str:
    """Return the backend that Keras's runs use: KERAS_BACKEND, else TensorFlow if installed."""
    backend = os.environ.get("KERAS_BACKEND")
    if backend is None:
        return "tensorflow" if _installed("tensorflow") else "jax"
    if backend not in KERAS_BACKENDS:
        raise ValueError(
            f"Invalid KERAS_BACKEND: {backend!r} (it must be one of {list(KERAS_BACKENDS)})"
        )
    return backend


def train_all(
    runs: Sequence[Run],
    data: str | None,
    bar: Bar,
    device: str = "cpu",
    together: bool = False,
    processors: Sequence[int] = (),
) -> Iterator[Result]:
    """Make the runs, framework by framework, and yield the result of each when it is there.

    Args:
        runs: The runs.
        data: The folder of the images, or None: see `data.load`.
        bar: A progress bar, updated by the optimizer steps made.
        device: "cpu", or "cuda" for a GPU.
        together: Whether the runs of JAX are to be made all at once: see `together`.
        processors: The processors that a framework may use, by number; all by default.

    Raises:
        RuntimeError: If a process fails; the text ends with its last words.
    """
    for framework in dict.fromkeys(run.framework for run in runs):
        mine = [run for run in runs if run.framework == framework]
        records: list[Record] = []
        bar.set_description(f"{framework} starts")
        job = {
            "framework": framework,
            "data": data,
            "runs": mine,
            "together": together and framework == "jax",
            "processors": list(processors),
        }
        backend = keras_backend() if framework == "keras" else ""
        # PyTorch's kernels are too short for two threads here: on a busy machine these wait for
        # each other ten times longer than they work. Who trains on larger images may say otherwise.
        threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
        environment = apart.environment(framework, device, backend) | threads
        try:
            for message in apart.messages(worker.make, job, environment=environment):
                match message:
                    case {"start": index}:
                        bar.set_description(f"{framework} {mine[index].optimizer}")
                        records = []
                    case {"steps": steps}:
                        bar.update(steps)
                    case {"epoch": record}:
                        records.append(record)
                    case {"done": index, "software": software}:
                        yield Result(mine[index], software, tuple(records))
        except RuntimeError as error:
            raise RuntimeError(f"training in {framework} failed:\n{error}") from None


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
