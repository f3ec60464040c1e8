"""What test_distributed runs in two processes, as a module, with a rank and a folder.

Every scenario trains the same model, half of each batch on each rank, and rank 0 saves the
parameters that it ends with.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop, PowerDecayLR

STEPS = 6
SAVED_AFTER = 3
OPTIONS: dict[str, Any] = {"lr": 0.3, "weight_decay": 0.1}
METHODS: dict[str, Any] = {
    "INDIAN": functools.partial(INDIAN, **OPTIONS, beta=0.2),
    # A large ε: nothing is divided by a gradient that is nothing but rounding.
    "INNAprop": functools.partial(INNAprop, **OPTIONS, alpha=0.5, beta=0.2, sigma=0.9, eps=0.1),
    "DampedSGD": functools.partial(DampedSGD, **OPTIONS, momentum=0.8, damping=0.4),
    "DampedAdamW": functools.partial(DampedAdamW, **OPTIONS, betas=(0.8, 0.9), eps=0.1),
}

Scenario = Callable[[Any, int, Path], list[Tensor]]


def make_model(dtype: torch.dtype = torch.float64) -> nn.Module:
    # Odd sizes, so that shards are uneven and some are empty.
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7, dtype=dtype), nn.Tanh(), nn.Linear(7, 1, dtype=dtype))


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ranks: Sequence[int],
    first: int = 0,
    last: int = STEPS,
) -> None:
    """Make steps on the halves of each batch that belong to these ranks."""
    scheduler = PowerDecayLR(optimizer) if first == 0 else None
    dtype = next(model.parameters()).dtype
    for k in range(first, last):
        generator = torch.Generator().manual_seed(k)
        inputs = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64).to(dtype)
        optimizer.zero_grad()
        batch = inputs[list(ranks)].flatten(0, 1)
        (model(batch) - batch.sum(1, keepdim=True)).square().mean().backward()
        if scheduler is None:  # resumed
            for group in optimizer.param_groups:
                group["lr"] = OPTIONS["lr"] * (k + 1) ** -0.5
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def gathered(model: nn.Module) -> list[Tensor]:
    return [
        (p.full_tensor() if hasattr(p, "full_tensor") else p).detach().clone()
        for p in model.parameters()
    ]


def ddp(make: Any, rank: int, folder: Path) -> list[Tensor]:
    model = nn.parallel.DistributedDataParallel(make_model())
    train(model, make(model.parameters()), [rank])
    return gathered(model)


def sharded(make: Any, **options: Any) -> tuple[nn.Module, Any]:
    from torch.distributed.fsdp import fully_shard

    model = make_model()
    for layer in model:
        fully_shard(layer)
    fully_shard(model)
    return model, make(model.parameters(), **options)


def fsdp(**options: Any) -> Scenario:
    def run(make: Any, rank: int, folder: Path) -> list[Tensor]:
        model, optimizer = sharded(make, **options)
        train(model, optimizer, [rank])
        for param in model.parameters():  # the state is sharded as the parameters are
            assert optimizer.state[param]["momentum_buffer"].placements == param.placements
        return gathered(model)

    return run


def zero(make: Any, rank: int, folder: Path) -> list[Tensor]:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = nn.parallel.DistributedDataParallel(make_model())
    optimizer = ZeroRedundancyOptimizer(
        model.parameters(), optimizer_class=make.func, **make.keywords
    )
    train(model, optimizer, [rank], last=SAVED_AFTER)
    assert 0 < len(optimizer.optim.state) < len(list(model.parameters()))
    # A checkpoint, and a run that goes on from it.
    optimizer.consolidate_state_dict(to=0)
    state_dict = [optimizer.state_dict() if rank == 0 else None]
    dist.broadcast_object_list(state_dict)
    resumed = ZeroRedundancyOptimizer(
        model.parameters(), optimizer_class=make.func, **make.keywords
    )
    resumed.load_state_dict(state_dict[0])
    train(model, resumed, [rank], first=SAVED_AFTER)
    return gathered(model)


def checkpoint(make: Any, rank: int, folder: Path) -> list[Tensor]:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict

    model, optimizer = sharded(make)
    if make.func is INDIAN:
        # Looking at the state before the first step makes it, by a step that should be none. (V
        # counts it, as Adam's does.)
        get_state_dict(model, optimizer)
    train(model, optimizer, [rank], last=SAVED_AFTER)
    model_state, optimizer_state = get_state_dict(model, optimizer)
    dcp.save(
        {"model": model_state, "optimizer": optimizer_state},
        checkpoint_id=str(folder / "checkpoint"),
    )
    train(model, optimizer, [rank], first=SAVED_AFTER)
    return gathered(model)


def resharded(**how: bool) -> Scenario:
    """Return a run whose second half is made by another model and optimizer, from a state dict."""

    def run(make: Any, rank: int, folder: Path) -> list[Tensor]:
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            get_state_dict,
            set_state_dict,
        )

        options = StateDictOptions(**how)
        model, optimizer = sharded(make)
        train(model, optimizer, [rank], last=SAVED_AFTER)
        model_state, optimizer_state = get_state_dict(model, optimizer, options=options)
        model, optimizer = sharded(make, foreach=True)
        PowerDecayLR(optimizer)  # PyTorch wants the "initial_lr" that the saved groups have
        set_state_dict(
            model,
            optimizer,
            model_state_dict=model_state,
            optim_state_dict=optimizer_state,
            options=options,
        )
        train(model, optimizer, [rank], first=SAVED_AFTER)
        return gathered(model)

    return run


def warm_up_from_zero(make: Any, rank: int, folder: Path) -> list[Tensor]:
    """A first step with lr = 0, in which some shards have no gradient but no whole parameter."""
    model, optimizer = sharded(make)
    first = model[0].weight
    optimizer.param_groups[0]["lr"] = 0.0
    grad = torch.zeros(7, 5, dtype=torch.float64)
    grad[0] = 1.0
    from torch.distributed.tensor import distribute_tensor

    first.grad = distribute_tensor(grad, first.device_mesh, first.placements)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = OPTIONS["lr"]
    train(model, optimizer, [rank])
    return gathered(model)


SCENARIOS: dict[str, Scenario] = {
    "ddp": ddp,
    "fsdp": fsdp(),
    "fsdp fused": fsdp(fused=True),
    "fsdp foreach": fsdp(foreach=True),
    "fsdp for-loop": fsdp(foreach=False),
    "fsdp capturable": fsdp(capturable=True),
    "zero": zero,
    "checkpoint": checkpoint,
    "flattened state dict": resharded(flatten_optimizer_state_dict=True),
    "full state dict": resharded(full_state_dict=True),
    "full state dict of rank 0": resharded(full_state_dict=True, broadcast_from_rank0=True),
    "warm up from zero": warm_up_from_zero,
}


def scenarios(rank: int, folder: Path) -> Iterator[tuple[str, Any]]:
    for method, make in METHODS.items():
        place = folder / method
        place.mkdir(exist_ok=True)
        for name, scenario in SCENARIOS.items():
            try:
                yield f"{method}-{name}", scenario(make, rank, place)
            except Exception:  # reported by the scenario's test
                yield f"{method}-{name}", traceback.format_exc()


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2
    )
    for name, result in scenarios(rank, folder):
        torch.save(result, folder / f"{name}-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), Path(sys.argv[2]))
    # What the wrappers still refer to of gloo is not taken down in order when Python ends: now and
    # then its threads abort a process whose results are all written.
    sys.stdout.flush()
    os._exit(0)
