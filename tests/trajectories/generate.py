"""Regenerate the reference trajectories: `python tests/trajectories/generate.py`.

Two files, one trajectory a line, every float in full:

* open_loop.json: the gradients are given, so the trajectory tests the algebra alone. Its θ and ψ
  come from the exact rational oracle: equation (11) on the very floats of the file, in rational
  arithmetic, rounded once at the end.
* closed_loop.json: the gradients are those of a problem of `indian_core.testing.problems` at the
  current θ, so the trajectory tests the wiring as well. Its θ and ψ come from equation (11) in
  float64.

`test_trajectories.py` checks that the files are what this script makes.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from indian_core import power_decay
from indian_core.testing import ReferenceINDIAN, closed_loop, exact, open_loop, problems

HERE = Path(__file__).parent

PAPER_PAIRS = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.5, 1.0)]
# γ_0 and q. 0.1 constant is γ = β for the default β; the other two cross β = 0.1 on the way.
PAPER_STEPS = [(0.1, 0.0), (0.5, 0.5), (0.2, 0.25)]

# name, α, β, γ_0, q, λ: where formulas divide, change sign or degenerate.
SPECIAL = [
    ("gradient descent, alpha beta = 1", 2.0, 0.5, 0.25, 0.0, 0.0),
    ("overdamped, alpha beta > 1", 4.0, 1.0, 0.2, 0.5, 0.0),
    ("no viscous damping", 0.0, 0.1, 0.05, 0.0, 0.0),
    ("heavy ball, beta = lr", 0.5, 0.25, 0.25, 0.0, 0.0),
    ("nearly heavy ball", 0.5, 0.1, 0.1 * (1 + 1e-9), 0.0, 0.0),
    ("anti-damped, beta < lr", 0.5, 0.1, 0.3, 0.0, 0.0),
    ("alpha lr = 1", 4.0, 0.3, 0.25, 0.0, 0.0),
    ("alpha lr = 1 on the way", 4.0, 0.3, 0.5, 0.5, 0.0),
    ("alpha lr > 1", 4.0, 0.3, 0.4, 0.0, 0.0),
    ("weight decay", 0.5, 0.1, 0.2, 0.25, 0.5),
]

OPEN_STEPS = 40
OPEN_CHECKPOINTS = [1, 2, 3, 20, 40]

# problem, α, β, s, γ_0, q, steps. The valley and Rosenbrock's are steep: start from rest there.
# Both runs along the valley cross its kink at θ_1 = 0.
CLOSED = [
    ("quadratic", 0.5, 0.1, 1.0, 0.5, 0.0, 200),
    ("quadratic", 0.1, 0.1, 0.1, 0.5, 0.25, 200),
    ("quadratic", 2.0, 1.0, 1.0, 0.5, 0.0, 200),
    ("rosenbrock", 0.5, 0.1, 0.1, 0.002, 0.0, 200),
    ("rosenbrock", 1.5, 0.5, 0.5, 0.002, 0.25, 200),
    ("valley", 0.5, 0.1, 0.1, 0.02, 0.0, 300),
    ("valley", 1.3, 0.1, 0.1, 0.04, 0.125, 300),
    ("logistic_regression", 0.5, 0.1, 1.0, 0.5, 0.5, 100),
    ("logistic_regression", 0.5, 1.0, 1.0, 0.2, 0.25, 100),
    ("mlp", 0.5, 0.1, 1.0, 0.5, 0.25, 60),
]

# A few of each kind, for variants whose every run costs seconds (compilers).
ESSENTIAL = {
    "alpha=0.5 beta=0.1 lr=0.1/(k+1)^0.0 s=1.0",
    "alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.5 s=1.0",
    "alpha=0.5 beta=1.0 lr=0.2/(k+1)^0.25 s=1.0",
    "alpha lr = 1",
    "weight decay",
    "mlp alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.25 s=1.0",
}


@functools.cache
def problem_by_name(name: str) -> problems.Problem:
    """Return the problem, the real data ones on scikit-learn's digits."""
    make = getattr(problems, name)
    if name in {"logistic_regression", "mlp"}:
        images, labels = load_digits(return_X_y=True)
        return make(images / 16, labels)  # type: ignore[no-any-return]
    return make()  # type: ignore[no-any-return]


def _settings(
    name: str, alpha: float, beta: float, speed: float, lr: float, power: float, steps: int
) -> dict[str, Any]:
    return {
        "name": name,
        "essential": name in ESSENTIAL,
        "alpha": alpha,
        "beta": beta,
        "initial_speed": speed,
        "lr": lr,
        "power": power,
        "weight_decay": 0.0,
        # Written out, so that no adapter is blamed for another machine's pow().
        "lrs": [float(power_decay(k, lr, power)) for k in range(steps)],
    }


def _title(alpha: float, beta: float, speed: float, lr: float, power: float) -> str:
    return f"alpha={alpha} beta={beta} lr={lr}/(k+1)^{power} s={speed}"


def _lists(arrays: Sequence[Any]) -> list[Any]:
    return [np.asarray(array, np.float64).tolist() for array in arrays]


def _checkpoints(points: Iterator[Any], steps: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"step": k, "theta": _lists(theta), "psi": _lists(psi)}
        for k, (theta, psi) in enumerate(points, start=1)
        if k in steps
    ]


def open_loop_trajectories() -> dict[str, Any]:
    """Return the open-loop file's content."""
    random = np.random.default_rng(2019)
    shapes: list[tuple[int, ...]] = [(3,), (2, 2), ()]

    def dyadic(shape: tuple[int, ...]) -> Any:
        return np.array(random.integers(-512, 513, shape) / 256)

    theta_0 = [dyadic(shape) for shape in shapes]
    gradients = [[dyadic(shape) for shape in shapes] for _ in range(OPEN_STEPS)]

    cases = []
    for (alpha, beta), (lr, power) in itertools.product(PAPER_PAIRS, PAPER_STEPS):
        for speed in dict.fromkeys([1.0, beta]):
            title = _title(alpha, beta, speed, lr, power)
            cases.append(_settings(title, alpha, beta, speed, lr, power, OPEN_STEPS))
    for name, alpha, beta, lr, power, decay in SPECIAL:
        case = _settings(name, alpha, beta, 1.0, lr, power, OPEN_STEPS)
        cases.append(case | {"weight_decay": decay})

    for case in cases:
        optimizer = ReferenceINDIAN(
            exact_arrays(theta_0),
            *(exact(case[key]) for key in ("alpha", "beta", "initial_speed", "weight_decay")),
        )
        case["checkpoints"] = _checkpoints(
            open_loop(
                optimizer, [exact_arrays(v) for v in gradients], [exact(lr) for lr in case["lrs"]]
            ),
            OPEN_CHECKPOINTS,
        )
    return {
        "theta_0": _lists(theta_0),
        "gradients": [_lists(v) for v in gradients],
        "trajectories": cases,
    }


def exact_arrays(arrays: Sequence[Any]) -> list[Any]:
    """Return arrays of Fractions."""
    return [exact(np.asarray(array)) for array in arrays]


def closed_loop_trajectories() -> dict[str, Any]:
    """Return the closed-loop file's content."""
    cases = []
    for name, alpha, beta, speed, lr, power, steps in CLOSED:
        problem = problem_by_name(name)
        title = f"{name} {_title(alpha, beta, speed, lr, power)}"
        case = _settings(title, alpha, beta, speed, lr, power, steps)
        optimizer = ReferenceINDIAN(problem.theta_0, alpha, beta, speed)
        case |= {
            "problem": name,
            "theta_0": _lists(problem.theta_0),
            "checkpoints": _checkpoints(
                closed_loop(optimizer, problem, case["lrs"]), [1, steps // 2, steps]
            ),
        }
        cases.append(case)
    return {"trajectories": cases}


def dump(content: dict[str, Any]) -> str:
    """Return the content as JSON, one trajectory a line."""
    head = {key: value for key, value in content.items() if key != "trajectories"}
    lines = ",\n".join(json.dumps(case) for case in content["trajectories"])
    fields = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
    return f'{{\n{fields}"trajectories": [\n{lines}\n]\n}}\n'


FILES = {"open_loop.json": open_loop_trajectories, "closed_loop.json": closed_loop_trajectories}

if __name__ == "__main__":
    for file_name, make in FILES.items():
        (HERE / file_name).write_text(dump(make()))
        print(f"wrote {HERE / file_name}")
