r"""What `INDIAN.load_state_dict` does on top of torch's: refuse first, and keep every digit.

`torch.optim.Optimizer.load_state_dict` takes any state, and casts it to the parameter's dtype: the
float32 momentum of a 16-bit parameter would come back in 16 bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from indian_torch.groups import OPTIONS, checked_group
from indian_torch.step.precision import momentum_dtype_of
from indian_torch.step.scalars import is_unreadable

StateDict = dict[str, Any]

STATE_KEYS = {"momentum_buffer", "scale"}
_SMALLEST, _LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


def check_state_dict(optimizer: Optimizer, state_dict: StateDict) -> None:
    """Raise, as `INDIAN.load_state_dict` says, unless this is a state dict of such an optimizer."""
    check_structure(state_dict)
    saved_groups = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    saved_sizes = [len(group["params"]) for group in saved_groups]
    if sizes != saved_sizes:
        return  # torch has its own words for that, and says them before it changes anything
    for group in saved_groups:
        checked_group(OPTIONS | group)

    params = dict(_numbered(optimizer, saved_groups))
    for number, state in state_dict["state"].items():
        if number not in params:
            raise ValueError(
                f"loaded state dict has a state for parameter {number!r}, "
                "which is in none of its parameter groups"
            )
        _check_state(state, number, params[number])


def check_structure(state_dict: Any) -> None:
    """Raise unless this is of the form that every torch optimizer's state dict has."""
    _expect("state dict", state_dict, Mapping, TypeError)
    for key, kind in (("state", Mapping), ("param_groups", (list, tuple))):
        if key not in state_dict:
            raise ValueError(f"loaded state dict has no {key!r}")
        _expect(f"state dict, {key!r}", state_dict[key], kind)
    for group in state_dict["param_groups"]:
        _expect("state dict, parameter group", group, Mapping)
        if "params" not in group:
            raise ValueError("loaded state dict, parameter group: it has no 'params'")
        _expect("state dict, parameter group, 'params'", group["params"], (list, tuple))
        for number in group["params"]:
            _expect("state dict, parameter group, 'params'", number, Hashable)
    for number, state in state_dict["state"].items():
        _expect(f"state dict, parameter {number!r}", state, Mapping)


def _expect(where: str, value: Any, kind: Any, error: type[Exception] = ValueError) -> None:
    if not isinstance(value, kind):
        words = {Mapping: "a dict", Hashable: "numbers or names"}.get(kind, "a list")
        raise error(f"loaded {where}: expected {words}, got {type(value).__name__}")


def _check_state(state: StateDict, number: Any, param: Tensor) -> None:
    where = f"loaded state dict, parameter {number!r}"
    if state.keys().isdisjoint(STATE_KEYS):
        if "psi" in state:
            raise ValueError(
                f"{where}: it holds psi, as the authors' code does; "
                "load it with indian_torch.load_authors_state_dict"
            )
        return  # It has not begun; what is there is the user's.
    if not state.keys() >= STATE_KEYS:
        raise ValueError(f"{where}: expected {sorted(STATE_KEYS)}, got {sorted(map(str, state))}")
    buffer, scale = state["momentum_buffer"], state["scale"]
    if not isinstance(buffer, Tensor) or buffer.shape != param.shape:
        got = tuple(buffer.shape) if isinstance(buffer, Tensor) else type(buffer).__name__
        raise ValueError(f"{where}: momentum_buffer should be {tuple(param.shape)}, but is {got}")
    if buffer.is_complex() != param.is_complex() or not (
        buffer.is_complex() or buffer.is_floating_point()
    ):
        raise ValueError(f"{where}: momentum_buffer is {buffer.dtype}, for {param.dtype}")
    if hasattr(buffer, "placements") != hasattr(param, "placements"):
        raise ValueError(
            f"{where}: momentum_buffer is a {type(buffer).__name__}, for a {type(param).__name__}"
        )
    if buffer.layout != torch.strided:
        raise ValueError(f"{where}: momentum_buffer should be dense, but is {buffer.layout}")
    is_number = isinstance(scale, (int, float))
    if isinstance(scale, Tensor):
        is_dense = scale.layout == torch.strided
        is_number = is_dense and scale.numel() == 1 and not scale.is_complex()
    if is_number and is_unreadable(scale):
        return
    # ±σ is about 1/|β − γ| or less: outside of this range σw could not be held in float32.
    if not (is_number and (scale == 0 or _SMALLEST <= abs(scale) <= _LARGEST)):
        raise ValueError(
            f"{where}: scale should be a finite number, 0 or between {_SMALLEST:.2g} and "
            f"{_LARGEST:.2g} in size, but is {scale!r}"
        )
    if scale == 0 and not is_unreadable(buffer) and _has_nonzero(buffer):
        raise ValueError(
            f"{where}: scale is 0, as before a first step, but momentum_buffer is not zero"
        )


def _has_nonzero(buffer: Tensor) -> bool:
    nonzero: Any = buffer.any()
    # The shards of one parameter must agree.
    return bool(nonzero.full_tensor() if hasattr(nonzero, "full_tensor") else nonzero)


@torch.no_grad()
def restore_state(optimizer: Optimizer, state_dict: StateDict) -> None:
    """Copy the state of a checked state dict into the optimizer once more, in its own dtype.

    The copies also keep the optimizer's steps out of the tensors that the user loaded. The
    hyperparameters become floats. What a user keeps in a state is left as torch loaded it.
    """
    for group in optimizer.param_groups:
        group.update(checked_group(group))
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for number, param in _numbered(optimizer, state_dict["param_groups"]):
        saved = state_dict["state"].get(number)
        if not saved or not saved.keys() >= STATE_KEYS:
            continue
        dtype = momentum_dtype_of(param, groups[id(param)]["momentum_dtype"])
        buffer = torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
        buffer.copy_(saved["momentum_buffer"])
        scale = saved["scale"]
        if isinstance(scale, Tensor):
            # On a device σ is 0 or 1.
            scale = scale.detach().to(param.device, torch.float32, copy=True).reshape(())
            if not is_unreadable(scale) and scale not in (0, 1):
                buffer.div_(float(saved["scale"]))
                scale.fill_(1.0)
        optimizer.state[param].update(
            momentum_buffer=buffer, scale=scale if isinstance(scale, Tensor) else float(scale)
        )


def _numbered(optimizer: Optimizer, saved_groups: list[StateDict]) -> Iterator[tuple[Any, Tensor]]:
    """Pair what the state dict calls each parameter with the parameter."""
    numbers = chain.from_iterable(group["params"] for group in saved_groups)
    params = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    return zip(numbers, params, strict=True)
