"""INNAprop."""

from __future__ import annotations

from typing import Any

import keras

from indian_core import authors_pull
from indian_keras.base import arguments_of
from indian_keras.psi import PaperLaw


@keras.saving.register_keras_serializable(package="indian")
class INNAprop(PaperLaw):
    r"""INNAprop: INDIAN's step, started from rest, on a gradient that is scaled as in Adam.

    For each variable θ with gradient v, the optimizer keeps two slots of θ's shape, w and V. It
    divides the gradient by the root of its mean square,

    $$V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2, \qquad
      u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}$$

    and makes INDIAN's step on u:

    $$\theta_t = (1 - \gamma_t\lambda)\,\theta_{t-1} - \gamma_t (w_{t-1} + \beta u_t)$$

    $$w_t = (1 - \alpha\gamma_t)\, w_{t-1} + \gamma_t (1 - \alpha\beta)\, u_t, \qquad w_0 = 0$$

    ε is added outside the root, after the bias correction, as in PyTorch's Adam. (Keras's Adam
    adds it before the bias correction.) t counts the optimizer's steps, and continues if
    `iterations` is set back. A step on u moves θ by γβu at once and by (γ/α)u in total, over a
    memory of 1/(αγ) steps. To replace AdamW, use `DampedAdamW`, which has AdamW's own numbers.

    w and V are kept in float32 for float16 and bfloat16 variables. For complex variables V is real,
    the mean of |v|², so that u has the phase of v.

    Args:
        learning_rate: The learning rate γ: a float ≥ 0, a
            `keras.optimizers.schedules.LearningRateSchedule`, or a callable without arguments.
            Defaults to 0.001.
        alpha: α ≥ 0, the viscous damping. Defaults to 0.1.
        beta: β > 0, the Newton damping. Defaults to 0.9. It is not one of Adam's betas.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V. Defaults to 0.999.
        epsilon: ε ≥ 0. Defaults to 1e-8.
        weight_decay: λ ≥ 0, the decoupled weight decay. It does not affect w. Defaults to 0.01.
        clipnorm: The largest norm of each variable's gradient.
        clipvalue: The largest absolute value of a gradient's entries.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep an exponential moving average of the variables.
        ema_momentum: The decay of that average.
        ema_overwrite_frequency: After how many steps the average overwrites the variables.
        loss_scale_factor: A factor on the loss, and its inverse on the gradients.
        gradient_accumulation_steps: How many minibatches' gradients are averaged for one step.
        name: The optimizer's name. Defaults to "innaprop".
        authors_weight_decay: Whether to decay weights as the authors' code does, to replicate their
            runs. That decay leaves ψ unchanged, so it also makes w ← w + (1/β − α) γλθ.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If a hyperparameter is out of range, or if Keras refuses an argument.

    Examples:
        >>> import keras
        >>> variable = keras.Variable([1.0, -2.0])
        >>> optimizer = INNAprop(learning_rate=0.05, alpha=1.0, beta=0.3)
        >>> for _ in range(200):
        ...     optimizer.apply([2 * variable.value], [variable])
        >>> bool(keras.ops.all(keras.ops.abs(variable) < 0.1))
        True

    Reference:
        Bolte, Boustany, Pauwels, Purica, A second-order-like optimizer with adaptive gradient
        scaling for deep learning (arXiv:2410.05871), Algorithm 1.
    """

    method = "INNAprop"
    flags = ("authors_weight_decay",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        alpha: float = 0.1,
        beta: float = 0.9,
        sigma: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float | None = 0.01,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str = "innaprop",
        *,
        authors_weight_decay: bool = False,
    ) -> None:
        super().__init__(**arguments_of(locals()))

    def pull(self, lr: Any) -> Any:
        """Return how many times θ is added to w in the authors' weight decay, or None."""
        if not self.authors_weight_decay:
            return None
        return authors_pull(lr, self.alpha, self.beta, self.weight_decay)
