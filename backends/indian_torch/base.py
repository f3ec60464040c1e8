r"""INDIAN as a `torch.optim.Optimizer`."""

from __future__ import annotations

import itertools
import operator
from collections import defaultdict
from collections.abc import Callable
from types import NoneType
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_torch import _private
from indian_torch.checkpoints import (
    STATE_KEYS,
    StateDict,
    check_state_dict,
    check_structure,
    restore_state,
)
from indian_torch.energy import energy
from indian_torch.groups import (
    HYPERPARAMETERS,
    OPTIONS,
    StepReader,
    checked_group,
    checked_step,
)
from indian_torch.step.dispatch import Part, make
from indian_torch.step.precision import momentum_dtype_of
from indian_torch.step.scalars import Scale, is_unreadable, moved
from indian_torch.tensors import Examiner, Separator, examine

_NO_STATE: StateDict = {}
_BUFFER, _SCALE = operator.itemgetter("momentum_buffer"), operator.itemgetter("scale")


class INDIAN(Optimizer):
    r"""INDIAN, later named INNA: an inertial Newton algorithm for deep learning.

    With θ the parameters, v_k a minibatch gradient at θ_k, and w a momentum of θ's shape,

    .. math::
        \begin{aligned}
            \theta_{k+1} &= \theta_k - \gamma_k\,(w_k + \beta\, v_k)                       \\
            w_{k+1} &= (1 - \alpha\gamma_k)\, w_k + \gamma_k\,(1 - \alpha\beta)\, v_k      \\
            w_0 &= (s - \beta)\, v_0
        \end{aligned}

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
        lr: γ ≥ 0, the learning rate: a number, or a tensor with one element.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0: the first step moves θ by −γ s v_0. None is the group's β, a start
            from rest; the paper has s = 1 (``**indian_core.PAPER``).
        weight_decay: λ ≥ 0.
        decoupled_weight_decay: Whether weight decay is θ ← (1 − γλ) θ before the step, without w
            taking notice (the default), or L2 regularization v ← v + λθ.
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
        ValueError: If a hyperparameter is negative (or zero, for β), infinite or NaN, or a Tensor
            lr has not one element.
        TypeError: If a hyperparameter is not a number, or ``momentum_dtype`` not a real dtype.
        RuntimeError: If two options exclude each other.

    Example:
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
        arXiv:1905.12278, JMLR 22(134), 2021: equation (11), section 5.2 for ψ_0 and the defaults
        of α and β, the proof of Theorem 14 for w.
    """

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
        momentum_dtype: torch.dtype | None = None,
        stochastic_rounding: bool = False,
    ) -> None:
        given = locals()
        self._forget()
        super().__init__(
            params, checked_group({name: given[name] for name in (*HYPERPARAMETERS, *OPTIONS)})
        )

    def _forget(self) -> None:
        """Begin anew with what is known of the last step, which is not part of what is pickled."""
        self._readers: dict[int, StepReader] = defaultdict(StepReader)
        self._examiners: dict[int, Examiner] = defaultdict(Examiner)
        self._separate = Separator()

    @classmethod
    def from_sgd(
        cls,
        params: ParamsT,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        damping: float | None = None,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> INDIAN:
        r"""Return the INDIAN that makes exactly the steps of this `torch.optim.SGD`.

        γ = √lr, α = (1 − m)/γ with SGD's momentum m, and β = d/α, from rest. The damping d = αβ is
        1 − m for the heavy ball (β = γ), 1 − m² for Nesterov's method, and 1 for gradient descent.
        What a run has above SGD's own d is Newton damping.

        The runs are the same while SGD's lr is constant. SGD's effective step size lr/(1 − m) is
        γ/α, which is linear in γ: give γ the schedule of SGD's lr as it is. Then d stays, and the
        memory, 1/(αγ) steps, grows as γ falls.

        Args:
            params: As in `INDIAN`; groups may have an SGD ``lr``, ``momentum`` and ``nesterov``,
                and a ``damping``, of their own.
            lr: SGD's learning rate, > 0.
            momentum: SGD's momentum m, between 0 and 1.
            nesterov: Whether SGD uses Nesterov's momentum.
            damping: d, from 1 − m to 1, in the place of SGD's own.
            weight_decay: SGD's weight decay, which is coupled.
            **options: Further arguments of `INDIAN`. An ``alpha``, ``beta`` or ``initial_speed``,
                here or in a group, takes the place of SGD's; the start is from rest unless
                ``initial_speed`` says otherwise.

        Raises:
            ValueError: If there is no such SGD, or it has a ``dampening``.
            TypeError: If an argument is not a number, or ``params`` is a tensor.

        Example:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.ones(3))
            >>> optimizer = INDIAN.from_sgd([weight], lr=0.25, momentum=0.75)
            >>> group = optimizer.param_groups[0]
            >>> group["lr"], group["alpha"], group["beta"]
            (0.5, 0.5, 0.5)
        """
        sgd = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "damping": damping}
        options = {"weight_decay": weight_decay, "decoupled_weight_decay": False} | options

        def translated(group: dict[str, Any]) -> dict[str, Any]:
            group = dict(group)
            dampening = group.pop("dampening", 0)
            if dampening != 0:
                raise ValueError(f"Invalid dampening: {dampening} (INDIAN has none: it must be 0)")
            own: Any = {name: group.pop(name, value) for name, value in sgd.items()}
            ours = indian_core.from_sgd(**own)._asdict()
            return ours | {"initial_speed": None} | options | group

        groups: Any = params
        if not isinstance(params, Tensor):  # which torch has its own words for
            groups = [translated(each) if isinstance(each, dict) else each for each in params]
        return cls(groups, **translated({}))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()
        for group in self.param_groups:
            for name, value in OPTIONS.items():
                group.setdefault(name, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, whose options may differ from the defaults.

        Args:
            param_group: A dict with "params" and any arguments of `INDIAN`.

        Raises:
            ValueError: As in `INDIAN`, and as `torch.optim.Optimizer.add_param_group` does.
            TypeError: Likewise.
        """
        if isinstance(param_group, dict):
            checked = checked_group(self.defaults | param_group)
            param_group = {name: checked[name] for name in param_group}
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load what `state_dict` returned, of whichever implementation.

        The tensors are copied. The momentum keeps its dtype.

        Args:
            state_dict: A state dict of an `INDIAN` with as many parameters of the same shapes.

        Raises:
            ValueError: If anything is missing, superfluous, of another shape or out of its range.
                Nothing has been changed then.
            TypeError: If a hyperparameter is not a number; likewise.
            RuntimeError: If two options exclude each other; likewise.
        """
        check_structure(state_dict)
        loaded: list[StateDict] = []

        # Hooks, so that the user's own come before the check, and after all is loaded.
        def check(optimizer: Optimizer, final_state_dict: StateDict) -> None:
            check_state_dict(optimizer, final_state_dict)
            loaded.append(final_state_dict)

        before = self.register_load_state_dict_pre_hook(check)
        after = self.register_load_state_dict_post_hook(
            lambda optimizer: restore_state(optimizer, loaded[0]), prepend=True
        )
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()

    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        buffers: list[Tensor],
        scales: list[Scale],
    ) -> None:
        """Fill the lists with what a compiled step works on, making what is missing.

        torch.compile calls this by its name, outside of the graph.
        """
        found = [param for param in group["params"] if param.grad is not None]
        self._make_states(group, found, on_device=True)
        params += found
        grads += [param.grad for param in found]
        buffers += [self.state[param]["momentum_buffer"] for param in found]
        scales += [self.state[param]["scale"] for param in found]

    def _make_states(self, group: dict[str, Any], params: list[Tensor], on_device: bool) -> None:
        """Make the missing states, and σ what the implementation needs: a float or a tensor."""
        for param in params:
            state = self.state[param]
            if not state.keys() >= STATE_KEYS:
                dtype = momentum_dtype_of(param, group["momentum_dtype"])
                state["momentum_buffer"] = torch.zeros_like(
                    param, dtype=dtype, memory_format=torch.preserve_format
                )
                state["scale"] = 0.0
            if isinstance(state["scale"], Tensor) != on_device:
                state["scale"] = moved(state["scale"], state["momentum_buffer"], on_device)

    def _part(self, number: int, group: dict[str, Any]) -> Part:
        """Return a group's part of a step, or raise. Nothing is changed."""
        if torch.compiler.is_compiling():
            params: list[Tensor] = []
            grads: list[Any] = []
            buffers: list[Any] = []
            scales: list[Any] = []
            self._init_group(group, params, grads, buffers, scales)
            part = Part(params, None, params, grads, buffers, scales, checked_step(group))
            part.check(examine)
            return part
        step = self._readers[number](group)
        # Comprehensions: with a thousand small tensors, what Python does here is half of a step.
        params = group["params"]
        grads = [param.grad for param in params]
        if NoneType in set(map(type, grads)):
            params = [param for param in params if param.grad is not None]
            grads = [grad for grad in grads if grad is not None]
        states = list(map(self.state.get, params, itertools.repeat(_NO_STATE)))
        try:
            buffers, scales = list(map(_BUFFER, states)), list(map(_SCALE, states))
        except KeyError:  # Some have to be made.
            buffers = [state.get("momentum_buffer") for state in states]
            scales = [state.get("scale") for state in states]
            for param in params if step.fused else ():
                _private.device_dtype_check_for_fused(param)
        part = Part(params, states, params, grads, buffers, scales, step)
        part.check(examine if step.differentiable else self._examiners[number])
        return part

    energy = energy

    @_private.use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: Evaluates the model again and returns the loss.

        Returns:
            What the closure returned, or None.

        Raises:
            ValueError: If a hyperparameter in a parameter group is out of its range by now, or a
                parameter was given another shape than its momentum or gradient has. No parameter
                of any group has moved then, nor has any state changed.
            TypeError: If a hyperparameter is not a number; likewise.
            RuntimeError: If ``fused=True`` and a parameter is of a kind that no fused kernel
                takes, or a gradient is sparse and the weight decay is not decoupled; likewise.
        """
        _private.check_capture(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parts = [self._part(number, group) for number, group in enumerate(self.param_groups)]
        # Nothing is refused from here on.
        if not torch.compiler.is_compiling():
            for number, group in enumerate(self.param_groups):
                kinds = set(map(type, parts[number].scales))
                on_device = group["capturable"]
                if NoneType in kinds or (float in kinds if on_device else kinds - {float}):
                    self._make_states(group, parts[number].owners, on_device)
                    parts[number] = self._part(number, group)
            parts = [part for part in parts if not part.is_idle]
            self._separate(parts)
        make(parts)
        return loss

    @torch.no_grad()
    def psi(self, param: Tensor) -> Tensor:
        r"""Return the paper's auxiliary variable, ψ = (1 − αβ) θ + β w, of a parameter.

        Args:
            param: A parameter of this optimizer.

        Returns:
            A new tensor of the parameter's shape, in the momentum's dtype.

        Raises:
            ValueError: If the optimizer has no such parameter.
            RuntimeError: If it has made no step yet and its start is not from rest: ψ_0 depends on
                the first gradient then.

        Example:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], alpha=0.5, beta=0.1)
            >>> optimizer.psi(weight)
            tensor([0.9500, 1.9000])
        """
        group = self._group_of(param)
        state = self.state.get(param, {})
        scale = state.get("scale", 0.0)
        scale = 1.0 if is_unreadable(scale) else float(scale)
        dtype = momentum_dtype_of(param, group["momentum_dtype"])
        if scale != 0:
            momentum = state["momentum_buffer"] / scale
        elif group["initial_speed"] in (None, group["beta"]):
            momentum = torch.zeros_like(param, dtype=dtype)
        else:
            raise RuntimeError(
                "psi is not known before the first step: psi_0 depends on the first gradient"
            )
        psi: Tensor = indian_core.psi_from_momentum(
            param.detach().to(dtype), momentum, group["alpha"], group["beta"]
        )
        return psi

    @torch.no_grad()
    def set_psi(self, param: Tensor, psi: Tensor) -> None:
        r"""Set w = (ψ − (1 − αβ) θ)/β of a parameter; its next step is an ordinary one.

        Args:
            param: A parameter of this optimizer.
            psi: The paper's ψ at the parameter's present value, of its shape.

        Raises:
            ValueError: If the optimizer has no such parameter, or it can have no such ψ. Nothing
                has been changed then.
            TypeError: If ψ is not a tensor.

        Example:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], lr=0.1, alpha=0.5, beta=0.1)
            >>> optimizer.set_psi(weight, torch.tensor([1.0, 2.0]))
            >>> optimizer.psi(weight)
            tensor([1., 2.])
        """
        group = self._group_of(param)
        check_psi(psi, param)
        state = self.state[param]
        if not state.keys() >= STATE_KEYS:
            self._make_states(group, [param], on_device=False)
        buffer, scale = state["momentum_buffer"], state["scale"]
        buffer.copy_(
            indian_core.momentum_from_psi(
                param.to(buffer.dtype),
                psi.to(buffer.device, buffer.dtype),
                group["alpha"],
                group["beta"],
            )
        )
        # A tensor stays the one that a CUDA graph may know.
        state["scale"] = scale.fill_(1.0) if isinstance(scale, Tensor) else 1.0

    def _group_of(self, param: Tensor) -> dict[str, Any]:
        for group in self.param_groups:
            if any(param is member for member in group["params"]):
                return group
        raise ValueError("param is not a parameter of this optimizer")


INNA = INDIAN


def check_psi(psi: Any, param: Tensor) -> None:
    """Raise unless ψ is a tensor that can be one of this parameter."""
    if not isinstance(psi, Tensor):
        raise TypeError(f"psi should be a Tensor, not {type(psi).__name__}")
    if psi.shape != param.shape:
        raise ValueError(f"psi should be {tuple(param.shape)}, but is {tuple(psi.shape)}")
    if psi.layout != torch.strided:
        raise ValueError(f"psi should be dense, but is {psi.layout}")
    if psi.is_meta and not param.is_meta:
        raise ValueError("psi should have numbers, but is on meta")
    if psi.is_complex() and not param.is_complex():
        raise ValueError(f"psi should be real, as its parameter is, but is {psi.dtype}")
