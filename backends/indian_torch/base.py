r"""What INDIAN and INNAprop share: parameter groups, states, the step, ψ, and loading."""

from __future__ import annotations

import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

import indian_core
from indian_torch import _private
from indian_torch.checkpoints import StateDict, check_state_dict, check_structure, restore_state
from indian_torch.energy import energy
from indian_torch.groups import Fields, StepReader, scalar_of, units_of
from indian_torch.step.dispatch import make
from indian_torch.step.part import Part
from indian_torch.step.precision import buffer_dtype_of, momentum_dtype_of
from indian_torch.step.scalars import is_unreadable, moved, placed
from indian_torch.tensors import Examiner, Separator, examine

_NO_STATE: StateDict = {}


class InertialOptimizer(Optimizer):
    """A linear step of θ and the momentum w, on the gradient or on the scaled gradient.

    Attributes:
        fields: The fields of a parameter group.
        buffers: The names of the tensors in a parameter's state, which have its shape:
            ``momentum_buffer``, which is w times ``scale``, and ``exp_avg_sq`` if the method scales
            the gradient.
        numbers: The names of the numbers in a state. Each number is 0 before the first step.
    """

    fields: ClassVar[Fields]
    buffers: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    numbers: ClassVar[tuple[str, ...]] = ("scale",)
    # Of `from_sgd` and `from_adam`: from a group of that method to one of this.
    _translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def __init__(self, params: ParamsT, group: dict[str, Any]) -> None:
        self._forget()
        super().__init__(
            params, self.fields.checked({name: group[name] for name in self.fields.names})
        )

    @classmethod
    def _translated(
        cls, params: ParamsT, translate: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Self:
        """Return an optimizer whose groups are translated from those of another method."""
        groups: Any = params
        if not isinstance(params, Tensor):  # torch raises its own error for a tensor
            groups = [translate(dict(each)) if isinstance(each, dict) else each for each in params]
        optimizer = cls(groups, **translate({}))
        optimizer._translate = translate
        return optimizer

    @property
    def state_keys(self) -> set[str]:
        """Return the keys of a parameter's state once the state has been made."""
        return {*self.buffers, *self.numbers}

    def _forget(self) -> None:
        """Reset what is remembered of the last step, which is not pickled."""
        self._readers: dict[int, StepReader] = defaultdict(
            functools.partial(StepReader, self.fields)
        )
        self._examiners: dict[int, Examiner] = defaultdict(Examiner)
        self._separate = Separator()
        self._columns = list(map(operator.itemgetter, self._column_names()))

    def _column_names(self) -> list[str]:
        """Return the keys of a state in the order of `Part`'s lists."""
        return [name for pair in zip(self.buffers, self.numbers, strict=True) for name in pair]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()
        for group in self.param_groups:
            for name, value in self.fields.later.items():
                group.setdefault(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_translate": self._translate}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, whose options may differ from the defaults.

        Args:
            param_group: A dict with "params" and any arguments of the constructor. After
                ``from_sgd`` or ``from_adam``, the arguments are those of that method.

        Raises:
            ValueError: As in the constructor and `torch.optim.Optimizer.add_param_group`.
            TypeError: As in the constructor and `torch.optim.Optimizer.add_param_group`.
        """
        if isinstance(param_group, dict):
            if self._translate is not None:
                param_group = self._translate(dict(param_group))
            self.fields.refuse_others(param_group)
            checked = self.fields.checked(self.defaults | param_group)
            param_group = {name: checked[name] for name in param_group}
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state dict that `state_dict` returned, with any of the implementations.

        The tensors are copied. The momentum keeps its dtype. If an error is raised, nothing has
        been changed.

        Args:
            state_dict: A state dict of the same method, with the same number of parameters and the
                same shapes.

        Raises:
            ValueError: If anything is missing, superfluous, of another shape or out of its range.
            TypeError: If a hyperparameter is not a number.
            RuntimeError: If two options exclude each other.
        """
        check_structure(state_dict)
        loaded: list[StateDict] = []

        # As hooks: the user's own hooks run before the check, and after the state is restored.
        def check(_: Optimizer, final_state_dict: StateDict) -> None:
            check_state_dict(self, final_state_dict)
            loaded.append(final_state_dict)

        before = self.register_load_state_dict_pre_hook(check)
        after = self.register_load_state_dict_post_hook(
            lambda _: restore_state(self, loaded[0]), prepend=True
        )
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()

    def _init_group(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *columns: list[Any]
    ) -> None:
        """Fill the lists with what a compiled step works on, and make missing states.

        torch.compile calls this method by its name, outside the graph.
        """
        with_grad = [param for param in group["params"] if param.grad is not None]
        self._make_states(group, with_grad, on_device=True)
        params += with_grad
        grads += [param.grad for param in with_grad]
        for column, name in zip(columns, self._column_names(), strict=True):
            column += [self.state[param][name] for param in with_grad]

    def _make_states(self, group: dict[str, Any], params: list[Tensor], on_device: bool) -> None:
        """Make the missing states, and convert the states' numbers to the form a step needs.

        The numbers become tensors if the host must not read them (`on_device`), and floats
        otherwise.
        """
        for param in params:
            state = self.state[param]
            if not state.keys() >= self.state_keys:
                for name in self.buffers:
                    dtype = buffer_dtype_of(name, param, group["momentum_dtype"])
                    state[name] = torch.zeros_like(
                        param, dtype=dtype, memory_format=torch.preserve_format
                    )
                state.update(dict.fromkeys(self.numbers, 0.0))
            for name in self.numbers:
                if isinstance(state[name], Tensor) != on_device:
                    place = moved if name == "scale" else placed
                    state[name] = place(state[name], state["momentum_buffer"], on_device)

    def _part(self, number: int, group: dict[str, Any]) -> Part:
        """Return a group's part of a step, or raise. This changes nothing."""
        if torch.compiler.is_compiling():
            params: list[Tensor] = []
            grads: list[Any] = []
            columns: Any = [[] for _ in (*self.buffers, *self.numbers)]
            self._init_group(group, params, grads, *columns)
            part = Part(params, None, params, grads, self.fields.step(group), *columns)
            part.check(examine)
            return part
        step = self._readers[number](group)
        # Comprehensions: with a thousand small tensors, this Python code is half of a step's time.
        params = group["params"]
        grads = [param.grad for param in params]
        if NoneType in set(map(type, grads)):
            params = [param for param in params if param.grad is not None]
            grads = [grad for grad in grads if grad is not None]
        states = list(map(self.state.get, params, itertools.repeat(_NO_STATE)))
        try:
            columns = [list(map(column, states)) for column in self._columns]
        except KeyError:  # Some states have to be made.
            columns = [[state.get(name) for state in states] for name in self._column_names()]
            for param in params if step.fused else ():
                _private.device_dtype_check_for_fused(param)
        part = Part(params, states, params, grads, step, *columns)
        part.check(examine if step.differentiable else self._examiners[number])
        return part

    energy = energy

    @_private.use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: A function that evaluates the model again and returns the loss.

        Returns:
            The return value of the closure, or None.

        Raises:
            ValueError: If a hyperparameter in a parameter group is now out of its range, or a
                parameter now has another shape than its momentum or gradient. As with the other
                errors, no parameter of any group has moved and no state has changed.
            TypeError: If a hyperparameter is not a number.
            RuntimeError: If ``fused=True`` and no fused kernel supports a parameter's kind, or if a
                gradient is sparse and the weight decay is not decoupled or the method scales the
                gradient.
        """
        _private.check_capture(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parts = [self._part(number, group) for number, group in enumerate(self.param_groups)]
        # No error is raised from here on.
        if not torch.compiler.is_compiling():
            for number, group in enumerate(self.param_groups):
                kinds = set(map(type, parts[number].scales))
                on_device = group["capturable"]
                if NoneType in kinds or (float in kinds if on_device else kinds - {float}):
                    self._make_states(group, parts[number].owners, on_device)
                    parts[number] = self._part(number, group)
            parts = [part for part in parts if not part.is_idle]
            self._separate(parts)
        make(parts)
        return loss

    @torch.no_grad()
    def psi(self, param: Tensor) -> Tensor:
        r"""Return the paper's auxiliary variable ψ = (1 − αβ) θ + β w for a parameter.

        Before the first step w is 0.

        Args:
            param: A parameter of this optimizer.

        Returns:
            A new tensor of the parameter's shape, in the momentum's dtype.

        Raises:
            ValueError: If the optimizer has no such parameter.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], alpha=0.5, beta=0.1)
            >>> optimizer.psi(weight)
            tensor([0.9500, 1.9000])
        """
        group = self._group_of(param)
        state = self.state.get(param, {})
        dtype = momentum_dtype_of(param, group["momentum_dtype"])
        if state.keys() >= self.state_keys:
            scale = state["scale"]
            scale = 1.0 if is_unreadable(scale) else float(scale)
            momentum = state["momentum_buffer"] / (scale or 1.0)
        else:
            momentum = torch.zeros_like(param, dtype=dtype)
        psi: Tensor = indian_core.psi_from_momentum(
            param.detach().to(dtype),
            momentum,
            scalar_of(group, "alpha"),
            scalar_of(group, "beta"),
            units_of(group),
        )
        return psi

    @torch.no_grad()
    def set_psi(self, param: Tensor, psi: Tensor) -> None:
        r"""Set w = (ψ − (1 − αβ) θ)/β for a parameter. Its next step is then not a first step.

        Args:
            param: A parameter of this optimizer.
            psi: The paper's ψ for the parameter's present value, of the parameter's shape.

        Raises:
            ValueError: If the optimizer has no such parameter, or ψ is invalid for it. In either
                case nothing has been changed.
            TypeError: If ψ is not a tensor.

        Examples:
            >>> import torch
            >>> from indian_torch import INDIAN
            >>> weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> optimizer = INDIAN([weight], lr=0.1, alpha=0.5, beta=0.1)
            >>> optimizer.set_psi(weight, torch.tensor([1.0, 2.0]))
            >>> optimizer.psi(weight)
            tensor([1., 2.])
        """
        group = self._group_of(param)
        check_psi(psi, param)
        buffer = self.state.get(param, _NO_STATE).get("momentum_buffer")
        dtype = momentum_dtype_of(param, group["momentum_dtype"])
        dtype = dtype if buffer is None else buffer.dtype
        momentum = indian_core.momentum_from_psi(
            param.to(dtype),
            psi.to(param.device, dtype),
            scalar_of(group, "alpha"),
            scalar_of(group, "beta"),
            float(units_of(group)),
        )
        state = self.state[param]
        if not state.keys() >= self.state_keys:
            self._make_states(group, [param], on_device=False)
        state["momentum_buffer"].copy_(momentum)
        scale = state["scale"]
        # In place: a captured CUDA graph may hold the tensor.
        state["scale"] = scale.fill_(1.0) if isinstance(scale, Tensor) else 1.0

    def _group_of(self, param: Tensor) -> dict[str, Any]:
        for group in self.param_groups:
            if any(param is member for member in group["params"]):
                return group
        raise ValueError("param is not a parameter of this optimizer")


def check_psi(psi: Any, param: Tensor) -> None:
    """Raise unless ψ is a tensor that is valid for this parameter."""
    if not isinstance(psi, Tensor):
        raise TypeError(f"psi should be a Tensor, not {type(psi).__name__}")
    if psi.shape != param.shape:
        raise ValueError(f"psi should be {tuple(param.shape)}, but is {tuple(psi.shape)}")
    if psi.layout != torch.strided:
        raise ValueError(f"psi should be dense, but is {psi.layout}")
    if psi.is_meta and not param.is_meta:
        raise ValueError("psi should have numbers, but is on meta")
    if psi.is_complex() and not param.is_complex():
        raise ValueError(f"psi should be real, as its parameter is, but is {psi.dtype}")
