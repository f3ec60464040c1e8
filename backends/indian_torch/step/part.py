r"""One parameter group's part of a step, checked before anything is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from indian_torch import _private
from indian_torch.step.scalars import Step
from indian_torch.tensors import Layout, check_match

# The lists that the implementations work on, with one entry per parameter.
_TENSORS = ("params", "grads", "momentum_buffers", "exp_avg_sqs")


@dataclasses.dataclass(slots=True, eq=False)
class Part:
    """One parameter group's part of a step, checked before anything is changed.

    `owners` are the user's parameters. Where these are DTensors, `params` are this rank's shards.
    New numbers are written to `states`. Under torch.compile, where the numbers are tensors,
    `states` and the `layout` of the tensors are None. Methods that do not scale the gradient have
    no `exp_avg_sqs` (V) and no `counts` (the number of gradients in each V).
    """

    owners: list[Tensor]
    states: list[dict[str, Any]] | None
    params: list[Tensor]
    grads: list[Tensor]
    step: Step
    momentum_buffers: list[Any]
    scales: list[Any]
    exp_avg_sqs: list[Any] | None = None
    counts: list[Any] | None = None
    layout: Layout | None = None

    def check(self, examine: Callable[..., Layout]) -> None:
        """Set the layout, which `examine` returns, or raise if the step cannot be made."""
        step = self.step
        if self.states is None:
            for param, grad in zip(self.params, self.grads, strict=True):
                check_match("gradient", grad, param)
            self._refuse_sparse(any(grad.is_sparse for grad in self.grads))
            return
        if not (step.capturable or step.differentiable):
            self._take_local_shards()
        buffers = [self.momentum_buffers] + ([self.exp_avg_sqs] if self.exp_avg_sqs else [])
        self.layout = examine(self.params, self.grads, *buffers)
        self._refuse_sparse(self.layout.sparse)
        if self.exp_avg_sqs and self.layout.lazy_param and any(p.is_conj() for p in self.params):
            raise ValueError("Invalid parameter: it is lazily conjugated: resolve_conj() it")

    def _refuse_sparse(self, sparse: bool) -> None:
        if sparse and self.exp_avg_sqs is not None:
            raise RuntimeError("INNAprop does not support sparse gradients (INDIAN does)")
        if sparse and self.step.couples:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    def _take_local_shards(self) -> None:
        """Replace DTensors by this rank's shards, since the step is the same for every number.

        The fused kernel does not support DTensors, and the other implementations are far slower on
        them.
        """
        owners = self.owners
        if _private.native_types.issuperset(map(type, owners)):
            return

        def local(tensor: Any, param: Any) -> Any:
            if tensor is None or not hasattr(param, "placements"):
                return tensor
            if tensor.placements != param.placements:
                tensor = tensor.redistribute(param.device_mesh, param.placements)
            return tensor.to_local()

        self._replace(lambda tensor, i: local(tensor, owners[i]))

    def _replace(self, function: Callable[[Any, int], Any]) -> None:
        for name in _TENSORS:
            tensors = getattr(self, name)
            if tensors is not None:
                setattr(self, name, [function(tensor, i) for i, tensor in enumerate(tensors)])

    @property
    def on_host(self) -> bool:
        """Return whether every scalar of the step is a Python float."""
        return self.layout is not None and self.step.on_host

    @property
    def is_idle(self) -> bool:
        """Return whether the step is a no-op: lr is 0, and no derivative by lr is needed.

        (A step with V is never a no-op, because V also counts gradients at lr = 0, as in Adam.)
        """
        step = self.step
        return (
            self.layout is not None
            and self.exp_avg_sqs is None
            and step.is_idle
            and not (step.differentiable and step.tensors)
        )

    def take_complex_as_pairs(self) -> None:
        """Replace complex tensors by views of real pairs if the method scales the gradient.

        Torch's Adam does the same.
        """
        if self.exp_avg_sqs is not None and any(param.is_complex() for param in self.params):
            self._replace(lambda t, _: torch.view_as_real(t) if t.is_complex() else t)

    def subset(self, indices: Sequence[int]) -> Part:
        """Return the part for the parameters with these indices."""
        if len(indices) == len(self.params):
            return self
        lists: dict[str, Any] = {
            name: [column[i] for i in indices]
            for name in ("owners", "states", "scales", "counts", *_TENSORS)
            if (column := getattr(self, name)) is not None
        }
        return dataclasses.replace(self, **lists)

    def keep(self) -> None:
        """Write the numbers, and the tensors that autograd made anew, into the states."""
        if self.states is None:
            return
        for i, state in enumerate(self.states):
            state["scale"] = self.scales[i]
            if self.counts is not None:
                state["step"] = self.counts[i]
        if not self.step.differentiable:
            return
        for name, tensors in (
            ("momentum_buffer", self.momentum_buffers),
            ("exp_avg_sq", self.exp_avg_sqs),
        ):
            for state, tensor, owner in zip(self.states, tensors or (), self.owners, strict=False):
                pairs = owner.is_complex() and not tensor.is_complex()
                state[name] = torch.view_as_complex(tensor) if pairs else tensor
