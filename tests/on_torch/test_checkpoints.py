"""State dicts: what they hold, what is refused, and that nothing has happened then."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from indian_torch import INDIAN, INNAprop
from tests.on_torch.runs import IMPLEMENTATIONS, advance, parameters

LRS = [0.3, 0.25, 0.2, 0.15, 0.1, 0.05]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(
    dtype: torch.dtype, implementation: str, method: Any
) -> None:
    def start() -> Any:
        numbers = {"beta": 0.2} if "beta" in method.arguments else {"damping": 0.4}
        return method(parameters(dtype=dtype), **numbers, **IMPLEMENTATIONS[implementation])

    unbroken, broken, resumed = start(), start(), start()
    advance(unbroken, LRS)
    advance(broken, LRS[:3])
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        for mine, theirs in zip(
            resumed.param_groups[0]["params"], broken.param_groups[0]["params"], strict=True
        ):
            mine.copy_(theirs)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    advance(resumed, LRS[3:], first=3)
    for mine, theirs in zip(
        resumed.param_groups[0]["params"], unbroken.param_groups[0]["params"], strict=True
    ):
        assert torch.equal(mine, theirs)
        for name, value in unbroken.state[theirs].items():
            assert torch.equal(torch.as_tensor(resumed.state[mine][name]), torch.as_tensor(value))


def test_the_loaded_tensors_stay_the_users(method: Any) -> None:
    one, other = method(parameters()), method(parameters())
    advance(one, LRS)
    state_dict = one.state_dict()
    before = copy.deepcopy(state_dict)
    other.load_state_dict(state_dict)
    advance(other, LRS)
    torch.testing.assert_close(state_dict, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("saved", "loaded", "expected"),
    [
        (torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float16, torch.float32),
    ],
)
def test_the_momentum_keeps_its_dtype(
    saved: torch.dtype, loaded: torch.dtype, expected: torch.dtype, method: Any
) -> None:
    one, other = method(parameters(dtype=saved)), method(parameters(dtype=loaded))
    advance(one, LRS)
    other.load_state_dict(one.state_dict())
    for mine, theirs in zip(one.state.values(), other.state.values(), strict=True):
        assert theirs["momentum_buffer"].dtype == expected
        assert torch.equal(mine["momentum_buffer"].to(expected), theirs["momentum_buffer"])


def test_the_layout_is_the_parameters(method: Any) -> None:
    one = method(parameters([(2, 3, 4, 4)]))
    (param,) = parameters([(2, 3, 4, 4)])
    other = method([torch.nn.Parameter(param.detach().to(memory_format=torch.channels_last))])
    advance(one, LRS)
    other.load_state_dict(one.state_dict())
    (state,) = other.state.values()
    assert state["momentum_buffer"].is_contiguous(memory_format=torch.channels_last)


def drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(state_dict: dict[str, Any]) -> None:
        target = state_dict
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


def put(*path_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = path_and_value

    def change(state_dict: dict[str, Any]) -> None:
        target = state_dict
        for key in path:
            target = target[key]
        target[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (drop("state"), KeyError, "state"),
        (drop("param_groups"), KeyError, "param_groups"),
        (drop("param_groups", 0), ValueError, "different number of parameter groups"),
        (drop("param_groups", 0, "params", 0), ValueError, "doesn't match the size"),
        (drop("param_groups", 0, "lr"), ValueError, "lr"),
        (put("param_groups", 0, "weight_decay", -1.0), ValueError, "weight_decay"),
        (put("param_groups", 0, "lr", "fast"), TypeError, "learning rate"),
        (put("param_groups", 0, "momentum_dtype", 5), TypeError, "momentum_dtype"),
        (put("param_groups", 0, "buffer_scale", -1.0), ValueError, "buffer_scale"),
        (
            lambda state_dict: state_dict["param_groups"][0].update(foreach=True, fused=True),
            RuntimeError,
            "fused",
        ),
        (put("state", 1, "momentum_buffer", torch.ones(4, 3)), ValueError, "momentum_buffer"),
        (put("state", 1, "momentum_buffer", 1.0), ValueError, "momentum_buffer"),
        (put("state", 1, "momentum_buffer", torch.ones(3, 4) + 1j), ValueError, "momentum_buffer"),
        (put("state", 1, {"psi": torch.ones(3, 4), "step": 1}), ValueError, "psi"),
    ],
)
def test_a_wrong_state_dict_is_refused_before_anything_changes(
    change: Callable[[dict[str, Any]], None], error: type[Exception], words: str, method: Any
) -> None:
    optimizer = method(parameters())
    advance(optimizer, LRS)
    state_dict = copy.deepcopy(optimizer.state_dict())
    change(state_dict)
    advance(optimizer, LRS)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=words):
        optimizer.load_state_dict(state_dict)
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_tensor_scale_divides_as_a_float_does(implementation: str, paper_method: Any) -> None:
    results = []
    for convert in (float, lambda scale: torch.tensor(scale, dtype=torch.float64).reshape(1)):
        optimizer = paper_method(parameters(), beta=0.2, fused=True)
        advance(optimizer, LRS[:3])
        state_dict = copy.deepcopy(optimizer.state_dict())
        assert state_dict["state"][0]["scale"] not in (0, 1)
        for state in state_dict["state"].values():
            state["scale"] = convert(state["scale"])
        for name, value in {"fused": None, **IMPLEMENTATIONS[implementation]}.items():
            state_dict["param_groups"][0][name] = value
        optimizer.load_state_dict(state_dict)
        advance(optimizer, LRS[3:], first=3)
        results.append(optimizer.param_groups[0]["params"])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_a_user_keeps_in_a_state_is_kept(implementation: str) -> None:
    def start() -> INDIAN:
        optimizer = INDIAN(
            parameters(), alpha=0.5, beta=0.1, initial_speed=1.0, **IMPLEMENTATIONS[implementation]
        )
        for param in optimizer.param_groups[0]["params"]:
            optimizer.state[param]["seen"] = 3  # before the first step
        return optimizer

    one, other, early = start(), start(), start()
    advance(one, LRS[:3])
    early.load_state_dict(start().state_dict())
    for optimizer in (early, other):
        assert optimizer.energy(1.0).item() == pytest.approx(2.1)
    one.state[one.param_groups[0]["params"][1]]["note"] = torch.ones(2)
    other.load_state_dict(one.state_dict())
    for state in other.state.values():
        assert state["seen"] == 3
    assert torch.equal(other.state[other.param_groups[0]["params"][1]]["note"], torch.ones(2))
    with torch.no_grad():
        for mine, theirs in zip(
            other.param_groups[0]["params"], one.param_groups[0]["params"], strict=True
        ):
            mine.copy_(theirs)
    for optimizer in (one, other):
        advance(optimizer, LRS[3:], first=3)
    for mine, theirs in zip(
        other.param_groups[0]["params"], one.param_groups[0]["params"], strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("state", 1, "exp_avg_sq", torch.ones(4, 3)), "exp_avg_sq"),
        (put("state", 1, "step", -1), "step"),
        (put("state", 1, "step", float("nan")), "step"),
        (put("state", 1, "scale", float("nan")), "scale"),
    ],
)
def test_a_wrong_scaling_is_refused(change: Callable[[dict[str, Any]], None], words: str) -> None:
    optimizer = INNAprop(parameters())
    advance(optimizer, LRS)
    state_dict = copy.deepcopy(optimizer.state_dict())
    change(state_dict)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state_dict)
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)


def test_the_users_hooks_see_and_change_what_is_loaded(method: Any) -> None:
    one, other = method(parameters()), method(parameters())
    advance(one, LRS)
    seen: list[torch.dtype] = []

    def rename(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
        return {**state_dict, "state": state_dict["state"]["nested"]}

    other.register_load_state_dict_pre_hook(rename)
    other.register_load_state_dict_post_hook(
        lambda optimizer: seen.extend(
            state["momentum_buffer"].dtype for state in optimizer.state.values()
        )
    )
    state_dict = one.state_dict()
    other.load_state_dict({**state_dict, "state": {"nested": state_dict["state"]}})
    assert len(seen) == len(state_dict["state"])


def test_an_older_state_gets_the_later_options(method: Any) -> None:
    optimizer = method(parameters())
    advance(optimizer, LRS)
    state = optimizer.__getstate__()
    for name in ("momentum_dtype", "stochastic_rounding", "fused", "capturable", "maximize"):
        del state["param_groups"][0][name]
    other = method.__new__(method)
    other.__setstate__(state)
    assert other.param_groups[0]["stochastic_rounding"] is False
    advance(other, LRS)
