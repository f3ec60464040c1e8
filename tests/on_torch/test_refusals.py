"""All or nothing: what cannot be used, in whichever group, is found before anything has moved."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop
from tests.on_torch.runs import METHODS, advance, parameters, params_of

# The checks are one for all implementations, but for what one of them keeps of the last step.
KEPT_OR_NOT = pytest.mark.parametrize("options", [{"fused": True}, {"capturable": True}], ids=str)


class Free(nn.Parameter):
    """A parameter whose gradient may be anything, as those of subclasses may."""

    grad: Any = None


def begun(method: Any, kind: type = nn.Parameter, **options: Any) -> Any:
    """Return a run of two groups, whose gradients are there for the next step."""
    tensors = [kind(param.detach()) for param in parameters([(5,), (3, 4)], torch.float32)]
    optimizer = method([{"params": [tensor]} for tensor in tensors], **options)
    advance(optimizer, [0.3] * 2)
    return optimizer


@contextmanager
def unchanged(optimizer: Any) -> Iterator[None]:
    def snapshot() -> Any:
        params = [param.detach().to_dense() for param in params_of(optimizer)]
        return copy.deepcopy((params, optimizer.state_dict()["state"]))

    before = snapshot()
    yield
    torch.testing.assert_close(snapshot(), before, rtol=0, atol=0)


# What only torch's groups can hold. (The numbers of the core's table: tests/conformance.)
BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("lr", torch.tensor(-1.0), ValueError, "learning rate"),
    ("lr", torch.ones(2), ValueError, "lr"),
    ("beta", np.ones(2), TypeError, "beta"),
    ("alpha", None, TypeError, "alpha"),
    ("nesterov", 0.5, TypeError, "nesterov"),
    ("dampening", 0.5, ValueError, "dampening"),
    ("betas", 0.9, ValueError, "betas"),
    ("betas", (0.9,), ValueError, "betas"),
    ("betas", (0.9, 1.0), ValueError, "betas"),
    ("amsgrad", True, ValueError, "amsgrad"),
    ("maximize", "no", TypeError, "maximize"),
    ("foreach", torch.ones(2), TypeError, "foreach"),
    ("authors_weight_decay", "no", TypeError, "authors_weight_decay"),
]
# Two options that exclude each other, in torch's words.
EXCLUDED = [
    ({"fused": True, "foreach": True}, "fused"),
    ({"fused": True, "differentiable": True}, "fused"),
    ({"foreach": True, "differentiable": True}, "foreach"),
]
CASES = [({name: value}, error, argument) for name, value, error, argument in BAD]
CASES += [(given, RuntimeError, argument) for given, argument in EXCLUDED]


@pytest.mark.parametrize(
    ("method", "given", "error", "argument"),
    [(m, *case) for case in CASES for m in METHODS if case[0].keys() <= m.arguments.keys()],
)
def test_a_value_is_refused_wherever_it_comes_from(
    method: Any, given: dict[str, Any], error: type[Exception], argument: str
) -> None:
    with pytest.raises(error, match=argument):
        method(parameters(), **given)
    optimizer = begun(method)
    late: dict[str, Any] = {"params": parameters(), **given}
    keys = list(late)
    with pytest.raises(error, match=argument):
        optimizer.add_param_group(late)
    assert list(late) == keys
    state_dict = copy.deepcopy(optimizer.state_dict())
    state_dict["param_groups"][1].update(given)
    with pytest.raises(error, match=argument), unchanged(optimizer):
        optimizer.load_state_dict(state_dict)
    assert len(optimizer.param_groups) == 2
    optimizer.param_groups[1].update(given)
    calls: list[int] = []
    with pytest.raises(error, match=argument), unchanged(optimizer):
        optimizer.step(lambda: calls.append(1))
    assert calls == [1]


def replaced(data: Callable[[Tensor], Tensor]) -> Callable[[Any, Any], None]:
    """Put other numbers into a parameter, as a model surgery does."""

    def change(param: Any, state: dict[str, Any]) -> None:
        param.grad = None
        param.data = data(param.data)
        param.grad = torch.ones_like(param)

    return change


def gradient(grad: Callable[[Tensor], Tensor]) -> Callable[[Any, Any], None]:
    def change(param: Any, state: dict[str, Any]) -> None:
        param.grad = grad(torch.ones_like(param))

    return change


def momentum(buffer: Tensor) -> Callable[[Any, Any], None]:
    def change(param: Any, state: dict[str, Any]) -> None:
        state["momentum_buffer"] = buffer

    return change


# What is done to the second group's parameter and state, and what the error is about.
MISFITS: dict[str, tuple[Callable[[Any, Any], None], str]] = {
    "transposed": (replaced(lambda t: t.t()), "momentum_buffer"),
    "transposed and copied": (replaced(lambda t: t.t().contiguous()), "momentum_buffer"),
    "flattened": (replaced(lambda t: t.view(-1)), "momentum_buffer"),
    "an axis more": (replaced(lambda t: t[None]), "momentum_buffer"),
    "smaller": (replaced(lambda t: t[:2]), "momentum_buffer"),
    "larger": (replaced(lambda t: torch.ones(6000)), "momentum_buffer"),
    "shared elements": (replaced(lambda t: torch.ones(1).expand(3, 4)), "parameter"),
    "complex gradient": (gradient(lambda g: g + 1j), "gradient"),
    "compressed gradient": (gradient(lambda g: g.to_sparse_csr()), "gradient"),
    "gradient elsewhere": (gradient(lambda g: g.to("meta")), "gradient"),
    "gradient of one number": (gradient(lambda g: g[:1, 0]), "gradient"),
    "momentum of another shape": (momentum(torch.ones(2)), "momentum_buffer"),
    "complex momentum": (momentum(torch.ones(3, 4) + 1j), "momentum_buffer"),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@KEPT_OR_NOT
def test_a_tensor_that_does_not_fit(method: Any, misfit: str, options: dict[str, Any]) -> None:
    change, name = MISFITS[misfit]
    optimizer = begun(method, Free if name == "gradient" else nn.Parameter, **options)
    param = optimizer.param_groups[1]["params"][0]
    change(param, optimizer.state[param])
    with pytest.raises(ValueError, match=f"Invalid {name}"), unchanged(optimizer):
        optimizer.step()


def test_a_real_buffer_of_a_complex_parameter(method: Any) -> None:
    optimizer = method([nn.Parameter(torch.ones(2) + 1j) for _ in range(2)])
    advance(optimizer, [0.1])
    state = optimizer.state[params_of(optimizer)[1]]
    for name in {"momentum_buffer", "exp_avg_sq"} & state.keys():
        before, state[name] = state[name], torch.zeros(2)
        with pytest.raises(ValueError, match=f"Invalid {name}"), unchanged(optimizer):
            optimizer.step()
        state[name] = before


def test_a_sparse_parameter(method: Any) -> None:
    param = Free(torch.eye(3).to_sparse())
    param.grad = param.detach()
    with pytest.raises(ValueError, match="Invalid parameter"):
        method([param]).step()


# Coupled weight decay would make it dense, and so would the mean of its squares.
@pytest.mark.parametrize(
    ("method", "given"),
    [
        (INDIAN, {"weight_decay": 0.1, "decoupled_weight_decay": False}),
        (DampedSGD, {"weight_decay": 0.1}),
        (INNAprop, {}),
        (DampedAdamW, {}),
    ],
)
def test_a_sparse_gradient_that_becomes_dense(
    method: Any, given: dict[str, Any], options: dict[str, Any]
) -> None:
    optimizer = begun(method, **given, **options)
    param = optimizer.param_groups[1]["params"][0]
    param.grad = torch.ones(3, 4).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"), unchanged(optimizer):
        optimizer.step()


@pytest.mark.parametrize("kind", [{"dtype": torch.complex64}, {"device": "meta"}], ids=str)
def test_fused_for_a_parameter_that_no_kernel_takes(method: Any, kind: dict[str, Any]) -> None:
    optimizer = begun(method, fused=True)
    late = nn.Parameter(torch.ones(2, **kind))
    late.grad = torch.ones_like(late)
    optimizer.add_param_group({"params": [late]})
    before = [param.detach().clone() for param in params_of(optimizer)[:2]]
    with pytest.raises(RuntimeError, match="fused=True"):
        optimizer.step()
    assert all(map(torch.equal, params_of(optimizer)[:2], before))


def test_parameters_that_are_none() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        INDIAN([])
    with pytest.raises(TypeError, match="iterable of Tensors"):
        INDIAN(torch.ones(2))
    with pytest.raises(ValueError, match="non-leaf"):
        INDIAN([torch.ones(2, requires_grad=True) * 2])
