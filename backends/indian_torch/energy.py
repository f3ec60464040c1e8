"""The Lyapunov energy of a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy
from indian_torch.groups import OPTIONS, scalar_of, units_of


@torch.no_grad()
def energy(optimizer: Optimizer, loss: float | Tensor) -> Tensor:
    r"""Return the Lyapunov energy of a run, the loss and the kinetic energy in one number.

    $$E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2$$

    With small enough steps and exact gradients, INDIAN's energy falls at every step, although the
    loss may rise. A rising E means that the step size is too large or the gradients are noisy. The
    loss and the momentum must belong to the same moment, so call this function between
    ``loss.backward()`` and ``optimizer.step()``.

    Parameter groups may differ in α and β. The quantity that then falls, at a rate
    −2 Σ_i (α_i ‖θ̇_i‖² + β_i ‖∇_i J‖²) / (1 + α_i β_i), is 2 J + Σ_i ‖w_i‖²/(1 + α_i β_i). The
    result is this quantity times the first group's 1 + αβ.

    Args:
        optimizer: The optimizer; it is not changed.
        loss: J(θ), a scalar. It is minimized, or maximized with ``maximize``.

    Returns:
        E, a scalar tensor without a graph, on the momentum's device. The call does not wait for the
        device. The momentum of a parameter is 0 before its first step.

    Raises:
        TypeError: If the optimizer is not an `INDIAN` or `INNAprop`.
        ValueError: If the loss is not a real scalar, or some groups maximize and some do not.

    Source: Castera et al., Lemmas 9 and 10.

    Examples:
        >>> import torch
        >>> from indian_torch import INDIAN
        >>> from indian_torch.energy import energy
        >>> theta = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = INDIAN([theta], lr=0.1, alpha=0.5, beta=1.0)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     loss = (theta**2).sum()
        ...     loss.backward()
        ...     print(round(energy(optimizer, loss).item(), 3))
        ...     optimizer.step()
        15.0
        9.65
        6.107
    """
    groups = optimizer.param_groups
    if not all(group.keys() >= {"alpha", "beta", *OPTIONS} for group in groups):
        raise TypeError(
            f"optimizer should be an INDIAN or INNAprop, not {type(optimizer).__name__}"
        )
    if len({bool(group["maximize"]) for group in groups}) > 1:
        raise ValueError("Invalid maximize: there is no energy of groups that go up and down")
    if isinstance(loss, Tensor):
        check_loss(loss.shape, loss.dtype, is_real=not loss.is_complex())
    first = groups[0]
    weight = _weight(first)
    squares = [
        _squared_momentum(param, optimizer.state.get(param, {}))
        * (weight * units_of(group) / _weight(group))
        for group in groups
        for param in group["params"]
    ]
    device = squares[0].device
    kinetic = torch.stack([square.to(device, non_blocking=True) for square in squares]).sum()
    if not isinstance(loss, Tensor):
        loss = torch.tensor(float(loss), dtype=kinetic.dtype, device=device)
    dtype = torch.promote_types(loss.dtype, kinetic.dtype)
    loss = loss.detach().to(device, dtype).reshape(())
    if first["maximize"]:
        loss = -loss
    alpha, beta = scalar_of(first, "alpha"), scalar_of(first, "beta")
    total: Tensor = lyapunov_energy(loss, kinetic, alpha, beta)
    return total


def _weight(group: dict[str, Any]) -> Any:
    return 1 + scalar_of(group, "alpha") * scalar_of(group, "beta")


def _squared_momentum(param: Tensor, state: dict[str, Any]) -> Tensor:
    """Return ‖w‖² of one parameter, in float64 (at least float32 on other devices than the CPU)."""
    if "momentum_buffer" not in state:
        return _squared(torch.zeros((), dtype=param.dtype, device=param.device))
    scale, square = state["scale"], _squared(state["momentum_buffer"])
    # A scale on the device is 0 or 1, and the buffer is then w itself.
    return square if isinstance(scale, Tensor) else square / (scale or 1.0) ** 2


def _squared(tensor: Tensor) -> Tensor:
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    least = torch.float64 if tensor.device.type == "cpu" else torch.float32
    dtype = torch.promote_types(tensor.dtype, least)
    norm: Any = torch.linalg.vector_norm(tensor, dtype=dtype)
    if hasattr(norm, "full_tensor"):  # A DTensor: every rank gets the norm of the whole tensor.
        norm = norm.full_tensor()
    square: Tensor = norm**2
    return square
