"""INDIAN (INNA), INNAprop, DampedSGD and DampedAdamW as Keras 3 optimizers.

After this package is imported, ``compile(optimizer="indian")``, ``"innaprop"``, ``"damped_sgd"``
and ``"damped_adamw"`` also work, on every backend of Keras.
"""

try:
    import keras
except ImportError as error:
    raise ImportError(
        "indian_keras needs Keras 3 and a backend: pip install keras tensorflow (or jax, or torch)"
    ) from error

from indian_core import __version__ as __version__
from indian_keras.curvature import suggest_lr
from indian_keras.damped_adamw import DampedAdamW
from indian_keras.damped_sgd import DampedSGD
from indian_keras.indian import INDIAN
from indian_keras.innaprop import INNAprop
from indian_keras.run_file import layout, load_run, save_run
from indian_keras.schedules import PowerDecay

#: The paper's later name.
INNA = INDIAN
"""`INDIAN` under its later name."""

# Keras looks up a bare name among its own optimizers, in lower case, and then here.
_NAMES = {
    INDIAN: ("indian", "inna", "INDIAN", "INNA"),
    INNAprop: ("innaprop", "INNAprop"),
    DampedSGD: ("damped_sgd", "DampedSGD"),
    DampedAdamW: ("damped_adamw", "DampedAdamW"),
}
for _method, _names in _NAMES.items():
    keras.saving.get_custom_objects().update(dict.fromkeys(_names, _method))

__all__ = [
    "INDIAN",
    "INNA",
    "DampedAdamW",
    "DampedSGD",
    "INNAprop",
    "PowerDecay",
    "layout",
    "load_run",
    "save_run",
    "suggest_lr",
]
