r"""Resume from a checkpoint of the authors' PyTorch code, of their INNA or their INNAprop.

Both keep ψ and a count of steps for each parameter. Their runs equal this package's runs from rest.

INNA's weight decay λ changes θ after the step and leaves ψ unchanged. That is exactly L2
regularization with λ/β: θ moves by −γβ (λ/β) θ, and w by γ (1 − αβ)(λ/β) θ, because an unchanged ψ
turns a change of θ into a change of velocity. INNA's decaypower q is the schedule `PowerDecayLR`;
its k is counted in the state. INNAprop's decay does the same before the step; here that is
``authors_weight_decay``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from indian_core import checked
from indian_torch.base import InertialOptimizer, check_psi
from indian_torch.checkpoints import check_buffer, check_number, check_structure
from indian_torch.indian import INDIAN
from indian_torch.innaprop import INNAprop
from indian_torch.schedules import PowerDecayLR


def load_authors_state_dict(
    optimizer: INDIAN | INNAprop, state_dict: dict[str, Any]
) -> PowerDecayLR | None:
    r"""Load a state dict of the authors' PyTorch optimizer, so that its run can be resumed.

    The parameters must already hold the checkpoint's weights, because w = (ψ − (1 − αβ) θ)/β. If an
    error is raised, nothing has been changed.

    Args:
        optimizer: An `INDIAN` or `INNAprop` with the same parameters in the same groups. It gets
            the checkpoint's hyperparameters and the start from rest.
        state_dict: ``optimizer.state_dict()`` of the authors' INNA or INNAprop.

    Returns:
        A scheduler with INNA's step sizes γ_k, to be stepped after every step, or None if
        ``decaypower`` was zero or the optimizer is an `INNAprop`.

    Raises:
        ValueError: If the state dict is not from the authors' code, or does not fit the parameters.
        TypeError: If a hyperparameter is not a number, or the optimizer is not an `INDIAN` or
            `INNAprop`.

    Examples:
        >>> import torch
        >>> from indian_torch import INDIAN, load_authors_state_dict
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> theirs = {"lr": 0.1, "alpha": 0.5, "beta": 0.1, "decaypower": 0.5, "weight_decay": 0.0}
        >>> state_dict = {
        ...     "state": {0: {"step": 3, "psi": torch.tensor([0.9, 1.9])}},
        ...     "param_groups": [theirs | {"params": [0]}],
        ... }
        >>> optimizer = INDIAN([weight])
        >>> scheduler = load_authors_state_dict(optimizer, state_dict)
        >>> optimizer.psi(weight), scheduler.get_last_lr()
        (tensor([0.9000, 1.9000]), [0.05])
    """
    groups, powers, states = _checked(optimizer, state_dict)
    for group, theirs in zip(optimizer.param_groups, groups, strict=True):
        group.update(theirs)
        for param in group["params"]:
            optimizer.state.pop(param, None)
    for param, state in states:
        if "psi" not in state:
            continue  # the parameter has had no gradient yet, and will start from rest
        optimizer.set_psi(param, state["psi"])
        if isinstance(optimizer, INNAprop):
            optimizer.state[param]["exp_avg_sq"].copy_(state["exp_avg_sq"])
            optimizer.state[param]["step"] = float(state["step"])
    if powers[0] == 0:
        return None
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    count = max((int(state.get("step", 0)) for _, state in states), default=0)
    return PowerDecayLR(optimizer, powers[0], last_epoch=count - 1)


def _checked(
    optimizer: InertialOptimizer, state_dict: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[float], list[tuple[Tensor, dict[str, Any]]]]:
    """Return the groups' new values, their decaypowers, and each parameter's state, or raise."""
    if not isinstance(optimizer, INDIAN | INNAprop):
        name = type(optimizer).__name__
        raise TypeError(f"optimizer should be an INDIAN or INNAprop, not {name}")
    check_structure(state_dict)
    groups = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if [len(group["params"]) for group in groups] != sizes:
        raise ValueError(f"state_dict does not have parameter groups of {sizes} parameters")
    ours, powers, states = [], [], []
    for group, theirs in zip(optimizer.param_groups, groups, strict=True):
        values, power = _hyperparameters(optimizer, theirs)
        ours.append(values)
        powers.append(power)
        for number, param in zip(theirs["params"], group["params"], strict=True):
            state = state_dict["state"].get(number, {})
            _check_state(optimizer, number, state, param)
            states.append((param, state))
    numbers = {number for group in groups for number in group["params"]}
    strangers = [number for number in state_dict["state"] if number not in numbers]
    if strangers:
        raise ValueError(
            f"state_dict has a state for parameter {strangers[0]!r}, which is in none of its groups"
        )
    if len(set(powers)) > 1:
        raise ValueError(f"No single schedule has the decaypowers {powers}")
    return ours, powers, states


def _hyperparameters(
    optimizer: InertialOptimizer, theirs: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """Return the new values of a group, and its decaypower."""
    has_power = isinstance(optimizer, INDIAN)
    ours = {"initial_speed": None, "reference_lr": None}
    names = [name for name in optimizer.fields.hyperparameters if name not in ours]
    missing = [n for n in (*names, *(["decaypower"] if has_power else [])) if n not in theirs]
    if missing:
        raise ValueError(f"state_dict is not of the authors' code: no {missing[0]!r}")
    if not has_power:
        values = optimizer.fields.values(theirs | ours)
        maximize = bool(theirs.get("maximize", False))
        return values | {"authors_weight_decay": True, "maximize": maximize}, 0.0
    values = optimizer.fields.values(theirs | ours)
    decay = checked("weight_decay", values["weight_decay"] / values["beta"])
    values |= {"weight_decay": decay, "decoupled_weight_decay": False}
    return values, checked("power", theirs["decaypower"])


def _check_state(
    optimizer: InertialOptimizer, number: Any, state: dict[str, Any], param: Tensor
) -> None:
    """Raise unless this is a parameter's state from the authors' code."""
    where = f"state_dict, parameter {number!r}"
    scaled = isinstance(optimizer, INNAprop)
    names = ["step", "psi"] + (["exp_avg_sq"] if scaled else [])
    complete = state.keys() >= set(names) or not (scaled and state)
    if not (complete and state.keys() <= set(names)):
        raise ValueError(f"{where}: expected {' and '.join(names)}, got {sorted(state)}")
    check_number(where, "step", state.get("step", 0))
    if "psi" not in state:
        return
    try:
        check_psi(state["psi"], param)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    if scaled:
        check_buffer(where, "exp_avg_sq", state["exp_avg_sq"], param)
