"""INDIAN (INNA) and INNAprop for JAX, as optax gradient transformations.

Examples:
    >>> import optax
    >>> from indian_optax import indian, power_decay
    >>> optimizer = optax.chain(optax.clip_by_global_norm(1.0), indian(power_decay(0.1)))
"""

try:
    import optax as _optax  # noqa: F401
except ImportError as error:
    raise ImportError("indian_optax needs JAX and optax: pip install jax optax") from error

from indian_core import __version__ as __version__
from indian_optax import energy as energy
from indian_optax.base import IndianState
from indian_optax.curvature import largest_curvature, suggest_lr
from indian_optax.indian import from_sgd, indian, inna, scale_by_indian
from indian_optax.innaprop import (
    InnapropState,
    innaprop,
    innaprop_from_adam,
    scale_by_innaprop,
)
from indian_optax.layouts import layout
from indian_optax.phase_space import psi, with_psi
from indian_optax.run_file import load_run, save_run
from indian_optax.schedules import power_decay
from indian_optax.stochastic_rounding import StochasticRoundingState, stochastic_rounding

__all__ = [
    "IndianState",
    "InnapropState",
    "StochasticRoundingState",
    "from_sgd",
    "indian",
    "inna",
    "innaprop",
    "innaprop_from_adam",
    "largest_curvature",
    "layout",
    "load_run",
    "power_decay",
    "psi",
    "save_run",
    "scale_by_indian",
    "scale_by_innaprop",
    "stochastic_rounding",
    "suggest_lr",
    "with_psi",
]
