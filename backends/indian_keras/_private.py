"""Names that Keras and PyTorch do not promise to keep, each with what is done without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

try:
    from keras.src.backend.common.stateless_scope import in_stateless_scope  # of 3.15
except ImportError:
    in_stateless_scope = None


def fused_sgd() -> Any:
    """Return PyTorch's fused SGD kernel (of 2.13), or None: then multi-tensor operations do it."""
    return getattr(torch, "_fused_sgd_", None)


def values(variables: Sequence[Any]) -> list[Any]:
    """Return the tensors of Keras variables, outside of a scope without its questions on each."""
    if in_stateless_scope is not None and not in_stateless_scope():
        tensors = [getattr(variable, "_value", None) for variable in variables]
        if all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            return tensors
    return [variable.value for variable in variables]
