"""What torch.optim promises of an optimizer."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN, INNA, PowerDecayLR
from tests.on_torch.runs import (
    LRS,
    advance,
    assert_close,
    assert_same_run,
    parameters,
    params_of,
    tensors,
    with_arguments,
)

DECAYS = with_arguments({}, {"decoupled_weight_decay": False}, {"authors_weight_decay": True})


@pytest.mark.parametrize(("method", "given"), DECAYS, ids=str)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_rate_that_is_a_tensor_is_what_it_holds_at_the_step(
    shape: tuple[int, ...], method: Any, given: dict[str, Any], options: dict[str, Any]
) -> None:
    lr = torch.full(shape, 0.1, dtype=torch.float64)
    given = given | options | {"weight_decay": 0.2}
    first, second = method(parameters(), 0.1, **given), method(parameters(), lr, **given)
    for k in range(6):
        lr.mul_(0.9)
        first.param_groups[0]["lr"] = lr.item()
        for optimizer in (first, second):
            for param, gradient in zip(params_of(optimizer), tensors(k), strict=True):
                param.grad = gradient
            optimizer.step()
    assert_same_run(first, second)
    assert second.param_groups[0]["lr"] is lr


@pytest.mark.parametrize("number", [np.float32(0.3), np.array(0.3), Fraction(3, 10), 1], ids=repr)
def test_numbers_of_every_type_are_floats(number: Any) -> None:
    names = ("lr", "alpha", "beta", "initial_speed", "weight_decay")
    numbers = dict.fromkeys(names, number)
    given = INDIAN(parameters(), **numbers)
    loaded, assigned = INDIAN(parameters()), INDIAN(parameters())
    state_dict = loaded.state_dict()
    state_dict["param_groups"][0].update(numbers)
    loaded.load_state_dict(state_dict)
    for optimizer in (given, loaded):
        assert {type(optimizer.param_groups[0][name]) for name in names} == {float}
    assigned.param_groups[0].update(numbers)
    plain = INDIAN(parameters(), **dict.fromkeys(names, float(number)))
    for k in range(3):
        for optimizer in (plain, given, loaded, assigned):
            for param, gradient in zip(params_of(optimizer), tensors(k), strict=True):
                param.grad = gradient
            optimizer.step()
            assert_same_run(optimizer, plain, 0)


def test_a_number_that_was_changed_in_place_is_read_anew() -> None:
    one, other = INDIAN(parameters()), INDIAN(parameters())
    one.param_groups[0]["beta"] = beta = np.array(0.1)
    for k, value in enumerate((0.2, 0.3)):
        beta[()] = other.param_groups[0]["beta"] = value
        advance(one, [0.1], first=k)
        advance(other, [0.1], first=k)
    assert_same_run(one, other, 0)
    beta[()] = np.nan
    with pytest.raises(ValueError, match="beta"):
        one.step()


def test_schedules_in_float32_are_exact() -> None:
    optimizer = INDIAN(parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = np.float32(0.3)
    scheduler = PowerDecayLR(optimizer, np.float32(0.25))
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == [float(np.float32(0.3)) * 4**-0.25]
    assert type(scheduler.get_last_lr()[0]) is float


def test_a_closure_and_hooks(method: Any) -> None:
    calls: list[str] = []
    (param,) = parameters([(3,)])
    optimizer = method([param], lr=1e-3)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))

    def closure() -> Tensor:
        calls.append("closure")
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert calls == ["before", "closure", "after"] * 5
    assert optimizer.step() is None


def test_a_step_without_any_gradient_does_nothing(method: Any) -> None:
    optimizer = method(parameters())
    optimizer.step()
    assert_close(params_of(optimizer), parameters(), 0)
    assert not optimizer.state


@pytest.mark.parametrize("capturable", [False, True])
def test_a_first_step_with_no_lr_and_no_gradient_makes_the_state(
    method: Any, capturable: bool
) -> None:
    """torch.distributed.checkpoint makes such a step to see what the state is like."""
    optimizer = method(parameters(), lr=0.0, capturable=capturable)
    for param in params_of(optimizer):
        param.grad = torch.zeros_like(param)
    optimizer.step()
    assert_close(params_of(optimizer), parameters(), 0)
    assert {frozenset(state) for state in optimizer.state.values()} == {frozenset(method.entries)}
    if method is INDIAN:  # an average of squares counts it, as Adam's does
        other = method(parameters(), capturable=capturable)
        for each in (optimizer, other):
            advance(each, [0.1] * 3)
        assert_same_run(optimizer, other)


@pytest.mark.parametrize("implementation", [{"capturable": True}, {"differentiable": True}])
def test_at_a_tensor_rate_of_0_a_run_has_not_begun(implementation: dict[str, Any]) -> None:
    lr = torch.tensor(0.0, dtype=torch.float64)
    params = tensors(0, [(5,)])  # autograd moves no leaves
    optimizer = INDIAN(params, lr=lr, initial_speed=1.0, **implementation)
    other = INDIAN(tensors(0, [(5,)]), initial_speed=1.0)
    for k in range(3):
        params[0].grad = torch.full((5,), -1000.0 * (k + 1), dtype=torch.float64)
        optimizer.step()
    for each in (optimizer, other):
        advance(each, [0.1] * 4)
    assert_same_run(optimizer, other)


def test_a_start_from_rest_is_at_the_beta_that_the_group_has_then(options: dict[str, Any]) -> None:
    late, early = INDIAN(parameters(), **options), INDIAN(parameters(), beta=0.3, **options)
    late.load_state_dict(late.state_dict())
    assert late.param_groups[0]["initial_speed"] is None
    late.param_groups[0]["beta"] = 0.3
    for optimizer in (late, early):
        assert float(optimizer.energy(0.0)) == 0
        advance(optimizer, LRS)
    assert_same_run(late, early, 0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_alike(copied: Callable[[Any], Any], method: Any) -> None:
    optimizer = method(parameters())
    advance(optimizer, [0.3, 0.1])
    other = copied(optimizer)
    for one in (optimizer, other):
        advance(one, [0.25, 0.1], first=2)
    assert params_of(optimizer)[0] is not params_of(other)[0]
    assert_same_run(optimizer, other, 0)


def test_the_aliases_and_the_repr(method: Any) -> None:
    assert INNA is INDIAN
    text = repr(method(parameters(), weight_decay=0.125))
    assert text.startswith(f"{method.__name__} (")
    assert "weight_decay: 0.125" in text


def test_named_parameters(method: Any) -> None:
    model = nn.Linear(2, 1)
    optimizer = method(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    other = copy.deepcopy(optimizer)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize(("method", "given"), DECAYS, ids=str)
def test_autograd_goes_through_steps_and_their_rate(method: Any, given: dict[str, Any]) -> None:
    def steps(theta: Tensor, lr: Any, *gradients: Tensor) -> Tensor:
        param = theta.clone()
        optimizer = method([param], lr, weight_decay=0.2, **given, differentiable=True)
        for gradient in gradients:
            param.grad = gradient
            optimizer.step()
        return param

    theta, *gradients = (each.requires_grad_() for each in tensors(1, [(4,)] * 4))
    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    for lr in (rate, 0.1):
        assert torch.autograd.gradcheck(steps, (theta, lr, *gradients))


@pytest.mark.parametrize(
    ("psi", "error"),
    [
        (torch.ones(4), ValueError),
        (1.0, TypeError),
        (torch.ones(3) + 1j, ValueError),
        (torch.ones(3).to_sparse(), ValueError),
    ],
)
def test_a_psi_that_does_not_fit(psi: Any, error: type[Exception], paper_method: Any) -> None:
    param, other = parameters([(3,), (3,)])
    optimizer = paper_method([param])
    with pytest.raises(error, match="psi"):
        optimizer.set_psi(param, psi)
    with pytest.raises(ValueError, match="parameter"):
        optimizer.psi(other)
    assert not optimizer.state


def test_before_the_first_step_psi_is_that_of_rest(paper_method: Any) -> None:
    (param,) = parameters([(3,)])
    optimizer = paper_method([param], alpha=0.5, beta=0.2)
    assert_close(optimizer.psi(param), 0.9 * param.detach())
