"""The workloads by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.study import perceptron, residual, transformer
from benchmarks.study.training import Workload

LOADERS: Mapping[str, Callable[[str | None], Workload]] = {
    "text": transformer.load,
    "images": residual.load,
    "images-plain": lambda folder: residual.load(folder, normalised=False),
    "digits": perceptron.load,
}


def load(name: str, folder: str | None) -> Workload:
    """Return a workload by its name; `folder` is that of Fashion-MNIST's four IDX files."""
    return LOADERS[name](folder)
