"""INDIAN (INNA), INNAprop, DampedSGD and DampedAdamW as native `mlx.optimizers`."""

try:
    import mlx.core as _mx  # noqa: F401
except ImportError as error:
    raise ImportError("indian_mlx needs MLX: pip install mlx, on Linux mlx[cpu]") from error

from indian_core import __version__ as __version__
from indian_mlx.curvature import suggest_lr
from indian_mlx.damped_adamw import DampedAdamW
from indian_mlx.damped_sgd import DampedSGD
from indian_mlx.indian import INDIAN, INNA
from indian_mlx.innaprop import INNAprop

__all__ = ["INDIAN", "INNA", "DampedAdamW", "DampedSGD", "INNAprop", "suggest_lr"]
