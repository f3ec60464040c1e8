r"""The functional form of INDIAN: which of the three implementations makes the step.

All three share one state per parameter, a buffer and its scale σ with buffer = σ w: w is the
momentum of `indian_core.momentum`. The for-loop and the foreach implementation leave σ as it is
(1 after a first step); the fused one moves it, which lets PyTorch's SGD kernel do the whole step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from indian_torch import _private
from indian_torch.for_loop import _single_tensor_indian
from indian_torch.foreach import _multi_tensor_indian
from indian_torch.fused import Call, fused_calls, make_fused_call, raise_versions
from indian_torch.groups import checked_step
from indian_torch.scalars import Scale, Step
from indian_torch.tensors import Layout, check_match, examine, separated


class Options(NamedTuple):
    """The options of a parameter group that choose how its step is made."""

    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool
    stochastic_rounding: bool


@dataclass
class Part:
    """One parameter group's part of a step: it has been checked, and nothing has been changed.

    Where a scale changes, `scales` becomes another list. The lists hold local shards in place of
    DTensors, which are in `sharded`. `layout` is None under torch.compile.
    """

    params: list[Tensor]
    grads: list[Tensor]
    momentum_buffers: list[Tensor]
    scales: list[Scale]
    step: Step
    options: Options
    layout: Layout | None
    sharded: Sequence[Tensor] = ()

    @property
    def on_host(self) -> bool:
        """Return whether every scalar of the step is a Python float."""
        options = self.options
        return (
            self.layout is not None
            and not (options.capturable or options.differentiable)
            and not isinstance(self.step.lr, Tensor)
        )

    @property
    def is_idle(self) -> bool:
        """Return whether the step is none: its lr is 0, and no derivative by lr is asked for."""
        return (
            self.layout is not None
            and self.step.is_idle
            and not (self.options.differentiable and isinstance(self.step.lr, Tensor))
        )


def indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    foreach: bool | None = None,
    fused: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    stochastic_rounding: bool = False,
    *,
    lr: float | Tensor,
    alpha: float,
    beta: float,
    initial_speed: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    r"""Make one step of INDIAN on lists of tensors, in place.

    See `indian_torch.INDIAN` for the equations and the arguments.

    Args:
        params: θ.
        grads: v, of the same shapes. They are not changed.
        momentum_buffers: σ w, of the same shapes; zeros before the first step. Updated in place,
            or replaced in this list if ``differentiable``.
        scales: σ, 0 before a parameter's first step. Floats are replaced in this list; 0-dim
            tensors, 0 or 1 (for ``capturable`` and ``torch.compile``), are updated in place.
        foreach: Whether to use the foreach implementation.
        fused: Whether to use PyTorch's fused SGD kernel wherever it can do the step.
        capturable: Whether the step is to be captured in a CUDA graph: no decision on the host.
        differentiable: Whether autograd is to go through the step.
        stochastic_rounding: Whether to round 16-bit parameters stochastically.
        lr: γ, a float or a tensor with one element.
        alpha: α.
        beta: β.
        initial_speed: s.
        weight_decay: λ.
        decoupled_weight_decay: Whether λ works as θ ← (1 − γλ) θ or as v ← v + λθ.
        maximize: Whether to go up rather than down.

    Raises:
        ValueError: If a hyperparameter is out of its range, or the tensors do not fit together.
            Nothing has been changed then.
        TypeError: If a hyperparameter is not a number; likewise.
        RuntimeError: If a gradient is sparse and the weight decay is not decoupled; likewise.

    Example:
        >>> import torch
        >>> from indian_torch import indian
        >>> theta, grad, buffer = torch.tensor([1.0]), torch.tensor([2.0]), torch.zeros(1)
        >>> scales = [0.0]
        >>> indian(
        ...     [theta], [grad], [buffer], scales, foreach=False, lr=0.25, alpha=0.5, beta=0.5,
        ...     initial_speed=1.0, weight_decay=0.0, decoupled_weight_decay=True, maximize=False,
        ... )
        >>> theta, buffer, scales  # θ_1 = θ_0 − γ s v_0, and w_1
        (tensor([0.5000]), tensor([1.2500]), [1.0])
    """
    options = Options(foreach, fused, capturable, differentiable, stochastic_rounding)
    step = checked_step(
        {
            "lr": lr,
            "alpha": alpha,
            "beta": beta,
            "initial_speed": initial_speed,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            **options._asdict(),
        }
    )
    part = checked_part(params, grads, momentum_buffers, scales, step, options, examine)
    make([part])
    momentum_buffers[:], scales[:] = part.momentum_buffers, part.scales


def checked_part(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Any],
    scales: list[Any],
    step: Step,
    options: Options,
    examine: Callable[..., Layout],
) -> Part:
    """Return a group's part of a step, or raise before anything has been changed."""
    if torch.compiler.is_compiling():
        for param, grad in zip(params, grads, strict=True):
            check_match("gradient", grad, param)
        return Part(params, grads, momentum_buffers, scales, step, options, None)
    on_host = not (options.capturable or options.differentiable)
    sharded: Sequence[Tensor] = ()
    if on_host and not _private.native_types.issuperset(map(type, params)):
        sharded = [param for param in params if hasattr(param, "placements")]
        params, grads, momentum_buffers = _local_shards(params, grads, momentum_buffers)
    layout = examine(params, grads, momentum_buffers)
    if layout.sparse and step.l2 != 0:
        raise RuntimeError("weight_decay option is not compatible with sparse gradients")
    grads = list(grads)  # some may be replaced
    return Part(params, grads, momentum_buffers, scales, step, options, layout, sharded)


def make(parts: Sequence[Part]) -> None:
    """Make a step of all parameter groups, in place."""
    parts = [part for part in parts if not part.is_idle]
    separated([(part.params, part.grads, part.layout) for part in parts if part.layout])
    for part, calls in [(part, _kernel_calls(part)) for part in parts]:
        for indices, call in calls:
            make_fused_call(part, indices, call)
        if sum(len(indices) for indices, _ in calls) < len(part.params):
            taken = {i for indices, _ in calls for i in indices}
            _make(part, [i for i in range(len(part.params)) if i not in taken])
        raise_versions(part.sharded)


def _kernel_calls(part: Part) -> list[Call]:
    """Return the calls of the fused kernel that make the step, as far as there are any."""
    foreach, fused, *_ = part.options
    automatic = foreach is None and fused is None
    if not (fused or automatic) or not part.on_host or not _private.has_foreach:
        return []
    if part.layout is None or part.layout.sparse:
        return []
    return fused_calls(part.layout.fused, part.scales, part.step, automatic)


def _make(part: Part, left: list[int]) -> None:
    """Make the step of some of the parameters by the for-loop or the foreach implementation."""
    foreach, fused, _, differentiable, stochastic_rounding = part.options
    compiling = part.layout is None
    if foreach is None and fused is None:
        _, foreach = _private.default_to_fused_or_foreach(part.params, differentiable)
        foreach = foreach or (compiling and not differentiable)
    if compiling and not isinstance(part.step.lr, Tensor):
        # Inductor (2.13) bakes a float into foreach operations and, from the third value of a
        # schedule on, takes the graph of an earlier one for it. The for-loop is compiled rightly.
        foreach = fused = False
    plain = part.layout is not None and (part.layout.sparse or part.layout.lazy_param)
    if plain or not _private.has_foreach:
        foreach = fused = False
    implementation = _multi_tensor_indian if foreach or fused else _single_tensor_indian
    buffers = [part.momentum_buffers[i] for i in left]
    scales = [part.scales[i] for i in left]
    implementation(
        [part.params[i] for i in left],
        [part.grads[i] for i in left],
        buffers,
        scales,
        step=part.step,
        on_host=part.on_host,
        differentiable=differentiable,
        stochastic_rounding=stochastic_rounding,
    )
    part.scales = list(part.scales)
    for i, buffer, scale in zip(left, buffers, scales, strict=True):
        part.momentum_buffers[i], part.scales[i] = buffer, scale


def _local_shards(
    params: list[Tensor], grads: list[Tensor], momentum_buffers: list[Any]
) -> tuple[list[Any], ...]:
    """Return this rank's shards in place of DTensors: the step is the same for every number.

    The fused kernel knows no DTensor, and the others are far slower on them.
    """

    def local(tensor: Any, param: Any) -> Any:
        if tensor is None or not hasattr(param, "placements"):
            return tensor
        if tensor.placements != param.placements:
            tensor = tensor.redistribute(param.device_mesh, param.placements)
        return tensor.to_local()

    return tuple(
        [local(tensor, param) for tensor, param in zip(tensors, params, strict=True)]
        for tensors in (params, grads, momentum_buffers)
    )
