"""Paths on three surfaces: Rosenbrock's valley, Rastrigin's bumps, and a saddle.

    python -m benchmarks.paths

Every method gets the same number of learning rates, evenly spread over five decades. The one whose
path has the lowest mean loss is shown. The gradients are exact, in float64, in JAX. Writes
paths.json and paths.png to the output folder. Two dimensions tell nothing about training a network:
see `benchmarks.study` for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from benchmarks.harness import command
from benchmarks.harness.figure import COLOURS
from benchmarks.harness.files import leave, rounded
from benchmarks.study.methods import METHODS, Method

RATES = 51
COMPARED = {
    "SGD-Nesterov": COLOURS[1],
    "Adam": COLOURS[6],
    "AdamW": COLOURS[5],
    "INDIAN, m .97, d .3": COLOURS[0],
    "INNAprop, d .3": COLOURS[3],
}


class Surface(NamedTuple):
    """A loss of two parameters, the start and length of the paths, and the area drawn."""

    loss: Callable[[jax.Array], jax.Array]
    start: tuple[float, float]
    minima: tuple[tuple[float, float], ...]
    limits: tuple[tuple[float, float], tuple[float, float]]
    steps: int


def _rosenbrock(p: jax.Array) -> jax.Array:
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def _rastrigin(p: jax.Array) -> jax.Array:
    return 20 + (p**2 - 10 * jnp.cos(2 * jnp.pi * p)).sum()


def _saddle(p: jax.Array) -> jax.Array:
    return p[0] ** 2 - p[1] ** 2 + p[1] ** 4 / 4


SURFACES = {
    "Rosenbrock": Surface(_rosenbrock, (-1.2, 1.0), ((1, 1),), ((-2, 2), (-1, 3)), 400),
    "Rastrigin": Surface(_rastrigin, (-2.3, 3.4), ((0, 0),), ((-4.5, 4.5), (-4.5, 4.5)), 400),
    "saddle": Surface(_saddle, (1.5, 1e-3), ((0, 2**0.5), (0, -(2**0.5))), ((-2, 2), (-2, 2)), 100),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = command.parser("paths", __doc__).parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    content = {
        "made by": "python -m benchmarks.paths",
        "software": f"jax {jax.__version__}, optax {optax.__version__}",
        "surfaces": {
            name: {method: best(surface, METHODS[method]) for method in COMPARED}
            for name, surface in SURFACES.items()
        },
    }
    for name, paths in content["surfaces"].items():
        for method, path in paths.items():
            print(f"{name:>10}  {method:<20}  lr {path['lr']:<10g}  loss {path['loss']:.3g}")
    leave(options.output, "paths", content, picture(content))


def best(surface: Surface, method: Method) -> Any:
    """Return the learning rate whose path has the lowest mean loss, its final loss and its path."""
    scale = method.scales[0]
    rates = np.geomspace(scale.low / 10, scale.high * 10, RATES)
    paths, losses = jax.jit(jax.vmap(lambda lr: _path(surface, method, {"lr": lr})))(rates)
    means = np.nan_to_num(np.asarray(losses).mean(axis=1), nan=np.inf)
    chosen = int(means.argmin())
    found = {"lr": rates[chosen], "loss": float(losses[chosen, -1])}
    return rounded(found | {"path": np.asarray(paths[chosen])}, 5)


def _path(surface: Surface, method: Method, values: Mapping[str, Any]) -> Any:
    optimizer = method.make(values, lambda _count: 1.0)
    start = jnp.asarray(surface.start)

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        loss, gradient = jax.value_and_grad(surface.loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), (params, loss)

    _, found = jax.lax.scan(step, (start, optimizer.init(start)), None, length=surface.steps)
    return found


def picture(content: Mapping[str, Any]) -> Figure:
    """Return a panel for each surface."""
    figure = Figure(figsize=(15, 6.4), layout="constrained")
    panels = figure.subplots(1, len(SURFACES))
    for axes, (name, surface) in zip(panels, SURFACES.items(), strict=True):
        x, y = (np.linspace(*limits, 200) for limits in surface.limits)
        heights = np.array(jax.vmap(jax.vmap(surface.loss))(np.stack(np.meshgrid(x, y), axis=-1)))
        heights -= heights.min() - 1e-2
        levels = np.geomspace(0.1, heights.max(), 14)
        axes.contour(x, y, heights, levels, colors="0.8", linewidths=0.7)
        for method, colour in COMPARED.items():
            found = content["surfaces"][name][method]
            path = np.array(found["path"])
            label = f"{method}: {found['loss']:.2g}"
            axes.plot(*path.T, ".-", color=colour, linewidth=1.2, markersize=2.5, label=label)
        axes.plot(*surface.start, "kx", markersize=9, markeredgewidth=2)
        axes.plot(*np.array(surface.minima).T, "k*", markersize=11)
        axes.set(title=f"{name}, {surface.steps} steps")
        axes.axis([*surface.limits[0], *surface.limits[1]])
        axes.legend(
            title="loss at the end",
            fontsize="small",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.06),
            ncols=2,
            frameon=False,
        )
    return figure


if __name__ == "__main__":
    main()
