r"""The paper's auxiliary variable ψ = (1 − αβ) θ + β w, out of an optimizer and into it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import momentum_from_psi, psi_from_momentum
from indian_torch.base import LinearOptimizer
from indian_torch.energy import energy
from indian_torch.groups import Group
from indian_torch.step.layout import check_tensor
from indian_torch.step.precision import working_dtype
from indian_torch.step.settings import is_unreadable


class PaperOptimizer(LinearOptimizer):
    """An optimizer by the paper's law, whose momentum w has a ψ and an energy."""

    energy = energy

    @torch.no_grad()
    def psi(self, param: Tensor) -> Tensor:
        r"""Return the paper's auxiliary variable ψ = (1 − αβ) θ + β w for a parameter.

        Before the first step w is 0.

        Args:
            param: A parameter of this optimizer.

        Returns:
            A new tensor of the parameter's shape, in the momentum's dtype.

        Raises:
            ValueError: If the optimizer has no such parameter.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], alpha=0.5, beta=0.1)
            >>> optimizer.psi(weight)
            tensor([0.9500, 1.9000])
        """
        group = self._group_of(param)
        state = self.state.get(param, {})
        momentum = state.get("momentum_buffer")
        if momentum is None:
            momentum = torch.zeros_like(param, dtype=working_dtype(param.dtype))
        scale = state.get("scale")
        if scale is not None and not is_unreadable(scale):
            momentum = momentum / (float(scale) or 1.0)
        theta = param.detach().to(momentum.dtype)
        psi: Tensor = psi_from_momentum(theta, momentum, group["alpha"], group["beta"])
        return psi

    @torch.no_grad()
    def set_psi(self, param: Tensor, psi: Tensor) -> None:
        r"""Set w = (ψ − (1 − αβ) θ)/β for a parameter. Its next step is then not a first step.

        Args:
            param: A parameter of this optimizer.
            psi: The paper's ψ for the parameter's present value, of the parameter's shape.

        Raises:
            ValueError: If the optimizer has no such parameter, or ψ is invalid for it. In either
                case nothing has been changed.
            TypeError: If ψ is not a tensor.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], lr=0.1, alpha=0.5, beta=0.1)
            >>> optimizer.set_psi(weight, torch.tensor([1.0, 2.0]))
            >>> optimizer.psi(weight)
            tensor([1., 2.])
        """
        group = self._group_of(param)
        _check_psi(psi, param)
        buffer = self.state.get(param, {}).get("momentum_buffer")
        dtype = working_dtype(param.dtype) if buffer is None else buffer.dtype
        psi = psi.to(param.device, dtype)
        momentum = momentum_from_psi(param.to(dtype), psi, group["alpha"], group["beta"])
        self.complete_states(group, [param], on_device=bool(group["capturable"]))
        state = self.state[param]
        state["momentum_buffer"].copy_(momentum)
        scale = state["scale"]
        # In place: a captured CUDA graph may hold the tensor.
        state["scale"] = scale.fill_(1.0) if isinstance(scale, Tensor) else 1.0

    def _group_of(self, param: Tensor) -> Group:
        for group in self.param_groups:
            if any(param is member for member in group["params"]):
                return group
        raise ValueError("param is not a parameter of this optimizer")


def _check_psi(psi: Any, param: Tensor) -> None:
    """Raise unless ψ is a tensor that is valid for this parameter."""
    if not isinstance(psi, Tensor):
        raise TypeError(f"psi should be a Tensor, not {type(psi).__name__}")
    check_tensor("psi", psi, param)
    if psi.layout != torch.strided:
        raise ValueError(f"psi should be dense, but is {psi.layout}")
    if psi.is_meta and not param.is_meta:
        raise ValueError("psi should have numbers, but is on meta")
