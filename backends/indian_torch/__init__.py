"""INDIAN (INNA) and INNAprop as native optimizers of PyTorch, with tools for using them."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("indian_torch needs PyTorch: pip install torch") from error

from indian_core import __version__ as __version__
from indian_torch.curvature import largest_curvature, suggest_lr
from indian_torch.indian import INDIAN, INNA
from indian_torch.innaprop import INNAprop
from indian_torch.migration import load_authors_state_dict
from indian_torch.run_file import layout, load_run, save_run
from indian_torch.schedules import PowerDecayLR
from indian_torch.weight_decay import no_weight_decay_groups

__all__ = [
    "INDIAN",
    "INNA",
    "INNAprop",
    "PowerDecayLR",
    "largest_curvature",
    "layout",
    "load_authors_state_dict",
    "load_run",
    "no_weight_decay_groups",
    "save_run",
    "suggest_lr",
]
