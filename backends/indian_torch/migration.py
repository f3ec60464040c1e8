r"""Going on from a checkpoint of the authors' PyTorch code (class INNA, state "psi" and "step").

Their run is INDIAN from rest. Their weight decay λ acts on θ alone, behind ψ's back, which is
exactly L2 regularization with λ/β: θ moves by −γβ (λ/β) θ and w by γ (1 − αβ)(λ/β) θ, the velocity
that ψ takes for a change of θ. Their decaypower q is the schedule `PowerDecayLR`, with k counted
in the state.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from indian_core import checked
from indian_torch.base import INDIAN, check_psi
from indian_torch.checkpoints import check_structure
from indian_torch.groups import checked_values
from indian_torch.schedules import PowerDecayLR

_THEIRS = ("lr", "alpha", "beta", "decaypower", "weight_decay")


def load_authors_state_dict(optimizer: INDIAN, state_dict: dict[str, Any]) -> PowerDecayLR | None:
    r"""Load a state dict of the authors' PyTorch optimizer, so that the run goes on as it was.

    The parameters must hold the checkpoint's weights already: w = (ψ − (1 − αβ) θ)/β.

    Args:
        optimizer: An `INDIAN` of the same parameters in the same groups. Its lr, α, β,
            ``initial_speed`` and weight decay become the checkpoint's.
        state_dict: ``optimizer.state_dict()`` of the authors' INNA.

    Returns:
        Their step sizes γ_k as a scheduler, to be stepped after every step, if ``decaypower`` was
        not zero; else None.

    Raises:
        ValueError: If it is not such a state dict, or does not fit the parameters. Nothing has
            been changed then.
        TypeError: If a hyperparameter is not a number, or the optimizer not an INDIAN; likewise.

    Example:
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
    groups, powers, steps, psis = _checked(optimizer, state_dict)
    for group, theirs in zip(optimizer.param_groups, groups, strict=True):
        group.update(theirs, decoupled_weight_decay=False)
        for param in group["params"]:
            optimizer.state.pop(param, None)
    for param, psi in psis:
        optimizer.set_psi(param, psi)
    if powers[0] == 0:
        return None
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return PowerDecayLR(optimizer, powers[0], last_epoch=max(steps, default=0) - 1)


def _checked(
    optimizer: INDIAN, state_dict: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[float], list[int], list[tuple[Tensor, Tensor]]]:
    """Return the groups' hyperparameters, decaypowers, steps, and (parameter, ψ), or raise."""
    if not isinstance(optimizer, INDIAN):
        raise TypeError(f"optimizer should be an INDIAN, not {type(optimizer).__name__}")
    check_structure(state_dict)
    groups = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if [len(group["params"]) for group in groups] != sizes:
        raise ValueError(f"state_dict does not have parameter groups of {sizes} parameters")
    ours, powers, steps, psis = [], [], [], []
    for group, theirs in zip(optimizer.param_groups, groups, strict=True):
        missing = [name for name in _THEIRS if name not in theirs]
        if missing:
            raise ValueError(f"state_dict is not of the authors' code: no {missing[0]!r}")
        values = checked_values(theirs | {"initial_speed": None})
        decay = checked("weight_decay", values["weight_decay"] / values["beta"])
        ours.append(values | {"weight_decay": decay})
        powers.append(checked("power", theirs["decaypower"]))
        for number, param in zip(theirs["params"], group["params"], strict=True):
            state = state_dict["state"].get(number, {})
            if not state.keys() <= {"step", "psi"}:
                raise ValueError(
                    f"state_dict, parameter {number!r}: expected step and psi, got {sorted(state)}"
                )
            steps.append(int(checked("step", state.get("step", 0))))
            psi = state.get("psi")
            if psi is None:
                continue  # it has had no gradient yet, and will start from rest
            try:
                check_psi(psi, param)
            except (TypeError, ValueError) as error:
                raise ValueError(f"state_dict, parameter {number!r}: {error}") from error
            psis.append((param, psi))
    numbers = {number for group in groups for number in group["params"]}
    strangers = [number for number in state_dict["state"] if number not in numbers]
    if strangers:
        raise ValueError(
            f"state_dict has a state for parameter {strangers[0]!r}, which is in none of its groups"
        )
    if len(set(powers)) > 1:
        raise ValueError(f"No single schedule has the decaypowers {powers}")
    return ours, powers, steps, psis
