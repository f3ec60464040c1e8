"""JAX in float64 for a while."""

try:
    from jax import enable_x64
except ImportError:  # an older JAX
    from jax.experimental import enable_x64

__all__ = ["enable_x64"]
