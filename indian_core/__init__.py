"""The algebra of the INDIAN optimizer (later named INNA), independent of any framework.

θ are the parameters, v a minibatch gradient, γ the step size (``lr``), α ≥ 0 the viscous damping,
β > 0 the Newton damping, and s the initial speed. `phase_space` is the paper's algorithm, and
`linear_step` is the form that the adapters run. `tuning` derives step sizes from the curvature of a
loss. `testing` has what an adapter is tested with: a reference in NumPy, test problems, and the
`Driver`.
"""

from indian_core.adam import (
    AdamHyperparameters,
    InnapropHyperparameters,
    from_adam,
    to_adam,
)
from indian_core.directions import LARGE, bias_correction, scaled_gradient, second_moment
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
    refuse_arguments,
)
from indian_core.kept_momentum import as_keras, dragged, is_step, momentum_units
from indian_core.linear_step import (
    SMALLEST_DECAY,
    Coefficients,
    NewMomentumCoefficients,
    authors_pull,
    coefficients,
    from_new_momentum,
    momentum_from_psi,
    psi_from_momentum,
    rescaled,
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
from indian_core.old_equivalences import (
    IndianHyperparameters,
    Kept,
    QHMHyperparameters,
    SGDHyperparameters,
    SGDShares,
    from_gradient_descent,
    from_qhm,
    from_sgd,
    scheduled_sgd,
    sgd_shares,
    to_qhm,
    to_sgd,
    translated,
)
from indian_core.one_call import (
    ROUNDING,
    NesterovSGD,
    as_nesterov_sgd,
    constant_call,
    constant_scale,
    heavy_ball,
)
from indian_core.phase_space import initial_psi, step
from indian_core.schedules import POWER, power_decay

__version__ = "0.1.0"

__all__ = [
    "ALPHA",
    "BETA",
    "DAMPING",
    "INITIAL_SPEED",
    "LARGE",
    "LR",
    "METHODS",
    "OTHER_NAMES",
    "PAPER",
    "POWER",
    "ROUNDING",
    "SMALLEST_DECAY",
    "AdamHyperparameters",
    "Coefficients",
    "Hyperparameter",
    "IndianHyperparameters",
    "InnapropHyperparameters",
    "Kept",
    "Method",
    "NesterovSGD",
    "NewMomentumCoefficients",
    "QHMHyperparameters",
    "SGDHyperparameters",
    "SGDShares",
    "Weights",
    "adamw_coefficients",
    "as_keras",
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
    "dragged",
    "from_adam",
    "from_gradient_descent",
    "from_new_momentum",
    "from_qhm",
    "from_sgd",
    "heavy_ball",
    "initial_psi",
    "is_step",
    "keras_sgd_coefficients",
    "momentum_from_psi",
    "momentum_units",
    "new_buffer_weights",
    "power_decay",
    "psi_from_momentum",
    "refuse_arguments",
    "rescaled",
    "scaled_gradient",
    "scheduled_sgd",
    "second_moment",
    "sgd_coefficients",
    "sgd_shares",
    "step",
    "to_adam",
    "to_qhm",
    "to_sgd",
    "translated",
    "weights",
]
