"""All or nothing: what cannot be used, in whichever group, is found before anything has moved."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from indian_core import ALPHA, BETA
from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop, PowerDecayLR
from tests.on_torch.runs import IMPLEMENTATIONS, advance, by_the_paper, parameters, tensors


def two_groups(
    implementation: str, dtype: torch.dtype = torch.float32, method: Any = INDIAN, **options: Any
) -> Any:
    groups = [{"params": [param]} for param in parameters([(5,), (3, 4)], dtype)]
    return method(groups, lr=0.3, **IMPLEMENTATIONS[implementation], **options)


def snapshot(optimizer: Any) -> Any:
    params = [param.detach() for group in optimizer.param_groups for param in group["params"]]
    return copy.deepcopy((params, optimizer.state_dict()["state"]))


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("lr", -0.06, ValueError, "learning rate"),
    ("lr", float("nan"), ValueError, "learning rate"),
    ("lr", torch.tensor(-1.0), ValueError, "learning rate"),
    ("lr", torch.ones(2), ValueError, "lr"),
    ("lr", "0.1", TypeError, "learning rate"),
    ("alpha", -1.0, ValueError, "alpha"),
    ("beta", 0.0, ValueError, "beta"),
    ("beta", np.ones(2), TypeError, "beta"),
    ("initial_speed", float("inf"), ValueError, "initial_speed"),
    ("momentum", 1.5, ValueError, "momentum"),
    ("momentum", "0.9", TypeError, "momentum"),
    ("nesterov", 0.5, TypeError, "nesterov"),
    ("dampening", 0.5, ValueError, "dampening"),
    ("betas", 0.9, ValueError, "betas"),
    ("betas", (0.9,), ValueError, "betas"),
    ("betas", (0.5, 0.999), ValueError, "damping"),
    ("betas", (0.9, 1.0), ValueError, "betas"),
    ("amsgrad", True, ValueError, "amsgrad"),
    ("damping", 0.01, ValueError, "damping"),
    ("damping", 1.5, ValueError, "damping"),
    ("eps", -1e-8, ValueError, "eps"),
    ("weight_decay", 10**400, ValueError, "weight_decay"),
    ("maximize", "no", TypeError, "maximize"),
    ("foreach", torch.ones(2), TypeError, "foreach"),
]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(
    ("method", "name", "value", "error", "argument"),
    [
        (method, *case)
        for case in BAD
        for method in (INDIAN, INNAprop, DampedSGD, DampedAdamW)
        if case[0] in method.arguments
    ],
)
@pytest.mark.parametrize("implementation", ["fused", "capturable"])
def test_a_value_in_the_last_group(
    implementation: str,
    name: str,
    value: Any,
    error: type[Exception],
    argument: str,
    begun: bool,
    method: Any,
) -> None:
    optimizer = two_groups(implementation, method=method)
    if begun:
        advance(optimizer, [0.3] * 2)
    calls = []

    def closure() -> float:
        calls.append(1)
        for group in optimizer.param_groups:
            group["params"][0].grad = torch.ones_like(group["params"][0])
        return 1.0

    before = snapshot(optimizer)
    optimizer.param_groups[1][name] = value
    with pytest.raises(error, match=argument):
        optimizer.step(closure)
    assert calls == [1]
    torch.testing.assert_close(snapshot(optimizer), before, rtol=0, atol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_schedule_that_goes_below_zero(implementation: str, method: Any) -> None:
    optimizer = two_groups(implementation, method=method)
    scheduler = LambdaLR(optimizer, [lambda k: 1.0, lambda k: 1 - k / 5])
    for _ in range(6):
        for group in optimizer.param_groups:
            group["params"][0].grad = torch.ones_like(group["params"][0])
        optimizer.step()
        scheduler.step()
    before = snapshot(optimizer)
    with pytest.raises(ValueError, match=r"Invalid learning rate: -0\.0[56]"):
        optimizer.step()
    torch.testing.assert_close(snapshot(optimizer), before, rtol=0, atol=0)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_sparse_gradient_under_coupled_decay_in_the_last_group(
    implementation: str, begun: bool
) -> None:
    optimizer = two_groups(implementation, weight_decay=0.1, decoupled_weight_decay=False)
    if begun:
        advance(optimizer, [0.3])
    param = optimizer.param_groups[1]["params"][0]
    param.grad = torch.ones(3, 4).to_sparse()
    optimizer.param_groups[0]["params"][0].grad = torch.ones(5)
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match="not compatible with sparse gradients"):
        optimizer.step()
    torch.testing.assert_close(snapshot(optimizer), before, rtol=0, atol=0)


def test_fused_for_a_parameter_that_no_kernel_takes_in_the_last_group(method: Any) -> None:
    optimizer = two_groups("fused", method=method)
    optimizer.add_param_group({"params": [torch.ones(2, dtype=torch.complex64)]})
    for group in optimizer.param_groups:
        group["params"][0].grad = torch.ones_like(group["params"][0])
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params"):
        optimizer.step()
    torch.testing.assert_close(snapshot(optimizer), before, rtol=0, atol=0)


NUMBERS: dict[str, Any] = {
    "np.float32": np.float32(0.3),
    "np.float16": np.float16(0.3),
    "np.float64": np.float64(0.3),
    "0-dim array": np.array(0.3, np.float32),
    "Fraction": Fraction(3, 10),
    "np.uint8": np.uint8(1),
    "int": 1,
}
HYPERPARAMETERS = ("lr", "alpha", "beta", "initial_speed", "weight_decay")


def constructed(**values: Any) -> INDIAN:
    return INDIAN(parameters(), **values)


def added(**values: Any) -> INDIAN:
    optimizer = INDIAN([torch.ones(1, requires_grad=True)])
    optimizer.add_param_group({"params": parameters(), **values})
    del optimizer.param_groups[0]
    return optimizer


def assigned(**values: Any) -> INDIAN:
    optimizer = INDIAN(parameters())
    optimizer.param_groups[0].update(values)
    return optimizer


def loaded(**values: Any) -> INDIAN:
    optimizer = INDIAN(parameters())
    state_dict = optimizer.state_dict()
    state_dict["param_groups"][0].update(values)
    optimizer.load_state_dict(state_dict)
    return optimizer


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("way", [constructed, added, assigned, loaded])
@pytest.mark.parametrize("implementation", ["for-loop", "foreach", "fused", "capturable"])
def test_numbers_of_every_type_are_floats(implementation: str, way: Any, number: str) -> None:
    value = NUMBERS[number]
    values = dict.fromkeys(HYPERPARAMETERS, value)
    optimizer = way(**values)
    optimizer.param_groups[0].update(IMPLEMENTATIONS[implementation])
    start = [param.detach().clone() for param in optimizer.param_groups[0]["params"]]
    if way is not assigned:
        for name in HYPERPARAMETERS:
            assert type(optimizer.param_groups[0][name]) is float
    expected = by_the_paper(start, [float(value)] * 5, *[float(value)] * 3, decoupled=float(value))
    params = optimizer.param_groups[0]["params"]
    for k in range(5):
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad
        optimizer.step()
    for param, theta in zip(params, expected[0], strict=True):
        torch.testing.assert_close(param.detach(), theta, rtol=1e-12, atol=1e-12)


def test_numbers_of_every_type_elsewhere() -> None:
    exact = float(np.float32(0.3))
    number = np.float32(0.3)
    optimizer = INDIAN(parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = number
    scheduler = PowerDecayLR(optimizer, np.float32(0.25))
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == [exact * 4**-0.25]
    assert type(scheduler.get_last_lr()[0]) is float

    optimizer = INDIAN(parameters([(2,)]))
    (param,) = optimizer.param_groups[0]["params"]
    optimizer = INDIAN([param])
    optimizer.param_groups[0].update(lr=number, alpha=number, beta=number, initial_speed=number)
    before, param.grad = param.detach().clone(), torch.ones_like(param)
    optimizer.step()
    torch.testing.assert_close(param.detach(), before - exact**2, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "differentiable"])
def test_a_frozen_group_starts_where_it_is_thawed(implementation: str, as_tensor: bool) -> None:
    options = IMPLEMENTATIONS.get(implementation, {"differentiable": True})
    (param,) = parameters([(5,)])
    (theta,), (psi,) = by_the_paper([param], [0.1] * 4, ALPHA, BETA, 1.0)
    param.requires_grad_(implementation != "differentiable")  # autograd moves no leaves
    lr: Any = torch.tensor(0.0, dtype=torch.float64) if as_tensor else 0.0
    optimizer = INDIAN([param], lr=lr, initial_speed=1.0, **options)
    for k in range(3):
        param.grad = torch.full((5,), -1000.0 * (k + 1), dtype=torch.float64)
        optimizer.step()
    state = optimizer.state[param]
    assert float(state["scale"]) == 0
    assert not state["momentum_buffer"].any()
    advance(optimizer, [0.1] * 4)
    torch.testing.assert_close(param.detach(), theta, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(optimizer.psi(param), psi, rtol=1e-12, atol=1e-12)


def test_a_hyperparameter_that_was_changed_in_place_is_read_anew() -> None:
    runs = []
    for in_place in (False, True):
        (param,) = parameters([(3,)])
        optimizer = INDIAN([param])
        beta = optimizer.param_groups[0]["beta"] = np.array(0.1)
        for value in (0.2, 0.3):
            if in_place:
                beta[()] = value
            else:
                optimizer.param_groups[0]["beta"] = value
            advance(optimizer, [0.1] * 2)
        runs.append(param.detach())
    assert torch.equal(*runs)
    beta[()] = np.nan
    with pytest.raises(ValueError, match="Invalid beta: nan"):
        optimizer.step()
