r"""Parameter groups: the checks of what a user writes into them, and the settings of a step.

The errors for numbers come from `indian_core.checked`. The errors for options are torch's own where
torch has them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indian_core import (
    METHODS,
    Coefficients,
    adamw_coefficients,
    authors_pull,
    checked,
    checked_damping,
    coefficients,
    constant_scale,
    sgd_coefficients,
)
from indian_torch.step.settings import Settings, is_unreadable, known

Group = dict[str, Any]

_BETAS = ("beta_1", "beta_2")
# Arguments of torch's optimizers and of the methods here, each of which only some methods have.
_NUMBERS = {"betas", "momentum", "nesterov", "dampening", "amsgrad"} | {
    name for method in METHODS.values() for name in method.numbers if name not in _BETAS
}
# Torch's variants that do not exist here. Trainers pass them at their defaults.
_ABSENT = ("dampening", "amsgrad")


def numbers(method: str, group: Group, defaults: Group, *, read: bool = True) -> Group:
    """Return a group's numbers by the names of the core's table, as floats, or raise.

    Args:
        method: The method.
        group: The parameter group.
        defaults: The method's arguments with their defaults.
        read: Whether to read an lr that is a tensor on any device. Reading one that is not on the
            CPU waits for the device, as in torch's SGD. An lr that cannot or must not be read is
            not in the result.

    Raises:
        TypeError: If a number is not one, or an option is not a bool.
        ValueError: If a number is missing, is out of its range, is a tensor that does not have one
            element, or is one of another method.
        RuntimeError: If two options exclude each other.
    """
    _check(method, group, defaults)
    given = dict(zip(_BETAS, _pair(group["betas"]), strict=True)) if "betas" in defaults else {}
    values: Group = {}
    for name, bounds in METHODS[method].numbers.items():
        value = given[name] if name in given else group[name]
        if name == "lr" and isinstance(value, Tensor):
            if value.numel() != 1:
                raise ValueError("Tensor lr must be 1-element")
            value = known(value) if is_unreadable(value) or not read else value.item()
            if value is None:
                continue
        optional = value is None and bounds.default is None and defaults.get(name) is None
        argument = f"betas[{_BETAS.index(name)}]" if name in given else name
        values[name] = None if optional else checked(argument, value)
    if "damping" in values:
        momentum = values["momentum"] if "momentum" in values else values["beta_1"]
        nesterov = bool(group.get("nesterov"))
        values["damping"] = checked_damping(values["damping"], momentum, nesterov=nesterov)
    return values


def normalize(method: str, group: Group, defaults: Group) -> None:
    """Replace the numbers of a checked group by floats, and add the scale of its buffers.

    An lr that is a tensor stays the user's. ``initial_speed=None`` stays None, because it means the
    β that the group has at a parameter's first step.
    """
    values = numbers(method, group, defaults)
    for name, value in values.items():
        if name not in _BETAS and not isinstance(group[name], Tensor):
            group[name] = value
    if "betas" in defaults:
        group["betas"] = tuple(values[name] for name in _BETAS)
    if METHODS[method].law == "momentum":
        group.setdefault("buffer_scale", momentum_law(values | {"lr": 1.0}, group)[1])


def settings(method: str, group: Group, defaults: Group) -> Settings:
    """Return the settings of a group's next step. The user may have changed the group.

    An lr that is a tensor becomes a number, unless the host must not read it (``capturable``,
    ``differentiable``, torch.compile) or cannot (meta and fake tensors). A captured or compiled
    graph uses the values that are put into it later. The errors are those of `numbers`.
    """
    lr: Any = group.get("lr")
    stays = isinstance(lr, Tensor) and bool(
        torch.compiler.is_compiling()
        or group["capturable"]
        or group["differentiable"]
        or is_unreadable(lr)
    )
    values = numbers(method, group, defaults, read=not stays)
    values["lr"] = lr = lr.reshape(()) if stays else values["lr"]
    sign = -1.0 if group["maximize"] else 1.0
    law, scaled, _ = METHODS[method]
    decay = values["weight_decay"] or None
    decoupled = group.get("decoupled_weight_decay", scaled)
    pull = scale = wanted = None
    if law == "paper":
        alpha, beta, speed = values["alpha"], values["beta"], values.get("initial_speed")
        linear = first = coefficients(lr, alpha, beta)
        if speed is not None:
            first = coefficients(lr, alpha, beta, speed, True)
        if decay is not None and group.get("authors_weight_decay"):
            pull = authors_pull(lr, alpha, beta, decay)
    else:
        scale = group.get("buffer_scale", 1.0)
        linear, wanted = momentum_law(values, group)
        if isinstance(lr, Tensor):
            # With a number among its factors, AOTAutograd in PyTorch 2.13 drops the update of a
            # 0-dim float64 buffer on the CPU, as torch's SGD shows too.
            linear = Coefficients(*(each + 0 * lr for each in linear))
        first = linear
    if sign < 0:  # The coefficients are those of the user's gradient.
        linear, first = (
            each._replace(
                theta_gradient=-each.theta_gradient, momentum_gradient=-each.momentum_gradient
            )
            for each in (linear, first)
        )
    return Settings(
        linear=linear,
        first=first,
        lr=lr,
        buffer_scale=scale,
        wanted_scale=wanted,
        keeps_momentum=values.get("momentum") != 0,
        # V and the momentum of the momentum law take up a gradient at lr = 0 too, as in torch.
        changes_nothing=law == "paper" and not scaled and not isinstance(lr, Tensor) and lr == 0,
        shrinkage=None if decay is None or not decoupled else lr * decay,
        # The gradient v that is minimized is ±g + λθ = ±(g ± λθ), with its sign in `linear`.
        l2=None if decay is None or decoupled else sign * decay,
        pull=pull,
        sigma=values.get("sigma", values.get("beta_2")),
        eps=values.get("eps", 0.0),
        on_host=not (stays or group["capturable"] or group["differentiable"]),
        automatic=group["foreach"] is None and group["fused"] is None,
        foreach=group["foreach"],
        fused=group["fused"],
        capturable=group["capturable"],
        differentiable=group["differentiable"],
        stochastic_rounding=group["stochastic_rounding"],
    )


def momentum_law(values: Group, group: Group) -> tuple[Coefficients, float]:
    """Return the coefficients of a step, and the scale that the buffers should have.

    At that scale the fused kernel makes any step in one call. It depends on the momentum and the
    damping, and is 1 without a damping.

    Args:
        values: The group's `numbers`.
        group: The group, of a method of the momentum law.
    """
    lr, damping = values["lr"], values["damping"]
    if "beta_1" in values:
        unit = adamw_coefficients(1.0, values["beta_1"], damping)
    else:
        unit = sgd_coefficients(1.0, values["momentum"], bool(group["nesterov"]), damping)
    if values.get("momentum") == 0:
        scale = float(group.get("buffer_scale", 1.0))  # no buffer is touched
    else:
        scale = 1.0 if damping is None else constant_scale(unit)
    return unit._replace(
        theta_momentum=lr * unit.theta_momentum, theta_gradient=lr * unit.theta_gradient
    ), scale


def _pair(betas: Any) -> tuple[Any, Any]:
    """Return two numbers of a tuple, list, array or tensor."""
    try:
        first, second = betas.tolist() if hasattr(betas, "tolist") else betas
    except (TypeError, ValueError) as error:
        raise ValueError(f"Invalid betas: {betas!r} (they must be two numbers)") from error
    return tuple(b.item() if isinstance(b, Tensor) else b for b in (first, second))  # type: ignore[return-value]


def _check(method: str, group: Group, defaults: Group) -> None:
    """Raise unless a group has the method's arguments, and options that go together."""
    others = sorted(_NUMBERS & group.keys() - defaults.keys())
    missing = [name for name in defaults if name not in group]
    if others:
        raise ValueError(f"parameter group has {others[0]!r}, which {method} does not use")
    if missing:
        raise ValueError(f"parameter group has no {missing[0]!r}, which {method} needs")
    for name in _ABSENT:
        if group.get(name):
            raise ValueError(f"Invalid {name}: {group[name]!r} ({method} has none)")
    if not 0 < group.get("buffer_scale", 1.0) < math.inf:
        raise ValueError(f"Invalid buffer_scale: {group['buffer_scale']!r} (it must be > 0)")
    for name, default in defaults.items():
        kinds = (bool, int, np.bool_, type(default))
        is_option = isinstance(default, bool) or name in ("foreach", "fused")
        if is_option and not isinstance(group.get(name, default), kinds):
            raise TypeError(f"Invalid {name}: {group[name]!r} (it must be a bool)")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    for option in ("fused", "foreach"):
        if group[option] and group["differentiable"]:
            raise RuntimeError(f"`{option}` does not support `differentiable`")
