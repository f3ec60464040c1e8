"""INDIAN (INNA), an inertial Newton algorithm, as a Keras 3 optimizer.

Importing this package also makes ``compile(optimizer="indian")`` work, on every backend of Keras.
"""

try:
    import keras
except ImportError as error:
    raise ImportError(
        "indian_keras needs Keras 3 and a backend: pip install "
        '"indian-optimizer[keras-tensorflow]" (or keras-jax, or keras-torch)'
    ) from error

from indian_keras.curvature import largest_curvature, suggest_lr
from indian_keras.energy import EnergyLogger
from indian_keras.base import INDIAN
from indian_keras.schedules import PowerDecay

#: The paper's later name.
INNA = INDIAN

# Keras looks a bare name up among its own optimizers, whose names it lower-cases, and then here.
for _name in ("indian", "INDIAN", "inna", "INNA"):
    keras.saving.get_custom_objects()[_name] = INDIAN

__all__ = ["INDIAN", "INNA", "EnergyLogger", "PowerDecay", "largest_curvature", "suggest_lr"]
