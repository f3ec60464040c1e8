"""The step on Keras's backends, from the module for the current backend."""

from __future__ import annotations

import keras

from indian_keras.backend.slots import slot_of

if keras.backend.backend() == "torch":
    from indian_keras.backend.on_torch import update
else:
    from indian_keras.backend.on_graph import update

__all__ = ["slot_of", "update"]
