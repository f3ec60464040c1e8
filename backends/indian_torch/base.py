r"""What all methods share: parameter groups, states, the step, and loading."""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from indian_core import METHODS
from indian_torch import _private, groups
from indian_torch.checkpoints import StateDict, completed, has_same_sizes, restored
from indian_torch.groups import Group
from indian_torch.step.dispatch import make
from indian_torch.step.layout import BUFFERS, Examiner, examine, examine_compiled
from indian_torch.step.precision import new_buffer
from indian_torch.step.settings import Settings
from indian_torch.step.tensors import Tensors

_NO_STATE: StateDict = {}


class LinearOptimizer(Optimizer):
    """An optimizer whose step is one linear step of θ and a momentum.

    A method is a class with the attribute `method`, whose constructor has the method's arguments.
    A subclass may replace `direction`.

    Attributes:
        method: The method, a key of `indian_core.METHODS`.
        arguments: The arguments of the constructor with their defaults, which are also the keys of
            a parameter group.
        entries: The keys of a parameter's state.
    """

    method: ClassVar[str]
    arguments: ClassVar[dict[str, Any]]
    entries: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **options: Any) -> None:
        """Read the arguments of a new method from its constructor."""
        super().__init_subclass__(**options)
        if "method" in cls.__dict__:
            parameters = list(inspect.signature(cls.__init__).parameters.values())[2:]
            cls.arguments = {parameter.name: parameter.default for parameter in parameters}
            law, scaled, _ = METHODS[cls.method]
            cls.entries = ("momentum_buffer",)
            cls.entries += ("scale",) * (law == "paper") + ("exp_avg_sq", "step") * scaled

    def __init__(self, params: ParamsT, given: Group) -> None:
        defaults = {name: given[name] for name in self.arguments}
        self._examiners: dict[int, Examiner] = defaultdict(Examiner)
        groups.numbers(self.method, defaults, self.arguments)
        super().__init__(params, defaults)

    def direction(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return what the step is made of: the gradients, unless a subclass replaces them.

        Coupled weight decay is added to the result, and the methods with ``exp_avg_sq`` scale it.

        Args:
            gradients: The user's gradients of some parameters. They must not be changed.

        Returns:
            A tensor for each gradient, of its shape, dtype and device.
        """
        return gradients

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._examiners = defaultdict(Examiner)
        for group in self.param_groups:
            for name, value in self.arguments.items():
                group.setdefault(name, value)

    def add_param_group(self, param_group: Group) -> None:
        """Add a parameter group, whose options may differ from the defaults.

        The dict itself becomes the group, as in `torch.optim`, and gets the missing options. What
        is written into it later is used, or refused, at the next step.

        Args:
            param_group: A dict with "params" and any arguments of the constructor.

        Raises:
            ValueError: As in the constructor and `torch.optim.Optimizer.add_param_group`.
            TypeError: As in the constructor and `torch.optim.Optimizer.add_param_group`.
        """
        if isinstance(param_group, dict):
            groups.numbers(self.method, self.defaults | param_group, self.arguments)
        super().add_param_group(param_group)
        groups.normalize(self.method, param_group, self.arguments)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state dict that `state_dict` returned, with any of the implementations.

        The tensors are copied, in the dtypes of the buffers here. An entry that a state lacks is
        made at the next step. An option that a group lacks stays as it is. If an error is raised,
        nothing has been changed.

        Args:
            state_dict: A state dict of the same method, with the same number of parameters and the
                same shapes.

        Raises:
            ValueError: If a number is missing or out of its range, or a tensor does not fit.
            TypeError: If a hyperparameter is not a number.
            RuntimeError: If two options exclude each other.
        """
        entries: list[dict[Tensor, StateDict]] = []

        # As hooks: the user's own hooks run before the check, and after the state is restored.
        def check(_: Optimizer, state_dict: StateDict) -> StateDict:
            if not has_same_sizes(self, state_dict):
                return state_dict  # torch raises its own error for this
            state_dict = completed(self, state_dict)
            entries.append(restored(self, state_dict))
            return state_dict

        def put(_: Optimizer) -> None:
            for param, state in entries[0].items():
                self.state[param].update(state)
            for group in self.param_groups:
                groups.normalize(self.method, group, self.arguments)

        before = self.register_load_state_dict_pre_hook(check)
        after = self.register_load_state_dict_post_hook(put, prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()

    def entries_of(self, group: Group) -> list[str]:
        """Return the keys of a state that the next step of a group works on.

        SGD at momentum 0 makes no buffer, and leaves one that is there as it is.
        """
        spared = ("momentum_buffer",) if group.get("momentum") == 0 else ()
        return [name for name in self.entries if name not in spared]

    def _init_group(
        self, group: Group, params: list[Tensor], grads: list[Tensor], *columns: list[Any]
    ) -> None:
        """Fill the lists with what a compiled step works on, and make missing states.

        torch.compile calls this method by its name, outside the graph.
        """
        with_grad = [param for param in group["params"] if param.grad is not None]
        self.complete_states(group, with_grad, on_device=True)
        params += with_grad
        grads += [param.grad for param in with_grad]
        for column, name in zip(columns, self.entries_of(group), strict=True):
            column += [self.state[param][name] for param in with_grad]

    def complete_states(self, group: Group, params: list[Tensor], on_device: bool) -> None:
        """Make the missing entries of states, and put the numbers where a step needs them.

        A scale and a step become tensors on the parameter's device if the host must not read them
        (`on_device`). Otherwise a scale is a float and a step a tensor on the CPU.
        """
        for param in params:
            state = self.state[param]
            # A momentum that was put there without a scale is w itself.
            scale = state.get("scale")
            if scale is None:
                scale = 0.0 if state.get("momentum_buffer") is None else 1.0
            for name in self.entries_of(group):
                if name in BUFFERS and state.get(name) is None:
                    state[name] = new_buffer(param)
            if "scale" in self.entries:
                if on_device and not isinstance(scale, Tensor) and scale not in (0.0, 1.0):
                    state["momentum_buffer"].div_(scale)
                    scale = 1.0
                if isinstance(scale, Tensor) and not on_device:
                    scale = float(scale)
                state["scale"] = _on(param.device, scale) if on_device else scale
            if "step" in self.entries:
                device = param.device if on_device else torch.device("cpu")
                count = state.get("step")
                state["step"] = _on(device, 0.0 if count is None else count)

    def _tensors(self, number: int, group: Group, settings: Settings) -> Tensors:
        """Return the tensors of a group's step, or raise. This changes nothing."""
        names = self.entries_of(group)
        keys = ["momentum_buffers" if name == "momentum_buffer" else f"{name}s" for name in names]
        if torch.compiler.is_compiling():
            params: list[Tensor] = []
            grads: list[Any] = []
            columns: list[list[Any]] = [[] for _ in names]
            self._init_group(group, params, grads, *columns)
            check: Any = examine_compiled
            states: Any = None
        else:
            # Maps: with a thousand small tensors, this Python code is half of the time.
            params = group["params"]
            grads = [param.grad for param in params]
            if NoneType in set(map(type, grads)):
                params = [param for param in params if param.grad is not None]
                grads = [grad for grad in grads if grad is not None]
            states = list(map(self.state.get, params, itertools.repeat(_NO_STATE)))
            columns = [list(map(dict.get, states, itertools.repeat(name))) for name in names]
            check = examine if settings.differentiable else self._examiners[number]
        grads = self.direction(grads)
        lists: dict[str, Any] = dict(zip(keys, columns, strict=True))
        tensors = Tensors(params, states, params, grads, **lists)
        tensors.check(settings, check)
        if settings.fused and states is not None and not tensors.is_complete(settings.capturable):
            for param in params:
                _private.device_dtype_check_for_fused(param)
        return tensors

    @_private.use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: A function that evaluates the model again and returns the loss.

        Returns:
            The return value of the closure, or None.

        Raises:
            ValueError: If a number in a parameter group is now out of its range, or a parameter now
                has another shape than its momentum or gradient. As with the other errors, no
                parameter of any group has moved and no state has changed.
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
        work = []
        for number, group in enumerate(self.param_groups):
            settings = groups.settings(self.method, group, self.arguments)
            work.append((number, group, settings, self._tensors(number, group, settings)))
        # No error is raised from here on.
        for number, group, settings, tensors in work:
            if tensors.states is not None:
                settings, tensors = self._made_ready(number, group, settings, tensors)
            if not settings.changes_nothing or tensors.states is None:
                make(tensors, settings)
        return loss

    def _made_ready(
        self, number: int, group: Group, settings: Settings, tensors: Tensors
    ) -> tuple[Settings, Tensors]:
        """Complete the states of an eager step, and bring the buffers to the scale it wants."""
        if not tensors.is_complete(settings.capturable):
            self.complete_states(group, tensors.owners, settings.capturable)
            tensors = self._tensors(number, group, settings)
        old, new = settings.buffer_scale, settings.wanted_scale
        if not settings.on_host or old is None or new is None or new == old:
            return settings, tensors
        for param in group["params"]:
            buffer = self.state.get(param, _NO_STATE).get("momentum_buffer")
            if buffer is not None:
                buffer.mul_(new / old)
        group["buffer_scale"] = new
        return settings._replace(buffer_scale=new), tensors


def _on(device: torch.device, number: Any) -> Tensor:
    """Return a number of a state as a float32 tensor on a device."""
    tensor = torch.as_tensor(number, dtype=torch.float32, device=device)
    return tensor if tensor.ndim == 0 else tensor.reshape(())
