r"""α and β that follow the learning rate, so that a schedule does not change the momentum.

Schedules of SGD and Adam do not change it either. With a reference learning rate c, the step at lr
is INDIAN's step with

$$\gamma = \sqrt{c\, lr}, \qquad \alpha\,\sqrt{c/lr}, \qquad \beta\,\sqrt{lr/c}$$

At lr = c these are c, α and β themselves. The momentum 1 − αc and the damping d = αβ are the same
at every lr, and the step size γ/α is lr/α. On b = w √(c/lr) no coefficient changes except lr:

$$\theta_{k+1} = \theta_k - lr_k\,(b_k + \beta v_k), \qquad
  b_{k+1} = (1 - \alpha c)\, b_k + c\,(1 - \alpha\beta)\, v_k$$

This also defines the step at lr = 0: θ stays and b is updated, like SGD's momentum. In the paper's
variables βw is lr/c times βb, and ‖w‖² is lr/c times ‖b‖².

With c = 1, α = 1 − m and β = d/(1 − m), the step at SGD's own lr is SGD's step. With c = 1 − m,
α = 1 and β = d, the step at AdamW's own lr is that of `from_adam`'s INNAprop.

This SGD is the form of PyTorch and optax. Keras's SGD multiplies each gradient by its own step's lr
when it adds the gradient to the momentum (`as_keras`). Its buffer is lr/c times b at a constant lr,
and keeps its content when lr changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from indian_core.linear_step import Coefficients


def momentum_units(lr: Any, reference_lr: float | None = None) -> Any:
    """Return the ratio of the paper's βw to the buffer's βb: lr/c, or 1 without a reference.

    Args:
        lr: The learning rate of the next step, a number or a framework's scalar.
        reference_lr: c, or None.

    Examples:
        >>> momentum_units(0.5, reference_lr=2.0), momentum_units(0.5)
        (0.25, 1)
    """
    return 1 if reference_lr is None else lr / reference_lr


def is_step(lr: Any, reference_lr: float | None = None) -> Any:
    """Return whether a step at lr is not a no-op. With a reference, b is updated even at lr = 0.

    Args:
        lr: The learning rate, a number or a framework's scalar.
        reference_lr: c, or None.

    Examples:
        >>> is_step(0.0), is_step(0.0, reference_lr=1.0)
        (False, True)
    """
    return lr != 0 if reference_lr is None else True


def as_keras(step: Coefficients, lr: Any, reference_lr: float) -> Coefficients:
    """Return the step for a momentum that holds gradients times the lr of their own steps.

    Args:
        step: The `Coefficients` of the step at this lr and reference.
        lr: The learning rate.
        reference_lr: c.

    Examples:
        >>> from indian_core import coefficients
        >>> tuple(as_keras(coefficients(0.5, 0.25, 2.0, reference_lr=1.0), 0.5, 1.0))
        (-1.0, -1.0, 0.75, 0.25)
    """
    return step._replace(
        theta_momentum=-reference_lr,
        momentum_gradient=step.momentum_gradient * momentum_units(lr, reference_lr),
    )


def dragged(lr: Any, alpha: Any, beta: Any, decay: Any, reference_lr: float | None = None) -> Any:
    """Return how many times θ the weight decay of INNAprop's authors adds to w: (1/β − α) γλ.

    Their decay changes θ and leaves ψ unchanged.

    Args:
        lr: γ, or lr if there is a reference.
        alpha: α.
        beta: β.
        decay: λ.
        reference_lr: c, which replaces γ, since the buffer then holds b instead of w. None, the
            default, means no reference.

    Examples:
        >>> dragged(0.5, alpha=1.0, beta=0.5, decay=0.25)
        0.125
    """
    return (1 / beta - alpha) * (lr if reference_lr is None else reference_lr) * decay


def referred(group: Mapping[str, Any], reference_lr: float | None) -> tuple[dict[str, Any], float]:
    """Return equivalent hyperparameters for another reference learning rate, or for none.

    Args:
        group: The present hyperparameters, by their names in PyTorch. ``reference_lr`` may be
            missing or None.
        reference_lr: The c of the result, or None.

    Returns:
        The hyperparameters, and the ratio of the new w to the old w.

    Raises:
        ValueError: If the reference changes and lr is 0, where α and β have no equivalent.

    Examples:
        >>> kept = {"lr": 4.0, "alpha": 0.25, "beta": 2.0, "reference_lr": 1.0}
        >>> referred(kept, None)
        ({'lr': 2.0, 'alpha': 0.125, 'beta': 4.0, 'reference_lr': None}, 2.0)
        >>> referred(referred(kept, None)[0], 1.0) == (kept, 0.5)
        True
    """
    old = group.get("reference_lr")
    if old == reference_lr:
        return dict(group), 1.0
    lr = group["lr"]
    if lr == 0:
        raise ValueError(f"Invalid lr: 0 (there is no other form than reference_lr={old})")
    gamma = lr if old is None else math.sqrt(old * lr)
    clock = gamma if reference_lr is None else reference_lr
    # The change of the unit of time, which is γ for w and c for b.
    factor = (gamma if old is None else old) / clock
    new_lr = gamma if reference_lr is None else gamma**2 / reference_lr
    new = {"lr": new_lr, "alpha": group["alpha"] * factor, "beta": group["beta"] / factor}
    if group.get("initial_speed") is not None:
        new["initial_speed"] = group["initial_speed"] / factor
    if "weight_decay" in group and group.get("decoupled_weight_decay", True):
        new["weight_decay"] = group["weight_decay"] * lr / new_lr
    return {**group, **new, "reference_lr": reference_lr}, 1 / factor
