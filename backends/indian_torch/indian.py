r"""INDIAN as a `torch.optim.Optimizer`."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_torch.base import InertialOptimizer
from indian_torch.groups import Fields, Group


class INDIAN(InertialOptimizer):
    r"""INDIAN, later named INNA: an inertial Newton algorithm for deep learning.

    With θ the parameters, v_k a minibatch gradient at θ_k, and w a momentum of θ's shape,

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k, \qquad
      w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) in other variables; its ψ is (1 − αβ) θ + β w (`psi`). The
    continuous limit is a heavy ball with friction α and, by β, a Newton-like damping of its path:
    θ'' + α θ' + β ∇²J(θ) θ' + ∇J(θ) = 0. In this limit lr is the time that one step takes, β is
    also a time, and α is a rate.

    The state of a parameter is ``momentum_buffer``, a tensor of θ's shape that holds ``scale``
    times w, and the number ``scale``, which is 0 before the first step. All implementations use
    the same state. A parameter whose gradient is None is skipped, so each parameter has its own
    first step. Without a ``reference_lr``, a call with lr = 0 does not count as a parameter's first
    step, so a group frozen that way starts when its lr becomes positive.

    A step is all or nothing: an invalid hyperparameter, parameter or gradient in any group raises
    an error before any parameter is changed. A gradient that shares memory with a parameter is read
    before the parameter is written to.

    ``OneCycleLR`` and ``CyclicLR`` need ``cycle_momentum=False``, because the momentum, 1 − αγ,
    already follows lr.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: γ ≥ 0, the learning rate. lr, α, β and λ are numbers or tensors with one element. Such a
            tensor may be changed in place; a captured or compiled graph uses the new value.
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, lr means the same as the lr of SGD
            with momentum 0.9: the effective step size γ/α equals SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed. The first step moves θ by −γ s v_0. None, the
            default, means the group's β, a start from rest. The paper has s = 1
            (``**indian_core.PAPER``).
        weight_decay: λ ≥ 0, the weight decay.
        decoupled_weight_decay: Whether weight decay is decoupled. True, the default, means
            θ ← (1 − γλ) θ before the step, with w unchanged. False means L2 regularization,
            v ← v + λθ.
        reference_lr: The lr at which α and β have the given values. At any other lr they follow lr,
            so that a schedule does not change the momentum and d = αβ, as in SGD
            (`indian_core.kept_momentum`; ``keep_momentum`` sets it). With None, the default, α and
            β are constant, and the momentum 1 − αγ follows lr.
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
        momentum_dtype: The dtype of w. None, the default, means float32 for 16-bit parameters and
            the parameter's own dtype for all others.
        stochastic_rounding: Whether to round 16-bit parameters up or down at random, so that the
            mean is exact. Rounding to nearest loses steps under half an ulp of θ. The random
            numbers come from torch's default generator of the device. Processes that hold copies
            of the same parameters (DistributedDataParallel) must seed it alike.
        **unknown: Must be empty; there are no other arguments.

    Raises:
        ValueError: If a hyperparameter is negative (for β: or zero), infinite or NaN, or is a
            tensor that does not have one element.
        TypeError: If a hyperparameter is not a number, ``momentum_dtype`` is not a real dtype, or
            INDIAN has no such argument.
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

    fields = Fields("INDIAN", decoupled_weight_decay=True)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = LR,
        alpha: float | Tensor = ALPHA,
        beta: float | Tensor = BETA,
        initial_speed: float | None = INITIAL_SPEED,
        weight_decay: float | Tensor = 0.0,
        decoupled_weight_decay: bool = True,
        *,
        reference_lr: float | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        momentum_dtype: torch.dtype | None = None,
        stochastic_rounding: bool = False,
        **unknown: Any,
    ) -> None:
        indian_core.refuse_arguments("INDIAN", unknown)
        super().__init__(params, locals())

    @classmethod
    def from_sgd(
        cls,
        params: ParamsT,
        lr: float | Tensor,
        momentum: float = 0.0,
        nesterov: bool = False,
        damping: float | None = None,
        weight_decay: float = 0.0,
        keep_momentum: bool = True,
        **options: Any,
    ) -> INDIAN:
        r"""Return the INDIAN that makes exactly the same steps as this `torch.optim.SGD`.

        It takes SGD's own arguments, and its ``lr`` is SGD's, for any scheduler. The damping d = αβ
        is 1 − m for the heavy ball, with m SGD's momentum, 1 − m² for Nesterov's method, and 1 for
        gradient descent. The part of d above SGD's own value is Newton damping.

        The step size lr/(1 − m), d and the memory of 1/(1 − m) steps are those of SGD under any
        schedule, including lr = 0. Without ``keep_momentum`` the ``lr`` is γ = √lr, with
        α = (1 − m)/γ and β = d/α. That is the same run while lr is constant. A schedule's factors
        on γ scale the step size γ/α alike, but the memory, 1/(αγ) steps, grows as γ falls.

        Args:
            params: As in `INDIAN`. Groups may also have SGD's ``lr``, ``momentum`` and
                ``nesterov``, and a ``damping``, of their own.
            lr: SGD's learning rate: ≥ 0, or > 0 without ``keep_momentum``.
            momentum: SGD's momentum m, between 0 and 1.
            nesterov: Whether SGD uses Nesterov's momentum.
            damping: d, from 1 − m to 1. None, the default, means SGD's own d.
            weight_decay: SGD's weight decay, which is L2 regularization.
            keep_momentum: Whether m and d stay constant along a schedule of lr.
            **options: Further arguments of `INDIAN`. An ``alpha``, ``beta`` or ``initial_speed``,
                here or in a group, replaces the value derived from SGD. Without an
                ``initial_speed`` the start is from rest. SGD's ``dampening`` must be 0.

        Raises:
            ValueError: If SGD's arguments are invalid, or its ``dampening`` is not 0.
            TypeError: If an argument is not a number, or ``params`` is a tensor.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.ones(3))
            >>> optimizer = INDIAN.from_sgd([weight], lr=0.25, momentum=0.75, damping=0.5)
            >>> schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
            >>> optimizer.param_groups[0]["lr"]
            0.25
            >>> optimizer = INDIAN.from_sgd([weight], 0.25, 0.75, keep_momentum=False)
            >>> group = optimizer.param_groups[0]
            >>> group["lr"], group["alpha"], group["beta"]
            (0.5, 0.5, 0.5)
        """
        sgd = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "damping": damping}
        sgd |= {"keep_momentum": keep_momentum, "dampening": options.pop("dampening", 0)}
        options = {"weight_decay": weight_decay, "decoupled_weight_decay": False} | options
        return cls._translated(params, functools.partial(_of_sgd, sgd, options))


def _of_sgd(sgd: Group, options: Group, group: Group) -> Group:
    """Return INDIAN's group for a group of SGD's."""
    arguments = {name: group.pop(name, value) for name, value in sgd.items()}
    values = indian_core.translated(indian_core.from_sgd, **arguments)
    return values | {"initial_speed": None} | options | group


INNA = INDIAN
"""`INDIAN` under its later name."""
