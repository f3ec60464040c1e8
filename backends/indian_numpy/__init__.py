"""INDIAN (INNA) and INNAprop on NumPy arrays, the shortest adapter and the example for others."""

from indian_core import __version__ as __version__
from indian_numpy.curvature import suggest_lr
from indian_numpy.indian import INDIAN
from indian_numpy.innaprop import INNAprop

__all__ = ["INDIAN", "INNAprop", "suggest_lr"]
