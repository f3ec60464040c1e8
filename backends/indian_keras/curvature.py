r"""A learning rate from the curvature of a loss in Keras, on every backend that has gradients.

The curvature comes from gradients at some points near the variables' values. So every operation
that has a gradient will do. The loss is evaluated in a `keras.StatelessScope`, where the variables
have the values that they are given and nothing is written back to weights, BatchNorm's statistics,
metrics or the seeds of dropout. So dropout is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import SAFETY, StepSize, from_gradients

Loss = Callable[[list[Any]], Any]
Gradient = Callable[[list[Any]], list[Any]]


def suggest_lr(
    loss_fn: Callable[[], Any],
    variables: Iterable[Any],
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    r"""Suggest a learning rate for INDIAN from the largest curvature of a loss, without a search.

    $$\gamma = \text{safety} \cdot \min(2/\alpha, \gamma_{\max}(L)), \qquad
      L = \lambda_{\max}(\nabla^2 J(\theta))$$

    with γ_max from `indian_core.tuning.max_lr`. Use the loss that you train, over as many samples
    as fit in memory. For a compiled model, for example:

        found = suggest_lr(
            lambda: model.compute_loss(x, y, model(x, training=True)),
            model.trainable_variables,
            alpha=0.5,
            beta=0.5,
        )
        model.compile(INDIAN(found.lr, 0.5, 0.5, found.initial_speed), loss=...)

    Train with the same α and β; 0.5 and 0.5 worked best (docs/suggest.md has what to expect). The
    suggestion is not for INNAprop, whose gradient is scaled.

    Products with the Hessian are differences of gradients, so second derivatives are not needed.
    The cost is some dozens of gradients, and `indian_core.tuning.LANCZOS_VECTORS` vectors of θ's
    size in double precision. No variable is changed, including those of metrics, BatchNorm and
    random seeds.

    Args:
        loss_fn: A function without arguments that returns the loss, a scalar tensor, at the
            variables' current values. On the JAX backend it is traced.
        variables: θ, such as ``model.trainable_variables``. Variables that are not trainable are
            left out.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on; ``print`` it. If the
        loss is nearly flat, or not smooth on the scale of a step, it holds warnings, which are
        also issued as UserWarning.

    Raises:
        TypeError: If the loss is not a tensor, or the variables are not real Keras variables.
        ValueError: If there are no variables, if the loss is not a real scalar or has a gradient
            that is not finite, or if nothing limits the step (α = 0 and no positive curvature).
        ImportError: If SciPy is missing.
        NotImplementedError: On Keras's NumPy and OpenVINO backends.

    Examples:
        >>> import keras
        >>> from indian_keras import suggest_lr
        >>> theta = keras.Variable([1.0, 1.0, 1.0])
        >>> h = keras.ops.array([1.0, 10.0, 100.0])
        >>> found = suggest_lr(lambda: keras.ops.sum(h * theta**2) / 2, [theta], 0.5, 0.5, 0.5)
        >>> round(found.curvature, 2), round(found.lr, 4), found.initial_speed
        (100.0, 0.0206, 0.5)
    """
    trainable = [variable for variable in map(_checked, variables) if variable.trainable]
    if not trainable:
        raise ValueError("Invalid variables: none is trainable")

    def loss(values: list[Any]) -> Any:
        # `add_loss` and activity regularizers add losses only to a scope that collects them.
        mapping = zip(trainable, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            found = loss_fn()
        if not ops.is_tensor(found):
            raise TypeError(f"Invalid loss: {type(found).__name__} (loss_fn must return a tensor)")
        dtype = keras.backend.standardize_dtype(found.dtype)
        check_loss(found.shape, dtype, is_real=dtype.startswith(("float", "bfloat")))
        return ops.reshape(found, ())

    def tensors(arrays: list[Any]) -> list[Any]:
        pairs = zip(arrays, trainable, strict=True)
        return [ops.convert_to_tensor(array, dtype=v.dtype) for array, v in pairs]

    start = [np.asarray(ops.convert_to_numpy(variable)) for variable in trainable]
    of_loss = _gradient(loss, tensors(start))
    dtypes = {variable.dtype for variable in trainable}
    # NumPy does not know bfloat16.
    eps = 2.0**-7 if "bfloat16" in dtypes else max((np.finfo(d).eps for d in dtypes), default=1.0)
    return from_gradients(
        lambda theta: map(ops.convert_to_numpy, of_loss(tensors(theta))),
        start,
        alpha,
        beta,
        safety,
        eps,
    )


def _checked(variable: Any) -> Any:
    if not isinstance(variable, keras.Variable):
        raise TypeError(
            f"Invalid variables: {type(variable).__name__} (they must be Keras variables)"
        )
    if "complex" in variable.dtype:
        raise TypeError(f"Invalid variables: {variable.path} is complex (they must be real)")
    return variable


def _gradient(loss: Loss, start: list[Any]) -> Gradient:
    """Return the gradient of a loss of tensors, by the backend's own means."""
    name = keras.backend.backend()
    if name == "jax":
        return _of_jax(loss, start)
    if name == "torch":
        return _of_torch(loss)
    if name == "tensorflow":
        return _of_tensorflow(loss)
    raise NotImplementedError(f"there are no gradients on Keras's backend {name!r}")


def _of_jax(loss: Loss, start: list[Any]) -> Gradient:
    import jax  # noqa: PLC0415

    # Not jitted: what a model creates in its first call would stay a tracer for ever.
    loss(start)
    compiled: Gradient = jax.jit(jax.grad(loss))
    return compiled


def _of_torch(loss: Loss) -> Gradient:
    import torch  # noqa: PLC0415

    def gradient(theta: list[Any]) -> list[Any]:
        leaves = [value.detach().requires_grad_() for value in theta]
        # Dropout draws from torch's own generators here, so they start from the same state each
        # time. An outer autocast would use the weights again that it cast at another point.
        torch.clear_autocast_cache()
        with torch.enable_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
            found = loss(leaves)
        torch.clear_autocast_cache()
        if not found.requires_grad:
            return [torch.zeros_like(leaf) for leaf in leaves]
        gradients = torch.autograd.grad(found, leaves, allow_unused=True, materialize_grads=True)
        # PyTorch has zeros without storage, which Keras would not convert. Their copies have it.
        return [each.clone() for each in gradients]

    return gradient


def _of_tensorflow(loss: Loss) -> Gradient:
    import tensorflow as tf  # noqa: PLC0415

    def gradient(theta: list[Any]) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(theta)
            found = loss(theta)
        gradients = tape.gradient(found, theta, unconnected_gradients="zero")
        return [tf.convert_to_tensor(each) for each in gradients]  # an Embedding's is sparse

    return gradient
