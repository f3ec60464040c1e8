"""The step on Keras's backends, from the module for the current backend."""

from __future__ import annotations

import keras

from indian_keras.backend.on_graph import is_distributed, update_in_order
from indian_keras.backend.step import Scaling, Slots, Step, slot_dtype

if keras.backend.backend() == "torch":
    from indian_keras.backend.on_torch import expm1, scalar, uncompiled, update
else:
    from indian_keras.backend.on_graph import expm1, scalar, uncompiled
    from indian_keras.backend.on_graph import update_in_order as update

__all__ = [
    "Scaling",
    "Slots",
    "Step",
    "expm1",
    "is_distributed",
    "scalar",
    "slot_dtype",
    "uncompiled",
    "update",
    "update_in_order",
]
