r"""The functional form of INDIAN: which of the three implementations makes the step.

All three share one state per parameter, a buffer and its scale σ with buffer = σ w: w is the
momentum of `indian_core.momentum`. The for-loop and the foreach implementation leave σ as it is
(1 after a first step); the fused one moves it, which lets PyTorch's SGD kernel do the whole step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import _default_to_fused_or_foreach, _foreach_supported_types

from indian_torch.for_loop import _single_tensor_indian
from indian_torch.foreach import _multi_tensor_indian
from indian_torch.fused import _fused_indian
from indian_torch.scalars import Scale, Step

_NATIVE = frozenset(_foreach_supported_types)


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
    has_sparse_grad: bool = False,
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
        has_sparse_grad: Whether a gradient is sparse.
        lr: γ, a float or a tensor with one element.
        alpha: α.
        beta: β.
        initial_speed: s.
        weight_decay: λ.
        decoupled_weight_decay: Whether λ works as θ ← (1 − γλ) θ or as v ← v + λθ.
        maximize: Whether to go up rather than down.

    Raises:
        ValueError: If a gradient or a buffer has another shape than its parameter and cannot be
            read as one of its shape (it is contiguous and has as many elements).
        RuntimeError: If a gradient is sparse and the weight decay is not decoupled.

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
    compiling = torch.compiler.is_compiling()
    on_host = not (capturable or differentiable or compiling)
    if isinstance(lr, Tensor):
        # Off the CPU, item() waits for the device, as torch's SGD does with a Tensor lr.
        lr = lr.item() if on_host else lr.reshape(())
    step = Step(
        lr=lr,
        alpha=alpha,
        beta=beta,
        initial_speed=initial_speed,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
        sign=-1.0 if maximize else 1.0,
    )
    if on_host and not _NATIVE.issuperset(map(type, params)):
        params, grads, momentum_buffers = _local_shards(params, grads, momentum_buffers)

    left: Sequence[int] = range(len(params))
    automatic = foreach is None and fused is None
    if has_sparse_grad:
        if step.l2 != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        foreach = fused = False
    elif automatic:
        _, foreach = _default_to_fused_or_foreach(params, differentiable)
        foreach = foreach or (compiling and not differentiable)
    if compiling and not isinstance(lr, Tensor):
        # Inductor (2.13) bakes a float into foreach operations and, from the third value of a
        # schedule on, takes the graph of an earlier one for it. The for-loop is compiled rightly.
        foreach = fused = False
    if on_host and not has_sparse_grad and (fused or automatic):
        left = _fused_indian(
            params, grads, momentum_buffers, scales, step=step, automatic=automatic
        )
    if not left:
        return

    for i in left:
        _check_shapes(params[i], grads[i], momentum_buffers[i])
    implementation = _multi_tensor_indian if foreach or fused else _single_tensor_indian
    buffers_left = [momentum_buffers[i] for i in left]
    scales_left = [scales[i] for i in left]
    implementation(
        [params[i] for i in left],
        [grads[i] for i in left],
        buffers_left,
        scales_left,
        step=step,
        on_host=on_host,
        differentiable=differentiable,
        stochastic_rounding=stochastic_rounding,
    )
    for i, buffer, scale in zip(left, buffers_left, scales_left, strict=True):
        momentum_buffers[i], scales[i] = buffer, scale


def _check_shapes(param: Tensor, grad: Tensor, buffer: Tensor) -> None:
    """Raise before PyTorch broadcasts: a gradient of one element would fit any parameter."""
    for name, tensor in (("gradient", grad), ("momentum_buffer", buffer)):
        if tensor.shape != param.shape:
            raise ValueError(
                f"Invalid {name}: its shape is {tuple(tensor.shape)}, "
                f"but the parameter's is {tuple(param.shape)}"
            )


def _local_shards(
    params: list[Tensor], grads: list[Tensor], momentum_buffers: list[Tensor]
) -> tuple[list[Tensor], ...]:
    """Return this rank's shards in place of DTensors: the step is the same for every number.

    The fused kernel knows no DTensor, and the others are far slower on them.
    """

    def local(tensor: Any, param: Any) -> Any:
        if not hasattr(param, "placements"):
            return tensor
        if tensor.placements != param.placements:
            tensor = tensor.redistribute(param.device_mesh, param.placements)
        return tensor.to_local()

    return tuple(
        [local(tensor, param) for tensor, param in zip(tensors, params, strict=True)]
        for tensors in (params, grads, momentum_buffers)
    )
