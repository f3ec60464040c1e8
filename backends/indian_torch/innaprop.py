r"""INNAprop as a `torch.optim.Optimizer`."""

from __future__ import annotations

from torch import Tensor
from torch.optim.optimizer import ParamsT

from indian_torch.psi import PaperOptimizer


class INNAprop(PaperOptimizer):
    r"""INNAprop: INDIAN's step, from rest, on the gradient divided by its root mean square.

    With θ the parameters, v_t a minibatch gradient, V a running mean of its squares, and w a
    momentum of θ's shape, for t = 1, 2, …,

    $$V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2, \qquad
      u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}$$

    $$\theta \leftarrow (1 - \gamma\lambda)\, \theta - \gamma (w + \beta u_t), \qquad
      w \leftarrow (1 - \alpha\gamma)\, w + \gamma (1 - \alpha\beta)\, u_t, \qquad w_1 = 0$$

    This is the published recursion in other variables; its ψ is (1 − αβ) θ + β w (`psi`). Each u
    moves θ by γβ u in its own step, and by γ/α u in total, over 1/(αγ) steps. Users of AdamW should
    begin with `DampedAdamW`, which makes the same steps in AdamW's own numbers.

    The state of a parameter is ``momentum_buffer`` and ``scale`` (see `INDIAN`), and, as in torch's
    Adam, ``exp_avg_sq``, which is V, and ``step``, which is this parameter's t.

    A parameter whose gradient is None is skipped. One whose gradient is zero is not: w goes on
    moving it, and with the authors' α = 0.1 and γ = 0.001 takes 10,000 steps to fade.

    A step is all or nothing, as in `INDIAN`. Complex parameters are treated as pairs of real
    numbers, as in torch's Adam. Sparse gradients raise an error.

    Args:
        params: Parameters, named parameters, or dicts that define parameter groups.
        lr: γ ≥ 0, the learning rate: a number or a tensor with one element, as for `INDIAN`.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping; not Adam's betas.
        sigma: σ, 0 ≤ σ < 1, the part of V that a step keeps.
        eps: ε ≥ 0, added outside the root, as in torch's Adam.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ, with w unchanged.
        authors_weight_decay: Whether to use the weight decay of the authors' code. It changes θ but
            not ψ, and so also makes w ← w + (1/β − α) γλθ. In the long run it is about 1/(αβ) times
            as strong, and θ may swing through zero. It is for replicating the authors' runs.
        maximize: Whether to maximize the loss instead of minimizing it.
        foreach: Whether to use the implementation over lists of tensors. False means the for-loop.
            A float lr under torch.compile always uses the for-loop.
        capturable: Whether steps can be captured in a CUDA graph.
        differentiable: Whether autograd goes through the step.
        fused: Whether to use PyTorch's fused kernels where they can make the step; see `INDIAN`.
            Two kernels run in turn on pieces of the parameters that stay in the cache.
        stochastic_rounding: Whether to round 16-bit parameters up or down at random, so that the
            mean is exact; see `INDIAN`.

    Raises:
        ValueError: If a hyperparameter is out of its range, infinite or NaN.
        TypeError: If a hyperparameter is not a number.
        RuntimeError: If two options exclude each other.

    Examples:
        >>> import torch
        >>> from indian_torch import INNAprop
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> optimizer = INNAprop([weight], lr=0.1)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = (weight**2).sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 0.01
        True

    Source:
        Bolte, Boustany, Pauwels, Purica, *A second-order-like optimizer with adaptive gradient
        scaling for deep learning*, arXiv:2410.05871, 2024.
    """

    method = "INNAprop"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        alpha: float = 0.1,
        beta: float = 0.9,
        sigma: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        authors_weight_decay: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        stochastic_rounding: bool = False,
    ) -> None:
        super().__init__(params, locals())
