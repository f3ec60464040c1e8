r"""The choice between the three implementations of the step.

All three use the same state per parameter, a buffer and its scale with buffer = scale · w, where w
is the momentum of `indian_core.linear_step`. The for-loop and the foreach implementation leave the
scale unchanged (it is 1 after a first step). The fused implementation changes it, so that PyTorch's
SGD kernel can make the whole step.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from indian_torch import _private
from indian_torch.step.for_loop import _single_tensor_indian
from indian_torch.step.foreach import _multi_tensor_indian
from indian_torch.step.fused import Call, fused_calls, make_fused_call, raise_versions
from indian_torch.step.part import Part


def make(parts: Sequence[Part]) -> None:
    """Make a step of all parameter groups, in place. Their gradients must be safe to read."""
    for part in parts:
        part.take_complex_as_pairs()
        if part.step.drags:
            part.scales = [s if isinstance(s, Tensor) else s or 1.0 for s in part.scales]
    for part, calls in [(part, _kernel_calls(part)) for part in parts]:
        for indices, call in calls:
            make_fused_call(part, indices, call)
        if sum(len(indices) for indices, _ in calls) < len(part.params):
            taken = {i for indices, _ in calls for i in indices}
            _make(part.subset([i for i in range(len(part.params)) if i not in taken]))
        if part.params is not part.owners:
            raise_versions([param for param in part.owners if hasattr(param, "placements")])


def _kernel_calls(part: Part) -> list[Call]:
    """Return the calls of the fused kernels for the parameters that the kernels can step."""
    step, layout = part.step, part.layout
    if not (step.fused or step.automatic) or not part.on_host or not _private.has_foreach:
        return []
    if layout is None or layout.sparse or step.is_idle:
        return []
    return fused_calls(part)


def _make(part: Part) -> None:
    """Make the step with the for-loop or the foreach implementation."""
    step, layout = part.step, part.layout
    compiling = layout is None
    foreach = step.foreach or step.fused
    if step.automatic:
        _, foreach = _private.default_to_fused_or_foreach(part.params, step.differentiable)
        foreach = foreach or (compiling and not step.differentiable)
    if (
        # Inductor (2.13) bakes a float into foreach operations and, from the third value of a
        # schedule on, reuses the graph of an earlier value. It compiles the for-loop correctly.
        (compiling and not isinstance(step.lr, Tensor))
        or (layout is not None and (layout.sparse or layout.lazy_param))
        or not _private.has_foreach
    ):
        foreach = False
    (_multi_tensor_indian if foreach else _single_tensor_indian)(part)
    part.keep()
