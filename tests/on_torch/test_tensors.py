"""Tensors that are not plain memory of their own, and what autograd must know of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN
from tests.on_torch.runs import IMPLEMENTATIONS, parameters

LR = {"lr": 0.3, "alpha": 0.5, "beta": 0.1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_graph_from_before_the_step_is_no_longer_valid(
    implementation: str, dtype: torch.dtype
) -> None:
    # The Dirac GAN: with the discriminator's new weight the generator's gradient would be wrong.
    d, g = nn.Parameter(torch.tensor(2.0, dtype=dtype)), nn.Parameter(torch.ones((), dtype=dtype))
    optimizer = INDIAN([d], **LR, **IMPLEMENTATIONS[implementation])
    for _ in range(2):  # a first step and an ordinary one
        score = torch.tanh(d * g)
        d.grad = torch.ones_like(d)
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (-score).backward()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_versions_rise_as_those_of_torchs_sgd(implementation: str) -> None:
    params = parameters(dtype=torch.float32)
    optimizer = INDIAN(params, **LR, **IMPLEMENTATIONS[implementation])
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    buffers = [optimizer.state[param]["momentum_buffer"] for param in params]
    tensors: list[Tensor] = [*params, *buffers]
    before = [tensor._version for tensor in tensors]
    optimizer.step()
    assert all(t._version > v for t, v in zip(tensors, before, strict=True))


def test_tensors_of_inference_mode_have_no_version() -> None:
    with torch.inference_mode():
        param = nn.Parameter(torch.ones(3))
        param.grad = torch.ones(3)
        optimizer = INDIAN([param], **LR)
        optimizer.step()
        optimizer.step()
        assert (param < 1).all()


def test_gradients_beside_each_other_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    # As DistributedDataParallel's buckets are, and parameters in one flat tensor.
    flat, bucket = torch.ones(12), torch.ones(12)
    params = [nn.Parameter(part) for part in flat.split(4)]
    for param, grad in zip(params, bucket.split(4), strict=True):
        param.grad = grad
    optimizer = INDIAN(params, **LR)
    monkeypatch.setattr(Tensor, "clone", lambda *_: pytest.fail("a gradient was copied"))
    optimizer.step()
    optimizer.step()
    assert torch.equal(bucket, torch.ones(12))


def complex_of(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.complex(torch.full(shape, 3.0, dtype=dtype), torch.full(shape, 2.0, dtype=dtype))


SPECIAL: dict[str, Callable[[tuple[int, ...], torch.dtype], Tensor]] = {
    "negated": lambda shape, dtype: complex_of(shape, dtype).conj().imag,
    "zero": lambda shape, dtype: torch._efficientzerotensor(shape, dtype=dtype),
    "expanded": lambda shape, dtype: torch.tensor(2.0, dtype=dtype).expand(shape),
    "strided": lambda shape, dtype: torch.view_as_real(complex_of(shape, dtype))[..., 1],
    "with a graph": lambda shape, dtype: torch.ones(shape, dtype=dtype, requires_grad=True) * 2,
}


@pytest.mark.parametrize("shape", [(), (3, 4)])
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_special_kinds(
    dtype: torch.dtype, implementation: str, kind: str, shape: tuple[int, ...]
) -> None:
    one, other, beside = parameters([shape, shape, (5,)], dtype)
    other.data.copy_(one.data)
    options = IMPLEMENTATIONS[implementation]
    special, usual = INDIAN([one, beside], **LR, **options), INDIAN([other], **LR, **options)
    for _ in range(3):
        one.grad = SPECIAL[kind](shape, dtype)
        other.grad = torch.zeros(shape, dtype=dtype).add_(one.grad.detach())
        beside.grad = torch.ones_like(beside)
        kept = one.grad
        special.step()
        usual.step()
        assert one.grad is kept
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(special.psi(one), usual.psi(other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if i != "fused"])
def test_a_conjugate_gradient(implementation: str) -> None:
    one, other = (nn.Parameter(torch.ones(3, dtype=torch.complex128)) for _ in range(2))
    optimizer = INDIAN([one, other], **LR, **IMPLEMENTATIONS[implementation])
    z = torch.full((3,), 1 + 2j, dtype=torch.complex128)
    for _ in range(3):
        one.grad, other.grad = z.conj(), z.conj().resolve_conj()
        optimizer.step()
    assert torch.equal(one, other)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_lazily_negated_parameter(implementation: str) -> None:
    z = torch.complex(torch.full((3,), 3.0), torch.full((3,), 2.0))
    one, other = nn.Parameter(z.conj().imag), nn.Parameter(torch.full((3,), -2.0))
    assert one.is_neg()
    optimizer = INDIAN([one, other], **LR, **IMPLEMENTATIONS[implementation])
    for _ in range(3):
        one.grad, other.grad = torch.ones(3), torch.ones(3)
        optimizer.step()
    torch.testing.assert_close(one.resolve_neg(), other, rtol=1e-6, atol=1e-6)


REPLACED: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda t: t.t(),
    "transposed and copied": lambda t: t.t().contiguous(),
    "flattened": lambda t: t.view(-1),
    "another view": lambda t: t.view(2, 6),
    "an axis more": lambda t: t[None],
    "of another size": lambda t: t[:2],
}


@pytest.mark.parametrize("case", REPLACED)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_replaced_by_data_of_another_shape_is_refused(
    dtype: torch.dtype, implementation: str, case: str
) -> None:
    first, second = parameters([(5,), (3, 4)], dtype)
    optimizer = INDIAN([{"params": [first]}, {"params": [second]}], **LR)
    optimizer.param_groups[1].update(IMPLEMENTATIONS[implementation])
    for _ in range(2):
        for param in (first, second):
            param.grad = torch.ones_like(param)
        optimizer.step()
    second.grad = None
    second.data = REPLACED[case](second.data)
    second.grad = torch.ones_like(second)
    before = [p.detach().clone() for p in (first, second)]
    with pytest.raises(ValueError, match=r"momentum_buffer: its shape is \(3, 4\), but the param"):
        optimizer.step()
    assert torch.equal(first, before[0])
    assert torch.equal(second, before[1])


class Free(nn.Parameter):
    """A parameter whose gradient may be anything, as those of subclasses may."""

    grad: Any = None


ones = torch.ones(3)
# Of a parameter and its gradient.
MISFITS: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "shared elements": lambda: (torch.ones(1).expand(3), ones),
    "sparse": lambda: (torch.eye(3).to_sparse(), torch.eye(3).to_sparse()),
    "complex gradient": lambda: (ones.clone(), ones + 1j),
    "compressed gradient": lambda: (torch.eye(3), torch.eye(3).to_sparse_csr()),
    "another device": lambda: (ones.clone(), torch.ones(3, device="meta")),
    "another shape": lambda: (ones.clone(), torch.ones(1)),
}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("shared elements", r"parameter: shape \(3,\) with strides \(0,\) puts several elements"),
        ("sparse", "parameter: torch.sparse_coo"),
        ("complex gradient", "gradient: it is torch.complex64, for torch.float32"),
        ("compressed gradient", "gradient: torch.sparse_csr"),
        ("another device", "gradient: it is on meta, but the parameter is on cpu"),
        ("another shape", r"gradient: its shape is \(1,\), but the parameter's is \(3,\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_does_not_fit_is_refused(implementation: str, kind: str, words: str) -> None:
    tensor, grad = MISFITS[kind]()
    param = Free(tensor)
    before, param.grad = tensor.clone(), grad
    optimizer = INDIAN([param], **LR, weight_decay=0.1, **IMPLEMENTATIONS[implementation])
    with pytest.raises(ValueError, match=f"Invalid {words}"):
        optimizer.step()
    assert torch.equal(tensor.to_dense(), before.to_dense())
    assert not optimizer.state


def test_strides_that_interleave_without_overlap_are_allowed() -> None:
    memory = torch.zeros(8)
    param = nn.Parameter(memory.as_strided((2, 3), (3, 2)))
    param.grad = torch.ones(2, 3)
    INDIAN([param], lr=0.3, initial_speed=1.0).step()
    torch.testing.assert_close(param.detach(), torch.full((2, 3), -0.3))
