r"""The tensors of one step of a parameter group, checked before anything is changed."""

from __future__ import annotations

import dataclasses
import operator
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from indian_torch import _private
from indian_torch.step.layout import Kind, Layout
from indian_torch.step.settings import Settings

# The lists that the implementations work on, with one entry per parameter.
_DTYPE, _IS_CPU = operator.attrgetter("dtype"), operator.attrgetter("is_cpu")
_LISTS = ("params", "grads", "momentum_buffers", "exp_avg_sqs")


@dataclasses.dataclass(slots=True, eq=False)
class Tensors:
    """The tensors of one step of a parameter group, with one entry per parameter in each list.

    `owners` are the user's parameters. Where these are DTensors, `params` are this rank's shards.
    New scales are written to `states`; under torch.compile, where the scales are tensors, `states`
    is None. The lists that a method or a step does not have are None: `momentum_buffers` for SGD
    at momentum 0, `scales` by the momentum law, `exp_avg_sqs` (V) and `steps` (the number of
    gradients in each V) without scaling.
    """

    owners: list[Tensor]
    states: list[dict[str, Any]] | None
    params: list[Tensor]
    grads: list[Tensor]
    momentum_buffers: list[Any] | None = None
    exp_avg_sqs: list[Any] | None = None
    scales: list[Any] | None = None
    steps: list[Any] | None = None
    layout: Layout | None = None
    kind: Kind | None = None
    counts: list[Any] | None = None  # the steps as numbers, where the host may read them

    def check(self, settings: Settings, examine: Callable[..., Layout]) -> None:
        """Set the layout, which `examine` returns, or raise if the step cannot be made."""
        native = _private.native_types.issuperset(map(type, self.owners))
        eager = self.states is not None and not (settings.capturable or settings.differentiable)
        if eager and not native:
            self._take_local_shards()
        none = [None] * len(self.params)
        buffers = [self.momentum_buffers or none] + ([self.exp_avg_sqs] if self.exp_avg_sqs else [])
        self.layout = examine(self.params, self.grads, *buffers)
        if self.layout.sparse and settings.sigma is not None:
            raise RuntimeError(
                "a method that scales the gradient does not support sparse gradients"
            )
        if self.layout.sparse and settings.l2 is not None:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        if self.layout.conjugate and settings.sigma is not None:
            raise ValueError("Invalid parameter: it is lazily conjugated: resolve_conj() it")

    def is_complete(self, on_device: bool) -> bool:
        """Return whether no entry of a state is missing, or in the form of another kind of step."""
        # Sets of types: with a thousand small tensors, this code is a part of a step's time.
        for column in (self.momentum_buffers, self.exp_avg_sqs):
            if column is not None and NoneType in set(map(type, column)):
                return False
        if self.scales is not None:
            kinds = set(map(type, self.scales))
            if NoneType in kinds or (float in kinds if on_device else kinds - {float}):
                return False
        if self.steps is None:
            return True
        if on_device:
            return all(
                isinstance(step, Tensor) and step.ndim == 0 and step.device == param.device
                for step, param in zip(self.steps, self.params, strict=True)
            )
        if not all(issubclass(each, Tensor) for each in set(map(type, self.steps))):
            return False
        return {torch.float32}.issuperset(map(_DTYPE, self.steps)) and all(map(_IS_CPU, self.steps))

    def _take_local_shards(self) -> None:
        """Replace DTensors by this rank's shards, since the step is the same for every number.

        The fused kernel does not support DTensors, and the other implementations are far slower on
        them.
        """
        owners = self.owners

        def local(tensor: Any, param: Any) -> Any:
            if tensor is None or not hasattr(param, "placements"):
                return tensor
            if tensor.placements != param.placements:
                tensor = tensor.redistribute(param.device_mesh, param.placements)
            return tensor.to_local()

        self._replace(lambda tensor, i: local(tensor, owners[i]))

    def take_complex_as_pairs(self) -> None:
        """Replace complex tensors by views of real pairs, as torch's Adam does."""
        assert self.layout is not None
        if any(kind.dtype.is_complex for kind in self.layout.kinds):
            self._replace(
                lambda t, _: torch.view_as_real(t.resolve_conj()) if t.is_complex() else t
            )

    def _replace(self, function: Callable[[Any, int], Any]) -> None:
        for name in _LISTS:
            tensors = getattr(self, name)
            if tensors is not None:
                setattr(self, name, [function(tensor, i) for i, tensor in enumerate(tensors)])

    def count_gradients(self, *, read: bool) -> None:
        """Add one to the number of gradients in each V, and read the numbers if the host may."""
        assert self.steps is not None
        steps = self.steps
        if self.states is None or not steps[0].is_cpu:
            torch._foreach_add_(steps, 1)
        else:  # so that 1 becomes a tensor once, and not once for each step
            torch._foreach_add_(steps, torch.tensor(1.0, device="cpu"), alpha=1.0)
        read = read and {Tensor}.issuperset(map(type, steps))  # fake tensors have another type
        self.counts = list(map(float, steps)) if read else steps

    def buckets(self) -> Iterator[Tensors]:
        """Yield the tensors of each kind and, on the host, of each scale and count."""
        assert self.layout is not None
        columns = [c for c in (self.scales, self.counts) if c and not isinstance(c[0], Tensor)]
        numbers = list(zip(*columns, strict=True))
        alike = len(set(numbers)) <= 1
        for kind, indices in self.layout.kinds.items():
            lists: dict[Any, list[int]] = {None: indices} if alike else defaultdict(list)
            for i in () if alike else indices:
                lists[numbers[i]].append(i)
            for some in lists.values():
                bucket = self if len(some) == len(self.params) else self._subset(some)
                bucket.kind = kind
                yield bucket

    def _subset(self, indices: Sequence[int]) -> Tensors:
        """Return the tensors of the parameters with these indices."""
        lists: dict[str, Any] = {
            name: [column[i] for i in indices]
            for name in ("owners", "states", "scales", "steps", "counts", *_LISTS)
            if (column := getattr(self, name)) is not None
        }
        return dataclasses.replace(self, **lists)

    def scale(self, settings: Settings) -> Any:
        """Return the scale of a bucket's buffers: a number, or a list of tensors on the device."""
        if settings.buffer_scale is not None:
            return settings.buffer_scale
        assert self.scales is not None
        return self.scales if isinstance(self.scales[0], Tensor) else self.scales[0]

    def keep_scale(self, scale: float) -> None:
        """Write a bucket's new scale into its states, if it has changed."""
        if self.states is None or self.scales is None or self.scales[0] == scale:
            return
        for state in self.states:
            state["scale"] = scale

    def keep_buffers(self) -> None:
        """Write the tensors that autograd made anew into the states."""
        for name, tensors in (
            ("momentum_buffer", self.momentum_buffers),
            ("exp_avg_sq", self.exp_avg_sqs),
        ):
            for state, tensor, owner in zip(
                self.states or (), tensors or (), self.owners, strict=False
            ):
                pairs = owner.is_complex() and not tensor.is_complex()
                state[name] = torch.view_as_complex(tensor) if pairs else tensor
