"""The Lyapunov energy of a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy


@torch.no_grad()
def energy(optimizer: Optimizer, loss: float | Tensor) -> Tensor:
    r"""Return the Lyapunov energy of a run, the loss and the kinetic energy in one number.

    $$E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2$$

    With small enough steps and exact gradients it falls at every step, even if the loss rises. If
    E rises, the step size is too large or the gradients are noisy. The loss and the momentum must
    belong to the same moment: call this function between ``loss.backward()`` and
    ``optimizer.step()``.

    Args:
        optimizer: An `INDIAN` or `INNAprop`; it is not changed.
        loss: J(θ), a scalar. It is minimized, or maximized with ``maximize``.

    Returns:
        E, a scalar tensor without a graph, on the momentum's device. The call does not wait for the
        device. The momentum of a parameter is 0 before its first step.

    Raises:
        ValueError: If the loss is not a real scalar, or the groups differ in α, β or ``maximize``.

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
    shared = {(group["alpha"], group["beta"], group["maximize"]) for group in groups}
    if len(shared) > 1:
        raise ValueError("Invalid param_groups: they differ in alpha, beta or maximize")
    ((alpha, beta, maximize),) = shared
    if isinstance(loss, Tensor):
        check_loss(loss.shape, loss.dtype, is_real=not loss.is_complex())
    params = [param for group in groups for param in group["params"]]
    squares = [_squared_momentum(param, optimizer.state.get(param, {})) for param in params]
    device = squares[0].device
    kinetic = torch.stack([square.to(device, non_blocking=True) for square in squares]).sum()
    if not isinstance(loss, Tensor):
        loss = torch.tensor(float(loss), dtype=kinetic.dtype, device=device)
    loss = loss.detach().to(device, torch.promote_types(loss.dtype, kinetic.dtype)).reshape(())
    total: Tensor = lyapunov_energy(-loss if maximize else loss, kinetic, alpha, beta)
    return total


def _squared_momentum(param: Tensor, state: dict[str, Any]) -> Tensor:
    """Return ‖w‖² of one parameter, in float64 (at least float32 on other devices than the CPU)."""
    buffer = state.get("momentum_buffer")
    if buffer is None:
        buffer = torch.zeros((), dtype=param.dtype, device=param.device)
    scale = state.get("scale")
    # A scale on the device is 0 or 1, and the buffer is then w itself.
    scale = scale if isinstance(scale, float) and scale else 1.0
    buffer = torch.view_as_real(buffer) if buffer.is_complex() else buffer
    least = torch.float64 if buffer.device.type == "cpu" else torch.float32
    norm: Any = torch.linalg.vector_norm(buffer, dtype=torch.promote_types(buffer.dtype, least))
    if hasattr(norm, "full_tensor"):  # A DTensor: every rank gets the norm of the whole tensor.
        norm = norm.full_tensor()
    square: Tensor = (norm / scale) ** 2
    return square
