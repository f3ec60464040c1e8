r"""Parameters in 16 bits: the momentum's dtype, and rounding θ once per step.

The momentum of a 16-bit parameter is kept in float32, because in bfloat16 its product with 1 − αγ
would not change it. A step is computed in the momentum's dtype, or in float32 if that dtype also
has 16 bits. θ and the momentum are then rounded once, each to its own dtype. Rounding to nearest
loses every step under half an ulp of θ, and a run stalls. Stochastic rounding preserves such steps
in the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIXTEEN_BITS = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


def momentum_dtype_of(param: Tensor, momentum_dtype: torch.dtype | None) -> torch.dtype:
    """Return the dtype of the momentum of `param`.

    Args:
        param: θ.
        momentum_dtype: The dtype that the user asked for. None means float32 for 16-bit parameters
            and the parameter's own dtype for all others. The momentum of a complex parameter always
            has the parameter's dtype.
    """
    if param.is_complex():
        return param.dtype
    return momentum_dtype or SIXTEEN_BITS.get(param.dtype, param.dtype)


def buffer_dtype_of(name: str, param: Tensor, momentum_dtype: torch.dtype | None) -> torch.dtype:
    """Return the dtype of a buffer of `param`.

    V has the momentum's dtype, but at least float32, because in 16 bits rounding loses what a step
    adds.
    """
    dtype = momentum_dtype_of(param, momentum_dtype)
    return dtype if name == "momentum_buffer" else working_dtype(dtype)


def working_dtype(momentum_dtype: torch.dtype) -> torch.dtype:
    """Return the dtype for computing a step: the momentum's, or float32 if that has 16 bits."""
    return SIXTEEN_BITS.get(momentum_dtype, momentum_dtype)


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
