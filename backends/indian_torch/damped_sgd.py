r"""DampedSGD as a `torch.optim.Optimizer`."""

from __future__ import annotations

from torch import Tensor
from torch.optim.optimizer import ParamsT

from indian_torch.base import LinearOptimizer


class DampedSGD(LinearOptimizer):
    r"""`torch.optim.SGD` with one more number, the damping of its momentum.

    With θ the parameters, g a minibatch gradient, m the momentum and d the damping,

    $$\theta \leftarrow \theta - lr \left((1 - d)\, s + \frac{d}{1 - m}\, g\right), \qquad
      s \leftarrow m\, s + g$$

    where both lines use the old s. The newest gradient has the share d of a step, and the momentum
    the rest. Without a damping the run is that of `torch.optim.SGD`, up to rounding: the heavy
    ball has d = 1 − m, and Nesterov's momentum d = 1 − m². More damping makes the path swing less,
    and d = 1 is gradient descent.

    The groups hold ``lr``, ``momentum``, ``nesterov`` and ``damping``. Each may be changed at any
    time, so schedulers that cycle the momentum work. A state dict of `torch.optim.SGD` can be
    loaded.

    The state of a parameter is ``momentum_buffer``, as in SGD. It holds s times the group's
    ``buffer_scale``, which is 1 without a damping. With one it depends on m and d, and after a
    change of these the next step multiplies the buffers once. So two processes that share such an
    optimizer must not change them. At momentum 0 there is no buffer, as in SGD.

    A step is all or nothing: an invalid hyperparameter, parameter or gradient in any group raises
    an error before any parameter is changed.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: The learning rate ≥ 0: a number or a tensor with one element, as for `INDIAN`.
        momentum: m, 0 ≤ m ≤ 1. Begin with your own; with a longer one keep lr/(1 − m).
        dampening: Must be 0. SGD has it.
        weight_decay: λ ≥ 0, the weight decay, which is L2 regularization as in SGD: g ← g + λθ.
        nesterov: Whether the momentum is Nesterov's.
        damping: d, from 1 − m to 1, or None for SGD's own. Begin with 0.3. With a damping, m must
            be less than 1 and ``nesterov`` False.
        maximize: Whether to maximize the loss instead of minimizing it.
        foreach: Whether to use the implementation over lists of tensors; see `INDIAN`.
        differentiable: Whether autograd goes through the step.
        fused: Whether to use PyTorch's fused SGD kernel where it can make the step; see `INDIAN`.
        capturable: Whether steps can be captured in a CUDA graph.
        stochastic_rounding: Whether to round 16-bit parameters up or down at random; see `INDIAN`.

    Raises:
        ValueError: If a hyperparameter is out of its range, infinite or NaN.
        TypeError: If a hyperparameter is not a number.
        RuntimeError: If two options exclude each other.

    Examples:
        >>> import torch
        >>> from indian_torch import DampedSGD
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> optimizer = DampedSGD([weight], lr=0.05, momentum=0.9, damping=0.3)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = (weight**2).sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 0.01
        True

    Source:
        Castera, Bolte, Févotte, Pauwels, *An Inertial Newton Algorithm for Deep Learning*,
        arXiv:1905.12278. `indian_core.equivalences` has the INDIAN of each DampedSGD.
    """

    method = "DampedSGD"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.9,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        damping: float | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        stochastic_rounding: bool = False,
    ) -> None:
        super().__init__(params, locals())
