r"""The largest curvature of a loss: the top eigenvalue of its Hessian, from products with it.

The Hessian is not formed unless it is tiny. ARPACK's Lanczos iteration
(`scipy.sparse.linalg.eigsh`) needs one dozen or a few dozen products Hv, and keeps
`LANCZOS_VECTORS` vectors of θ's size in double precision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from indian_core.tuning.vectors import Array

LANCZOS_VECTORS = 12
_TOLERANCE = 1e-3
_RESTARTS = 100
# Up to this size the matrix is cheaper than the iteration, which needs some room to iterate in.
_SMALL = 2 * LANCZOS_VECTORS


def largest_eigenvalue(product: Callable[[Array], Array], size: int) -> float:
    """Return the algebraically largest eigenvalue of a symmetric matrix.

    Args:
        product: A function that returns the matrix times a vector, both float64 of shape (size,).
        size: The number of rows of the matrix.

    Returns:
        The eigenvalue, to about 1e-3 of the spectrum's size. It is negative if all eigenvalues are.
        The start of the iteration is fixed, so the same matrix gives the same number.

    Raises:
        ImportError: If SciPy is not installed and the matrix is not tiny.
        ValueError: If a product is not finite.
        RuntimeError: If the iteration does not converge.

    Examples:
        >>> import numpy as np
        >>> curvature = np.array([-7.0, 1.0, 5.0])
        >>> round(largest_eigenvalue(lambda v: curvature * v, size=3), 6)
        5.0
    """

    def checked(vector: Array) -> Array:
        image = product(vector)
        if not np.isfinite(image).all():
            raise ValueError("Invalid loss: near the params its gradient is NaN or infinite")
        return image

    if size <= _SMALL:
        matrix = np.stack([checked(row) for row in np.eye(size)])
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])

    try:
        from scipy.sparse import linalg  # noqa: PLC0415 (needed only here)
    except ImportError as error:
        raise ImportError("the curvature of a loss needs SciPy: pip install scipy") from error

    start = np.random.default_rng(0).standard_normal(size)
    # The root mean square of the spectrum, on average over starts.
    typical = float(np.linalg.norm(checked(start)) / np.linalg.norm(start))
    if typical == 0:
        return 0.0
    # ARPACK stops at an error relative to the eigenvalue, which it never reaches if that is near
    # zero. A shift by the typical eigenvalue makes the error relative to the typical one.
    shifted = linalg.LinearOperator(
        (size, size), lambda v: checked(v.ravel()) + typical * v.ravel(), dtype=np.float64
    )
    try:
        (largest,) = linalg.eigsh(
            shifted,
            k=1,
            which="LA",
            v0=start,
            ncv=LANCZOS_VECTORS,
            tol=_TOLERANCE,
            maxiter=_RESTARTS,
            return_eigenvectors=False,
        )
    except linalg.ArpackNoConvergence as error:
        raise RuntimeError(
            f"the largest curvature was not found in {_RESTARTS} restarts of the iteration"
        ) from error
    return float(largest) - typical
