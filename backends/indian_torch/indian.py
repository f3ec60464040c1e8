r"""INDIAN as a `torch.optim.Optimizer`."""

from __future__ import annotations

from torch import Tensor
from torch.optim.optimizer import ParamsT

from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_torch.psi import PaperOptimizer


class INDIAN(PaperOptimizer):
    r"""INDIAN, later named INNA: an inertial Newton algorithm for deep learning.

    With θ the parameters, v_k a minibatch gradient at θ_k, and w a momentum of θ's shape,

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k, \qquad
      w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) in other variables; its ψ is (1 − αβ) θ + β w (`psi`). For
    small γ the path is that of a heavy ball with friction α and Newton damping β:
    θ'' + α θ' + β ∇²J(θ) θ' + ∇J(θ) = 0.

    `DampedSGD` makes the same steps in SGD's own numbers, and keeps its momentum along a schedule.

    The state of a parameter is ``momentum_buffer``, a tensor of θ's shape, and the number
    ``scale``. The buffer holds w times the scale, which moves with γ, and is 0 before the first
    step. The scale is a Python float. So two processes cannot share an INDIAN (they can share a
    `DampedSGD`), and code that cuts every tensor of a state must leave the scale as it is. All
    implementations use the same state.

    A parameter whose gradient is None is skipped, so each parameter has its own first step. A step
    at lr = 0 is no first step: a group that is frozen that way starts when its lr becomes positive.

    A step is all or nothing: an invalid hyperparameter, parameter or gradient in any group raises
    an error before any parameter is changed. What is written into a group is used at the next step,
    and a number of another method, such as ``momentum``, is refused there.

    ``OneCycleLR`` and ``CyclicLR`` need ``cycle_momentum=False``, because the momentum, 1 − αγ,
    already follows lr.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: γ ≥ 0, the learning rate: a number, or a tensor with one element. The tensor may be
            changed in place; a captured or compiled graph uses the new value.
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, begin with SGD's lr at momentum 0.9,
            and try up to three times as much: γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed. The first step moves θ by −γ s v_0. None, the
            default, means the group's β, a start from rest. The paper has s = 1
            (``**indian_core.PAPER``).
        weight_decay: λ ≥ 0, the weight decay.
        decoupled_weight_decay: Whether weight decay is decoupled. True, the default, means
            θ ← (1 − γλ) θ before the step, with w unchanged. False means L2 regularization,
            v ← v + λθ.
        maximize: Whether to maximize the loss instead of minimizing it.
        foreach: Whether to use the implementation over lists of tensors. False means the for-loop.
            Sparse gradients, and a float lr under torch.compile, always use the for-loop.
        capturable: Whether steps can be captured in a CUDA graph.
        differentiable: Whether autograd goes through the step.
        fused: Whether to make the step in one pass over memory with PyTorch's fused SGD kernel
            where the kernel can make it. It can for real parameters of 32 or 64 bits whose
            gradients have the same layout. With αγ ≥ 1, ``capturable`` or torch.compile, the
            foreach implementation is used instead. The default, with foreach=None, is True for
            float32 on the CPU and CUDA; for other parameters it chooses between foreach and the
            for-loop as torch.optim does.
        stochastic_rounding: Whether to round 16-bit parameters up or down at random, so that the
            mean is exact. Rounding to nearest loses steps under half an ulp of θ. The random
            numbers come from torch's default generator of the device. Processes that hold copies
            of the same parameters (DistributedDataParallel) must seed it alike.

    Raises:
        ValueError: If a hyperparameter is negative (for β: or zero), infinite or NaN.
        TypeError: If a hyperparameter is not a number.
        RuntimeError: If two options exclude each other.

    Examples:
        >>> import torch
        >>> from indian_torch import INDIAN
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> optimizer = INDIAN([weight], lr=0.1, alpha=0.5, beta=0.1)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = (weight**2).sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 0.01
        True

    Source:
        Castera, Bolte, Févotte, Pauwels, *An Inertial Newton Algorithm for Deep Learning*,
        arXiv:1905.12278, JMLR 22(134), 2021: equation (11), section 5.2 for ψ_0, the
        proof of Theorem 14 for w.
    """

    method = "INDIAN"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float | None = INITIAL_SPEED,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = True,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        stochastic_rounding: bool = False,
    ) -> None:
        super().__init__(params, locals())


INNA = INDIAN
"""`INDIAN` under its later name."""
