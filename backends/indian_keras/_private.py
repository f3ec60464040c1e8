"""Names that Keras and PyTorch do not promise to keep, and what to do without each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

try:
    from keras.src.backend.common.stateless_scope import in_stateless_scope  # of 3.15
except ImportError:
    in_stateless_scope = None

# The methods that Keras calls, or has, in its optimizers (3.10 to 3.15). If Keras did not call them
# the step would be silently wrong, so without them nothing is done at all.
HOOKS = (
    "_apply_weight_decay",
    "_backend_update_step",
    "_check_variables_are_known",
    "_get_current_learning_rate",
    "_get_variable_index",
)


def check_hooks() -> None:
    """Raise if Keras's optimizers lack a method that this package's optimizers depend on."""
    for name in HOOKS:
        if not hasattr(keras.optimizers.Optimizer, name):
            raise ImportError(
                f"indian_keras does not know Keras {keras.__version__}: its optimizers have no "
                f"{name}. Keras 3.10 to 3.15 have"
            )


def decays(optimizer: Any, variable: Any) -> bool:
    """Return whether weight decay applies to a variable. Without Keras's name, it always does."""
    asked = getattr(optimizer, "_use_weight_decay", None)
    return asked is None or bool(asked(variable))


def fused_kernel(name: str) -> Any:
    """Return a fused kernel of PyTorch (2.13), or None to use multi-tensor operations."""
    import torch  # noqa: PLC0415

    return getattr(torch, name, None)


def values(variables: Sequence[Any]) -> list[Any]:
    """Return the tensors of Keras variables; outside a stateless scope, skip Keras's checks."""
    if in_stateless_scope is not None and not in_stateless_scope():
        import torch  # noqa: PLC0415

        tensors = [getattr(variable, "_value", None) for variable in variables]
        if all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            return tensors
    return [variable.value for variable in variables]
