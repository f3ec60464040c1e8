"""State dicts: what they hold, what is refused, and that nothing has happened then."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from indian_torch import INDIAN
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    LRS,
    METHODS,
    advance,
    assert_close,
    assert_same_run,
    copy_params,
    parameters,
    params_of,
)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_resumed_run_of_16_bit_parameters_is_the_unbroken_one(
    dtype: torch.dtype, method: Any
) -> None:
    """The other dtypes: tests/conformance."""
    unbroken, broken, resumed = (method(parameters(dtype=dtype)) for _ in range(3))
    advance(unbroken, LRS)
    advance(broken, LRS[:3])
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    file.seek(0)
    copy_params(broken, resumed)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    advance(resumed, LRS[3:], first=3)
    assert_same_run(resumed, unbroken, 0)


def test_the_loaded_tensors_stay_the_users(method: Any) -> None:
    one, other = method(parameters()), method(parameters())
    advance(one, LRS)
    state_dict = one.state_dict()
    before = copy.deepcopy(state_dict)
    other.load_state_dict(state_dict)
    advance(other, LRS)
    assert_close(state_dict, before, 0)


@pytest.mark.parametrize(
    ("saved", "loaded", "expected"),
    [
        (torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float16, torch.float32),
    ],
)
def test_the_momentum_keeps_its_dtype_and_takes_the_layout(
    saved: torch.dtype, loaded: torch.dtype, expected: torch.dtype, method: Any
) -> None:
    one, other = method(parameters(dtype=saved)), method(parameters(dtype=loaded))
    image = params_of(other)[2]
    image.data = image.data.to(memory_format=torch.channels_last)
    advance(one, LRS)
    other.load_state_dict(one.state_dict())
    for mine, theirs in zip(one.state.values(), other.state.values(), strict=True):
        assert theirs["momentum_buffer"].dtype == expected
        assert torch.equal(mine["momentum_buffer"].to(expected), theirs["momentum_buffer"])
    buffer = other.state[image]["momentum_buffer"]
    assert buffer.is_contiguous(memory_format=torch.channels_last)


Change = Callable[[dict[str, Any]], Any]


def in_group(**numbers: Any) -> Change:
    return lambda state_dict: state_dict["param_groups"][0].update(numbers)


def in_state(**entries: Any) -> Change:
    return lambda state_dict: state_dict["state"][1].update(entries)


COMMON: list[tuple[Change, type[Exception], str]] = [
    (lambda s: s.pop("state"), KeyError, "state"),
    (lambda s: s.pop("param_groups"), KeyError, "param_groups"),
    (lambda s: s["param_groups"].pop(), ValueError, "parameter groups"),
    (lambda s: s["param_groups"][0]["params"].pop(), ValueError, "size"),
    (lambda s: s["param_groups"][0].pop("lr"), ValueError, "lr"),
    (in_group(weight_decay=-1.0), ValueError, "weight_decay"),
    (in_state(momentum_buffer=torch.ones(4, 3)), ValueError, "momentum_buffer"),
    (in_state(momentum_buffer=1.0), ValueError, "momentum_buffer"),
    (in_state(momentum_buffer=torch.ones(3, 4) + 1j), ValueError, "momentum_buffer"),
    (in_state(psi=torch.ones(3, 4)), ValueError, "psi"),
]
# What only some methods have in a group or a state.
OTHERS: list[tuple[str, Change, str]] = [
    ("buffer_scale", in_group(buffer_scale=-1.0), "buffer_scale"),
    ("exp_avg_sq", in_state(exp_avg_sq=torch.ones(4, 3)), "exp_avg_sq"),
    ("step", in_state(step=-1), "step"),
    ("step", in_state(step=float("nan")), "step"),
    ("scale", in_state(scale=float("nan")), "scale"),
]
CASES = [(method, *case) for method in METHODS for case in COMMON] + [
    (method, change, ValueError, words)
    for method in METHODS
    for name, change, words in OTHERS
    if name in method.entries or (name == "buffer_scale" and "scale" not in method.entries)
]


@pytest.mark.parametrize(("method", "change", "error", "words"), CASES)
def test_a_wrong_state_dict_is_refused_before_anything_changes(
    method: Any, change: Change, error: type[Exception], words: str
) -> None:
    optimizer = method(parameters())
    advance(optimizer, LRS)
    state_dict = copy.deepcopy(optimizer.state_dict())
    change(state_dict)
    advance(optimizer, LRS)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=words):
        optimizer.load_state_dict(state_dict)
    assert_close(optimizer.state_dict(), before, 0)


def test_a_real_buffer_for_a_complex_parameter_is_refused(method: Any) -> None:
    optimizer = method(parameters([(3,)], torch.complex128))
    advance(optimizer, LRS[:2])
    state_dict = copy.deepcopy(optimizer.state_dict())
    before = copy.deepcopy(state_dict)
    for name in {"momentum_buffer", "exp_avg_sq"} & state_dict["state"][0].keys():
        changed = copy.deepcopy(state_dict)
        changed["state"][0][name] = changed["state"][0][name].real.clone()
        with pytest.raises(ValueError, match=name):
            optimizer.load_state_dict(changed)
        assert_close(optimizer.state_dict(), before, 0)


def test_a_tensor_scale_divides_as_a_float_does(paper_method: Any, options: dict[str, Any]) -> None:
    """State dicts that torch.distributed made hold tensors, whatever went in."""
    start = paper_method(parameters(), beta=0.2, **IMPLEMENTATIONS["fused"])
    advance(start, LRS[:3])
    runs = []
    for convert in (float, lambda scale: torch.tensor(scale, dtype=torch.float64).reshape(1)):
        state_dict = copy.deepcopy(start.state_dict())
        for state in state_dict["state"].values():
            assert state["scale"] not in (0, 1)
            state["scale"] = convert(state["scale"])
        state_dict["param_groups"][0] |= {"fused": None, **options}
        runs.append(paper_method(parameters()))
        runs[-1].load_state_dict(state_dict)
        advance(runs[-1], LRS[3:], first=3)
    assert_same_run(*runs)


def test_what_a_user_keeps_in_a_state_is_kept(options: dict[str, Any]) -> None:
    def start() -> INDIAN:
        optimizer = INDIAN(parameters(), initial_speed=1.0, **options)
        for param in params_of(optimizer):
            optimizer.state[param]["seen"] = 3  # before the first step
        return optimizer

    one, other, plain = start(), start(), INDIAN(parameters(), initial_speed=1.0, **options)
    assert_close(other.energy(1.0), plain.energy(1.0), 0)
    advance(one, LRS[:3])
    one.state[params_of(one)[1]]["note"] = torch.ones(2)
    other.load_state_dict(one.state_dict())
    assert {state["seen"] for state in other.state.values()} == {3}
    assert torch.equal(other.state[params_of(other)[1]]["note"], torch.ones(2))
    copy_params(one, other)
    advance(other, LRS[3:], first=3)
    advance(plain, LRS)
    assert_same_run(other, plain, 0)


def test_the_users_hooks_see_and_change_what_is_loaded(method: Any) -> None:
    one, other = method(parameters()), method(parameters())
    advance(one, LRS)
    seen: list[torch.dtype] = []

    def renamed(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
        return {**state_dict, "state": state_dict["state"]["nested"]}

    other.register_load_state_dict_pre_hook(renamed)
    other.register_load_state_dict_post_hook(
        lambda o: seen.extend(state["momentum_buffer"].dtype for state in o.state.values())
    )
    state_dict = one.state_dict()
    other.load_state_dict({**state_dict, "state": {"nested": state_dict["state"]}})
    assert len(seen) == len(state_dict["state"])


def test_an_older_state_gets_the_later_options(method: Any) -> None:
    optimizer = method(parameters())
    advance(optimizer, LRS)
    state = optimizer.__getstate__()
    for name in ("stochastic_rounding", "fused", "capturable", "maximize"):
        del state["param_groups"][0][name]
    other = method.__new__(method)
    other.__setstate__(state)
    assert other.param_groups[0]["stochastic_rounding"] is False
    advance(other, LRS)
