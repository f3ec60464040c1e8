r"""Parameters in 16 bits: the momentum's dtype, and rounding θ once per step.

The momentum of a 16-bit parameter is kept in float32, because in bfloat16 its product with 1 − αγ
would not change it. A step is computed in the momentum's dtype, and θ is rounded once. Rounding to
nearest loses every step under half an ulp of θ, and a run stalls. Stochastic rounding preserves
such steps in the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIXTEEN_BITS = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return a dtype, or float32 for one of 16 bits: that of buffers, and of what they go into."""
    return SIXTEEN_BITS.get(dtype, dtype)


def new_buffer(param: Tensor) -> Tensor:
    """Return a momentum buffer or V of zeros for a parameter."""
    dtype = working_dtype(param.dtype)
    return torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)


def round_stochastically(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Round to one of the two neighbours in a 16-bit dtype, so that the mean is the value.

    The random numbers come from torch's default generator of the value's device, so
    `torch.manual_seed` makes them reproducible.

    Args:
        value: The tensor to round, in float32 or float64.
        dtype: `torch.bfloat16` or `torch.float16`.

    Returns:
        The rounded values. Values that the dtype holds exactly, infinities and NaN are unchanged.
    """
    nearest = value.to(dtype)
    error = value - nearest
    # The next number in the value's direction. The bits of a float, read as an integer, increase
    # with its magnitude.
    outward = value.abs() > nearest.abs()
    bits = nearest.view(torch.int16) + torch.where(outward, 1, -1).to(torch.int16)
    other = bits.view(dtype)
    chance = error / (other.to(value.dtype) - nearest)  # 0/gap or NaN where there is no error
    return torch.where(torch.rand_like(value) < chance, other, nearest)


def add_rounded(param: Tensor, update: Tensor, stochastic: bool) -> None:
    """Add an update in the step's dtype to a parameter in place, rounding once."""
    if stochastic and param.dtype in SIXTEEN_BITS:
        param.copy_(round_stochastically(param + update, param.dtype))
    else:
        param.add_(update)
