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

# name, α, β, σ, ε, γ_0, q, λ, whether the decay is the authors'.
INNAPROP = [
    ("INNAprop, its paper's", 0.1, 0.9, 0.999, 1e-8, 0.1, 0.0, 0.0, False),
    ("INNAprop, the other of its paper's", 2.0, 2.0, 0.99, 1e-8, 0.2, 0.5, 0.0, False),
    ("INNAprop at the Adam point", 1.0, 0.19, 0.95, 1e-8, 0.1, 0.0, 0.01, False),
    ("INNAprop, damping 0.3", 1.0, 0.3, 0.99, 1e-8, 0.1, 0.25, 0.1, False),
    ("INNAprop, beta = lr", 0.5, 0.25, 0.99, 1e-8, 0.25, 0.0, 0.0, False),
    ("INNAprop, lr across beta", 0.5, 0.1, 0.99, 1e-8, 0.2, 0.25, 0.0, False),
    ("INNAprop, alpha beta = 1", 2.0, 0.5, 0.9, 1e-8, 0.25, 0.25, 0.1, False),
    ("INNAprop, alpha lr = 1", 4.0, 0.3, 0.9, 1e-8, 0.25, 0.0, 0.0, False),
    ("INNAprop, large epsilon", 0.1, 0.9, 0.9, 0.1, 0.1, 0.0, 0.0, False),
    ("INNAprop, no memory of squares", 0.1, 0.9, 0.0, 0.1, 0.1, 0.0, 0.0, False),
    ("INNAprop, weight decay", 0.1, 0.9, 0.99, 1e-8, 0.1, 0.25, 0.5, False),
    ("INNAprop, the authors' weight decay", 0.1, 0.9, 0.99, 1e-8, 0.1, 0.25, 0.5, True),
]

# name, m, whether Nesterov's, d, lr_0, q.
DAMPED_SGD = [
    ("DampedSGD, no momentum", 0.0, False, None, 0.1, 0.25),
    ("DampedSGD, heavy ball", 0.9, False, None, 0.05, 0.25),
    ("DampedSGD, Nesterov", 0.9, True, None, 0.05, 0.25),
    ("DampedSGD, damping 0.3", 0.9, False, 0.3, 0.05, 0.25),
    ("DampedSGD, a long memory", 0.99, False, 0.3, 0.01, 0.0),
    ("DampedSGD, the least damping", 0.75, False, 0.25, 0.05, 0.0),
    ("DampedSGD, damping 1", 0.5, False, 1.0, 0.1, 0.25),
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

# name, β1, β2, ε, d, λ, lr_0, q.
DAMPED_ADAMW = [
    ("DampedAdamW, damping 0.3", 0.9, 0.99, 1e-8, 0.3, 0.0, 0.02, 0.25),
    ("DampedAdamW, a long memory", 0.99, 0.999, 1e-8, 0.3, 0.1, 0.02, 0.0),
    ("DampedAdamW, the Adam point", 0.9, 0.95, 1e-8, 0.19, 0.01, 0.02, 0.25),
    ("DampedAdamW, the least damping", 0.75, 0.99, 1e-3, 0.25, 0.0, 0.02, 0.25),
    ("DampedAdamW, damping 1", 0.5, 0.99, 1e-3, 1.0, 0.1, 0.05, 0.0),
    ("DampedAdamW, no momentum", 0.0, 0.9, 1e-3, 1.0, 0.1, 0.05, 0.25),
]
ADAMW_EDITS: dict[int, dict[str, Any]] = {
    7: {"beta_1": 0.8},
    15: {"damping": 0.5},
    23: {"beta_1": 0.97, "damping": 0.1},
    31: {"weight_decay": 0.0, "damping": 1.0},
}

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


def _innaprop(
    alpha: float, beta: float, sigma: float, eps: float, decay: float = 0.0, theirs: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {"alpha": alpha, "beta": beta, "sigma": sigma, "eps": eps}
    found["weight_decay"] = decay  # (whose default is not 0)
    return found | ({"authors_weight_decay": True} if theirs else {})


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
            found = {"alpha": alpha, "beta": beta, "initial_speed": speed}
            cases.append(_case(title, lr, power, OPEN_STEPS, **found))
    for name, alpha, beta, lr, power, decay in SPECIAL:
        found = {"alpha": alpha, "beta": beta, "initial_speed": 1.0, "weight_decay": decay}
        cases.append(_case(name, lr, power, OPEN_STEPS, **found))
    for case in cases:
        optimizer = ReferenceINDIAN(
            exact_arrays(theta_0),
            **{name: exact(value) for name, value in case["hyperparameters"].items()},
        )
        points = open_loop(
            optimizer, [exact_arrays(v) for v in gradients], [exact(lr) for lr in case["lrs"]]
        )
        case["checkpoints"] = _checkpoints(points, OPEN_CHECKPOINTS)
    for name, alpha, beta, sigma, eps, lr, power, decay, theirs in INNAPROP:
        values = _innaprop(alpha, beta, sigma, eps, decay, theirs)
        case = _case(name, lr, power, OPEN_STEPS, "INNAprop", **values)
        oracle = Oracle(
            [np.asarray(theta, np.longdouble) for theta in theta_0],
            **{key: np.longdouble(value) for key, value in values.items()},
        )
        points = open_loop(oracle, gradients, [np.longdouble(lr) for lr in case["lrs"]])
        case["checkpoints"] = _checkpoints(points, OPEN_CHECKPOINTS)
        cases.append(case)
    cases += _damped_cases(theta_0, gradients)
    return {
        "theta_0": _lists(theta_0),
        "gradients": [_lists(v) for v in gradients],
        "trajectories": cases,
    }


def _damped_cases(theta_0: Any, gradients: Any) -> list[dict[str, Any]]:
    """Return the open-loop cases of the momentum law, whose SGD has two forms."""
    cases = []
    sgds = [
        (name, {"momentum": m, "nesterov": nesterov, "damping": d}, lr, power, {})
        for name, m, nesterov, d, lr, power in DAMPED_SGD
    ]
    sgds.append(("DampedSGD, edits", {"momentum": 0.9}, 0.05, 0.25, SGD_EDITS))
    for name, numbers, lr, power, edits in sgds:
        for as_keras in (False, True):
            case = _case(name, lr, power, OPEN_STEPS, "DampedSGD", **numbers)
            case |= {"as_keras": as_keras, "edits": edits}
            if edits:
                case["lrs"][20] = 0.0
            optimizer = ReferenceDampedSGD(
                exact_arrays(theta_0), **_exact(numbers), as_keras=as_keras
            )
            points = open_loop(
                optimizer,
                [exact_arrays(v) for v in gradients],
                [exact(lr) for lr in case["lrs"]],
                {k: _exact(each) for k, each in edits.items()},
            )
            case["checkpoints"] = _checkpoints(points, OPEN_CHECKPOINTS)
            cases.append(case)
    adamws = [
        (name, dict(zip(ADAMW_NUMBERS, values, strict=True)), lr, power, {})
        for name, *values, lr, power in DAMPED_ADAMW
    ]
    start = dict(zip(ADAMW_NUMBERS, (0.9, 0.99, 1e-8, 0.3, 0.1), strict=True))
    adamws.append(("DampedAdamW, edits", start, 0.02, 0.25, ADAMW_EDITS))
    for name, numbers, lr, power, edits in adamws:
        case = _case(name, lr, power, OPEN_STEPS, "DampedAdamW", **numbers) | {"edits": edits}
        if edits:
            case["lrs"][20] = 0.0
        wide = {key: np.longdouble(value) for key, value in numbers.items()}
        oracle = ReferenceDampedAdamW([np.asarray(t, np.longdouble) for t in theta_0], **wide)
        points = open_loop(oracle, gradients, [np.longdouble(lr) for lr in case["lrs"]], edits)
        case["checkpoints"] = _checkpoints(points, OPEN_CHECKPOINTS)
        cases.append(case)
    return cases


ADAMW_NUMBERS = ("beta_1", "beta_2", "eps", "damping", "weight_decay")


def _exact(numbers: dict[str, Any]) -> dict[str, Any]:
    """Return numbers as fractions; None and bools stay."""
    return {k: exact(v) if isinstance(v, float) else v for k, v in numbers.items()}


def exact_arrays(arrays: Sequence[Any]) -> list[Any]:
    """Return arrays of Fractions."""
    return [exact(np.asarray(array)) for array in arrays]


def closed_loop_trajectories() -> dict[str, Any]:
    """Return the closed-loop file's content."""
    cases = []
    for name, alpha, beta, speed, lr, power, steps in CLOSED:
        title = f"{name} {_title(alpha, beta, speed, lr, power)}"
        found = {"alpha": alpha, "beta": beta, "initial_speed": speed}
        cases.append(_case(title, lr, power, steps, **found) | {"problem": name})
    for name, alpha, beta, sigma, eps, lr, power, steps in CLOSED_INNAPROP:
        title = f"{name} INNAprop alpha={alpha} beta={beta} lr={lr}/(k+1)^{power}"
        found = _innaprop(alpha, beta, sigma, eps)
        cases.append(_case(title, lr, power, steps, "INNAprop", **found) | {"problem": name})
    for name, method, lr, power, steps, found in CLOSED_DAMPED:
        found = found | ({"weight_decay": 0.0} if method == "DampedAdamW" else {})
        case = _case(f"{name} {method}", lr, power, steps, method, **found) | {"problem": name}
        forms = [{"as_keras": each} for each in (False, True)] if method == "DampedSGD" else [{}]
        cases += [case | form for form in forms]
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
