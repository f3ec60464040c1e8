"""Without any one of PyTorch's private names the steps are the same."""

from __future__ import annotations

import ast
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import indian_torch
from indian_torch import INDIAN, _private
from indian_torch.step import fused, pieces
from tests.on_torch.runs import METHODS, advance, assert_same_run, parameters

OPTIMIZER = importlib.import_module("torch.optim.optimizer")

Remove = Callable[[pytest.MonkeyPatch], None]


def without(target: Any, *names: str) -> Remove:
    def remove(patch: pytest.MonkeyPatch) -> None:
        for name in names:
            patch.delattr(target, name, raising=False)

    return remove


def another(target: Any, name: str, function: Callable[..., Any]) -> Remove:
    """Put something in the place of a kernel."""
    return lambda patch: patch.setattr(target, name, function)


SGD = torch._fused_sgd_
IN_OPTIMIZER = (
    "_default_to_fused_or_foreach",
    "_device_dtype_check_for_fused",
    "_use_grad_for_differentiable",
)
ABSENT: dict[str, Remove] = {name: without(OPTIMIZER, name) for name in IN_OPTIMIZER} | {
    "_accelerator_graph_capture_health_check": without(
        torch.optim.Optimizer,
        "_accelerator_graph_capture_health_check",
        "_cuda_graph_capture_health_check",
    ),
    "_fused_sgd_": without(torch, "_fused_sgd_"),
    "_fused_sgd_ of this signature": another(torch, "_fused_sgd_", lambda *lists, lr: None),
    "_fused_sgd_ of this meaning": another(
        torch, "_fused_sgd_", lambda *lists, lr, **scalars: SGD(*lists, lr=2 * lr, **scalars)
    ),
    "_fused_adamw_": without(torch, "_fused_adamw_"),
    "_foreach_": without(torch, "_foreach_copy_"),
    "_is_zerotensor": lambda patch: patch.setattr(torch.Tensor, "_is_zerotensor", None),
    "TensorGuards": without(torch._C._dynamo.guards, "TensorGuards"),
    "FakeTensor": lambda patch: patch.setitem(
        sys.modules,
        "torch._subclasses.fake_tensor",
        None,  # type: ignore[arg-type]
    ),
}


def probe_anew() -> None:
    fused.kernel_works.cache_clear()
    pieces.kernel_works.cache_clear()
    importlib.reload(_private)


def run(method: Any, dtype: torch.dtype, **options: Any) -> Any:
    optimizer = method(parameters(dtype=dtype), weight_decay=0.1, **options)
    advance(optimizer, [0.3, 0.2, 0.15, 0.1])
    optimizer.load_state_dict(optimizer.state_dict())
    return optimizer


@pytest.fixture(scope="module")
def expected() -> dict[Any, Any]:
    """Return the for-loop's runs, made while every name is there."""
    kinds = itertools.product(METHODS, (torch.float64, torch.float32))
    return {kind: run(*kind, foreach=False) for kind in kinds}


@pytest.fixture
def absent(request: pytest.FixtureRequest, expected: dict[Any, Any]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        ABSENT[request.param](patch)
        probe_anew()
        if request.param in IN_OPTIMIZER:  # torch's own functions need them
            patch.undo()
        yield
    probe_anew()


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("absent", ABSENT, indirect=True)
def test_the_steps_are_the_same(method: Any, expected: dict[Any, Any]) -> None:
    for options in ({"fused": True}, {"foreach": True}, {"capturable": True}):
        found = run(method, torch.float64, **options)
        assert_same_run(found, expected[method, torch.float64])
    found = run(method, torch.float32)  # by the kernel, or what is there for it
    assert_same_run(found, expected[method, torch.float32], 1e-5)


@pytest.mark.parametrize("absent", ["_device_dtype_check_for_fused"], indirect=True)
@pytest.mark.usefixtures("absent")
def test_fused_is_refused_all_the_same() -> None:
    param = nn.Parameter(torch.ones(2) + 1j)
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match="fused=True"):
        INDIAN([param], fused=True).step()


@pytest.mark.parametrize("absent", ["_use_grad_for_differentiable"], indirect=True)
@pytest.mark.parametrize("differentiable", [True, False])
@pytest.mark.usefixtures("absent")
def test_autograd_goes_through_the_step_if_it_is_to(differentiable: bool) -> None:
    class Other(INDIAN):
        @_private.use_grad_for_differentiable
        def step(self, closure: Any = None) -> Any:
            return torch.is_grad_enabled()

    assert Other(parameters(), differentiable=differentiable).step() is differentiable


def private_names(path: Path) -> set[str]:
    """The names with an underscore that a module takes from torch, but for `_foreach_…`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            found |= {alias.name for alias in node.names if alias.name.startswith("_")}
            found |= {part for part in (node.module or "").split(".") if part.startswith("_")}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            theirs = node.value.id in ("torch", "Tensor", "tensor", "param", "grad", "sparse")
            if theirs and node.attr.startswith("_"):
                found.add(node.attr)
    return {name for name in found if not name.startswith("_foreach_")}


def test_they_all_stand_in_one_module() -> None:
    (folder,) = indian_torch.__path__
    modules = {path.name: private_names(path) for path in Path(folder).rglob("*.py")}
    assert modules.pop("_private.py") == {
        "_C",
        "_fused_adamw_",
        "_fused_sgd_",
        "_subclasses",
    }
    assert set().union(*modules.values()) == set()
