"""What can be read of a tensor with one number, and when."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_torch import _private


def known(value: float | Tensor) -> float | None:
    """Return the value as a number, or None if reading it is impossible or waits for a device."""
    if not isinstance(value, Tensor):
        return value
    if torch.compiler.is_compiling() or type(value) is not Tensor or value.device.type != "cpu":
        return None
    return float(value.detach())


def is_unreadable(value: Any) -> bool:
    """Return whether this is a tensor without readable numbers: a meta or a fake tensor."""
    return isinstance(value, Tensor) and (value.is_meta or isinstance(value, _private.FakeTensor))
