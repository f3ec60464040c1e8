"""Two processes on the CPU give what one process gives on the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from tests.on_torch.two_processes import METHODS, OPTIONS, SAVED_AFTER, SCENARIOS, make_model, train

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch has no gloo"
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-processes")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.on_torch.two_processes", str(rank), str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in processes:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_equal_one(name: str, method: str, rank: int, folder: Path) -> None:
    result = torch.load(folder / f"{method}-{name}-{rank}.pt", weights_only=True)
    assert not isinstance(result, str), result
    model = make_model()
    optimizer = METHODS[method](model.parameters())
    if name == "warm up from zero":
        weight = model[0].weight
        optimizer.param_groups[0]["lr"] = 0.0
        weight.grad = torch.zeros_like(weight)
        weight.grad[0] = 1.0
        optimizer.step()
        optimizer.param_groups[0]["lr"] = OPTIONS["lr"]
    train(model, optimizer, [0, 1])
    for param, expected in zip(result, model.parameters(), strict=True):
        torch.testing.assert_close(param, expected.detach(), rtol=1e-12, atol=1e-12)


# PyTorch's remark on what is wanted here.
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_of_two_processes_goes_on_in_one(method: str, folder: Path) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    unbroken = make_model()
    train(unbroken, METHODS[method](unbroken.parameters()), [0, 1])

    model = make_model()
    for param in model.parameters():
        torch.nn.init.zeros_(param)
    optimizer = METHODS[method](model.parameters())
    model_state, optimizer_state = get_state_dict(model, optimizer)
    state = {"model": model_state, "optimizer": optimizer_state}
    dcp.load(state, checkpoint_id=str(folder / method / "checkpoint"))
    set_state_dict(
        model,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )
    train(model, optimizer, [0, 1], first=SAVED_AFTER)
    for param, expected in zip(model.parameters(), unbroken.parameters(), strict=True):
        torch.testing.assert_close(param, expected, rtol=1e-12, atol=1e-12)
