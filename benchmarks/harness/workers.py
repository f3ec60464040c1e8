"""Runs in processes of their own, one per framework: they share no threads, memory or logs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from .log import Result
from .runs import Record, Run

# What must be importable for a framework, and the extra of indian-optimizer that installs it.
KERAS_BACKENDS = ("tensorflow", "jax", "torch")
_NEEDS = {
    "torch": (("torch",), "torch"),
    "jax": (("jax", "optax"), "optax"),
} | {f"keras on {backend}": (("keras", backend), f"keras-{backend}") for backend in KERAS_BACKENDS}
FRAMEWORKS = ("torch", "keras", "jax")


# A GPU that a framework sees it also uses. Curves of frameworks are compared on the CPU, where
# float32 is float32: on a GPU, convolutions may round their inputs to fewer bits.
DEVICES = {"cpu": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}, "cuda": {}}

# TensorFlow's banners are no news.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}

# PyTorch's kernels are too short for two threads here: on a busy machine these wait for each other
# ten times longer than they work. Who trains on larger images may say otherwise.
_DEFAULTS = {"OMP_NUM_THREADS": "1"}


class Bar(Protocol):
    """What is needed of a tqdm progress bar."""

    def update(self, steps: int) -> Any: ...
    def set_description(self, text: str) -> Any: ...


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
                f'pip install "indian-optimizer[{extra}]", or choose other frameworks'
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
            "runs": [run.as_dict() for run in mine],
            "together": together and framework == "jax",
            "processors": list(processors),
        }
        with _worker(job, device) as messages:
            for message in messages:
                match message:
                    case {"start": index}:
                        bar.set_description(f"{framework} {mine[index].optimizer}")
                        records = []
                    case {"steps": steps}:
                        bar.update(steps)
                    case {"epoch": record}:
                        records.append(Record(*record))
                    case {"done": index, "software": software}:
                        yield Result(mine[index], software, tuple(records))


@contextmanager
def _worker(job: dict[str, Any], device: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Start a worker on a job and give its messages; end it if the caller stops listening."""
    # The worker finds this package as its parent found it, wherever it was started.
    root = Path(__file__).parents[len(__package__.split("."))]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = _DEFAULTS | os.environ | _ENVIRONMENT | DEVICES[device] | {"PYTHONPATH": path}
    if job["framework"] == "keras":
        environment["KERAS_BACKEND"] = keras_backend()
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            try:
                # A worker that cannot even start takes no job; its exit status says so below.
                with suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(json.dumps(job))
                yield map(json.loads, process.stdout)
                failed = process.wait() != 0
            except BaseException:
                process.kill()
                raise
        if failed:
            complaints.seek(0)
            last_words = "".join(complaints.readlines()[-20:])
            raise RuntimeError(f"training in {job['framework']} failed:\n{last_words}")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
