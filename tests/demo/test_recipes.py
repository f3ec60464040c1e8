"""Every recipe runs as it stands and learns, where what it needs is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
NEEDS = {
    "torch": ("torch",),
    "keras": ("keras", "jax"),
    "jax": ("optax",),
    "keras_mirrored": ("keras", "tensorflow"),
    "jax_nnx": ("flax",),
    "jax_equinox": ("equinox",),
    "jax_orbax": ("orbax.checkpoint",),
    "torch_hugging_face": ("transformers", "accelerate"),
    "torch_accelerate": ("accelerate",),
    "torch_lightning": ("lightning",),
    "torch_timm": ("timm",),
}
# On a busy machine gloo's threads abort one process in some ten at its end, when all is done:
# PyTorch has reports of it.
GLOOS_END, ATTEMPTS = "terminate called without an active exception", 4


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def run(recipe: Path) -> str:
    needed = NEEDS.get(recipe.stem, NEEDS[recipe.stem.partition("_")[0]])
    missing = [name for name in needed if not installed(name)]
    if missing:
        pytest.skip(f"{recipe.stem} needs {' and '.join(missing)}")
    command = [sys.executable]
    if "torchrun" in recipe.read_text():
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for _ in range(ATTEMPTS):
        process = subprocess.run(
            [*command, str(recipe)],
            env=os.environ
            | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "jax"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if GLOOS_END not in process.stderr:
            break
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_a_recipe_learns(recipe: Path) -> None:
    (loss,) = re.findall(r"loss ([\d.]+)$", run(recipe))
    # Without training it is 1 or more.
    assert float(loss) < 0.3


def test_every_recipe_is_on_the_page() -> None:
    page = (RECIPES.parents[1] / "docs" / "recipes.md").read_text()
    missing = [path.name for path in RECIPES.glob("*.py") if f"recipes/{path.name}" not in page]
    assert missing == []
