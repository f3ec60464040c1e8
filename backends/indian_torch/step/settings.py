r"""The settings of one step of a parameter group: all that the implementations know of a method.

Every method is one linear step of θ and of a buffer that holds ``scale`` times the momentum. By the
momentum law all buffers of a group have the same constant scale, which is kept in the group. By the
paper's law every parameter has a scale of its own, which moves with γ. It is 0 as long as the
buffer is known to be zero, as before the first step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch import _private

# In eager steps a scale is a float. For CUDA graphs and torch.compile it is a 0-dim tensor, 0
# before the first step and 1 after it. It is float32 because AOTAutograd in PyTorch 2.13 drops the
# update of a 0-dim float64 input on the CPU.
Scale = float | Tensor


class Settings(NamedTuple):
    """The settings of one step of a parameter group, checked.

    Attributes:
        linear: The coefficients of the step on the momentum and the user's gradient.
        first: Those of a parameter's first step, which an initial speed changes.
        lr: The learning rate of this step.
        buffer_scale: By the momentum law, the scale of all buffers. By the paper's law None.
        wanted_scale: What that scale must become for the fused kernel, after an edit of the group.
        keeps_momentum: Whether the step reads or writes a momentum, as SGD at momentum 0 does not.
        changes_nothing: Whether this is a call at lr = 0 by the paper's law, which is no step.
        shrinkage: Decoupled weight decay subtracts this times θ from θ before the step, or None.
        l2: Coupled weight decay adds this times θ to the user's gradient, or None.
        pull: The authors' weight decay adds this times θ to w, before θ decays, or None. The fused
            kernel does not make such a step.
        sigma: The part of V that a step keeps, or None if the gradient is not scaled.
        eps: ε.
        on_host: Whether every scalar of an eager step is a Python float.
        automatic: Whether the user leaves the choice of the implementation to this package.
    """

    linear: Coefficients
    first: Coefficients
    lr: float | Tensor
    buffer_scale: float | None
    wanted_scale: float | None
    keeps_momentum: bool
    changes_nothing: bool
    shrinkage: float | Tensor | None
    l2: float | None
    pull: float | Tensor | None
    sigma: float | None
    eps: float
    on_host: bool
    automatic: bool
    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool
    stochastic_rounding: bool

    def on_buffer(self, scale: Scale, dtype: torch.dtype) -> tuple[Coefficients, Any]:
        """Return the coefficients in terms of the buffer, and the buffer's scale after the step.

        Args:
            scale: The scale before the step.
            dtype: The dtype in which the step is computed, used if the scale is a tensor.
        """
        if isinstance(scale, Tensor):
            moves = self.lr != 0
            begins = (scale == 0) & moves
            linear = self.linear
            if self.first is not self.linear:
                chosen = begins.to(dtype)
                pairs = zip(self.first, self.linear, strict=True)
                linear = Coefficients(*(chosen * (a - b) + b for a, b in pairs))
            return linear, ((scale != 0) | moves).to(scale.dtype)
        if not scale and known(self.lr) == 0:
            return self.linear, 0.0  # A call at lr = 0 does not count as a first step.
        linear = self.linear if scale else self.first
        scale = scale or 1.0
        return linear._replace(
            theta_momentum=linear.theta_momentum / scale,
            momentum_gradient=linear.momentum_gradient * scale,
        ), scale

    def pull_on_buffer(self, scale: Scale) -> Any:
        """Return how many times θ the authors' weight decay adds to a buffer."""
        pull: Any = self.pull
        return pull if isinstance(scale, Tensor) else pull * scale

    def to(self, device: torch.device) -> Settings:
        """Return the same settings with their tensors on a device."""

        def moved(value: Any) -> Any:
            if isinstance(value, Coefficients):
                return Coefficients(*map(moved, value))
            return value.to(device) if isinstance(value, Tensor) else value

        linear = moved(self.linear)
        first = linear if self.first is self.linear else moved(self.first)
        rest = {name: moved(getattr(self, name)) for name in ("lr", "shrinkage", "pull")}
        return self._replace(linear=linear, first=first, **rest)


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
