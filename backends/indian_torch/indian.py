r"""INDIAN as a `torch.optim.Optimizer`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_torch.base import InertialOptimizer
from indian_torch.groups import Fields


class INDIAN(InertialOptimizer):
    r"""INDIAN, later named INNA: an inertial Newton algorithm for deep learning.

    With θ the parameters, v_k a minibatch gradient at θ_k, and w a momentum of θ's shape,

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k, \qquad
      w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) in other variables: its ψ is (1 − αβ) θ + β w (`psi`). The
    continuous limit is a heavy ball with friction α whose path is damped, by β, as Newton's
    method would: θ'' + α θ' + β ∇²J(θ) θ' + ∇J(θ) = 0. So lr is the time that a step takes, β is a
    time too, and α a rate.

    The state of a parameter is ``momentum_buffer``, of θ's shape, which holds ``scale`` times w,
    and the number ``scale``, 0 before the first step. All implementations share it. A parameter
    whose gradient is None is left alone; its first step is its own. A first step with lr = 0 is
    none, whatever the gradient: a group that is frozen so starts when it is thawed.

    A step is all or nothing: what cannot be used, in any group, is refused before any parameter
    has moved. A gradient in the memory of a parameter is read before that is written to.

    ``OneCycleLR`` and ``CyclicLR`` need ``cycle_momentum=False``: the momentum, 1 − αγ, follows lr
    by itself.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: γ ≥ 0, the learning rate. It, α, β and λ are numbers, or tensors with one element, which
            may be changed in place: a captured or compiled graph sees it.
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, lr is SGD's at momentum 0.9: the
            step size in the end, γ/α, is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0: the first step moves θ by −γ s v_0. None is the group's β, a start
            from rest; the paper has s = 1 (``**indian_core.PAPER``).
        weight_decay: λ ≥ 0.
        decoupled_weight_decay: Whether weight decay is θ ← (1 − γλ) θ before the step, without w
            taking notice (the default), or L2 regularization v ← v + λθ.
        reference_lr: The lr at which α and β hold, where they are to follow lr so that a schedule
            leaves the momentum and d alone, as SGD's does (`indian_core.kept_momentum`;
            ``keep_momentum`` sets it). None: α and β are constant, and 1 − αγ follows lr.
        maximize: Whether to go up instead of down.
        foreach: Whether to use the implementation over lists of tensors. False: the for-loop, which
            sparse gradients, and a float lr under torch.compile, take in any case.
        capturable: Whether steps can be captured in a CUDA graph.
        differentiable: Whether autograd goes through the step.
        fused: Whether to make the step in one pass over memory, by PyTorch's fused SGD kernel,
            wherever there is such a step (real parameters of 32 or 64 bits whose gradients have
            the same layout; not αγ ≥ 1, ``capturable`` or torch.compile, which take the foreach
            implementation). The default, with foreach=None, is True for float32
            on the CPU and CUDA and leaves to foreach or the for-loop what torch.optim does.
        momentum_dtype: What w is kept in. None: float32 for 16-bit parameters, and the
            parameter's own dtype for all others.
        stochastic_rounding: Whether 16-bit parameters are rounded up or down at random, so that
            the mean is right. To nearest, steps under half an ulp of θ are lost. The random
            numbers are from torch's default generator of the device: processes that hold copies
            of the same parameters (DistributedDataParallel) must seed it alike.

    Raises:
        ValueError: If a hyperparameter is negative (or zero, for β), infinite or NaN, or a
            tensor has not one element.
        TypeError: If a hyperparameter is not a number, or ``momentum_dtype`` not a real dtype.
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
    ) -> None:
        super().__init__(params, locals())

    @classmethod
    def from_sgd(
        cls,
        params: ParamsT,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        damping: float | None = None,
        weight_decay: float = 0.0,
        keep_momentum: bool = False,
        **options: Any,
    ) -> INDIAN:
        r"""Return the INDIAN that makes exactly the steps of this `torch.optim.SGD`.

        γ = √lr, α = (1 − m)/γ with SGD's momentum m, and β = d/α, from rest. The damping d = αβ is
        1 − m for the heavy ball (β = γ), 1 − m² for Nesterov's method, and 1 for gradient descent.
        What a run has above SGD's own d is Newton damping.

        The runs are the same while SGD's lr is constant. SGD's effective step size lr/(1 − m) is
        γ/α, which is linear in γ: give γ the schedule of SGD's lr as it is. Then d stays, and the
        memory, 1/(αγ) steps, grows as γ falls. With ``keep_momentum`` the memory stays too, and
        the runs are the same under any schedule, lr = 0 included: what stands in the groups as
        ``lr`` is SGD's own then, for any scheduler.

        Args:
            params: As in `INDIAN`; groups may have an SGD ``lr``, ``momentum`` and ``nesterov``,
                and a ``damping``, of their own.
            lr: SGD's learning rate, > 0.
            momentum: SGD's momentum m, between 0 and 1.
            nesterov: Whether SGD uses Nesterov's momentum.
            damping: d, from 1 − m to 1, in the place of SGD's own.
            weight_decay: SGD's weight decay, which is coupled.
            keep_momentum: Whether m and d stay along a schedule of lr.
            **options: Further arguments of `INDIAN`. An ``alpha``, ``beta`` or ``initial_speed``,
                here or in a group, takes the place of SGD's; the start is from rest unless
                ``initial_speed`` says otherwise.

        Raises:
            ValueError: If there is no such SGD, or it has a ``dampening``.
            TypeError: If an argument is not a number, or ``params`` is a tensor.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.ones(3))
            >>> optimizer = INDIAN.from_sgd([weight], lr=0.25, momentum=0.75)
            >>> group = optimizer.param_groups[0]
            >>> group["lr"], group["alpha"], group["beta"]
            (0.5, 0.5, 0.5)
            >>> optimizer = INDIAN.from_sgd([weight], 0.25, 0.75, keep_momentum=True)
            >>> schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
            >>> optimizer.param_groups[0]["lr"]
            0.25
        """
        sgd = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "damping": damping}
        sgd["keep_momentum"] = keep_momentum
        options = {"weight_decay": weight_decay, "decoupled_weight_decay": False} | options

        def translate(group: dict[str, Any]) -> dict[str, Any]:
            dampening = group.pop("dampening", 0)
            if dampening != 0:
                raise ValueError(f"Invalid dampening: {dampening} (INDIAN has none: it must be 0)")
            arguments: Any = {name: group.pop(name, value) for name, value in sgd.items()}
            values = indian_core.from_sgd(**arguments)._asdict()
            return values | {"initial_speed": None} | options | group

        return cls._translated(params, translate)


INNA = INDIAN
"""`INDIAN`, by its later name."""
