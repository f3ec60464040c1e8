r"""What `load_state_dict` adds to torch's own: it checks first, and keeps every digit.

`torch.optim.Optimizer.load_state_dict` accepts any state and casts it to the parameter's dtype. The
float32 momentum of a 16-bit parameter would then have 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from indian_core import METHODS
from indian_torch import groups
from indian_torch.step.layout import BUFFERS, check_kind, check_tensor
from indian_torch.step.precision import new_buffer
from indian_torch.step.settings import is_unreadable

StateDict = dict[str, Any]

# Entries of other optimizers' states, and why they cannot be used.
_OTHERS = {
    "exp_avg": (
        "an average of gradients cannot become one of scaled gradients: remove exp_avg to go on "
        "from exp_avg_sq and step, with a momentum of zero"
    ),
    "psi": "the authors' code keeps psi: see examples/recipes/torch_authors_checkpoint.py",
}


def has_same_sizes(optimizer: Optimizer, state_dict: StateDict) -> bool:
    """Return whether the groups of a state dict have as many parameters as the optimizer's."""
    sizes = [
        [len(group["params"]) for group in groups_]
        for groups_ in (optimizer.param_groups, state_dict["param_groups"])
    ]
    return sizes[0] == sizes[1]


def completed(optimizer: Any, state_dict: StateDict) -> StateDict:
    """Return a state dict whose groups have all options, or raise if it cannot be loaded.

    An option that a group lacks is taken from the optimizer's group. So a state dict of
    `torch.optim.SGD` can be loaded into a `DampedSGD`.
    """
    ours, theirs = optimizer.param_groups, state_dict["param_groups"]
    needed = METHODS[optimizer.method].numbers.keys() - {"damping"}
    complete = []
    for mine, group in zip(ours, theirs, strict=True):
        rest = {name: mine[name] for name in optimizer.arguments if name not in needed}
        if METHODS[optimizer.method].law == "momentum":
            rest["buffer_scale"] = 1.0
        groups.numbers(optimizer.method, rest | group, optimizer.arguments)
        complete.append(rest | group)
    return {**state_dict, "param_groups": complete}


def restored(optimizer: Any, state_dict: StateDict) -> dict[Tensor, StateDict]:
    """Return copies of the entries of each parameter's state, in the buffers' dtypes, or raise."""
    saved = state_dict["state"]
    return {
        param: _restored(optimizer, number, saved[number], param)
        for number, param in _numbered(optimizer, state_dict["param_groups"])
        if number in saved
    }


@torch.no_grad()
def _restored(optimizer: Any, number: Any, saved: StateDict, param: Tensor) -> StateDict:
    for name, reason in _OTHERS.items():
        if name in saved:
            raise ValueError(f"Invalid state of parameter {number!r}: it has {name}: {reason}")
    state: StateDict = {}
    for name in optimizer.entries:
        value = saved.get(name)
        if value is None:
            continue
        if name in BUFFERS:
            if not isinstance(value, Tensor):
                raise ValueError(f"Invalid {name} of parameter {number!r}: {value!r}")
            where = f"{name} of parameter {number!r}"
            check_tensor(where, value, param)
            check_kind(where, value, param)
            state[name] = new_buffer(param).copy_(value)
        elif is_unreadable(value):
            state[name] = value.clone()
        else:
            number_of = float(value)
            if not (math.isfinite(number_of) and (name == "scale" or number_of >= 0)):
                raise ValueError(f"Invalid {name} of parameter {number!r}: {value!r}")
            state[name] = number_of if name == "scale" else torch.tensor(number_of, device="cpu")
    return state


def _numbered(optimizer: Optimizer, saved_groups: list[StateDict]) -> Iterator[tuple[Any, Tensor]]:
    """Pair the state dict's key of each parameter with the parameter."""
    numbers = chain.from_iterable(group["params"] for group in saved_groups)
    params = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    return zip(numbers, params, strict=False)
