r"""What `load_state_dict` adds to torch's own: it checks first, and keeps every digit.

`torch.optim.Optimizer.load_state_dict` accepts any state and casts it to the parameter's dtype. The
float32 momentum of a 16-bit parameter would then have 16 bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from indian_torch.step.precision import buffer_dtype_of
from indian_torch.step.scalars import is_unreadable

if TYPE_CHECKING:
    from indian_torch.base import InertialOptimizer

StateDict = dict[str, Any]

_SMALLEST, _LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


def check_state_dict(optimizer: InertialOptimizer, state_dict: StateDict) -> None:
    """Raise the errors of `load_state_dict` unless this is a state dict of such an optimizer."""
    check_structure(state_dict)
    saved_groups = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    saved_sizes = [len(group["params"]) for group in saved_groups]
    if sizes != saved_sizes:
        return  # torch raises its own error for this, before it changes anything
    for group in saved_groups:
        optimizer.fields.checked(optimizer.fields.later | group)

    params = dict(_numbered(optimizer, saved_groups))
    for number, state in state_dict["state"].items():
        if number not in params:
            raise ValueError(
                f"loaded state dict has a state for parameter {number!r}, "
                "which is in none of its parameter groups"
            )
        _check_state(optimizer, state, number, params[number])


def check_structure(state_dict: Any) -> None:
    """Raise unless this has the form of a torch optimizer's state dict."""
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


def _check_state(
    optimizer: InertialOptimizer, state: StateDict, number: Any, param: Tensor
) -> None:
    where, keys = f"loaded state dict, parameter {number!r}", optimizer.state_keys
    if "psi" in state and not state.keys() >= keys:
        raise ValueError(
            f"{where}: it holds psi, as the authors' code does; "
            "load it with indian_torch.load_authors_state_dict"
        )
    if state.keys().isdisjoint(keys):
        return  # The parameter has made no step. What is in its state belongs to the user.
    if not state.keys() >= keys:
        raise ValueError(f"{where}: expected {sorted(keys)}, got {sorted(map(str, state))}")
    for name in optimizer.buffers:
        check_buffer(where, name, state[name], param)
    for name, number_name in zip(optimizer.buffers, optimizer.numbers, strict=True):
        check_number(where, number_name, state[number_name])
        if (
            not is_unreadable(state[number_name])
            and state[number_name] == 0
            and not is_unreadable(state[name])
            and _any(state[name] != 0)
        ):
            raise ValueError(
                f"{where}: {number_name} is 0, as before a first step, but {name} is not zero"
            )


def check_buffer(where: str, name: str, buffer: Any, param: Tensor) -> None:
    """Raise unless this is valid as the buffer of that name for a parameter."""
    if not isinstance(buffer, Tensor) or buffer.shape != param.shape:
        got = tuple(buffer.shape) if isinstance(buffer, Tensor) else type(buffer).__name__
        raise ValueError(f"{where}: {name} should be {tuple(param.shape)}, but is {got}")
    if buffer.is_complex() != param.is_complex() or not (
        buffer.is_complex() or buffer.is_floating_point()
    ):
        raise ValueError(f"{where}: {name} is {buffer.dtype}, for {param.dtype}")
    if hasattr(buffer, "placements") != hasattr(param, "placements"):
        raise ValueError(
            f"{where}: {name} is a {type(buffer).__name__}, for a {type(param).__name__}"
        )
    if buffer.layout != torch.strided:
        raise ValueError(f"{where}: {name} should be dense, but is {buffer.layout}")
    if buffer.is_meta and not param.is_meta:
        raise ValueError(f"{where}: {name} should have numbers, but is on meta")
    if name == "exp_avg_sq" and not is_unreadable(buffer):
        pairs = torch.view_as_real(buffer.resolve_conj()) if buffer.is_complex() else buffer
        if _any(pairs < 0):
            raise ValueError(f"{where}: exp_avg_sq has negative numbers")


def check_number(where: str, name: str, value: Any) -> None:
    """Raise unless this is valid as the number of that name in a state."""
    is_number = isinstance(value, (int, float))
    if isinstance(value, Tensor):
        is_dense = value.layout == torch.strided
        is_number = is_dense and value.numel() == 1 and not value.is_complex()
    if is_number and is_unreadable(value):
        return
    if name == "step":
        if not (is_number and 0 <= value <= _LARGEST and value == int(value)):
            raise ValueError(f"{where}: step should be a whole number >= 0, but is {value!r}")
    # The scale is about 1/|β − γ| or less. Outside this range float32 could not hold w.
    elif not (is_number and (value == 0 or _SMALLEST <= abs(value) <= _LARGEST)):
        raise ValueError(
            f"{where}: scale should be a finite number, 0 or between {_SMALLEST:.2g} and "
            f"{_LARGEST:.2g} in size, but is {value!r}"
        )


def _any(tensor: Tensor) -> bool:
    anywhere: Any = tensor.any()
    # The shards of one parameter must agree.
    return bool(anywhere.full_tensor() if hasattr(anywhere, "full_tensor") else anywhere)


@torch.no_grad()
def restore_state(optimizer: InertialOptimizer, state_dict: StateDict) -> None:
    """Copy the state of a checked state dict into the optimizer again, in the state's own dtype.

    Because of the copies, the optimizer's steps do not change the tensors that the user loaded. The
    hyperparameters become floats. Entries that a user keeps in a state stay as torch loaded them.
    """
    for group in optimizer.param_groups:
        group.update(optimizer.fields.checked(group))
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for number, param in _numbered(optimizer, state_dict["param_groups"]):
        saved = state_dict["state"].get(number)
        if not saved or not saved.keys() >= optimizer.state_keys:
            continue
        state = optimizer.state[param]
        for name in optimizer.buffers:
            dtype = buffer_dtype_of(name, param, groups[id(param)]["momentum_dtype"])
            state[name] = torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
            state[name].copy_(saved[name])
        for name in optimizer.numbers:
            value = saved[name]
            if isinstance(value, Tensor):
                value = value.detach().to(param.device, torch.float32, copy=True).reshape(())
            state[name] = value if isinstance(value, Tensor) else float(value)
        scale = state["scale"]
        # A scale on a device must be 0 or 1.
        if isinstance(scale, Tensor) and not is_unreadable(scale) and scale not in (0, 1):
            state["momentum_buffer"].div_(float(saved["scale"]))
            scale.fill_(1.0)


def _numbered(
    optimizer: InertialOptimizer, saved_groups: list[StateDict]
) -> Iterator[tuple[Any, Tensor]]:
    """Pair the state dict's key of each parameter with the parameter."""
    numbers = chain.from_iterable(group["params"] for group in saved_groups)
    params = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    return zip(numbers, params, strict=True)
