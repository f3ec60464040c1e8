r"""PyTorch's private names in one place, each with a fallback for releases without it.

They were seen in PyTorch 2.7 to 2.14. Look them up as attributes of this module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import optimizer as _optimizer


def _foreach_by_default(params: list[Tensor], differentiable: bool) -> tuple[bool, bool]:
    on_cuda = all(type(param) in native_types and param.is_cuda for param in params)
    return False, on_cuda and not differentiable


def _check_for_fused(param: Tensor) -> None:
    if param.device.type not in ("cpu", "cuda") or not param.is_floating_point():
        raise RuntimeError("`fused=True` requires all the params to be floating point Tensors")


def _with_grad_if_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)

    return wrapped


# The types of plain tensors. (PyTorch's own list also has DTensor once torch.distributed.tensor has
# been imported, but the fused kernel does not support DTensor.)
native_types = frozenset((Tensor, torch.nn.Parameter))
# The implementation that PyTorch's own optimizers choose for these parameters.
default_to_fused_or_foreach: Callable[..., tuple[bool, bool]] = getattr(
    _optimizer, "_default_to_fused_or_foreach", _foreach_by_default
)
# PyTorch's error for parameters that ``fused=True`` does not support.
device_dtype_check_for_fused: Callable[..., None] = getattr(
    _optimizer, "_device_dtype_check_for_fused", _check_for_fused
)
# The decorator of `step`, which handles ``differentiable`` and keeps torch.compile out of hooks.
use_grad_for_differentiable: Callable[[Any], Any] = getattr(
    _optimizer, "_use_grad_for_differentiable", _with_grad_if_differentiable
)
try:
    from torch._subclasses.fake_tensor import FakeTensor as FakeTensor  # noqa: PLC0414
except ImportError:

    class FakeTensor(Tensor):  # type: ignore[no-redef]
        """A stand-in: no tensor is an instance of it."""


# If one of these is missing, the for-loop makes all steps.
_FOREACH = ("add", "add_", "addcdiv_", "addcmul_", "copy_", "div", "mul", "mul_", "sqrt", "sub_")
has_foreach = all(hasattr(torch, f"_foreach_{name}") for name in _FOREACH)


def check_capture(optimizer: Any) -> None:
    """Raise if a CUDA graph is being captured without ``capturable``."""
    for name in (
        "_accelerator_graph_capture_health_check",
        "_cuda_graph_capture_health_check",  # up to 2.8
    ):
        if hasattr(optimizer, name):
            getattr(optimizer, name)()
            return


def fused_sgd(*lists: list[Tensor], **scalars: Any) -> None:
    """Call the fused SGD kernel. The caller handles the AttributeError if the kernel is missing."""
    torch._fused_sgd_(*lists, **scalars)


def fused_adamw(*lists: list[Tensor], **scalars: Any) -> None:
    """Call the fused AdamW kernel. The caller handles the AttributeError if it is missing."""
    torch._fused_adamw_(*lists, **scalars)


def is_zero_tensor(tensor: Tensor) -> bool:
    """Return whether a tensor is one of autograd's zero tensors without memory."""
    check = getattr(tensor, "_is_zerotensor", None)
    return check is not None and bool(check())


def likeness(tensors: list[Tensor]) -> Callable[..., bool] | None:
    """Return a check that other tensors equal these in everything but their numbers.

    It compares type, sizes, strides, dtype, device and dispatch keys (lazy negation, …). It is
    torch.compile's own check, in C++, and takes a fifth of the time that Python needs. The result
    is None if there is no such check; then the tensors are examined anew at each step.
    """
    guards = getattr(getattr(torch._C, "_dynamo", None), "guards", None)
    try:
        check: Callable[..., bool] = guards.TensorGuards(  # type: ignore[union-attr]
            *tensors,
            dynamic_dims_sizes=[list(tensor.shape) for tensor in tensors],
            dynamic_dims_strides=[list(tensor.stride()) for tensor in tensors],
        ).check
        return check if check(*tensors) else None
    except (AttributeError, TypeError, RuntimeError, SystemError):
        return None
