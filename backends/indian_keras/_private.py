"""Names that PyTorch does not promise to keep, each with what is done without it."""

from __future__ import annotations

from typing import Any

import torch


def fused_sgd() -> Any:
    """Return PyTorch's fused SGD kernel (of 2.13), or None: then multi-tensor operations do it."""
    return getattr(torch, "_fused_sgd_", None)
