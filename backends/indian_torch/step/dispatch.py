r"""Which of the three implementations makes the step.

All three share one state per parameter, a buffer and its scale σ with buffer = σ w: w is the
momentum of `indian_core.linear_step`. The for-loop and the foreach implementation leave σ as it is
(1 after a first step); the fused one moves it, which lets PyTorch's SGD kernel do the whole step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from indian_torch import _private
from indian_torch.step.for_loop import _single_tensor_indian
from indian_torch.step.foreach import _multi_tensor_indian
from indian_torch.step.fused import Call, fused_calls, make_fused_call, raise_versions
from indian_torch.step.scalars import Scale, Step
from indian_torch.tensors import Layout, check_match


@dataclass(slots=True, eq=False)
class Part:
    """One parameter group's part of a step: it has been checked, and nothing has been changed.

    `params` are this rank's shards where `owners`, the user's parameters, are DTensors. `states`
    are where new scales go. Under torch.compile, where scales are tensors, they are None, as is
    the `layout` of the tensors.
    """

    owners: list[Tensor]
    states: list[dict[str, Any]] | None
    params: list[Tensor]
    grads: list[Tensor]
    momentum_buffers: list[Any]
    scales: list[Any]
    step: Step
    layout: Layout | None = None

    def check(self, examine: Callable[..., Layout]) -> None:
        """Raise if the step cannot be made; else know the layout, which `examine` tells."""
        step = self.step
        if self.states is None:
            for param, grad in zip(self.params, self.grads, strict=True):
                check_match("gradient", grad, param)
            return
        if not (step.capturable or step.differentiable):
            self._take_local_shards()
        self.layout = examine(self.params, self.grads, self.momentum_buffers)
        if self.layout.sparse and step.l2 != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    def _take_local_shards(self) -> None:
        """Put this rank's shards in place of DTensors: the step is the same for every number.

        The fused kernel knows no DTensor, and the others are far slower on them.
        """
        owners = self.owners
        if _private.native_types.issuperset(map(type, owners)):
            return

        def local(tensor: Any, param: Any) -> Any:
            if tensor is None or not hasattr(param, "placements"):
                return tensor
            if tensor.placements != param.placements:
                tensor = tensor.redistribute(param.device_mesh, param.placements)
            return tensor.to_local()

        self.params, self.grads, self.momentum_buffers = (
            [local(tensor, param) for tensor, param in zip(tensors, owners, strict=True)]
            for tensors in (owners, self.grads, self.momentum_buffers)
        )

    @property
    def on_host(self) -> bool:
        """Return whether every scalar of the step is a Python float."""
        return self.layout is not None and self.step.on_host

    @property
    def is_idle(self) -> bool:
        """Return whether the step is none: its lr is 0, and no derivative by lr is asked for."""
        step = self.step
        return (
            self.layout is not None
            and step.is_idle
            and not (step.differentiable and isinstance(step.lr, Tensor))
        )


def make(parts: Sequence[Part]) -> None:
    """Make a step of all parameter groups, in place. Their gradients are fit to be read."""
    for part, calls in [(part, _kernel_calls(part)) for part in parts]:
        for indices, call in calls:
            make_fused_call(part, indices, call)
        if sum(len(indices) for indices, _ in calls) < len(part.params):
            taken = {i for indices, _ in calls for i in indices}
            _make(part, [i for i in range(len(part.params)) if i not in taken])
        if part.params is not part.owners:
            raise_versions([param for param in part.owners if hasattr(param, "placements")])


def _kernel_calls(part: Part) -> list[Call]:
    """Return the calls of the fused kernel that make the step, as far as there are any."""
    step, layout = part.step, part.layout
    if not (step.fused or step.automatic) or not part.on_host or not _private.has_foreach:
        return []
    if layout is None or layout.sparse:
        return []
    return fused_calls(layout.fused, part.scales, step)


def _make(part: Part, left: list[int]) -> None:
    """Make the step of some of the parameters by the for-loop or the foreach implementation."""
    step, layout = part.step, part.layout
    compiling = layout is None
    foreach = step.foreach or step.fused
    if step.automatic:
        _, foreach = _private.default_to_fused_or_foreach(part.params, step.differentiable)
        foreach = foreach or (compiling and not step.differentiable)
    if (
        # Inductor (2.13) bakes a float into foreach operations and, from the third value of a
        # schedule on, takes the graph of an earlier one for it. The for-loop is compiled rightly.
        (compiling and not isinstance(step.lr, Tensor))
        or (layout is not None and (layout.sparse or layout.lazy_param))
        or not _private.has_foreach
    ):
        foreach = False
    buffers = [part.momentum_buffers[i] for i in left]
    scales: list[Scale] = [part.scales[i] for i in left]
    (_multi_tensor_indian if foreach else _single_tensor_indian)(
        [part.params[i] for i in left],
        [part.grads[i] for i in left],
        buffers,
        scales,
        step=step,
        on_host=part.on_host,
    )
    if part.states is None:
        return
    for i, buffer, scale in zip(left, buffers, scales, strict=True):
        part.states[i]["scale"] = scale
        if step.differentiable:
            part.states[i]["momentum_buffer"] = buffer
