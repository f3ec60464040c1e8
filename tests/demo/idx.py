"""Writes small data sets in MNIST's format."""

import gzip
import struct

import numpy as np

NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images", "labels")]


def write_idx(path, array):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    raw = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_folder(folder, suffix="", joint="-", samples=(12, 5), size=(4, 3)):
    """Write a small data set in MNIST's four files; return its arrays in the order of NAMES."""
    random = np.random.default_rng(3)
    arrays = []
    for name in NAMES:
        n = samples[0] if name.startswith("train") else samples[1]
        if name.endswith("images"):
            array, kind = random.integers(0, 256, (n, *size)), "idx3-ubyte"
        else:
            array, kind = random.integers(0, 10, n), "idx1-ubyte"
        write_idx(folder / f"{name}{joint}{kind}{suffix}", array)
        arrays.append(array)
    return arrays
