r"""Parameter groups by whether a parameter has weight decay."""

from __future__ import annotations

from typing import Any

from torch import nn

from indian_core import checked


def no_weight_decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups in which biases and the weights of norms have no weight decay.

    These are the parameters with at most one dimension, and those whose name ends in ``bias``. They
    form the second group; all other parameters form the first. An empty group is omitted. Each
    group has the order of ``model.named_parameters()`` and contains the names.

    Args:
        model: The model.
        weight_decay: λ ≥ 0, the weight decay of the first group.

    Raises:
        TypeError: If the model is not a module, or λ is not a number.
        ValueError: If λ is negative, NaN or infinite.

    Examples:
        >>> from torch import nn
        >>> from indian_torch import INDIAN, no_weight_decay_groups
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
        >>> optimizer = INDIAN(no_weight_decay_groups(model, 0.01), lr=0.1)
        >>> [(group["param_names"], group["weight_decay"]) for group in optimizer.param_groups]
        [(['0.weight'], 0.01), (['0.bias', '1.weight', '1.bias'], 0.0)]
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Invalid model: {type(model).__name__} (it must be a torch.nn.Module)")
    weight_decay = checked("weight_decay", weight_decay)
    with_decay: list[tuple[str, nn.Parameter]] = []
    without: list[tuple[str, nn.Parameter]] = []
    for name, param in model.named_parameters():
        spared = param.ndim <= 1 or name.endswith("bias")
        (without if spared else with_decay).append((name, param))
    groups = ((with_decay, weight_decay), (without, 0.0))
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
