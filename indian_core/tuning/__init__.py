"""Step sizes from the curvature of a loss: stability limits, eigenvalues, `suggest_lr`'s rule."""

from indian_core.tuning.curvature import LANCZOS_VECTORS, largest_eigenvalue
from indian_core.tuning.stability import max_lr, optimal_hyperparameters, spectral_radius
from indian_core.tuning.step_size import SAFETY, StepSize, from_curvature, from_gradients

__all__ = [
    "LANCZOS_VECTORS",
    "SAFETY",
    "StepSize",
    "from_curvature",
    "from_gradients",
    "largest_eigenvalue",
    "max_lr",
    "optimal_hyperparameters",
    "spectral_radius",
]
