"""Tools for authors of backends: a NumPy reference, test problems, and the suite's `Driver`."""

from indian_core.testing.damped import ReferenceDampedAdamW, ReferenceDampedSGD
from indian_core.testing.driver import Arrays, Driver, Settings
from indian_core.testing.problems import Problem
from indian_core.testing.reference import (
    Point,
    Reference,
    ReferenceINDIAN,
    ReferenceINNAprop,
    closed_loop,
    exact,
    open_loop,
)

__all__ = [
    "Arrays",
    "Driver",
    "Point",
    "Problem",
    "Reference",
    "ReferenceDampedAdamW",
    "ReferenceDampedSGD",
    "ReferenceINDIAN",
    "ReferenceINNAprop",
    "Settings",
    "closed_loop",
    "exact",
    "open_loop",
]
