"""What the methods share: slots, numbers, the step and loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from indian_core import METHODS, Coefficients, bias_correction, checked
from indian_keras import _private
from indian_keras.backend import (
    Scaling,
    Slots,
    Step,
    expm1,
    is_distributed,
    scalar,
    slot_dtype,
    uncompiled,
    update,
    update_in_order,
)
from indian_keras.gradients import check_array, checked_gradients
from indian_keras.schedules import as_learning_rate, is_schedule, known

_private.check_hooks()
# Keras's names for the table's, where they differ.
_KERAS_NAMES = {"lr": "learning_rate", "eps": "epsilon"}
_OPTIONAL = ("initial_speed", "weight_decay", "damping")
# The numbers of all methods. A method refuses to be given another one's.
_FOREIGN = {name for method in METHODS.values() for name in method.numbers} | {"nesterov"}
# Where a subclass has its own of these, Keras's own loop must run.
_HOOKS = ("update_step", "assign")


def arguments_of(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments, given its `locals()`, to hand them all on by name."""
    return {name: value for name, value in names.items() if name not in ("self", "__class__")}


class Optimizer(keras.optimizers.Optimizer):  # type: ignore[misc]
    """A linear step on (θ, s), after Keras's clipping and accumulation.

    A method names its entry in `METHODS` and defines its signature. A law defines the `scalars`.

    Attributes:
        method: The method's name in `METHODS`.
        flags: The names of its arguments that are no numbers.
        momentums: The slots s, one for each variable (None for one that Keras overwrites with its
            gradient), or an empty list if the optimizer was built without momentum.
        velocities: The slots V of a method that scales its gradients.
        count: The number of gradients in V, of such a method.
        precision: The dtype in which tensors of scalars are computed.
    """

    method: ClassVar[str]
    flags: ClassVar[tuple[str, ...]] = ()
    velocities: Any = None
    count: Any = None
    precision = "float32"

    def __init__(self, *, learning_rate: Any, **arguments: Any) -> None:
        own = {name: arguments.pop(name) for name in self.names()}
        super().__init__(learning_rate=as_learning_rate(learning_rate), **arguments)
        for name, value in own.items():
            setattr(self, name, value)
        self.scalars(0.0)  # which raises if the numbers do not go together

    @classmethod
    def names(cls) -> list[str]:
        """Return Keras's names for the arguments that Keras itself does not handle."""
        names = [_KERAS_NAMES.get(name, name) for name in METHODS[cls.method].numbers]
        return [n for n in names if n not in ("learning_rate", "weight_decay")] + list(cls.flags)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A number of the method is converted to a float, or refused.

        Raises:
            TypeError: If the number is not real, or a flag is not True or False.
            ValueError: If the number is out of range.
            AttributeError: If it is a number of another method.
        """
        if name in self.flags:
            if value not in (True, False):
                raise TypeError(f"Invalid {name}: {value!r} (it must be True or False)")
            value = bool(value)
        elif name in self.names() or name == "weight_decay":
            as_it_is = name == "damping" and is_schedule(value)
            if not as_it_is and not (value is None and name in _OPTIONAL):
                value = checked(name, value)
        elif name in _FOREIGN and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        super().__setattr__(name, value)

    def build(self, variables: list[Any]) -> None:
        """Create the slots.

        Args:
            variables: The model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        # Keras saves an optimizer's variables by index, so this order is a file format.
        self.momentums = []
        if self.has_momentum():
            self.momentums = self.add_optimizer_variables(variables, "momentum")
        if METHODS[self.method].scaled:
            self.velocities = self.add_optimizer_variables(variables, "velocity")
            self.count = self._counter("count")
        wide = any(slot_dtype(v.dtype) in ("float64", "complex128") for v in variables)
        self.precision = "float64" if wide else "float32"

    def has_momentum(self) -> bool:
        """Return whether the next step has a momentum."""
        return True

    def add_variable(self, *args: Any, **options: Any) -> Any:
        """Add a variable to the optimizer, as Keras does. The slots have their `slot_dtype`."""
        name = str(options.get("name"))
        if name.endswith(("_momentum", "_velocity")) and options.get("dtype") is not None:
            options["dtype"] = slot_dtype(options["dtype"], real=name.endswith("_velocity"))
        return super().add_variable(*args, **options)

    def _counter(self, name: str) -> Any:
        return self.add_variable(shape=(), dtype="int", aggregation="only_first_replica", name=name)

    @property
    def learning_rate(self) -> Any:
        """The learning rate at the current iteration. Assign a float ≥ 0, or a schedule."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, as_learning_rate(learning_rate))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one step.

        Args:
            grads: v for each variable, or None for a variable without a gradient.
            trainable_variables: θ. Defaults to the variables that the optimizer was built with.

        Raises:
            ValueError: If a gradient does not fit its variable, or if the learning rate has become
                negative, NaN or infinite and its value is known (not in a compiled program).
                Nothing is changed then.
        """
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        variables = trainable_variables or self._trainable_variables
        super().apply(checked_gradients(list(grads), variables), trainable_variables)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Do nothing, because the decay is part of the step, where λ is not rounded to float32."""
        del variables  # AutoGraph warns about a body without a statement.

    @uncompiled
    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        if is_distributed() or any(map(self._has_its_own, _HOOKS)):
            super()._backend_update_step(grads, trainable_variables, learning_rate)
        else:
            step = self._step(learning_rate)  # first of all, because it may raise
            slots = [self._slots_of(variable) for variable in trainable_variables]
            update(self, step, grads, slots)
        self._count_step(learning_rate)

    def _has_its_own(self, name: str) -> bool:
        """Return whether a subclass, or somebody on this instance, has replaced a method."""
        return getattr(getattr(self, name), "__func__", None) is not getattr(Optimizer, name)

    @uncompiled
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Make one step on one variable, weight decay included.

        A subclass that has its own `update_step` is asked for each variable, on every backend.
        Outside of `apply`, increase `iterations` when all variables have made their step.

        Args:
            gradient: v, of the variable's shape.
            variable: θ, one of the variables that the optimizer was built with.
            learning_rate: The learning rate, a scalar.
        """
        gradients = checked_gradients([gradient], [variable])
        update_in_order(self, self._step(learning_rate), gradients, [self._slots_of(variable)])

    def _slots_of(self, variable: Any) -> Slots:
        index = self._get_variable_index(variable)
        momentum = self.momentums[index] if self.has_momentum() else None
        squares = None if self.velocities is None else self.velocities[index]
        decays = bool(self.weight_decay) and _private.decays(self, variable)
        return Slots(variable, momentum, squares, decays)

    def _step(self, learning_rate: Any) -> Step:
        """Return the scalars of the next step."""
        lr = self._rate(learning_rate)
        decay = pull = scaling = None
        if self.weight_decay and not self._has_its_own("_apply_weight_decay"):
            decay, pull = lr * self.weight_decay, self.pull(lr)
        if self.velocities is not None:
            t = scalar(ops.maximum(self.count, self.iterations), self.precision) + 1
            sigma = self.sigma if "sigma" in METHODS[self.method].numbers else self.beta_2
            scaling = Scaling(sigma, self.epsilon, t, bias_correction(sigma, t, expm1))
        return Step(self.scalars(lr), decay, pull, scaling)

    def _rate(self, learning_rate: Any) -> Any:
        """Return a learning rate as a float or a tensor, checked if it is known."""
        lr = scalar(learning_rate, self.precision)
        value = known(lr)
        return lr if value is None else scalar(checked("learning_rate", value), self.precision)

    def _count_step(self, learning_rate: Any) -> None:
        """Note that a step at this learning rate was made, before Keras increases `iterations`."""
        del learning_rate
        if self.count is not None:
            self.count.assign(ops.maximum(self.count, self.iterations) + 1)

    def scalars(self, lr: Any) -> Coefficients:
        """Return the scalars of the next linear step, floats or tensors as lr is."""
        raise NotImplementedError

    def pull(self, lr: Any) -> Any:
        """Return how many times θ is added to s with a weight decay, or None."""
        del lr

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Return the variables' values after a step, without changing the variables themselves.

        Args:
            optimizer_variables: The values of `variables`, as tensors in the same order.
            grads: v, for each variable that the optimizer was built with.
            trainable_variables: θ, a tensor for each variable that the optimizer was built with.

        Returns:
            The new values of θ, and those of `variables`.

        Raises:
            ValueError: If the optimizer is not built, or was built with another number of
                variables.
        """
        if keras.backend.backend() == "torch":
            # There the step changes the tensors that it is given.
            optimizer_variables = [ops.copy(value) for value in optimizer_variables]
            trainable_variables = [ops.copy(value) for value in trainable_variables]
        new: tuple[list[Any], list[Any]] = super().stateless_apply(
            optimizer_variables, grads, trainable_variables
        )
        return new

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Restore the state from a file, or leave it unchanged if the file is not this model's.

        Args:
            store: The arrays of the file, by index.

        Raises:
            ValueError: If an array has another shape than its variable. If there are more or fewer
                arrays than variables, Keras warns and skips the optimizer, as it does for its own.
        """
        if len(store.keys()) == len(self.variables):
            arrays = {}
            for index, variable in enumerate(self.variables):
                key, name = str(index), f"entry {index} of optimizer {self.name!r}"
                if key not in store:
                    raise ValueError(f"Invalid {name}: it is missing")
                array = np.asarray(store[key])
                if array.dtype.kind in "OSU":
                    raise ValueError(f"Invalid {name}: its dtype is {array.dtype}")
                check_array(f"{name}, that", array, variable)
                arrays[key] = ops.convert_to_tensor(array, dtype=variable.dtype)
            store = arrays
        super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config: dict[str, Any] = super().get_config()
        return config | {name: getattr(self, name) for name in self.names()}
