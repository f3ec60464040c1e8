"""Tools for authors of adapters: a NumPy reference, test problems, and the suite's `Driver`."""

from indian_core.testing.driver import Arrays, Driver, Settings, scheduled
from indian_core.testing.problems import Problem
from indian_core.testing.reference import (
    PhasePoint,
    ReferenceINDIAN,
    ReferenceINNAprop,
    closed_loop,
    exact,
    open_loop,
)

__all__ = [
    "Arrays",
    "Driver",
    "PhasePoint",
    "Problem",
    "ReferenceINDIAN",
    "ReferenceINNAprop",
    "Settings",
    "closed_loop",
    "exact",
    "open_loop",
    "scheduled",
]
