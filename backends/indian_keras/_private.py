"""Names that Keras and PyTorch do not promise to keep, each with what is done without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

try:
    from keras.src.backend.common.stateless_scope import in_stateless_scope  # of 3.15
except ImportError:
    in_stateless_scope = None

# What Keras calls, or has, in its optimizers (3.10 to 3.15). A step that Keras made without calling
# them would be another one without a word, so without them nothing is done at all.
HOOKS = (
    "_apply_weight_decay",
    "_backend_update_step",
    "_check_variables_are_known",
    "_get_current_learning_rate",
    "_get_variable_index",
)


def check_hooks() -> None:
    """Raise if Keras's optimizers have not what this package's are hung on."""
    for name in HOOKS:
        if not hasattr(keras.optimizers.Optimizer, name):
            raise ImportError(
                f"indian_keras does not know Keras {keras.__version__}: its optimizers have no "
                f"{name}. Keras 3.10 to 3.15 have"
            )


def decays(optimizer: Any, variable: Any) -> bool:
    """Return whether a variable is not excluded from weight decay; without the name, none is."""
    asked = getattr(optimizer, "_use_weight_decay", None)
    return asked is None or bool(asked(variable))


def layout(variable: Any) -> Any:
    """Return a variable's layout on a mesh, or None: then its slots lie where Keras puts them."""
    return getattr(variable, "_layout", None)


def fused_sgd() -> Any:
    """Return PyTorch's fused SGD kernel (of 2.13), or None: then multi-tensor operations do it."""
    return _of_torch("_fused_sgd_")


def fused_adam() -> Any:
    """Return PyTorch's fused Adam kernel (of 2.13), or None: then multi-tensor operations do it."""
    return _of_torch("_fused_adam_")


def _of_torch(name: str) -> Any:
    import torch  # noqa: PLC0415

    return getattr(torch, name, None)


def values(variables: Sequence[Any]) -> list[Any]:
    """Return the tensors of Keras variables, outside of a scope without its questions on each."""
    if in_stateless_scope is not None and not in_stateless_scope():
        import torch  # noqa: PLC0415

        tensors = [getattr(variable, "_value", None) for variable in variables]
        if all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            return tensors
    return [variable.value for variable in variables]
