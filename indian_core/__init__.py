"""The algebra of the INDIAN optimizer (later named INNA), independent of any framework.

θ are the parameters, v a minibatch gradient, γ the step size (``lr``), α ≥ 0 the viscous damping,
β > 0 the Newton damping, and s the initial speed. Every method is one linear step, whose four
scalars follow from a law: the paper's (`linear_step`), or the momentum law of SGD and AdamW
(`momentum_law`). `phase_space` is the paper's own form of its law. `tuning` derives step sizes from
the curvature of a loss, and `runs` has the files in which runs move between frameworks. `testing`
has what a backend is tested with: references in NumPy, test problems, and the `Driver`.
"""

from indian_core.directions import bias_correction, scaled_gradient, second_moment
from indian_core.equivalences import (
    DampedAdamWHyperparameters,
    DampedSGDHyperparameters,
    IndianHyperparameters,
    InnapropHyperparameters,
    damped_adamw_from_innaprop,
    damped_sgd_from_indian,
    indian_from_damped_sgd,
    innaprop_from_damped_adamw,
)
from indian_core.hyperparameters import (
    ALPHA,
    BETA,
    DAMPING,
    INITIAL_SPEED,
    LR,
    METHODS,
    OTHER_NAMES,
    PAPER,
    Hyperparameter,
    Method,
    checked,
    checked_hyperparameters,
    checked_start,
)
from indian_core.linear_step import (
    Coefficients,
    authors_pull,
    coefficients,
    momentum_from_psi,
    psi_from_momentum,
)
from indian_core.momentum_law import (
    Weights,
    adamw_coefficients,
    checked_damping,
    keras_sgd_coefficients,
    new_buffer_weights,
    sgd_coefficients,
    weights,
)
from indian_core.one_call import (
    ROUNDING,
    SMALLEST_DECAY,
    NesterovSGD,
    as_nesterov_sgd,
    constant_call,
    constant_scale,
    heavy_ball,
    left_out,
)
from indian_core.phase_space import initial_psi, step
from indian_core.schedules import POWER, power_decay

__version__ = "0.1.0"

__all__ = [
    "ALPHA",
    "BETA",
    "DAMPING",
    "INITIAL_SPEED",
    "LR",
    "METHODS",
    "OTHER_NAMES",
    "PAPER",
    "POWER",
    "ROUNDING",
    "SMALLEST_DECAY",
    "Coefficients",
    "DampedAdamWHyperparameters",
    "DampedSGDHyperparameters",
    "Hyperparameter",
    "IndianHyperparameters",
    "InnapropHyperparameters",
    "Method",
    "NesterovSGD",
    "Weights",
    "adamw_coefficients",
    "as_nesterov_sgd",
    "authors_pull",
    "bias_correction",
    "checked",
    "checked_damping",
    "checked_hyperparameters",
    "checked_start",
    "coefficients",
    "constant_call",
    "constant_scale",
    "damped_adamw_from_innaprop",
    "damped_sgd_from_indian",
    "heavy_ball",
    "indian_from_damped_sgd",
    "initial_psi",
    "innaprop_from_damped_adamw",
    "keras_sgd_coefficients",
    "left_out",
    "momentum_from_psi",
    "new_buffer_weights",
    "power_decay",
    "psi_from_momentum",
    "scaled_gradient",
    "second_moment",
    "sgd_coefficients",
    "step",
    "weights",
]
