"""A checkpoint of the authors' PyTorch code goes on as their run would have."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import indian_core
from indian_core.testing import ReferenceINNAprop
from indian_torch import INDIAN, INNAprop, load_authors_state_dict
from tests.on_torch.runs import IMPLEMENTATIONS, advance, parameters, tensors


class Theirs:
    """Their run: eq. (11) from rest, with weight decay on θ alone and lr/(step + 1)^decaypower."""

    def __init__(self, theta: list[torch.Tensor], **group: Any) -> None:
        self.theta = theta
        self.group = {"lr": 0.1, "alpha": 0.5, "beta": 0.2, "decaypower": 0.0, "weight_decay": 0.0}
        self.group.update(group)
        self.state: list[dict[str, Any]] = [{"step": 0} for _ in theta]

    def step(self, k: int) -> None:
        alpha, beta = self.group["alpha"], self.group["beta"]
        grads = tensors(k + 1, [t.shape for t in self.theta])
        for theta, state, grad in zip(self.theta, self.state, grads, strict=True):
            lr = self.group["lr"] / (state["step"] + 1) ** self.group["decaypower"]
            psi = state.get("psi", (1 - alpha * beta) * theta)
            decay = lr * self.group["weight_decay"] * theta
            theta[...], state["psi"] = indian_core.step(theta, psi, grad, lr, alpha, beta)
            theta.sub_(decay)
            state["step"] += 1

    def state_dict(self) -> dict[str, Any]:
        numbers = list(range(len(self.theta)))
        return {
            "state": dict(zip(numbers, copy.deepcopy(self.state), strict=True)),
            "param_groups": [{**self.group, "params": numbers}],
        }


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "group",
    [
        {},
        {"decaypower": 0.5},
        {"weight_decay": 0.3},
        {"alpha": 0.1, "beta": 1.3, "lr": 0.7, "weight_decay": 0.05, "decaypower": 0.25},
    ],
)
@pytest.mark.parametrize("interruption", [0, 1, 6])
def test_their_run_goes_on(interruption: int, group: dict[str, Any], implementation: str) -> None:
    theirs = Theirs([param.detach().clone() for param in parameters()], **group)
    for k in range(interruption):
        theirs.step(k)
    params = [torch.nn.Parameter(theta.clone()) for theta in theirs.theta]
    optimizer = INDIAN(params, **IMPLEMENTATIONS[implementation])
    scheduler = load_authors_state_dict(optimizer, theirs.state_dict())
    assert (scheduler is None) == (theirs.group["decaypower"] == 0)
    for k in range(interruption, 12):
        theirs.step(k)
        for param, grad in zip(params, tensors(k + 1, [p.shape for p in params]), strict=True):
            param.grad = grad
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    for param, theta, state in zip(params, theirs.theta, theirs.state, strict=True):
        torch.testing.assert_close(param.detach(), theta, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(optimizer.psi(param), state["psi"], rtol=1e-12, atol=1e-12)


def broken(**changes: Any) -> dict[str, Any]:
    theirs = Theirs([param.detach().clone() for param in parameters([(3,), (2, 2)])])
    theirs.step(0)
    state_dict = theirs.state_dict()
    for path, value in changes.items():
        *keys, last = path.split("__")
        target: Any = state_dict
        for key in keys:
            target = target[int(key) if key.isdigit() else key]
        if value is None:
            del target[int(last) if last.isdigit() else last]
        else:
            target[int(last) if last.isdigit() else last] = value
    return state_dict


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"state": None}, ValueError, "loaded state dict has no 'state'"),
        ({"param_groups__0__params": [0]}, ValueError, "parameter groups of \\[2\\] parameters"),
        ({"param_groups__0__decaypower": None}, ValueError, "no 'decaypower'"),
        ({"param_groups__0__beta": 0.0}, ValueError, "Invalid beta: 0.0"),
        ({"param_groups__0__lr": "x"}, TypeError, "Invalid learning rate"),
        ({"state__1__exp_avg": torch.ones(3)}, ValueError, "parameter 1: expected step and psi"),
        ({"state__1__psi": torch.ones(3)}, ValueError, "parameter 1: psi should be \\(2, 2\\)"),
        ({"state__1__psi": torch.ones(2, 2) + 1j}, ValueError, "parameter 1: psi should be real"),
        ({"state__1__psi": torch.eye(2).to_sparse()}, ValueError, "parameter 1: psi .* be dense"),
        ({"state__1__psi": 1.0}, ValueError, "parameter 1: psi should be a Tensor, not float"),
        ({"state__9": {"step": 1}}, ValueError, "a state for parameter 9"),
        ({"param_groups__0__lr": torch.ones(2)}, ValueError, "Tensor lr must be 1-element"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    optimizer = INDIAN(parameters([(3,), (2, 2)]))
    advance(optimizer, [0.1])
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=words):
        load_authors_state_dict(optimizer, broken(**changes))
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)


def test_what_is_nothing_of_the_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="loaded state dict has no 'state'"):
        load_authors_state_dict(INDIAN(parameters()), {"foo": 1})
    sgd = torch.optim.SGD(parameters([(3,), (2, 2)]))
    with pytest.raises(TypeError, match="optimizer should be an INDIAN or INNAprop, not SGD"):
        load_authors_state_dict(sgd, broken())  # type: ignore[arg-type]


def test_their_lr_may_be_a_tensor() -> None:
    optimizer = INDIAN(parameters([(3,), (2, 2)]))
    lr = torch.tensor([0.25])
    scheduler = load_authors_state_dict(
        optimizer, broken(param_groups__0__lr=lr, param_groups__0__decaypower=0.5)
    )
    assert scheduler is not None
    assert scheduler.get_last_lr() == [0.25 * 2**-0.5]
    assert lr == 0.25


def test_groups_of_different_decaypowers_are_refused() -> None:
    first, second = parameters([(3,), (2, 2)])
    optimizer = INDIAN([{"params": [first]}, {"params": [second]}])
    state_dict = broken()
    one, other = dict(state_dict["param_groups"][0]), dict(state_dict["param_groups"][0])
    one.update(params=[0], decaypower=0.5)
    other.update(params=[1], decaypower=0.25)
    state_dict["param_groups"] = [one, other]
    with pytest.raises(ValueError, match=r"the decaypowers \[0.5, 0.25\]"):
        load_authors_state_dict(optimizer, state_dict)


class TheirINNAprop:
    """Their run of INNAprop: the published recursion, decay on θ alone, before the step."""

    def __init__(self, theta: list[torch.Tensor], **group: Any) -> None:
        self.group = {"lr": 0.05, "alpha": 0.5, "beta": 0.2, "sigma": 0.9, "eps": 1e-8}
        self.group |= {"weight_decay": 0.0, "maximize": False, "capturable": False, **group}
        names = ("alpha", "beta", "sigma", "eps", "weight_decay")
        numbers: Any = {name: self.group[name] for name in names}
        self.run = ReferenceINNAprop(
            [t.numpy() for t in theta], **numbers, authors_weight_decay=True
        )
        self.steps = 0

    def step(self, k: int) -> None:
        sign = -1 if self.group["maximize"] else 1
        grads = tensors(k + 1, [t.shape for t in self.run.theta])
        self.run.step([sign * grad.numpy() for grad in grads], self.group["lr"])
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        assert self.run.psi is not None
        numbers = range(len(self.run.theta))
        states = {
            i: {
                "step": torch.tensor(float(self.steps)),
                "psi": torch.tensor(self.run.psi[i]),
                "exp_avg_sq": torch.tensor(self.run.squares[i]),
            }
            for i in numbers
        }
        groups = [{**self.group, "params": list(numbers)}]
        return {"state": states if self.steps else {}, "param_groups": groups}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("group", [{}, {"weight_decay": 0.3}, {"maximize": True, "alpha": 2.0}])
@pytest.mark.parametrize("interruption", [0, 1, 6])
def test_their_innaprop_goes_on(
    interruption: int, group: dict[str, Any], implementation: str
) -> None:
    shapes = [(5,), (3, 4)]
    theirs = TheirINNAprop([param.detach().clone() for param in parameters(shapes)], **group)
    for k in range(interruption):
        theirs.step(k)
    params = [torch.nn.Parameter(torch.tensor(theta)) for theta in theirs.run.theta]
    optimizer = INNAprop(params, **IMPLEMENTATIONS[implementation])
    assert load_authors_state_dict(optimizer, theirs.state_dict()) is None
    assert optimizer.param_groups[0]["authors_weight_decay"]
    for k in range(interruption, 12):
        theirs.step(k)
        advance(optimizer, [theirs.group["lr"]], first=k)
    assert theirs.run.psi is not None
    for param, theta, psi in zip(params, theirs.run.theta, theirs.run.psi, strict=True):
        torch.testing.assert_close(param.detach(), torch.tensor(theta), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(optimizer.psi(param), torch.tensor(psi), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp_avg_sq": None}, "parameter 1: expected step and psi and exp_avg_sq, got"),
        ({"step": None}, "parameter 1: expected step and psi and exp_avg_sq, got"),
        ({"exp_avg_sq": torch.ones(3, 4, device="meta")}, "should have numbers, but is on meta"),
        ({"exp_avg_sq": torch.ones(2)}, r"exp_avg_sq should be \(3, 4\), but is \(2,\)"),
        ({"exp_avg_sq": -torch.ones(3, 4)}, "exp_avg_sq has negative numbers"),
        ({"exp_avg": torch.ones(3, 4)}, "parameter 1: expected step and psi and exp_avg_sq, got"),
        ({"step": 0.5}, "step should be a whole number"),
        ({"psi": torch.ones(3)}, r"parameter 1: psi should be \(3, 4\)"),
        ({"sigma": None}, "no 'sigma'"),
    ],
)
def test_what_is_no_innaprop_of_theirs_is_refused(changes: dict[str, Any], words: str) -> None:
    theirs = TheirINNAprop([param.detach().clone() for param in parameters([(5,), (3, 4)])])
    theirs.step(0)
    state_dict = theirs.state_dict()
    for name, value in changes.items():
        target = state_dict["param_groups"][0] if name == "sigma" else state_dict["state"][1]
        target[name] = value
        if value is None:
            del target[name]
    optimizer = INNAprop(parameters([(5,), (3, 4)]))
    advance(optimizer, [0.1])
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=words):
        load_authors_state_dict(optimizer, state_dict)
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)
