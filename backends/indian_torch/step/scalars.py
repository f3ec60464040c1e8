r"""The scalars of one step in the implementations' form: for the buffer instead of w.

Every parameter has a buffer and its scale, with buffer = scale · w. Before the first step the scale
and the buffer are 0, although w_0 may not be, because w_0 = (s − β) v_0 is not known until the
first gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from indian_core import Coefficients, coefficients, dragged, is_step
from indian_torch import _private

# A scale. In eager steps, where the host decides what to do, it is a float. For CUDA graphs and
# torch.compile it is a 0-dim tensor, 0 before the first step and 1 after it. (It is float32 because
# AOTAutograd in PyTorch 2.13 drops the update of a 0-dim float64 input on the CPU.)
Scale = float | Tensor


class Step(NamedTuple):
    """The hyperparameters and options of one step of one parameter group.

    `sign` is −1 for ``maximize``, and an `initial_speed` of None means β. With a `sigma` the
    gradient is scaled before the step (`indian_torch.step.rms`).
    """

    lr: float | Tensor
    alpha: float | Tensor
    beta: float | Tensor
    weight_decay: float | Tensor
    foreach: bool | None
    capturable: bool
    differentiable: bool
    fused: bool | None
    stochastic_rounding: bool
    sign: float
    reference_lr: float | None = None
    initial_speed: float | None = None
    decoupled_weight_decay: bool = True
    authors_weight_decay: bool = False
    sigma: float | None = None
    eps: float = 0.0

    @property
    def on_host(self) -> bool:
        """Return whether every scalar of an eager step is a Python float."""
        return not (self.capturable or self.differentiable or self.tensors)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return the hyperparameters that are tensors, which the host must not read."""
        return {name: value for name, value in self._asdict().items() if isinstance(value, Tensor)}

    @property
    def automatic(self) -> bool:
        """Return whether the user leaves the choice of the implementation to this package."""
        return self.foreach is None and self.fused is None

    @property
    def is_idle(self) -> bool:
        """Return whether the step is known to be a no-op, without waiting for a device."""
        lr = known(self.lr)
        return lr is not None and not is_step(lr, self.reference_lr)

    @property
    def shrinks(self) -> bool:
        """Return whether there is decoupled weight decay."""
        return self.decoupled_weight_decay and _may_be_nonzero(self.weight_decay)

    @property
    def shrinkage(self) -> float | Tensor:
        """Return γλ. Decoupled weight decay subtracts γλθ from θ before the step."""
        return self.lr * self.weight_decay

    @property
    def drags(self) -> bool:
        """Return whether weight decay changes w, so that no buffer stays zero."""
        return self.authors_weight_decay and self.shrinks and self.has_momentum

    def drag(self, scale: Scale) -> Any:
        """Return how many times θ the authors' decay adds to a buffer, before θ decays."""
        pull = dragged(self.lr, self.alpha, self.beta, self.weight_decay, self.reference_lr)
        return pull if isinstance(scale, Tensor) else pull * scale

    @property
    def has_momentum(self) -> bool:
        """Return whether w may become nonzero. From rest with αβ = 1 it stays zero."""
        if isinstance(self.alpha, Tensor) or isinstance(self.beta, Tensor):
            return True
        from_rest = self.initial_speed in (None, self.beta)
        return not (from_rest and abs(1 - self.alpha * self.beta) <= 2.0**-51)

    @property
    def couples(self) -> bool:
        """Return whether there is coupled weight decay."""
        return not self.decoupled_weight_decay and _may_be_nonzero(self.weight_decay)

    @property
    def l2(self) -> Any:
        """Return how many times θ coupled weight decay adds to the user's gradient g.

        v = ±g + λθ = ±(g ± λθ). The sign of v itself is in `on_momentum`.
        """
        return 0.0 if self.decoupled_weight_decay else self.sign * self.weight_decay

    def on_momentum(self, first: Any) -> Coefficients:
        """Return the coefficients of the step in terms of w and the user's gradient.

        Args:
            first: Whether this is the parameter's first step: a bool, or a tensor that is 0 or 1.
        """
        step = coefficients(
            self.lr, self.alpha, self.beta, self.initial_speed, first, self.reference_lr
        )
        return step._replace(
            theta_gradient=self.sign * step.theta_gradient,
            momentum_gradient=self.sign * step.momentum_gradient,
        )

    def on_buffer(self, scale: Scale, dtype: torch.dtype) -> tuple[Coefficients, Any]:
        """Return the coefficients in terms of the buffer, and the buffer's scale after the step.

        A call with lr = 0 does not count as a first step. The scale and w stay 0.

        Args:
            scale: The scale before the step.
            dtype: The dtype in which the step is computed, used if the scale is a tensor.
        """
        if isinstance(scale, Tensor):
            moves = is_step(self.lr, self.reference_lr)
            first = (scale == 0) & moves
            return self.on_momentum(first.to(dtype)), ((scale != 0) | moves).to(scale.dtype)
        if scale == 0 and self.is_idle:
            return self.on_momentum(False), 0.0
        step = self.on_momentum(scale == 0)
        scale = scale or 1.0
        return step._replace(
            theta_momentum=step.theta_momentum / scale,
            momentum_gradient=step.momentum_gradient * scale,
        ), scale


def known(value: float | Tensor) -> float | None:
    """Return the value as a number, or None if reading it is impossible or waits for a device."""
    if not isinstance(value, Tensor):
        return value
    if torch.compiler.is_compiling() or type(value) is not Tensor or value.device.type != "cpu":
        return None
    return float(value.detach())


def _may_be_nonzero(value: float | Tensor) -> bool:
    return isinstance(value, Tensor) or value != 0


def is_unreadable(value: Any) -> bool:
    """Return whether this is a tensor without readable numbers: a meta or a fake tensor."""
    return isinstance(value, Tensor) and (value.is_meta or isinstance(value, _private.FakeTensor))


def placed(number: Scale, buffer: Tensor, on_device: bool) -> Scale:
    """Return a number of a state as a tensor on its buffer's device, or as a float."""
    if isinstance(number, Tensor) or not on_device:
        return float(number)
    local = buffer.to_local() if hasattr(buffer, "to_local") else buffer
    return local.new_full((), number, dtype=torch.float32)


def moved(scale: Scale, buffer: Tensor, on_device: bool) -> Scale:
    """Return the scale as a tensor on its buffer's device, or as a float.

    With a tensor, the buffer is changed in place so that it is w itself.
    """
    if on_device and not isinstance(scale, Tensor) and scale not in (0.0, 1.0):
        buffer.div_(scale)
        scale = 1.0
    return placed(scale, buffer, on_device)
