r"""DampedAdamW as a `torch.optim.Optimizer`."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from indian_core import DAMPING
from indian_torch.base import LinearOptimizer


class DampedAdamW(LinearOptimizer):
    r"""`torch.optim.AdamW` with one more number, the damping of its momentum.

    With θ the parameters, g a minibatch gradient, V a running mean of its squares, d the damping,
    and t = 1, 2, …,

    $$V \leftarrow \beta_2 V + (1 - \beta_2)\, g^2, \qquad
      u = \frac{g}{\sqrt{V/(1 - \beta_2^t)} + \varepsilon}$$

    $$\theta \leftarrow (1 - lr\,\lambda)\,\theta - lr \left((1 - d)\, s + d\, u\right), \qquad
      s \leftarrow \beta_1 s + (1 - \beta_1)\, u$$

    where the last two use the old s. The newest gradient has the share d of a step, and the
    momentum the rest. The arguments and the learning rate are AdamW's own. The run is another one,
    because AdamW averages gradients and then scales the average, and this method averages scaled
    gradients. Only at d = 1 is it AdamW, with betas (0, β2).

    The groups hold ``lr``, ``betas``, ``eps``, ``damping`` and ``weight_decay``. Each may be
    changed at any time, so schedulers that cycle β1 work. The state of a parameter is
    ``momentum_buffer``, which is s times the group's ``buffer_scale`` (see `DampedSGD`), and, as in
    torch's Adam, ``exp_avg_sq``, which is V, and ``step``, which is t.

    A state dict of `torch.optim.AdamW` is refused, because its ``exp_avg``, an average of
    gradients, cannot become one of scaled gradients. To go on from V and t, with a momentum of
    zero, remove ``exp_avg`` first:

        for state in state_dict["state"].values():
            del state["exp_avg"]

    A step is all or nothing, as in `DampedSGD`. Complex parameters are treated as pairs of real
    numbers, as in torch's Adam. Sparse gradients raise an error.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: AdamW's learning rate ≥ 0: a number or a tensor with one element, as for `INDIAN`.
        betas: β1 and β2, each at least 0 and less than 1, as a tuple, a list, an array or a tensor.
            Begin with a β1 of 0.9 up to 1,000 steps, beyond it with 0.97.
        eps: ε ≥ 0, added outside the root, as in torch's Adam.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − lr λ) θ.
        amsgrad: Must be False. AdamW has it.
        damping: d, from 1 − β1 to 1. Begin with the default.
        maximize: Whether to maximize the loss instead of minimizing it.
        foreach: Whether to use the implementation over lists of tensors; see `INDIAN`.
        capturable: Whether steps can be captured in a CUDA graph.
        differentiable: Whether autograd goes through the step.
        fused: Whether to use PyTorch's fused kernels where they can make the step; see `INDIAN`.
        stochastic_rounding: Whether to round 16-bit parameters up or down at random; see `INDIAN`.

    Raises:
        ValueError: If a hyperparameter is out of its range, infinite or NaN.
        TypeError: If a hyperparameter is not a number.
        RuntimeError: If two options exclude each other.

    Examples:
        >>> import torch
        >>> from indian_torch import DampedAdamW
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> optimizer = DampedAdamW([weight], lr=0.1)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = (weight**2).sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 0.01
        True

    Source:
        Bolte, Boustany, Pauwels, Purica, *A second-order-like optimizer with adaptive gradient
        scaling for deep learning*, arXiv:2410.05871, 2024. `indian_core.equivalences` has the
        INNAprop of each DampedAdamW.
    """

    method = "DampedAdamW"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        damping: float = DAMPING,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        stochastic_rounding: bool = False,
    ) -> None:
        super().__init__(params, locals())
