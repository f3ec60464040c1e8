"""INDIAN (INNA) and INNAprop, and SGD and AdamW with a damping, as optax transformations.

Examples:
    >>> import optax
    >>> from indian_optax import damped_adamw
    >>> optimizer = optax.chain(optax.clip_by_global_norm(1.0), damped_adamw(1e-3))
"""

try:
    import optax as _optax  # noqa: F401
except ImportError as error:
    raise ImportError("indian_optax needs JAX and optax: pip install jax optax") from error

from indian_core import __version__ as __version__
from indian_optax.curvature import suggest_lr
from indian_optax.damped_adamw import DampedAdamWState, damped_adamw
from indian_optax.damped_sgd import damped_sgd, scale_by_damped_momentum
from indian_optax.energy import energy
from indian_optax.indian import indian, inna
from indian_optax.innaprop import InnapropState, innaprop
from indian_optax.layouts import layout
from indian_optax.paper_law import IndianState
from indian_optax.psi import psi, with_psi
from indian_optax.run_file import load_run, save_run
from indian_optax.schedules import power_decay
from indian_optax.stochastic_rounding import StochasticRoundingState, stochastic_rounding

__all__ = [
    "DampedAdamWState",
    "IndianState",
    "InnapropState",
    "StochasticRoundingState",
    "damped_adamw",
    "damped_sgd",
    "energy",
    "indian",
    "inna",
    "innaprop",
    "layout",
    "load_run",
    "power_decay",
    "psi",
    "save_run",
    "scale_by_damped_momentum",
    "stochastic_rounding",
    "suggest_lr",
    "with_psi",
]
