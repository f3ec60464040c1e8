"""Regenerate the reference trajectories: `python tests/trajectories/generate.py`.

Two files, one trajectory a line, every float in full:

* open_loop.json: the gradients are given, so the trajectory tests the algebra alone. Its θ and ψ
  come from the exact rational oracle: equation (11) on the very floats of the file, in rational
  arithmetic, rounded once at the end.
  INNAprop has a root in it: its oracle runs in extended precision, by equation (11) on the scaled
  gradient, which unlike the published form has no singularity at γ = β.
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

from indian_core import phase_space, power_decay
from indian_core.testing import (
    ReferenceDampedAdamW,
    ReferenceDampedSGD,
    ReferenceINDIAN,
    ReferenceINNAprop,
    closed_loop,
    exact,
    open_loop,
    problems,
)

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

INNAPROP: list[tuple[Any, ...]] = [
    ("INNAprop, its paper's", 0.1, 0.9, 0.999, 1e-8, 0.0, 0.1, 0.0),
    ("INNAprop, the other of its paper's", 2.0, 2.0, 0.99, 1e-8, 0.0, 0.2, 0.5),
    ("INNAprop at the Adam point", 1.0, 0.19, 0.95, 1e-8, 0.01, 0.1, 0.0),
    ("INNAprop, damping 0.3", 1.0, 0.3, 0.99, 1e-8, 0.1, 0.1, 0.25),
    ("INNAprop, beta = lr", 0.5, 0.25, 0.99, 1e-8, 0.0, 0.25, 0.0),
    ("INNAprop, lr across beta", 0.5, 0.1, 0.99, 1e-8, 0.0, 0.2, 0.25),
    ("INNAprop, alpha beta = 1", 2.0, 0.5, 0.9, 1e-8, 0.1, 0.25, 0.25),
    ("INNAprop, alpha lr = 1", 4.0, 0.3, 0.9, 1e-8, 0.0, 0.25, 0.0),
    ("INNAprop, large epsilon", 0.1, 0.9, 0.9, 0.1, 0.0, 0.1, 0.0),
    ("INNAprop, no memory of squares", 0.1, 0.9, 0.0, 0.1, 0.0, 0.1, 0.0),
    ("INNAprop, weight decay", 0.1, 0.9, 0.99, 1e-8, 0.5, 0.1, 0.25),
    ("INNAprop, the authors' weight decay", 0.1, 0.9, 0.99, 1e-8, 0.5, True, 0.1, 0.25),
]

DAMPED_SGD: list[tuple[Any, ...]] = [
    ("DampedSGD, no momentum", 0.0, False, None, 0.1, 0.25),
    ("DampedSGD, heavy ball", 0.9, False, None, 0.05, 0.25),
    ("DampedSGD, Nesterov", 0.9, True, None, 0.05, 0.25),
    ("DampedSGD, damping 0.3", 0.9, False, 0.3, 0.05, 0.25),
    ("DampedSGD, a long memory", 0.99, False, 0.3, 0.01, 0.0),
    ("DampedSGD, the least damping", 0.75, False, 0.25, 0.05, 0.0),
    ("DampedSGD, damping 1", 0.5, False, 1.0, 0.1, 0.25),
    ("DampedSGD, edits", 0.9, 0.05, 0.25),
]
# Every number is changed on the way, to each of the three dampings and to a learning rate of 0.
SGD_EDITS: dict[int, dict[str, Any]] = {
    5: {"momentum": 0.5},
    11: {"momentum": 0.8, "nesterov": True},
    17: {"nesterov": False, "damping": 0.3},
    23: {"momentum": 0.95},
    29: {"damping": 0.5},
    35: {"damping": None},
}

DAMPED_ADAMW: list[tuple[Any, ...]] = [
    ("DampedAdamW, damping 0.3", 0.9, 0.99, 1e-8, 0.3, 0.0, 0.02, 0.25),
    ("DampedAdamW, a long memory", 0.99, 0.999, 1e-8, 0.3, 0.1, 0.02, 0.0),
    ("DampedAdamW, the Adam point", 0.9, 0.95, 1e-8, 0.19, 0.01, 0.02, 0.25),
    ("DampedAdamW, the least damping", 0.75, 0.99, 1e-3, 0.25, 0.0, 0.02, 0.25),
    ("DampedAdamW, damping 1", 0.5, 0.99, 1e-3, 1.0, 0.1, 0.05, 0.0),
    ("DampedAdamW, no momentum", 0.0, 0.9, 1e-3, 1.0, 0.1, 0.05, 0.25),
    ("DampedAdamW, edits", 0.9, 0.99, 1e-8, 0.3, 0.1, 0.02, 0.25),
]
ADAMW_EDITS: dict[int, dict[str, Any]] = {
    7: {"beta_1": 0.8},
    15: {"damping": 0.5},
    23: {"beta_1": 0.97, "damping": 0.1},
    31: {"weight_decay": 0.0, "damping": 1.0},
}

# The rows of these tables are a name, these numbers, lr_0 and q.
NUMBERS = {
    "INNAprop": ("alpha", "beta", "sigma", "eps", "weight_decay", "authors_weight_decay"),
    "DampedSGD": ("momentum", "nesterov", "damping"),
    "DampedAdamW": ("beta_1", "beta_2", "eps", "damping", "weight_decay"),
}
ROWS = {"INNAprop": INNAPROP, "DampedSGD": DAMPED_SGD, "DampedAdamW": DAMPED_ADAMW}
EDITS = {"DampedSGD, edits": SGD_EDITS, "DampedAdamW, edits": ADAMW_EDITS}

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

# problem, α, β, σ, ε, γ_0, q, steps.
CLOSED_INNAPROP = [
    ("quadratic", 0.1, 0.9, 0.99, 1e-2, 0.05, 0.0, 200),
    ("rosenbrock", 1.0, 0.3, 0.99, 1e-2, 0.02, 0.25, 200),
    ("logistic_regression", 1.0, 0.19, 0.999, 1e-2, 0.1, 0.0, 100),
    ("mlp", 3.0, 0.1, 0.999, 1e-3, 0.03, 0.25, 60),
]

# problem, method, lr_0, q, steps, the other numbers.
CLOSED_DAMPED: list[tuple[str, str, float, float, int, dict[str, Any]]] = [
    ("quadratic", "DampedSGD", 0.05, 0.25, 200, {"momentum": 0.9, "damping": 0.3}),
    ("rosenbrock", "DampedSGD", 1e-4, 0.0, 200, {"momentum": 0.9, "nesterov": True}),
    ("mlp", "DampedSGD", 0.05, 0.25, 60, {"momentum": 0.97, "damping": 0.3}),
    ("quadratic", "DampedAdamW", 0.02, 0.25, 200, {"beta_1": 0.9, "eps": 1e-2, "damping": 0.3}),
    ("mlp", "DampedAdamW", 0.01, 0.25, 60, {"beta_1": 0.97, "eps": 1e-3, "damping": 0.3}),
]

# A few of each kind, for variants whose every run costs seconds (compilers).
ESSENTIAL = {
    "alpha=0.5 beta=0.1 lr=0.1/(k+1)^0.0 s=1.0",
    "alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.5 s=1.0",
    "alpha=0.5 beta=1.0 lr=0.2/(k+1)^0.25 s=1.0",
    "alpha lr = 1",
    "weight decay",
    "mlp alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.25 s=1.0",
    "INNAprop, its paper's",
    "INNAprop, damping 0.3",
    "INNAprop, the authors' weight decay",
    "mlp INNAprop alpha=3.0 beta=0.1 lr=0.03/(k+1)^0.25",
    "DampedSGD, Nesterov",
    "DampedSGD, damping 0.3",
    "DampedSGD, edits",
    "DampedAdamW, a long memory",
    "DampedAdamW, edits",
    "mlp DampedAdamW",
}


REFERENCES: dict[str, Any] = {
    "INDIAN": ReferenceINDIAN,
    "INNAprop": ReferenceINNAprop,
    "DampedSGD": ReferenceDampedSGD,
    "DampedAdamW": ReferenceDampedAdamW,
}


class Oracle(ReferenceINNAprop):
    """INNAprop by equation (11) on the scaled gradient: the same map, without its 0/0."""

    advance = staticmethod(phase_space.step)


@functools.cache
def problem_by_name(name: str) -> problems.Problem:
    """Return the problem, the real data ones on scikit-learn's digits."""
    make = getattr(problems, name)
    if name in {"logistic_regression", "mlp"}:
        images, labels = load_digits(return_X_y=True)
        return make(images / 16, labels)  # type: ignore[no-any-return]
    return make()  # type: ignore[no-any-return]


def reference(case: dict[str, Any], theta_0: Any) -> Any:
    """Return the reference optimizer of a case."""
    form = {"as_keras": True} if case.get("as_keras") else {}
    return REFERENCES[case["method"]](theta_0, **case["hyperparameters"], **form)


def _case(
    name: str, lr: float, power: float, steps: int, method: str = "INDIAN", **hyperparameters: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "essential": name in ESSENTIAL,
        "method": method,
        "hyperparameters": hyperparameters,
        "lr": lr,
        "power": power,
        # Written out, so that no adapter is blamed for another machine's pow().
        "lrs": [float(power_decay(k, lr, power)) for k in range(steps)],
    }


def _title(alpha: float, beta: float, speed: float, lr: float, power: float) -> str:
    return f"alpha={alpha} beta={beta} lr={lr}/(k+1)^{power} s={speed}"


def _lists(arrays: Sequence[Any]) -> list[Any]:
    return [np.asarray(array, np.float64).tolist() for array in arrays]


def _checkpoints(points: Iterator[Any], steps: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"step": k, "theta": _lists(theta), "hidden": _lists(hidden)}
        for k, (theta, hidden) in enumerate(points, start=1)
        if k in steps
    ]


def _open_cases() -> Iterator[dict[str, Any]]:
    for (alpha, beta), (lr, power) in itertools.product(PAPER_PAIRS, PAPER_STEPS):
        for speed in dict.fromkeys([1.0, beta]):
            title = _title(alpha, beta, speed, lr, power)
            found = {"alpha": alpha, "beta": beta, "initial_speed": speed}
            yield _case(title, lr, power, OPEN_STEPS, **found)
    for name, alpha, beta, lr, power, decay in SPECIAL:
        found = {"alpha": alpha, "beta": beta, "initial_speed": 1.0, "weight_decay": decay}
        yield _case(name, lr, power, OPEN_STEPS, **found)
    for method, rows in ROWS.items():
        for name, *values, lr, power in rows:
            # The numbers that a row leaves out are the defaults.
            found = dict(zip(NUMBERS[method], values, strict=False))
            case = _case(name, lr, power, OPEN_STEPS, method, **found)
            if name in EDITS:
                case["edits"] = EDITS[name]
                case["lrs"][20] = 0.0
            yield from _forms(case)


def _forms(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a case of SGD in its two forms, another as it is."""
    if case["method"] != "DampedSGD":
        return [case]
    return [case | {"as_keras": each} for each in (False, True)]


def _oracle(case: dict[str, Any], theta_0: Sequence[Any], gradients: Any) -> Iterator[Any]:
    """Yield a case's points in rational arithmetic; in extended precision if there is a root."""
    rational = case["method"] in ("INDIAN", "DampedSGD")
    array = exact if rational else functools.partial(np.asarray, dtype=np.longdouble)
    number = exact if rational else np.longdouble

    def of(numbers: dict[str, Any]) -> dict[str, Any]:
        return {k: number(v) if isinstance(v, float) else v for k, v in numbers.items()}

    method = Oracle if case["method"] == "INNAprop" else REFERENCES[case["method"]]
    form = {"as_keras": True} if case.get("as_keras") else {}
    optimizer = method(list(map(array, theta_0)), **of(case["hyperparameters"]), **form)
    return open_loop(
        optimizer,
        [list(map(array, v)) for v in gradients],
        [number(lr) for lr in case["lrs"]],
        {k: of(numbers) for k, numbers in case.get("edits", {}).items()},
    )


def open_loop_trajectories() -> dict[str, Any]:
    """Return the open-loop file's content."""
    random = np.random.default_rng(2019)
    shapes: list[tuple[int, ...]] = [(3,), (2, 2), ()]

    def dyadic(shape: tuple[int, ...]) -> Any:
        return np.array(random.integers(-512, 513, shape) / 256)

    theta_0 = [dyadic(shape) for shape in shapes]
    gradients = [[dyadic(shape) for shape in shapes] for _ in range(OPEN_STEPS)]
    return {
        "theta_0": _lists(theta_0),
        "gradients": [_lists(v) for v in gradients],
        "trajectories": [
            case
            | {"checkpoints": _checkpoints(_oracle(case, theta_0, gradients), OPEN_CHECKPOINTS)}
            for case in _open_cases()
        ],
    }


def closed_loop_trajectories() -> dict[str, Any]:
    """Return the closed-loop file's content."""
    cases = []
    for name, alpha, beta, speed, lr, power, steps in CLOSED:
        title = f"{name} {_title(alpha, beta, speed, lr, power)}"
        found = {"alpha": alpha, "beta": beta, "initial_speed": speed}
        cases.append(_case(title, lr, power, steps, **found) | {"problem": name})
    for name, alpha, beta, sigma, eps, lr, power, steps in CLOSED_INNAPROP:
        title = f"{name} INNAprop alpha={alpha} beta={beta} lr={lr}/(k+1)^{power}"
        found = {"alpha": alpha, "beta": beta, "sigma": sigma, "eps": eps, "weight_decay": 0.0}
        cases.append(_case(title, lr, power, steps, "INNAprop", **found) | {"problem": name})
    for name, method, lr, power, steps, found in CLOSED_DAMPED:
        found = found | ({"weight_decay": 0.0} if method == "DampedAdamW" else {})
        case = _case(f"{name} {method}", lr, power, steps, method, **found) | {"problem": name}
        cases += _forms(case)
    for case in cases:
        problem = problem_by_name(case["problem"])
        optimizer = reference(case, problem.theta_0)
        steps = len(case["lrs"])
        points = closed_loop(optimizer, problem, case["lrs"])
        case["theta_0"] = _lists(problem.theta_0)
        case["checkpoints"] = _checkpoints(points, [1, steps // 2, steps])
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
