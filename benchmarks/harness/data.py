"""The images and the minibatches: scikit-learn's digits, or a folder of MNIST's files.

The IDX format (http://yann.lecun.com/exdb/mnist) consists of two zero bytes, a byte for the type
(8: unsigned bytes), a byte for the number of dimensions, each dimension as a big-endian 32-bit
integer, and the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class Dataset:
    """Images in [0, 1], float32, (n, height, width, channels); labels 0, 1, …, int64, (n,)."""

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def classes(self) -> int:
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


def load(folder: str | None = None) -> Dataset:
    """Return the data set in `folder`, or scikit-learn's digits if `folder` is None.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If a file's content is not what its name promises.
        ImportError: If the digits are requested and scikit-learn is missing.
    """
    return digits() if folder is None else idx_folder(folder)


def digits() -> Dataset:
    """Return scikit-learn's 1797 digits of 8 × 8 pixels, of which 360 are test images."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 (other data needs no scikit-learn)
    except ImportError as error:
        raise ImportError("the digits need scikit-learn: pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    # The file is sorted by writer, so shuffle before the split.
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[360:], order[:360]
    labels = labels.astype(np.int64)
    return Dataset("digits", images[train], labels[train], images[test], labels[test])


def idx_folder(folder: str) -> Dataset:
    """Return the data set of the four IDX files in `folder`, plain or .gz, with MNIST's names."""
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"Invalid data: {folder!r} (there is no such folder)")
    arrays = []
    for part in ("train", "t10k"):
        images_file = _find(path, f"{part}-images", "idx3-ubyte")
        labels_file = _find(path, f"{part}-labels", "idx1-ubyte")
        images, labels = read_idx(images_file), read_idx(labels_file)
        if images.ndim != 3 or images.size == 0:
            raise _broken(images_file, f"its shape is {images.shape}, not that of some images")
        if labels.shape != images.shape[:1]:
            raise _broken(
                labels_file, f"its shape is {labels.shape} for the {len(images)} images beside it"
            )
        arrays += [images[..., None].astype(np.float32) / 255, labels.astype(np.int64)]
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ValueError(
            f"Invalid data: {folder!r} (its training images are {arrays[0].shape[1:3]} pixels, "
            f"its test images {arrays[2].shape[1:3]})"
        )
    return Dataset(path.resolve().name, *arrays)


def read_idx(path: Path) -> np.ndarray:
    """Return the array of unsigned bytes in an IDX file, which may be gzipped."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise _broken(path, f"not a whole gzip file: {error}") from error
    if len(raw) < 4 or raw[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise _broken(path, f"it begins with {raw[:4].hex(' ')}, not as an IDX file of bytes")
    header = 4 + 4 * raw[3]
    if len(raw) < header:
        raise _broken(path, "it ends in its header")
    shape = struct.unpack(f">{raw[3]}I", raw[4:header])
    size = int(np.prod(shape, dtype=object))
    if len(raw) - header != size:
        raise _broken(path, f"shape {shape} takes {size} bytes, it has {len(raw) - header}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def minibatches(samples: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Return an epoch's minibatches, (steps, batch_size) indices, the same for every framework.

    Samples that do not fill a minibatch are left out. They differ from epoch to epoch.

    Raises:
        ValueError: If there are fewer samples than one minibatch takes.
    """
    if not 0 < batch_size <= samples:
        raise ValueError(f"Invalid batch_size: {batch_size} (there are {samples} samples)")
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    steps = samples // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size)


def _find(folder: Path, stem: str, kind: str) -> Path:
    """Return the IDX file under the first of its usual names that exists in the folder."""
    names = [f"{stem}{joint}{kind}{suffix}" for joint in "-." for suffix in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"Invalid data: {str(folder)!r} (it has no {names[0]} or {names[1]})")


def _broken(path: Path, why: str) -> ValueError:
    return ValueError(f"Invalid data: {str(path)!r} ({why})")
