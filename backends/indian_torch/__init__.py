"""INDIAN (INNA), INNAprop, DampedSGD and DampedAdamW as native optimizers of PyTorch."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("indian_torch needs PyTorch: pip install torch") from error

from indian_core import __version__ as __version__
from indian_torch.curvature import suggest_lr
from indian_torch.damped_adamw import DampedAdamW
from indian_torch.damped_sgd import DampedSGD
from indian_torch.indian import INDIAN, INNA
from indian_torch.innaprop import INNAprop
from indian_torch.run_file import layout, load_run, save_run
from indian_torch.schedules import PowerDecayLR

__all__ = [
    "INDIAN",
    "INNA",
    "DampedAdamW",
    "DampedSGD",
    "INNAprop",
    "PowerDecayLR",
    "layout",
    "load_run",
    "save_run",
    "suggest_lr",
]
