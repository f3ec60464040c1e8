"""INDIAN (INNA) as a native `torch.optim.Optimizer`.

    from indian_torch import INDIAN, PowerDecayLR

    optimizer = INDIAN(model.parameters(), lr=0.1, alpha=0.5, beta=0.1)
    scheduler = PowerDecayLR(optimizer)  # lr / sqrt(k + 1)
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        'indian_torch needs PyTorch: pip install "indian-optimizer[torch]"'
    ) from error

from indian_torch.functional import indian
from indian_torch.optimizer import INDIAN, INNA
from indian_torch.schedule import PowerDecayLR

__all__ = ["INDIAN", "INNA", "PowerDecayLR", "indian"]
