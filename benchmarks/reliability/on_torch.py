"""indian_torch: the places that take inputs, and the runs of `drift` and `killed`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import on_torch
from indian_core import METHODS as TABLE
from indian_torch import INDIAN, INNAprop, PowerDecayLR, load_authors_state_dict, suggest_lr
from indian_torch.groups import TENSORS

from . import killed
from .refusals import Trial, followed, given, mangled
from .values import Value, general, usable

VERSIONS = {"torch": torch.__version__}
METHODS: dict[str, Any] = {"INDIAN": INDIAN, "INNAprop": INNAprop}
IMPLEMENTATIONS = ({}, {"foreach": True}, {"foreach": False}, {"fused": True})


def trials() -> Iterator[Trial]:
    """Yield all inputs."""
    values = general() + _tensors()
    for method, make in METHODS.items():
        for value in values:
            for name in TABLE[method]:
                for where, run in _places(make).items():
                    yield _trial(f"{method}, {where}", name, value, run)
                for implementation in IMPLEMENTATIONS:
                    yield _in_mid_run(make, name, value, implementation)
                yield _loaded(make, name, value)
        yield from _state_dicts(make)
    for value in values:
        for name, run in _FUNCTIONS.items():
            yield _trial("functions", name, value, run)
    yield from _authors_state_dicts()


def _tensors() -> list[Value]:
    def value(tensor: torch.Tensor, number: float | None) -> Value:
        return Value(f"tensor {tensor!r}", tensor, number, exact=False)

    return [
        *(value(torch.tensor(x, dtype=torch.float64), x) for x in (0.3, -0.3, math.nan, math.inf)),
        value(torch.tensor([0.25]), 0.25),
        value(torch.tensor([0.1, 0.2]), None),
        value(torch.tensor([]), None),
        value(torch.tensor(1j), None),
    ]


def _run(optimizer: Any) -> list[np.ndarray]:
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.linspace(-1, 1, 3, dtype=torch.float64)
    for _ in range(2):
        optimizer.step()
    return [p.detach().numpy() for group in optimizer.param_groups for p in group["params"]]


def _param() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))


def _places(make: Any) -> dict[str, Callable[[str, Any], Any]]:
    def added(name: str, value: Any) -> Any:
        optimizer = make([_param()])
        optimizer.add_param_group({"params": [_param()], name: value})
        return _run(optimizer)

    return {
        "constructor": lambda name, value: _run(make([_param()], **{name: value})),
        "parameter group": lambda name, value: _run(make([{"params": [_param()], name: value}])),
        "add_param_group": added,
    }


def _suggested(**arguments: Any) -> float:
    theta = torch.ones(2, dtype=torch.float64, requires_grad=True)

    def loss() -> torch.Tensor:
        return (theta**2).sum()

    return suggest_lr(loss, [theta], **arguments).lr


_FUNCTIONS: dict[str, Callable[[str, Any], Any]] = {
    "power": lambda _, value: PowerDecayLR(INDIAN([_param()]), value).get_last_lr(),
    "safety": lambda _, value: _suggested(safety=value),
    "alpha": lambda _, value: _suggested(alpha=value),
    "beta": lambda _, value: _suggested(beta=value),
    "sgd_lr": lambda _, value: _run(INDIAN.from_sgd([_param()], value, 0.5)),
    "momentum": lambda _, value: _run(INDIAN.from_sgd([_param()], 0.1, value)),
    "damping": lambda _, value: _run(INDIAN.from_sgd([_param()], 0.1, 0.9, damping=value)),
    "adam_lr": lambda _, value: _run(INNAprop.from_adam([_param()], value)),
}


def _usable(name: str, value: Value, *, tensors: bool) -> bool | None:
    if isinstance(value.value, torch.Tensor) and not tensors:
        # Both answers are right, because the adapter decides where a tensor may stand for a number.
        return None if usable(name, value.number) else False
    if name in ("initial_speed", "reference_lr", "damping") and value.value is None:
        return True
    return usable(name, value.number)


def _trial(where: str, name: str, value: Value, run: Callable[[str, Any], Any]) -> Trial:
    # (`suggest_lr` takes only numbers, no tensors.)
    can = _usable(name, value, tensors=name in (TENSORS if where != "functions" else ("lr",)))
    if value.number is not None and abs(value.number) > 1e200 and can:
        can = None  # with absurdly large numbers, the run or the limit is not finite
    expected = functools.partial(run, name, value.number) if value.exact else None
    return given(where, name, value, functools.partial(run, name), can, expected=expected)


def _watched(optimizer: Any) -> Callable[[], Any]:
    def watched() -> Any:
        groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        params = [p.detach() for g in optimizer.param_groups for p in g["params"]]
        return params, [p.grad for p in params], groups, optimizer.state_dict()["state"]

    return watched


def _two_groups(make: Any, options: dict[str, Any]) -> Any:
    optimizer = make([{"params": [_param()]}, {"params": [_param(), _param()]}], **options)
    _run(optimizer)
    return optimizer


def _in_mid_run(make: Any, name: str, value: Value, options: dict[str, Any]) -> Trial:
    optimizer = _two_groups(make, options)
    optimizer.param_groups[1][name] = value.value

    def expected() -> Any:
        other = _two_groups(make, options)
        other.param_groups[1][name] = value.number
        return _run(other)

    return given(
        f"{make.__name__}, in mid-run, second group",
        name,
        value._replace(label=f"{value.label}, {options or 'default'}"),
        lambda _: _run(optimizer),
        _usable(name, value, tensors=name in TENSORS),
        expected=expected if value.exact else None,
        watched=_watched(optimizer),
    )


def _loaded(make: Any, name: str, value: Value) -> Trial:
    optimizer = _two_groups(make, {})
    state_dict = _two_groups(make, {}).state_dict()
    state_dict["param_groups"][1][name] = value.value
    return given(
        f"{make.__name__}, load_state_dict, groups",
        name,
        value,
        lambda _: optimizer.load_state_dict(state_dict),
        _usable(name, value, tensors=name in TENSORS),
        watched=_watched(optimizer),
    )


def _bad_entries(entry: Any) -> Iterator[tuple[str, Any]]:
    for other in (None, "x", -1, math.nan, math.inf, 1e300, 1j, [], {}, (), True, object):
        yield repr(other), other
    yield "tensor (2, 2)", torch.ones(2, 2)
    yield "tensor 1j", torch.tensor(1j)
    if isinstance(entry, torch.Tensor):
        yield "the same as integers", entry.long()
        yield "the same, sparse", entry.to_sparse() if entry.ndim else entry[None].to_sparse()
        yield "the same on meta", entry.to("meta")
    if isinstance(entry, float):
        yield "zero", 0.0
        yield "tiny", 5e-324


def _strangers(make: Any) -> Iterator[tuple[str, Any]]:
    for other in (
        *(m for m in METHODS.values() if m is not make),
        torch.optim.Adam,
        torch.optim.SGD,
        torch.optim.Adagrad,
        torch.optim.LBFGS,
    ):
        param = _param()
        optimizer = other([param], lr=0.1)
        param.grad = torch.ones(3, dtype=torch.float64)
        optimizer.step(lambda: torch.tensor(0.0))
        yield f"of {other.__name__}", optimizer.state_dict()
    larger = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = make([larger])
    larger.grad = torch.ones(4, dtype=torch.float64)
    optimizer.step()
    yield "of another model", optimizer.state_dict()
    yield "of no model", {}


def _state_dicts(make: Any) -> Iterator[Trial]:
    for options in IMPLEMENTATIONS:
        good = _two_groups(make, options).state_dict()
        for what, state_dict in (*mangled(good, _bad_entries), *_strangers(make)):
            optimizer = _two_groups(make, options)
            load = functools.partial(optimizer.load_state_dict, state_dict)
            attempt = functools.partial(followed, load, functools.partial(_run, optimizer))
            where = f"{make.__name__}, load_state_dict"
            yield Trial(where, what, attempt, watched=_watched(optimizer))


def _authors_state_dicts() -> Iterator[Trial]:
    group = {"lr": 0.1, "alpha": 0.5, "beta": 0.1, "weight_decay": 0.0, "params": [0]}
    state = {"step": 3, "psi": torch.ones(3)}
    theirs = {
        "INDIAN": (state, group | {"decaypower": 0.5}),
        "INNAprop": (
            state | {"exp_avg_sq": torch.ones(3)},
            group | {"sigma": 0.9, "eps": 1e-8, "maximize": False},
        ),
    }
    for method, (their_state, their_group) in theirs.items():
        good = {"state": {0: their_state}, "param_groups": [their_group]}
        for what, state_dict in mangled(good, _bad_entries):
            optimizer = METHODS[method]([_param()])
            _run(optimizer)
            attempt = functools.partial(load_authors_state_dict, optimizer, state_dict)
            where = f"{method}, load_authors_state_dict"
            yield Trial(where, what, attempt, watched=_watched(optimizer))


def variants() -> dict[str, Callable[..., Any]]:
    """Return the implementations by name. Each starts a trajectory for `drift`."""
    names = ("default", "foreach", "for-loop", "fused")
    starts = [
        functools.partial(on_torch.Trajectory, device="cpu", **options)
        for options in IMPLEMENTATIONS
    ]
    return dict(zip(names, starts, strict=True))


def train(folder: Path, steps: int, announce: Callable[[], None]) -> bytes:
    """Train to the end, from the folder's checkpoint if it has one, and return the weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1)
    )
    optimizer = INDIAN(model.parameters(), lr=0.2, alpha=0.5, beta=0.3)
    scheduler = PowerDecayLR(optimizer, 0.25)
    path = folder / "checkpoint.pt"
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    if path.exists():
        saved = torch.load(path)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["generator"])
    announce()
    for step in range(scheduler.last_epoch, steps):
        x = torch.randn(32, 8)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
        scheduler.step()
        if step % 7 == 0:
            saved = {name: part.state_dict() for name, part in parts.items()}
            saved["generator"] = torch.get_rng_state()
            killed.write(path, lambda file, saved=saved: torch.save(saved, file))
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())
