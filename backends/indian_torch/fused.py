r"""The whole step as one call of PyTorch's fused SGD kernel: one pass over memory."""

from __future__ import annotations

from torch import Tensor

from indian_torch.scalars import Scale, Step


def _fused_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    *,
    step: Step,
    automatic: bool,
) -> list[int]:
    return list(range(len(params)))
