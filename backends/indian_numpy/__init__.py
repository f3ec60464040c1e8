"""INDIAN (INNA), INNAprop, DampedSGD and DampedAdamW on NumPy arrays."""

from indian_core import __version__ as __version__
from indian_numpy.curvature import suggest_lr
from indian_numpy.damped_adamw import DampedAdamW
from indian_numpy.damped_sgd import DampedSGD
from indian_numpy.indian import INDIAN, INNA
from indian_numpy.innaprop import INNAprop

__all__ = ["INDIAN", "INNA", "DampedAdamW", "DampedSGD", "INNAprop", "suggest_lr"]
