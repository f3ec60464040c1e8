"""Step sizes from the curvature of a loss: stability limits, eigenvalues, `suggest_lr`'s rule."""

from indian_core.tuning.curvature import LANCZOS_VECTORS, central_difference, largest_eigenvalue
from indian_core.tuning.stability import max_lr, optimal_hyperparameters, spectral_radius
from indian_core.tuning.step_size import SAFETY, StepSize, from_curvature, from_loss
from indian_core.tuning.vectors import Array, join, split

__all__ = [
    "LANCZOS_VECTORS",
    "SAFETY",
    "Array",
    "StepSize",
    "central_difference",
    "from_curvature",
    "from_loss",
    "join",
    "largest_eigenvalue",
    "max_lr",
    "optimal_hyperparameters",
    "spectral_radius",
    "split",
]
