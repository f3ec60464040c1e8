"""The parts of the study: which rows are searched on which workload, and what is rerun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

MOMENTA = (0.9, 0.97, 0.99, 0.997)
SEEDS = (1, 2, 3, 4, 5)
WORKLOADS = ("text", "images", "images-plain", "digits")


@dataclass(frozen=True)
class Part:
    """A part of the study: rows, which are methods at a momentum, on a workload.

    Attributes:
        workload: One of `WORKLOADS`.
        steps: The length of a run.
        rows: The methods and their momenta; None for INDIAN, whose momentum is 1 − αγ.
        first: The places of the first rates, in octaves (see `search`).
        halves: Whether half octaves are tried beside a row's best octave.
        row_seeds: The seeds from which each row's best rate is rerun.
        seeds: Those from which each method's best row and rate is rerun.
    """

    workload: str
    steps: int
    rows: tuple[tuple[str, float | None], ...]
    first: tuple[int, ...]
    halves: bool = True
    row_seeds: Sequence[int] = SEEDS[:2]
    seeds: Sequence[int] = SEEDS


@dataclass(frozen=True)
class Untuned:
    """A part without a search, a schedule or a warm-up: rates that a script begins with.

    Attributes:
        workload: One of `WORKLOADS`.
        steps: The length of a run.
        rows: The methods, their momenta and their rates.
        seeds: The seeds of the runs.
    """

    workload: str
    steps: int
    rows: tuple[tuple[str, float | None, float], ...] = (
        ("INDIAN", None, 0.1),
        ("Adam", 0.9, 0.001),
        ("SGD, Nesterov", 0.9, 0.1),  # lr .01
        ("SGD, Nesterov", 0.9, 1.0),  # lr .1
        ("DampedAdamW, untuned", 0.9, 0.001),
    )
    seeds: Sequence[int] = SEEDS


ADAMS = ("AdamW", "NAdamW", "DampedAdamW")
# The same step with Nesterov's and with the heavy ball's damping, and the same damping as QHAdam.
CONTROLS = ("DampedAdamW, damping 1 − β1²", "DampedAdamW, damping 1 − β1", "QHAdam")
SGDS = ("SGD, Nesterov", "DampedSGD")
_TO_4 = (-4, -2, 0, 2, 4)  # .0025 to .04
_GRID = (*product(ADAMS, MOMENTA), ("AdEMAMix", 0.99), ("AdEMAMix", 0.997))
# First what the question is about.
_LONG = (
    *product(("AdamW", "DampedAdamW"), (0.97, 0.99)),
    ("AdamW", 0.9),
    ("DampedAdamW", 0.997),
    ("AdEMAMix", 0.997),
    ("NAdamW", 0.97),
    ("NAdamW", 0.99),
    ("DampedAdamW", 0.9),
    ("AdamW", 0.997),
    ("NAdamW", 0.9),
    ("NAdamW", 0.997),
    ("AdEMAMix", 0.99),
)
PARTS: Mapping[str, Part | Untuned] = {
    "text-1000": Part("text", 1000, _GRID, _TO_4),
    "text-4000": Part("text", 4000, _GRID, _TO_4),
    "text-16000": Part("text", 16_000, _LONG, _TO_4[:3], halves=False, row_seeds=()),
    # The loss of a long memory has a second, lower valley at higher rates.
    "text-1000-high": Part(
        "text", 1000, tuple(product(ADAMS[:1], MOMENTA[1:])), (4, 6, 8, 10), row_seeds=(), seeds=()
    ),
    # Is it the damping, or that DampedAdamW scales before it averages?
    "text-controls": Part(
        "text",
        4000,
        tuple(product(CONTROLS, MOMENTA)),
        (-2, 0, 2, 4),
        halves=False,
        row_seeds=SEEDS[:1],
        seeds=SEEDS[:3],
    ),
    # Is .9 too long a memory already?
    "text-shorter": Part("text", 4000, (("AdamW", 0.8), ("NAdamW", 0.8)), _TO_4[1:4]),
    "text-two-buffers": Part(
        "text", 4000, (("AdEMAMix, scaled by rows and columns", 0.99),), _TO_4[:3]
    ),
    "text-schedule-free": Part("text", 4000, (("schedule-free AdamW", 0.9),), _TO_4),
    "text-muon": Part("text", 4000, (("Muon", 0.95),), (0, 2, 4)),
    "text-lion": Part("text", 4000, (("Lion", 0.9),), (-10, -8, -6)),
    # lr/(1 − m) from .16 to 2.56
    "images-sgd": Part("images", 2000, tuple(product(SGDS, MOMENTA[:3])), (8, 10, 12, 14, 16)),
    "images-adam": Part(
        "images", 2000, (("AdamW", 0.9), ("DampedAdamW", 0.9), ("DampedAdamW", 0.99)), (-6, -4, -2)
    ),
    "images-indian": Part("images", 2000, (("INDIAN", None),), (4, 6, 8)),
    "images-untuned": Untuned("images", 2000),
    "images-plain-untuned": Untuned("images-plain", 2000),
    "digits-untuned": Untuned("digits", 1000),
    "text-untuned": Untuned("text", 1000),
}


def learning_rate(method: str, momentum: float | None, rate: float) -> float:
    """Return the learning rate that a user would write: a rate of SGD's is lr/(1 − m)."""
    return rate * (1 - momentum) if method in SGDS and momentum is not None else rate
