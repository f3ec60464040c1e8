"""What autograd must know of a step, and memory that several tensors share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN
from tests.on_torch.runs import parameters, params_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_graph_from_before_the_step_is_no_longer_valid(
    method: Any, options: dict[str, Any], dtype: torch.dtype
) -> None:
    # The Dirac GAN: with the discriminator's new weight the generator's gradient would be wrong.
    d, g = nn.Parameter(torch.tensor(2.0, dtype=dtype)), nn.Parameter(torch.ones((), dtype=dtype))
    optimizer = method([d], **options)
    for _ in range(2):  # a first step and an ordinary one
        score = torch.tanh(d * g)
        d.grad = torch.ones_like(d)
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (-score).backward()


def test_versions_rise_as_those_of_torchs_sgd(method: Any, options: dict[str, Any]) -> None:
    optimizer = method(parameters(dtype=torch.float32), **options)
    for param in params_of(optimizer):
        param.grad = torch.ones_like(param)
    optimizer.step()
    states = [v for state in optimizer.state.values() for v in state.values()]
    buffers = [v for v in states if isinstance(v, Tensor) and v.shape != ()]
    versions = [(each, each._version) for each in (*params_of(optimizer), *buffers)]
    optimizer.step()
    assert all(tensor._version > version for tensor, version in versions)


def test_tensors_of_inference_mode_have_no_version(method: Any) -> None:
    with torch.inference_mode():
        param = nn.Parameter(torch.ones(3))
        param.grad = torch.ones(3)
        optimizer = method([param])
        optimizer.step()
        optimizer.step()
        assert (param < 1).all()


def test_gradients_beside_each_other_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    # As DistributedDataParallel's buckets are, and parameters in one flat tensor.
    flat, bucket = torch.ones(12), torch.ones(12)
    params = [nn.Parameter(part) for part in flat.split(4)]
    for param, grad in zip(params, bucket.split(4), strict=True):
        param.grad = grad
    optimizer = INDIAN(params)
    monkeypatch.setattr(Tensor, "clone", lambda *_: pytest.fail("a gradient was copied"))
    optimizer.step()
    optimizer.step()
    assert torch.equal(bucket, torch.ones(12))


def test_strides_that_interleave_without_overlap_are_allowed() -> None:
    param = nn.Parameter(torch.zeros(8).as_strided((2, 3), (3, 2)))
    param.grad = torch.ones(2, 3)
    INDIAN([param], lr=0.3, initial_speed=1.0).step()
    torch.testing.assert_close(param.detach(), torch.full((2, 3), -0.3))
