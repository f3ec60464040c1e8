r"""The paper's step sizes as a `torch.optim.lr_scheduler.LRScheduler`."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from indian_core import POWER, checked, power_decay


class PowerDecayLR(LRScheduler):
    r"""Set the learning rate of each parameter group to lr_k = lr_0 (k + 1)^(−q).

    These are the paper's step sizes (section 5.2.1; q = 1/2 in Figures 2 and 3, q = 1/4 and others
    in Figure 4). In the paper k counts iterations, so call ``scheduler.step()`` after every
    ``optimizer.step()``, not once per epoch.

    Args:
        optimizer: Any torch optimizer.
        power: q ≥ 0, the power. With q = 0 the learning rate is constant.
        last_epoch: The k of the last call, for resuming. −1, the default, starts from lr_0.

    Raises:
        ValueError: If ``power`` is negative, NaN or infinite.
        TypeError: If ``power`` is not a real number.

    Examples:
        >>> import torch
        >>> from indian_torch import INDIAN
        >>> optimizer = INDIAN([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> scheduler = PowerDecayLR(optimizer)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(self, optimizer: Optimizer, power: float = POWER, last_epoch: int = -1) -> None:
        self.power = checked("power", power)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Return the learning rate of each parameter group at ``last_epoch``."""
        # The product with a NumPy scalar would be a NumPy scalar of that precision.
        lrs = [lr if isinstance(lr, Tensor) else float(lr) for lr in self.base_lrs]
        return [power_decay(self.last_epoch, lr, self.power) for lr in lrs]

    # `step(epoch)` of PyTorch's schedulers calls this; the formula above is already closed.
    _get_closed_form_lr = get_lr
