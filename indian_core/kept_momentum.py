r"""α and β that follow the learning rate, so that a schedule leaves the momentum alone.

So does SGD's and Adam's. With a reference learning rate c the step at lr is INDIAN's with

$$\gamma = \sqrt{c\, lr}, \qquad \alpha\,\sqrt{c/lr}, \qquad \beta\,\sqrt{lr/c}$$

At lr = c these are c, α and β themselves. The momentum 1 − αc and the damping d = αβ are the same
at every lr, and the step size γ/α is lr/α. On b = w √(c/lr) nothing moves but lr itself:

$$\theta_{k+1} = \theta_k - lr_k\,(b_k + \beta v_k), \qquad
  b_{k+1} = (1 - \alpha c)\, b_k + c\,(1 - \alpha\beta)\, v_k$$

which says what a step at lr = 0 is, too: θ rests and b goes on, as SGD's momentum does. In the
paper's variables βw is lr/c times βb, and ‖w‖² is lr/c times ‖b‖².

c = 1, α = 1 − m and β = d/(1 − m) at SGD's own lr are SGD, and c = 1 − m, α = 1 and β = d at
AdamW's own are the INNAprop of `from_adam`.

That is SGD as PyTorch and optax write it. Keras's multiplies a gradient by the lr at which it goes
into the momentum, once and for all (`as_keras`): its buffer is lr/c times b at a constant lr, and
keeps what it holds when lr changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from indian_core.linear_step import Coefficients


def momentum_units(lr: Any, reference_lr: float | None = None) -> Any:
    """Return how many times the buffer's βb the paper's βw is: lr/c, or 1 without a reference.

    Args:
        lr: The learning rate of the next step: a number, or a framework's scalar.
        reference_lr: c, or None.

    Examples:
        >>> momentum_units(0.5, reference_lr=2.0), momentum_units(0.5)
        (0.25, 1)
    """
    return 1 if reference_lr is None else lr / reference_lr


def is_step(lr: Any, reference_lr: float | None = None) -> Any:
    """Return whether a step at lr is one: at γ = 0 nothing moves, unless the momentum goes on.

    Args:
        lr: The learning rate: a number, or a framework's scalar.
        reference_lr: c, or None.

    Examples:
        >>> is_step(0.0), is_step(0.0, reference_lr=1.0)
        (False, True)
    """
    return lr != 0 if reference_lr is None else True


def as_keras(step: Coefficients, lr: Any, reference_lr: float) -> Coefficients:
    """Return the step whose momentum holds gradients times the lr of their own steps.

    Args:
        step: The step of this lr and reference.
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

    Their decay changes θ, and ψ takes no notice.

    Args:
        lr: γ, or the learning rate that has a reference.
        alpha: α.
        beta: β.
        decay: λ.
        reference_lr: c, which takes the place of γ where w is b.

    Examples:
        >>> dragged(0.5, alpha=1.0, beta=0.5, decay=0.25)
        0.125
    """
    return (1 / beta - alpha) * (lr if reference_lr is None else reference_lr) * decay


def referred(group: Mapping[str, Any], reference_lr: float | None) -> tuple[dict[str, Any], float]:
    """Return the same hyperparameters at another reference, or at none.

    Args:
        group: The hyperparameters at this moment, by their names in PyTorch, ``reference_lr`` among
            them or None.
        reference_lr: The c that they are to have, or None.

    Returns:
        The hyperparameters, and how many times the old w the new one is.

    Raises:
        ValueError: If lr is 0, where α and β have no other form.

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
    # How the unit of time changes: γ is that of w, c that of b.
    factor = (gamma if old is None else old) / clock
    new_lr = gamma if reference_lr is None else gamma**2 / reference_lr
    new = {"lr": new_lr, "alpha": group["alpha"] * factor, "beta": group["beta"] / factor}
    if group.get("initial_speed") is not None:
        new["initial_speed"] = group["initial_speed"] / factor
    if "weight_decay" in group and group.get("decoupled_weight_decay", True):
        new["weight_decay"] = group["weight_decay"] * lr / new_lr
    return {**group, **new, "reference_lr": reference_lr}, 1 / factor
