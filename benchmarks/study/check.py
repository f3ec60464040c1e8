"""Do torch and Keras make the study's runs, from the same weights, minibatches and schedule?

    python -m benchmarks.study.check

Makes one run of INDIAN and one of INNAprop on the digits in JAX, as the study does, in PyTorch, and
in Keras on torch. Prints how far the loss curves are apart. (ReLUs amplify rounding errors.)
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import command
from benchmarks.harness.tables import table

os.environ.setdefault("KERAS_BACKEND", "torch")

WORKLOAD = "digits, MLP, 16"
# For each of the study's names, the function that users would call, and its arguments.
COMPARED: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "INDIAN (.1, 2)": ("INDIAN", {"lr": 0.1}),
    "INNAprop.from_adam, d .3": ("INNAprop.from_adam", {"lr": 0.01, "damping": 0.3}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.parser("study.check", __doc__, output=None)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rows = [
        {
            "method": name,
            "framework": framework,
            "after 1/20 of the run": f"{difference[0]:.1e}",
            "largest": f"{difference.max():.1e}",
        }
        for name, differences in compare(options.seed).items()
        for framework, difference in differences.items()
    ]
    print(table(rows))


def compare(seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return, for each method and framework, the differences of the loss curve from JAX's."""
    from benchmarks.study.methods import METHODS  # noqa: PLC0415 (it loads JAX)
    from benchmarks.study.runs import Runner  # noqa: PLC0415
    from benchmarks.study.workloads import load  # noqa: PLC0415

    found = {}
    for name, (called, numbers) in COMPARED.items():
        runner = Runner(load(WORKLOAD, None), METHODS[name])
        curve = np.asarray(runner.run({"lr": numbers["lr"]}, "cosine", seed)[0])
        made = [functools.partial(make, called=called, **numbers) for make in (_torch, _keras)]
        found[name] = {
            framework: np.abs(_curve(runner, make, seed) - curve)
            for framework, make in zip(("torch", "keras"), made, strict=True)
        }
    return found


def _torch(theta: Any, lr: float, called: str, **numbers: float) -> Callable[[float], None]:
    import indian_torch  # noqa: PLC0415

    optimizer = operator.attrgetter(called)(indian_torch)(theta, lr, **numbers)

    def step(factor: float) -> None:
        optimizer.param_groups[0]["lr"] = lr * factor
        optimizer.step()

    return step


def _keras(theta: Any, lr: float, called: str, **numbers: float) -> Callable[[float], None]:
    import keras  # noqa: PLC0415

    import indian_keras  # noqa: PLC0415

    # (Keras's AdamW has another default weight decay.)
    decay = {"weight_decay": 0.01} if called == "INNAprop.from_adam" else {}
    optimizer = operator.attrgetter(called)(indian_keras)(lr, **numbers, **decay)
    variables = [keras.Variable(each.detach()) for each in theta]
    optimizer.build(variables)

    def step(factor: float) -> None:
        optimizer.learning_rate = lr * factor
        optimizer.apply([each.grad for each in theta], variables)
        for each, variable in zip(theta, variables, strict=True):
            each.data.copy_(variable.value)

    return step


def _curve(runner: Any, optimizer: Callable[..., Callable[[float], None]], seed: int) -> np.ndarray:
    """Return the losses at the curve's points in a run with PyTorch's autograd."""
    import torch  # noqa: PLC0415

    from benchmarks.study.runs import POINTS, factors  # noqa: PLC0415

    workload = runner.workload
    layers = workload.initial(np.random.default_rng((seed, 1)))
    theta = [torch.nn.Parameter(torch.tensor(each)) for pair in layers for each in pair]

    def loss(images: np.ndarray, labels: np.ndarray) -> torch.Tensor:
        x = torch.tensor(np.asarray(images)).flatten(1)
        for i in range(0, len(theta), 2):
            x = (torch.relu(x) if i else x) @ theta[i] + theta[i + 1]
        return torch.nn.functional.cross_entropy(x, torch.tensor(np.asarray(labels)).long())

    step = optimizer(theta)
    images, labels = workload.train
    seen = [np.asarray(array)[: workload.seen // 4] for array in runner._seen]
    batches, factor = workload.batches(seed), factors("cosine", workload)
    per_point = len(batches) // POINTS
    losses = []
    for k, batch in enumerate(batches[: per_point * POINTS]):
        for each in theta:
            each.grad = None
        loss(images[batch], labels[batch]).backward()
        step(float(factor[k]))
        if (k + 1) % per_point == 0:
            with torch.no_grad():
                losses.append(loss(*seen).item())
    return np.array(losses)


if __name__ == "__main__":
    main()
