"""What torch.optim promises of an optimizer, and its words when it is misused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

from indian_core import ALPHA, BETA, LR
from indian_torch import INDIAN, INNA, DampedSGD, INNAprop
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    advance,
    assert_follows,
    by_the_paper,
    parameters,
    tensors,
)


def one_step(param: torch.Tensor, grad: torch.Tensor, **options: Any) -> INDIAN:
    optimizer = INDIAN([param], **options)
    param.grad = grad
    optimizer.step()
    return optimizer


def test_aliases_and_defaults() -> None:
    assert INNA is INDIAN
    group = INDIAN(parameters()).param_groups[0]
    assert (group["lr"], group["alpha"], group["beta"]) == (LR, ALPHA, BETA)
    assert group["initial_speed"] is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"lr": torch.tensor([0.1, 0.2])}, ValueError, "Tensor lr must be 1-element"),
        ({"lr": torch.tensor(-0.5)}, ValueError, "Invalid learning rate: -0.5"),
        ({"alpha": None}, TypeError, "Invalid alpha: None"),
        ({"momentum_dtype": "float32"}, TypeError, "Invalid momentum_dtype: 'float32'"),
        ({"momentum_dtype": torch.int32}, TypeError, "Invalid momentum_dtype: torch.int32"),
        ({"fused": True, "foreach": True}, RuntimeError, "cannot be `True` together"),
        ({"fused": True, "differentiable": True}, RuntimeError, "`fused` does not support"),
        ({"foreach": True, "differentiable": True}, RuntimeError, "`foreach` does not support"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        INDIAN(parameters(), **options)
    optimizer = INDIAN(parameters())
    with pytest.raises(error, match=words):
        optimizer.add_param_group({"params": parameters(), **options})
    assert len(optimizer.param_groups) == 1


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        INDIAN([])
    with pytest.raises(TypeError, match="iterable of Tensors"):
        INDIAN(torch.ones(2))
    with pytest.raises(ValueError, match="non-leaf"):
        INDIAN([torch.ones(2, requires_grad=True) * 2])


def test_fused_on_a_kind_of_parameter_that_no_kernel_takes() -> None:
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params"):
        one_step(
            torch.nn.Parameter(torch.ones(2, device="meta")),
            torch.ones(2, device="meta"),
            fused=True,
        )
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params"):
        one_step(torch.nn.Parameter(torch.ones(2) + 1j), torch.ones(2) + 1j, fused=True)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_gradients_are_not_changed(implementation: str) -> None:
    param, grad = torch.nn.Parameter(torch.ones(40)), torch.arange(40.0)
    for maximize in (False, True):
        for decoupled in (False, True):
            one_step(
                param,
                grad,
                maximize=maximize,
                weight_decay=0.5,
                decoupled_weight_decay=decoupled,
                **IMPLEMENTATIONS[implementation],
            )
            assert param.grad is grad
            assert torch.equal(grad, torch.arange(40.0))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_groups_with_hyperparameters_of_their_own(implementation: str) -> None:
    first, second = parameters([(3,), (4,)])
    grads = [torch.ones(3).double(), torch.arange(4).double()]
    expected = [first.detach().clone(), second.detach().clone()]
    optimizer = INDIAN([first], lr=0.1, initial_speed=1.0, **IMPLEMENTATIONS[implementation])
    optimizer.add_param_group({"params": [second], "lr": 0.2, "alpha": 0.3, "beta": 0.7})
    for lr, alpha, beta, theta, grad in (
        (0.1, ALPHA, BETA, expected[0], grads[0]),
        (0.2, 0.3, 0.7, expected[1], grads[1]),
    ):
        w = (1 - beta) * grad
        for _ in range(3):
            theta.sub_(lr * (w + beta * grad))
            w = (1 - alpha * lr) * w + lr * (1 - alpha * beta) * grad
    for _ in range(3):
        first.grad, second.grad = grads
        optimizer.step()
    torch.testing.assert_close(first.detach(), expected[0], rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(second.detach(), expected[1], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_no_gradient_and_a_late_one(implementation: str) -> None:
    early, late = parameters([(5,), (5,)])
    before = late.detach().clone()
    (theta,), (psi,) = by_the_paper([late], [LR] * 3, ALPHA, BETA)
    optimizer = INDIAN([early, late], **IMPLEMENTATIONS[implementation])
    for _ in range(4):
        early.grad = torch.ones(5).double()
        optimizer.step()
    assert torch.equal(late, before)
    assert late not in optimizer.state
    for k in range(3):
        early.grad, late.grad = torch.ones(5).double(), tensors(k + 1, [(5,)])[0]
        optimizer.step()
    torch.testing.assert_close(late.detach(), theta, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(optimizer.psi(late), psi, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_tensor_lr(implementation: str) -> None:
    for lr in (torch.tensor(0.1, dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)):
        params = parameters()
        theta, _ = by_the_paper(params, [0.1] * 5, ALPHA, BETA)
        advance(INDIAN(params, lr=lr, **IMPLEMENTATIONS[implementation]), [0.1] * 5)
        for param, expected in zip(params, theta, strict=True):
            torch.testing.assert_close(param.detach(), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", [INDIAN, INNAprop])
@pytest.mark.parametrize("decay", ["decoupled_weight_decay", "authors_weight_decay", None])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_tensors_are_what_they_hold_at_the_step(
    implementation: str, decay: str | None, method: Any
) -> None:
    """α, β and λ as tensors, changed in place between steps, as numbers that are replaced."""
    kinds = method.arguments.keys() & {"decoupled_weight_decay", "authors_weight_decay"}
    options = {name: name == decay for name in kinds} | IMPLEMENTATIONS[implementation]
    values = {"lr": 0.1, "alpha": 0.5, "beta": 0.3, "weight_decay": 0.2}
    numbers, tensors_of = parameters(), parameters()
    given = {k: torch.tensor([v], dtype=torch.float64) for k, v in values.items()}
    first, second = method(numbers, **values, **options), method(tensors_of, **given, **options)
    for k in range(6):
        values = {name: value * 0.9 for name, value in values.items()}
        first.param_groups[0].update(values)
        for name, tensor in given.items():
            tensor.fill_(values[name])
        advance(first, [values["lr"]], k)
        advance(second, [values["lr"]], k)
    for one, other in zip(numbers, tensors_of, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(first.psi(one), second.psi(other), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(first.energy(1.0), second.energy(1.0), rtol=1e-12, atol=1e-12)
    assert second.param_groups[0]["alpha"] is given["alpha"]
    given["beta"].fill_(0.0)
    if second.param_groups[0]["capturable"]:
        return
    with pytest.raises(ValueError, match=r"Invalid beta: 0\.0"):
        second.step()


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if i != "fused"])
def test_complex_parameters_are_pairs_of_real_ones(implementation: str) -> None:
    real, imaginary = parameters([(6,), (6,)])
    both = torch.nn.Parameter(torch.complex(real.detach(), imaginary.detach()))
    plain = INDIAN([real, imaginary], lr=0.05, **IMPLEMENTATIONS[implementation])
    optimizer = INDIAN([both], lr=0.05, weight_decay=0.1, **IMPLEMENTATIONS[implementation])
    plain.param_groups[0]["weight_decay"] = 0.1
    for k in range(4):
        real.grad, imaginary.grad = tensors(k, [(6,), (6,)])
        both.grad = torch.complex(real.grad, imaginary.grad)
        plain.step()
        optimizer.step()
    torch.testing.assert_close(both.real, real, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(
        optimizer.psi(both).imag, plain.psi(imaginary), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_sparse_gradients(implementation: str) -> None:
    dense, sparse = parameters([(6, 2), (6, 2)])
    sparse.data.copy_(dense.data)
    optimizer = INDIAN(
        [dense, sparse], lr=0.05, weight_decay=0.1, **IMPLEMENTATIONS[implementation]
    )
    for k in range(3):
        rows = torch.tensor([k, 5])
        dense.grad = torch.zeros(6, 2).double().index_add_(0, rows, torch.ones(2, 2).double())
        sparse.grad = dense.grad.to_sparse(1)
        optimizer.step()
    torch.testing.assert_close(sparse, dense, rtol=1e-14, atol=1e-14)


def test_sparse_gradients_of_an_embedding_and_coupled_weight_decay() -> None:
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    optimizer = INDIAN(embedding.parameters(), weight_decay=0.1, decoupled_weight_decay=False)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse"):
        optimizer.step()


def test_closure() -> None:
    (param,) = parameters([(3,)])
    optimizer = INDIAN([param])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert optimizer.step() is None


def test_hooks() -> None:
    calls: list[str] = []
    (param,) = parameters([(3,)])
    optimizer = INDIAN([param])
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    param.grad = torch.ones_like(param)
    optimizer.step()
    assert calls == ["before", "after"]


def test_a_step_without_any_gradient_does_nothing() -> None:
    params = parameters()
    before = copy.deepcopy(params)
    INDIAN(params).step()
    for param, old in zip(params, before, strict=True):
        assert torch.equal(param, old)


@pytest.mark.parametrize("options", [{}, {"capturable": True}])
def test_a_first_step_with_no_lr_and_no_gradient_is_none(options: dict[str, Any]) -> None:
    # torch.distributed.checkpoint makes such a step to see what the state is like.
    params = parameters()
    expected, _ = by_the_paper(params, [0.1] * 3, ALPHA, BETA)
    optimizer = INDIAN(params, **options)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert set(optimizer.state) == set(params)
    advance(optimizer, [0.1] * 3)
    for param, theta in zip(params, expected, strict=True):
        torch.testing.assert_close(param.detach(), theta, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_go_on_alike(how: str) -> None:
    optimizer = INDIAN(parameters(), alpha=0.5, beta=0.2)
    advance(optimizer, [0.3, 0.1])
    other = copy.deepcopy(optimizer) if how == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    for one in (optimizer, other):
        advance(one, [0.25, 0.1], first=2)
    for mine, theirs in zip(
        optimizer.param_groups[0]["params"], other.param_groups[0]["params"], strict=True
    ):
        assert mine is not theirs
        assert torch.equal(mine, theirs)


def test_repr_names_the_hyperparameters() -> None:
    text = repr(INDIAN(parameters()))
    assert text.startswith("INDIAN (")
    assert f"alpha: {ALPHA}" in text


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64, requires_grad=True)])
def test_autograd_goes_through_steps(lr: Any) -> None:
    gradients = tensors(1, [(4,), (4,)])

    def two_steps(theta: torch.Tensor, lr: Any, *grads: torch.Tensor) -> torch.Tensor:
        param = theta.clone()
        optimizer = INDIAN([param], lr=lr, weight_decay=0.1, differentiable=True)
        for grad in grads:
            param.grad = grad
            optimizer.step()
        return param

    inputs = [t.requires_grad_() for t in (tensors(0, [(4,)])[0], *gradients)]
    assert torch.autograd.gradcheck(lambda t, *g: two_steps(t, lr, *g), inputs)
    if isinstance(lr, torch.Tensor):
        fixed = [t.detach() for t in inputs]
        assert torch.autograd.gradcheck(lambda lr: two_steps(fixed[0], lr, *fixed[1:]), [lr])


@pytest.mark.parametrize("method", [INDIAN, INNAprop])
def test_autograd_goes_to_the_hyperparameters(method: Any) -> None:
    theta, *gradients = tensors(1, [(4,)] * 4)

    def steps(*numbers: torch.Tensor) -> torch.Tensor:
        lr, alpha, beta, weight_decay = numbers
        param = theta.clone()
        options = {"weight_decay": weight_decay, "differentiable": True}
        optimizer = method([param], lr, alpha, beta, **options)
        for grad in gradients:
            param.grad = grad
            optimizer.step()
        return param

    numbers = [torch.tensor(x, dtype=torch.float64) for x in (0.1, 0.5, 0.3, 0.2)]
    assert torch.autograd.gradcheck(steps, [number.requires_grad_() for number in numbers])


def test_psi_in_and_out() -> None:
    (param, other) = parameters([(3,), (3,)])
    optimizer = INDIAN([param], initial_speed=1.0)
    with pytest.raises(ValueError, match="not a parameter of this optimizer"):
        optimizer.psi(other)
    with pytest.raises(ValueError, match="psi should be \\(3,\\), but is \\(4,\\)"):
        optimizer.set_psi(param, torch.ones(4))
    with pytest.raises(TypeError, match="psi should be a Tensor, not float"):
        optimizer.set_psi(param, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="psi should be real"):
        optimizer.set_psi(param, torch.ones(3) + 1j)
    with pytest.raises(ValueError, match="psi should be dense"):
        optimizer.set_psi(param, torch.ones(3).to_sparse())
    assert not optimizer.state
    psi = torch.tensor([1.0, 2.0, 3.0]).double()
    optimizer.set_psi(param, psi)
    torch.testing.assert_close(optimizer.psi(param), psi, rtol=1e-15, atol=1e-15)


def test_before_the_first_step_psi_is_that_of_rest() -> None:
    for initial_speed in (None, 0.2, 1.0):
        (param,) = parameters([(3,)])
        optimizer = INDIAN([param], alpha=0.5, beta=0.2, initial_speed=initial_speed)
        torch.testing.assert_close(optimizer.psi(param), 0.9 * param.detach())


@pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, "differentiable"])
def test_a_start_from_rest_is_at_the_beta_that_the_group_has_then(implementation: str) -> None:
    options = IMPLEMENTATIONS.get(implementation, {"differentiable": True})
    (param,) = parameters([(3,)])
    expected = by_the_paper([param], [0.1] * 5, 0.5, 0.3, 0.3)
    param.requires_grad_(implementation != "differentiable")  # autograd moves no leaves
    optimizer = INDIAN([param], alpha=0.5, beta=0.2, **options)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["initial_speed"] is None
    optimizer.param_groups[0]["beta"] = 0.3
    (param.grad,) = tensors(1, [(3,)])
    assert float(optimizer.energy(0.0)) == 0
    advance(optimizer, [0.1] * 5)
    assert_follows(optimizer, *expected)


def test_named_parameters() -> None:
    model = torch.nn.Linear(2, 1)
    for optimizer in (INDIAN(model.named_parameters()), DampedSGD(model.named_parameters())):
        assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
        other = copy.deepcopy(optimizer)
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        other.load_state_dict(optimizer.state_dict())
        assert other.param_groups[0]["param_names"] == ["weight", "bias"]
