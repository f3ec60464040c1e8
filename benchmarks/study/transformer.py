"""The text workload: a small character transformer on the sources of Python's standard library.

A run sees no text twice. Whole files are held out for the validation loss. The texts depend on the
version of Python, which the results name.
"""

from __future__ import annotations

import math
import platform
import sysconfig
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.study.training import Workload, cross_entropy

LENGTH, WIDTH, HEADS, DEPTH, BATCH = 32, 32, 4, 2, 16
CHARACTERS = 10_000_000  # for training
ROWS = 2000  # that a loss at the end is averaged over, of 32 characters each
# Tables of character codes, much the same file a hundred times; and packages installed there.
LEFT_OUT = {"encodings", "site-packages"}
# Codes of letters: those of printable ASCII and the newline; one for all other characters.
LETTERS = "\n" + "".join(map(chr, range(32, 127)))


def load(_folder: str | None = None) -> Workload:
    train, validation, test = _texts()

    def batches(seed: int, steps: int) -> np.ndarray:
        """Return rows in an order of the seed's, none twice: (steps, 16)."""
        rows = np.random.default_rng((seed, 2)).permutation(len(train))
        return rows[: steps * BATCH].reshape(steps, BATCH)

    return Workload(
        name="character transformer",
        data=f"the standard library's sources, Python {platform.python_version()}",
        initial=lambda seed: (_initial(seed), ()),
        loss=_loss,
        train=(train,),
        measured={
            "train": (_some(train),),
            "validation": (_some(validation),),
            "test": (_some(test),),
        },
        batches=batches,
        warmup=0.02,
        clip=1.0,
    )


def _texts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the files for training, for validation and for the test."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(
        path for path in root.rglob("*.py") if not LEFT_OUT & set(path.relative_to(root).parts)
    )
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))]
    tenth = len(files) // 10
    train = _rows(files[2 * tenth :])[: CHARACTERS // (LENGTH + 1)]
    return train, _rows(files[:tenth]), _rows(files[tenth : 2 * tenth])


def _some(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).permutation(len(rows))[:ROWS]]


def _rows(files: list[Path]) -> np.ndarray:
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    codes = np.full(0x110000, len(LETTERS), np.int32)
    codes[[ord(letter) for letter in LETTERS]] = range(len(LETTERS))
    coded = codes[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    return coded[: len(coded) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)


def _loss(
    params: Any, statistics: Any, batch: Any, _train: bool
) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    (rows,) = batch
    loss, right = cross_entropy(_forward(params, rows[:, :-1]), rows[:, 1:])
    return loss, (statistics, right)


def _initial(seed: int) -> Any:
    random = np.random.default_rng((seed, 1))

    def normal(*shape: int, gain: float = 1.0) -> np.ndarray:
        return math.sqrt(gain / shape[0]) * random.standard_normal(shape).astype(np.float32)

    def block() -> dict[str, np.ndarray]:
        return {
            "norm 1": np.ones(WIDTH, np.float32),
            "qkv": normal(WIDTH, 3 * WIDTH),
            "out": normal(WIDTH, WIDTH, gain=1 / DEPTH),
            "norm 2": np.ones(WIDTH, np.float32),
            "up": normal(WIDTH, 4 * WIDTH, gain=2.0),
            "down": normal(4 * WIDTH, WIDTH, gain=1 / DEPTH),
        }

    letters = len(LETTERS) + 1
    return {
        "letters": 0.1 * random.standard_normal((letters, WIDTH)).astype(np.float32),
        "places": 0.1 * random.standard_normal((LENGTH, WIDTH)).astype(np.float32),
        "blocks": [block() for _ in range(DEPTH)],
        "norm": np.ones(WIDTH, np.float32),
        "head": normal(WIDTH, letters),
    }


def _forward(params: Any, rows: jax.Array) -> jax.Array:
    """Return the logits of a decoder with a norm before each part and before its last layer."""
    x = params["letters"][rows] + params["places"]
    for block in params["blocks"]:
        x = x + _attention(_normed(x, block["norm 1"]), block)
        x = x + jax.nn.gelu(_normed(x, block["norm 2"]) @ block["up"]) @ block["down"]
    return _normed(x, params["norm"]) @ params["head"]


def _normed(x: jax.Array, gain: jax.Array) -> jax.Array:
    return gain * x * jax.lax.rsqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def _attention(x: jax.Array, block: Any) -> jax.Array:
    mask = np.tril(np.ones((LENGTH, LENGTH), bool))
    shape = (*x.shape[:2], 3, HEADS, WIDTH // HEADS)
    q, k, v = jnp.moveaxis((x @ block["qkv"]).reshape(shape), 2, 0)
    scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(WIDTH // HEADS)
    shares = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf))
    return jnp.einsum("nhqk,nkhd->nqhd", shares, v).reshape(x.shape) @ block["out"]
