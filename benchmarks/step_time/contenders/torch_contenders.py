"""PyTorch: each implementation of the four methods, against torch.optim's SGD, Adam, AdamW."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from benchmarks.step_time.contenders import Contender
from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MODES: dict[str, dict[str, bool]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "for-loop": {"foreach": False},
}
# The learning rate is small, so that no run leaves the range of float32, even after many steps.
OURS = {
    "INDIAN": functools.partial(INDIAN, lr=1e-3),
    "DampedSGD": functools.partial(DampedSGD, damping=0.3),
    "INNAprop": INNAprop,
    "DampedAdamW": DampedAdamW,
}
THEIRS = {
    "SGD Nesterov": functools.partial(torch.optim.SGD, lr=1e-3, momentum=0.9, nesterov=True),
    "Adam": functools.partial(torch.optim.Adam, lr=1e-3),
    "AdamW": functools.partial(torch.optim.AdamW, lr=1e-3),
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    **{f"{name} (default)": make for name, make in OURS.items()},
    **{
        f"{name} ({mode})": functools.partial(make, **options)
        for name, make in (OURS | THEIRS).items()
        for mode, options in MODES.items()
        if (name, mode) != ("Adam", "for-loop")
    },
    "DampedSGD (fused, no damping)": functools.partial(DampedSGD, nesterov=True, fused=True),
    # These two have special kernel calls.
    "INDIAN (fused, lr = beta)": functools.partial(INDIAN, lr=0.1, beta=0.1, fused=True),
    "INNAprop (fused, alpha beta = 1)": functools.partial(
        INNAprop, alpha=1.0, beta=1.0, fused=True
    ),
}

BASELINES = ("SGD Nesterov (fused)", "Adam (fused)", "AdamW (fused)")


def contenders(shapes: Sequence[tuple[int, ...]]) -> Iterator[Contender]:
    # The contenders share the gradients, which no optimizer writes.
    torch.manual_seed(0)
    grads = [1e-3 * torch.randn(shape, device=DEVICE) for shape in shapes]

    targets = [torch.empty_like(grad) for grad in grads]

    def copy() -> None:
        torch._foreach_copy_(targets, grads)
        _wait()

    yield Contender("copy", copy, 0)

    for name, make in OPTIMIZERS.items():
        params = [torch.nn.Parameter(torch.zeros_like(grad)) for grad in grads]
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        optimizer = make(params)

        def step(optimizer: torch.optim.Optimizer = optimizer) -> None:
            optimizer.step()
            _wait()

        step()  # makes the state, whose size is needed
        yield Contender(name, step, _bytes(optimizer.state.values()))


# PyTorch's own default on the CPU is the for-loop.
TRAINED = (
    "INDIAN (default)",
    "DampedSGD (default)",
    "INNAprop (default)",
    "DampedAdamW (default)",
    "SGD Nesterov (fused)",
    "SGD Nesterov (for-loop)",
    "AdamW (fused)",
    "AdamW (for-loop)",
)
TRAINING_BASELINES = ("SGD Nesterov (fused)", "AdamW (fused)")


def training(widths: Sequence[int], batch: int) -> Iterator[Contender]:
    torch.manual_seed(0)
    inputs = torch.randn(batch, widths[0], device=DEVICE)
    labels = torch.randint(widths[-1], (batch,), device=DEVICE)
    for name in ("gradient alone", *TRAINED):
        layers: list[torch.nn.Module] = []
        for into, out in itertools.pairwise(widths):
            layers += [torch.nn.Linear(into, out, device=DEVICE), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = OPTIMIZERS[name](model.parameters()) if name in OPTIMIZERS else None

        def step(
            model: torch.nn.Module = model, optimizer: torch.optim.Optimizer | None = optimizer
        ) -> None:
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            if optimizer is not None:
                optimizer.step()
            _wait()

        step()  # makes the state, whose size is needed
        yield Contender(name, step, _bytes(optimizer.state.values()) if optimizer else 0)


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def _bytes(states: Any) -> int:
    values = [value for state in states for value in state.values()]
    return sum(
        value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 8
        for value in values
        if value is not None
    )
