"""Tensors without numbers: every path on two fake GPUs, on meta, and on another default device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from indian_torch import INDIAN, PowerDecayLR, _private
from indian_torch.step import fused, pieces
from tests.on_torch.runs import IMPLEMENTATIONS, assert_close, with_arguments

SHAPES = ((3, 4), (0,))
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64)
GROUPS: list[dict[str, Any]] = [
    {},
    {"lr": 0.0},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled_weight_decay": False, "maximize": True},
    {"stochastic_rounding": True},
    {"alpha": 10.0},
    {"damping": 0.3},
]


AUTOMATIC_TOO: list[dict[str, Any]] = [{}, *IMPLEMENTATIONS.values()]
EVERY_IMPLEMENTATION = pytest.mark.parametrize("options", AUTOMATIC_TOO, ids=str)


@pytest.fixture
def without_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's `copy_` asks for the real device, which is not there."""
    monkeypatch.setattr(Tensor, "copy_", lambda tensor, other: tensor.zero_().add_(other))


def run(
    params: list[nn.Parameter],
    lrs: tuple[float, ...] = (0.1, 0.05, 0.0),
    method: Any = INDIAN,
    **options: Any,
) -> Any:
    optimizer = method(params, **options)
    for lr in lrs:
        for param in params:
            param.grad = torch.ones_like(param)
        group = optimizer.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        elif group["lr"] != 0:
            group["lr"] = lr
        optimizer.step()
    for param in params:
        state = optimizer.state[param]
        assert state["momentum_buffer"].shape == param.shape
        assert state["momentum_buffer"].device == param.device
        capturable = options.get("capturable")
        if "scale" in state:
            scale = state["scale"]
            assert scale.device == param.device if capturable else type(scale) is float
        if "step" in state:
            assert state["step"].device == (param.device if capturable else torch.device("cpu"))
    return optimizer


def on(*devices: str, dtypes: tuple[torch.dtype, ...] = DTYPES) -> list[nn.Parameter]:
    return [
        nn.Parameter(torch.ones(shape, device=device, dtype=dtype))
        for device in devices
        for dtype in dtypes
        for shape in SHAPES
    ]


@pytest.mark.usefixtures("without_copy")
@pytest.mark.parametrize(("method", "group"), with_arguments(*GROUPS), ids=str)
@EVERY_IMPLEMENTATION
def test_every_path_on_fake_devices(
    options: dict[str, Any], group: dict[str, Any], method: Any
) -> None:
    dtypes = DTYPES[:-1] if "fused" in options else DTYPES
    with FakeTensorMode():
        run(on("cuda:0", "cuda:1", "cpu", dtypes=dtypes), method=method, **group, **options)


@pytest.mark.usefixtures("without_copy")
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@EVERY_IMPLEMENTATION
def test_a_fake_tensor_lr(options: dict[str, Any], device: str, method: Any) -> None:
    with FakeTensorMode():
        lr = torch.tensor(0.1, device=device)
        run(on(device, dtypes=DTYPES[:3]), lr=lr, method=method, **options)


@pytest.fixture
def fake_kernel(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Let the fused path take fake tensors, and record what the kernel is given."""
    calls: list[tuple[str, int]] = []

    def kernel(params: list[Tensor], *lists: list[Tensor], **_: Any) -> None:
        columns = [column for column in lists[:3] if column]
        for alike in zip(params, *columns, strict=True):
            assert len({(t.device, t.dtype, t.shape, t.stride()) for t in alike}) == 1
        assert len({(param.device, param.dtype) for param in params}) == 1
        calls.append((str(params[0].device), len(params)))

    native = _private.native_types | {FakeTensor}
    monkeypatch.setattr(_private, "native_types", native)
    monkeypatch.setattr(_private, "fused_sgd", kernel)
    monkeypatch.setattr(_private, "fused_adamw", kernel)
    for module, name in ((fused, "kernel_works"), (pieces, "kernel_works")):
        monkeypatch.setattr(module, name, lambda device, dtype: True)
    monkeypatch.setattr(Tensor, "data_ptr", id)
    return calls


@pytest.mark.usefixtures("without_copy")
def test_the_kernels_get_a_call_for_each_device(
    fake_kernel: list[tuple[str, int]], method: Any
) -> None:
    with FakeTensorMode():
        run(on("cuda:0", "cuda:1", "cpu"), lrs=(0.1, 0.1), method=method)
    devices = ("cuda:0", "cuda:1", "cpu")
    kernels = 1 + ("exp_avg_sq" in method.entries)
    assert fake_kernel == [(device, len(SHAPES)) for device in devices for _ in range(kernels)] * 2


@pytest.mark.usefixtures("without_copy")
def test_fused_takes_two_dtypes(fake_kernel: list[tuple[str, int]]) -> None:
    with FakeTensorMode():
        run(on("cuda:0", dtypes=DTYPES[:4]), fused=True, lrs=(0.1, 0.1))
    assert fake_kernel == [("cuda:0", len(SHAPES))] * 4


@pytest.mark.parametrize("lr", [0.0, 0.1])
@pytest.mark.parametrize("options", [o for o in AUTOMATIC_TOO if "fused" not in o], ids=str)
def test_meta_parameters(options: dict[str, Any], lr: float, method: Any) -> None:
    params = on("meta")
    optimizer = run(params, (lr, 0.1), method, lr=lr, **options)
    if "scale" in method.entries:
        assert optimizer.psi(params[0]).is_meta
        assert optimizer.energy(torch.ones((), device="meta")).is_meta
    other = method(params, **options)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[params[0]]["momentum_buffer"].is_meta


@pytest.mark.parametrize("lr", [0.0, 0.1])
@EVERY_IMPLEMENTATION
def test_a_memory_estimate_of_the_first_step(
    options: dict[str, Any], lr: float, method: Any
) -> None:
    with FakeTensorMode():
        model = nn.Linear(3, 4)
        optimizer = method(model.parameters(), lr=lr, **options)
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
        if "scale" in method.entries:
            optimizer.energy(1.0)
    assert all(isinstance(s["momentum_buffer"], FakeTensor) for s in optimizer.state.values())


@EVERY_IMPLEMENTATION
def test_another_default_device_changes_nothing(options: dict[str, Any], paper_method: Any) -> None:
    fused.kernel_works.cache_clear()
    with torch.device("meta"):
        assert fused.kernel_works(torch.device("cpu"), torch.float32)
    results = []
    for device in ("cpu", "meta"):
        param = nn.Parameter(torch.linspace(0, 1, 5))
        with torch.device(device):
            optimizer = paper_method([param], **options)
            scheduler = PowerDecayLR(optimizer)
            optimizer.psi(param)
            for k in range(3):
                param.grad = torch.full_like(param, k + 1.0)
                optimizer.step()
                scheduler.step()
            optimizer.set_psi(param, optimizer.psi(param) + 1)
            optimizer.load_state_dict(optimizer.state_dict())
            param.grad = torch.ones_like(param)
            optimizer.step()
            results.append((param.detach(), optimizer.psi(param), optimizer.energy(1.0)))
    assert_close(*results, 0)
    fused.kernel_works.cache_clear()
