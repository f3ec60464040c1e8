r"""The optimizer class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT, _use_grad_for_differentiable

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    LR,
    check_hyperparameters,
    momentum_from_psi,
    psi_from_momentum,
)
from indian_torch.functional import indian
from indian_torch.precision import momentum_dtype_of
from indian_torch.scalars import Scale

_CHECKED = ("lr", "alpha", "beta", "initial_speed", "weight_decay")


class INDIAN(Optimizer):
    r"""INDIAN."""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float = INITIAL_SPEED,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = True,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        momentum_dtype: torch.dtype | None = None,
        stochastic_rounding: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "beta": beta,
            "initial_speed": initial_speed,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "momentum_dtype": momentum_dtype,
            "stochastic_rounding": stochastic_rounding,
        }
        _check_options(defaults)
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in _LATER_OPTIONS.items():
                group.setdefault(name, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if isinstance(param_group, dict):
            _check_options(self.defaults | param_group)
        super().add_param_group(param_group)

    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        momentum_buffers: list[Tensor],
        scales: list[Scale],
        on_device: bool,
    ) -> bool:
        """Fill the lists with what the step works on, and return whether a gradient is sparse.

        torch.compile calls this by its name, outside of the graph.
        """
        has_sparse_grad = False
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            state = self.state[param]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(
                    param,
                    dtype=momentum_dtype_of(param, group["momentum_dtype"]),
                    memory_format=torch.preserve_format,
                )
                state["scale"] = 0.0
            scale = state["scale"]
            if isinstance(scale, Tensor) != on_device:
                state["scale"] = scale = _moved(scale, state["momentum_buffer"], on_device)
            if grad.is_sparse:
                has_sparse_grad = True
            params.append(param)
            grads.append(grad)
            momentum_buffers.append(state["momentum_buffer"])
            scales.append(scale)
        return has_sparse_grad

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: Evaluates the model again and returns the loss.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params: list[Tensor] = []
            grads: list[Tensor] = []
            momentum_buffers: list[Tensor] = []
            scales: list[Scale] = []
            on_device = group["capturable"] or torch.compiler.is_compiling()
            has_sparse_grad = self._init_group(
                group, params, grads, momentum_buffers, scales, on_device
            )
            indian(
                params,
                grads,
                momentum_buffers,
                scales,
                foreach=group["foreach"],
                fused=group["fused"],
                capturable=group["capturable"],
                differentiable=group["differentiable"],
                stochastic_rounding=group["stochastic_rounding"],
                has_sparse_grad=has_sparse_grad,
                lr=group["lr"],
                alpha=group["alpha"],
                beta=group["beta"],
                initial_speed=group["initial_speed"],
                weight_decay=group["weight_decay"],
                decoupled_weight_decay=group["decoupled_weight_decay"],
                maximize=group["maximize"],
            )
            if not on_device:
                for param, buffer, scale in zip(params, momentum_buffers, scales, strict=True):
                    state = self.state[param]
                    state["momentum_buffer"], state["scale"] = buffer, scale
        return loss

    @torch.no_grad()
    def psi(self, param: Tensor) -> Tensor:
        r"""Return the paper's auxiliary variable ψ = (1 − αβ) θ + β w of a parameter."""
        group = self._group_of(param)
        state = self.state.get(param, {})
        scale = float(state.get("scale", 0.0))
        if scale != 0:
            momentum = state["momentum_buffer"] / scale
        elif group["initial_speed"] == group["beta"]:
            momentum = torch.zeros_like(param)
        else:
            raise RuntimeError(
                "psi is not known before the first step: psi_0 depends on the first gradient"
            )
        return psi_from_momentum(param, momentum, group["alpha"], group["beta"])

    @torch.no_grad()
    def set_psi(self, param: Tensor, psi: Tensor) -> None:
        """Set ψ of a parameter."""
        group = self._group_of(param)
        dtype = momentum_dtype_of(param, group["momentum_dtype"])
        momentum = momentum_from_psi(
            param.to(dtype), psi.to(param.device, dtype), group["alpha"], group["beta"]
        )
        buffer = torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
        self.state[param] = {"momentum_buffer": buffer.copy_(momentum), "scale": 1.0}

    def _group_of(self, param: Tensor) -> dict[str, Any]:
        for group in self.param_groups:
            if any(param is member for member in group["params"]):
                return group
        raise ValueError("the tensor is not a parameter of this optimizer")


INNA = INDIAN

_LATER_OPTIONS: dict[str, Any] = {}


def _check_options(options: dict[str, Any]) -> None:
    lr = options["lr"]
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        lr = lr.item()
    check_hyperparameters(**{name: options[name] for name in _CHECKED} | {"lr": lr})


def _moved(scale: Scale, buffer: Tensor, on_device: bool) -> Scale:
    """Return the scale as a tensor beside its buffer, which is then w itself, or as a float."""
    if not on_device:
        return float(scale)
    if scale not in (0.0, 1.0):
        buffer.div_(scale)
    return torch.tensor(float(scale != 0), dtype=torch.float32, device=buffer.device)
