"""The step on Keras's torch backend: the whole model in a few calls.

The base class would make the step variable by variable. Here `indian_keras.backend.kernels` makes
it on the tensors of all variables together, in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import torch

from indian_core import Coefficients, dragged, is_step
from indian_keras import _private
from indian_keras.backend import kernels, memory
from indian_keras.backend.kernels import Scaling, Tensors


class Decay(NamedTuple):
    """The weight decay of a step.

    Attributes:
        rate: γλ.
        pull: The multiple of θ that is added to w: (1/β − α) γλ in the authors' decay, else 0.
        of: Which tensors decay.
    """

    rate: float
    pull: float
    of: Sequence[bool]

    def __call__(self, theta: Tensors, w: Tensors) -> None:
        """Make the decay."""
        theta, w = (list(compress(tensors, self.of)) for tensors in (theta, w))
        if theta and self.pull:
            torch._foreach_add_(w, theta, alpha=self.pull)
        if theta:
            torch._foreach_mul_(theta, 1 - self.rate)


# Not compiled: Inductor has no rule for the kernels, and would compile every step of a schedule
# anew, because the scalars are floats.
@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.no_grad()
def update(
    optimizer: Any,
    gradients: Sequence[torch.Tensor],
    variables: Sequence[Any],
    learning_rate: Any,
    _by_keras: Callable[..., None],
) -> None:
    """Make one step on all variables, without changing the gradients.

    Args:
        optimizer: The optimizer, which is built.
        gradients: v, as tensors of θ's shapes.
        variables: θ, as Keras variables.
        learning_rate: γ, a scalar.
    """
    lr = float(learning_rate)
    # With γ = 0 nothing moves, so such a step does not count as the first.
    first = is_step(lr, optimizer.reference_lr) and not int(optimizer.begun)
    step = optimizer._coefficients(lr, first)
    largest = torch.finfo(getattr(torch, optimizer._narrowest)).max
    if any(abs(scalar) > largest for scalar in step):
        at = "" if optimizer.reference_lr is None else f" at reference_lr {optimizer.reference_lr}"
        raise ValueError(
            f"Invalid learning rate, alpha or beta: {lr}, {optimizer.alpha}, {optimizer.beta}{at} "
            f"(the numbers of the step are beyond {optimizer._narrowest})"
        )
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    theta = _private.values(variables)
    slots = [_private.values([optimizer.momentums[i] for i in indices])]
    scaling = None
    if optimizer.count is not None:
        slots.append(_private.values([optimizer.velocities[i] for i in indices]))
        t = int(optimizer.count) + 1
        scaling = Scaling(optimizer.sigma, optimizer.epsilon, t, optimizer._correction(t))
    gradients = memory.in_own_memory(gradients, [*theta, *(w for slot in slots for w in slot)])
    decay = None
    if optimizer.weight_decay:
        decaying = [_private.decays(optimizer, variable) for variable in variables]
        pull = 0.0
        if optimizer.authors_weight_decay:
            numbers = (optimizer.alpha, optimizer.beta, optimizer.weight_decay)
            pull = dragged(lr, *numbers, optimizer.reference_lr)
        decay = Decay(lr * optimizer.weight_decay, pull, decaying)
    make(step, theta, gradients, *slots, decay=decay, scaling=scaling)
    if first:
        optimizer.begun.assign(1)
    if optimizer.count is not None:
        optimizer.count.assign(t)


def make(
    step: Coefficients,
    theta: Tensors,
    gradients: Tensors,
    *slots: Tensors,
    decay: Decay | None = None,
    scaling: Scaling | None = None,
) -> None:
    """Make one step on tensors, in place.

    Args:
        step: The scalars of the step, as floats.
        theta: θ.
        gradients: v, of θ's shapes, contiguous, and not in memory that the step changes.
        *slots: w, float32 or float64, and V if the gradients are scaled.
        decay: The weight decay before the step.
        scaling: How to scale the gradients.
    """
    w = slots[0]
    # For 16-bit parameters, add in w's precision, and round once.
    wide = [t if t.dtype == m.dtype else t.to(m.dtype) for t, m in zip(theta, w, strict=True)]
    gradients = [
        v if v.dtype == m.dtype else v.to(m.dtype) for v, m in zip(gradients, w, strict=True)
    ]
    if decay is not None:
        decay(wide, w)
    everything = (wide, gradients, *slots)
    if kernels.fusible(*everything):  # nearly always, so one check for all
        kinds: dict[Any, tuple[Tensors, ...]] = {(w[0].device, w[0].dtype): everything}
    else:
        kinds = defaultdict(lambda: tuple([] for _ in everything))
        for tensors in zip(*everything, strict=True):
            m = tensors[2]
            kind = (m.device, m.dtype) if kernels.fusible(*([t] for t in tensors)) else None
            for of_kind, tensor in zip(kinds[kind], tensors, strict=True):
                of_kind.append(tensor)
    for kind, lists in kinds.items():
        fused = kind is not None and kernels.is_exact(step, dtype=kind[1])
        (kernels.fused_step if fused else kernels.foreach_step)(step, *lists, scaling=scaling)
    for parameter, new in zip(theta, wide, strict=True):
        if new is not parameter:
            parameter.copy_(new)
