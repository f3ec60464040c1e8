"""CIFAR-10 and CIFAR-100 from the folder that their authors' archives unpack to.

The files are those of the Python version: pickled dicts that hold labels and images (n, 3072), each
image as its red, green and blue planes. https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

# the training files, the test file, the key of the labels
_LAYOUTS = (
    (tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "labels"),
    (("train",), "test", "fine_labels"),
)


# The names that an array's pickle refers to. Only Python 3 writes an array's bytes with encode.
_HARMLESS = {
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _Unpickler(pickle.Unpickler):
    """Unpickles only NumPy arrays, because an arbitrary pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")


def is_cifar(folder: Path) -> bool:
    """Return whether the folder holds CIFAR's files."""
    return any((folder / test).is_file() for _, test, _ in _LAYOUTS)


def arrays(folder: Path) -> list[np.ndarray]:
    """Return training images, training labels, test images and test labels.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file's content is not what its name promises.
    """
    train, test, key = next(layout for layout in _LAYOUTS if (folder / layout[1]).is_file())
    parts = [_read(folder / name, key) for name in (*train, test)]
    images, labels = zip(*parts, strict=True)
    return [np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]]


def _read(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
        planes = np.asarray(content["data"], np.uint8).reshape(-1, 3, 32, 32)
        labels = np.asarray(content[key], np.int64).reshape(len(planes))
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"Invalid data: {str(path)!r} (not a file of CIFAR's: {error})") from error
    return planes.transpose(0, 2, 3, 1).astype(np.float32) / 255, labels
