"""INNAprop."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from indian_core import bias_correction, checked, from_adam, translated
from indian_keras.base import Optimizer


@keras.saving.register_keras_serializable(package="indian")
class INNAprop(Optimizer):
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
    memory of 1/(αγ) steps. To replace AdamW, begin with `from_adam`.

    w and V are kept in float32 for float16 and bfloat16 variables. For complex variables V is real,
    the mean of |v|², so that u has the phase of v.

    Args:
        learning_rate: The learning rate γ: a float ≥ 0, a
            `keras.optimizers.schedules.LearningRateSchedule`, or a callable without arguments.
            Defaults to 0.001.
        alpha: α ≥ 0, the viscous damping. Defaults to 0.1.
        beta: β > 0, the Newton damping. Defaults to 0.9. (It is not one of Adam's betas: see
            `from_adam`.)
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
        reference_lr: The learning rate at which α and β hold. If it is given, α and β follow the
            learning rate so that a schedule does not change the momentum and d = αβ
            (`indian_core.kept_momentum`; ``keep_momentum`` sets it). Defaults to None, which keeps
            α and β constant.
        **kwargs: No other arguments are accepted.

    Raises:
        TypeError: If a hyperparameter is not a real number, or an argument is not one of
            INNAprop's.
        ValueError: If a hyperparameter is out of range, or if Keras refuses an argument.

    Examples:
        >>> import keras
        >>> variable = keras.Variable([1.0, -2.0])
        >>> optimizer = INNAprop.from_adam(learning_rate=0.1)
        >>> for _ in range(200):
        ...     optimizer.apply([2 * variable.value], [variable])
        >>> bool(keras.ops.all(keras.ops.abs(variable) < 0.1))
        True

    Reference:
        Bolte, Boustany, Pauwels, Purica, A second-order-like optimizer with adaptive gradient
        scaling for deep learning (arXiv:2410.05871), Algorithm 1.
    """

    method = "INNAprop"

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
        authors_weight_decay: bool = False,
        reference_lr: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            alpha=alpha,
            beta=beta,
            sigma=sigma,
            epsilon=epsilon,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            reference_lr=reference_lr,
            unknown=kwargs,
        )
        self.authors_weight_decay = bool(authors_weight_decay)

    @classmethod
    def from_adam(
        cls,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.004,
        damping: float | None = None,
        keep_momentum: bool = True,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> INNAprop:
        r"""Return the INNAprop that replaces a given `keras.optimizers.AdamW`.

        It takes AdamW's own arguments: its `learning_rate` is AdamW's η, a schedule included, and
        its momentum m is beta_1. With d = 1, INNAprop is AdamW without momentum, except for the
        place of ε.

        m and d stay constant along a schedule. Without ``keep_momentum`` the `learning_rate` is γ:

        $$\gamma = \sqrt{\eta (1 - m)}, \quad \alpha = \sqrt{(1 - m)/\eta}, \quad \beta = d/\alpha$$

        That is the same run at a constant learning rate. A schedule's factors on γ scale the step
        size η = γ/α alike, but the memory, 1/(αγ) steps, grows as γ falls.

        Args:
            learning_rate: AdamW's learning rate: anything that `INNAprop` takes, or a float > 0
                without ``keep_momentum``.
            beta_1: AdamW's beta_1, which is m, 0 ≤ m < 1.
            beta_2: AdamW's beta_2, which is σ.
            epsilon: AdamW's ε ≥ 0.
            weight_decay: AdamW's λ ≥ 0, decoupled.
            damping: d = αβ, from 1 − m (the heavy ball) to 1 (no momentum). None means 1 − m²
                (Nesterov's momentum).
            keep_momentum: Whether m and d stay constant along a schedule.
            amsgrad: Must be False, since INNAprop has no such variant.
            **kwargs: Further arguments of `INNAprop`. ``alpha``, ``beta`` and ``sigma`` replace the
                values computed from AdamW's.

        Returns:
            The optimizer.

        Raises:
            TypeError: If an argument is not a real number.
            ValueError: If an argument is out of range.

        Examples:
            >>> optimizer = INNAprop.from_adam(learning_rate=0.125, beta_1=0.75, damping=0.5)
            >>> float(optimizer.learning_rate), optimizer.alpha, optimizer.beta
            (0.125, 1.0, 0.5)
        """
        betas = [checked(f"beta_{i}", beta, below=1) for i, beta in ((1, beta_1), (2, beta_2))]
        epsilon = checked("epsilon", epsilon)
        others = (betas, epsilon, weight_decay, damping, keep_momentum, amsgrad)
        numbers = translated(from_adam, learning_rate, *others)
        numbers["learning_rate"], numbers["epsilon"] = numbers.pop("lr"), numbers.pop("eps")
        return cls(**(numbers | kwargs))

    def build(self, variables: list[Any]) -> None:
        """Create the slots, w and V for each variable.

        Args:
            variables: The model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        self.velocities = self._slots(variables, "velocity", real=True)
        self.count = self._counter("count")

    def _correction(self, t: Any) -> Any:
        """Return 1 − σ^t, as a float if t is an int, otherwise as a tensor."""
        if isinstance(t, int):
            return bias_correction(self.sigma, t)
        return bias_correction(self.sigma, ops.cast(t, self._precision), ops.expm1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = super().get_config()
        return config | {"authors_weight_decay": self.authors_weight_decay}

    sigma: float
    epsilon: float
