r"""The choice between the three implementations of the step.

All three work on the same state, a buffer that holds its scale times the momentum. The for-loop and
the foreach implementation leave the scale unchanged. By the paper's law the fused implementation
changes it, so that PyTorch's SGD kernel can make the whole step.
"""

from __future__ import annotations

from torch import Tensor

from indian_torch import _private
from indian_torch.step.for_loop import single_tensor_step
from indian_torch.step.foreach import multi_tensor_step
from indian_torch.step.fused import call_of, fused_step, raise_versions
from indian_torch.step.settings import Settings
from indian_torch.step.tensors import Tensors


def make(tensors: Tensors, settings: Settings) -> None:
    """Make the step of a parameter group, in place."""
    if not tensors.params:
        return
    if settings.sigma is not None:
        tensors.take_complex_as_pairs()
        tensors.count_gradients(read=tensors.states is not None and not settings.capturable)
    if settings.pull is not None and tensors.scales is not None:
        # No buffer stays zero, so no scale may stay 0.
        tensors.scales = [s if isinstance(s, Tensor) else s or 1.0 for s in tensors.scales]
    for bucket in tensors.buckets():
        call = call_of(bucket, settings)
        if call is not None:
            fused_step(bucket, settings, call)
        elif _is_foreach(bucket, settings):
            multi_tensor_step(bucket, settings)
        else:
            single_tensor_step(bucket, settings)
    if tensors.params is not tensors.owners:
        raise_versions([param for param in tensors.owners if hasattr(param, "placements")])


def _is_foreach(bucket: Tensors, settings: Settings) -> bool:
    """Return whether the foreach implementation makes a step that the kernel does not make."""
    assert bucket.kind is not None
    compiling = bucket.states is None
    foreach = settings.foreach or settings.fused
    if settings.automatic:
        _, foreach = _private.default_to_fused_or_foreach(bucket.params, settings.differentiable)
        foreach = foreach or (compiling and not settings.differentiable)
    # Inductor (2.13) bakes a float into foreach operations and, from its third value on, reuses the
    # graph of an earlier value. It compiles the for-loop correctly.
    stale = compiling and not all(isinstance(each, Tensor) for each in settings.linear)
    return bool(foreach) and _private.has_foreach and bucket.kind.fits_foreach and not stale
