"""The matrix: `nox -s tests` tests every adapter, each in its own environment and process.

Everything is installed by pip and pinned by constraints.txt. `nox -l` lists the sessions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "together", "lint", "types", "imports", "docs", "wheel"]
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = ("-c", "constraints.txt")
# Modules are compiled when they are imported, and most of a framework's modules never are.
UNCOMPILED = "--no-compile"
TENSORFLOW = nox.project.dependency_groups(PYPROJECT, "tensorflow")

# For each adapter: the packages to install, its --adapter for the conformance suite, the folder of
# its own tests, and the Keras backend. (The group tensorflow is that framework's smallest build.)
ADAPTERS: dict[str, tuple[list[str], str, str, str | None]] = {
    "core": (["-e", "."], "core", "core", None),
    "numpy": (["-e", "."], "numpy", "on_numpy", None),
    "mlx": (["-e", ".[mlx]"], "mlx", "on_mlx", None),
    "torch": (["-e", ".[torch]"], "torch", "on_torch", None),
    "optax": (["-e", ".[optax]"], "optax", "on_optax", None),
    "keras-tensorflow": (["-e", ".[keras]", *TENSORFLOW], "keras", "on_keras", "tensorflow"),
    "keras-jax": (["-e", ".[keras-jax]"], "keras", "on_keras", "jax"),
    "keras-torch": (["-e", ".[keras-torch]"], "keras", "on_keras", "torch"),
}

# The frameworks' own tests, by the name given to --adapter.
UPSTREAM = nox.project.load_toml("tests/upstream/suites.toml")


def install(session: nox.Session, *packages: str, group: str | None = None) -> None:
    """Install packages and a dependency group of pyproject.toml, pinned by constraints.txt."""
    grouped = nox.project.dependency_groups(PYPROJECT, group) if group else ()
    session.install(UNCOMPILED, *CONSTRAINTS, *packages, *grouped)


@nox.session
@nox.parametrize("adapter", [nox.param(name, id=name) for name in ADAPTERS])
def tests(session: nox.Session, adapter: str) -> None:
    """Run an adapter's tests and the conformance suite on it."""
    packages, name, folder, backend = ADAPTERS[adapter]
    install(session, *packages, group=f"test-{name}")
    run_tests(session, name, folder, backend)


def run_tests(session: nox.Session, name: str, folder: str, backend: str | None) -> None:
    """Run an adapter's tests, then the conformance suite."""
    environment = {"KERAS_BACKEND": backend} if backend else {}
    where = list(dict.fromkeys([f"tests/{folder}", "tests/conformance"]))
    if name == "core":
        where += ["tests/trajectories"]
    session.run(
        "pytest", "-n", "auto", *where, "--adapter", name, *session.posargs, env=environment
    )


@nox.session(python="3.11")  # the oldest releases have wheels for this Python
@nox.parametrize("adapter", [nox.param(name, id=name) for name in ADAPTERS])
def minimums(session: nox.Session, adapter: str) -> None:
    """Run an adapter's tests on the oldest release series that pyproject.toml allows."""
    packages, name, folder, backend = ADAPTERS[adapter]
    oldest = Path(session.create_tmp()).resolve() / "oldest.txt"
    oldest.write_text("\n".join(oldest_series()))
    grouped = nox.project.dependency_groups(PYPROJECT, f"test-{name}")
    session.install(UNCOMPILED, "-c", str(oldest), *packages, *grouped)
    run_tests(session, name, folder, backend)


@nox.session
@nox.parametrize("adapter", [nox.param(name, id=name) for name in ADAPTERS])
def newest(session: nox.Session, adapter: str) -> None:
    """Run an adapter's tests on the versions that pip resolves today, without constraints."""
    packages, name, folder, backend = ADAPTERS[adapter]
    grouped = nox.project.dependency_groups(PYPROJECT, f"test-{name}")
    session.install(UNCOMPILED, *packages, *grouped)
    run_tests(session, name, folder, backend)


def oldest_series() -> Iterator[str]:
    """Yield, for each "name>=version" of pyproject.toml, the constraint "name==version.*"."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    for listed in (project["dependencies"], *extras.values(), *groups.values()):
        for requirement in (Requirement(line) for line in listed if isinstance(line, str)):
            for specifier in requirement.specifier:
                yield f"{requirement.name}=={specifier.version}.*"


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """Run the core's tests on every supported Python that is installed."""
    packages, name, folder, backend = ADAPTERS["core"]
    install(session, *packages, group="test-core")
    run_tests(session, name, folder, backend)


@nox.session
@nox.parametrize(
    "adapter", [nox.param(name, id=name) for name in ADAPTERS if ADAPTERS[name][1] in UPSTREAM]
)
def upstream(session: nox.Session, adapter: str) -> None:
    """Run the framework's own tests with DampedSGD instead of its SGD."""
    packages, name, _, backend = ADAPTERS[adapter]
    # Keras's tests of TensorBoard and of callbacks import TensorFlow on every backend.
    others = TENSORFLOW if name == "keras" else []
    install(session, *packages, *others, group=f"test-{name}")
    suite = UPSTREAM[name]
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    pins = Path("constraints.txt").read_text().splitlines()
    pinned = next(line for line in pins if line.startswith(f"{name}=="))
    only_the_source = ("--no-deps", "--no-binary", ":all:", "--dest", str(folder))
    session.run("python", "-m", "pip", "download", *only_the_source, pinned, silent=True)
    (archive,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    root = folder / archive.name.removesuffix(".tar.gz")
    environment = {"PYTHONPATH": str(Path.cwd())}
    if backend:
        environment["KERAS_BACKEND"] = backend
    session.run(
        *("pytest", "-n", "auto", "--import-mode=importlib", "--noconftest", "-W", "ignore"),
        *("-c", os.devnull, "--rootdir", str(root), "-p", f"tests.upstream.{suite['plugin']}"),
        *("-k", " and ".join(f"not ({each})" for each in suite["left_out"])),
        *(str(root / file) for file in suite["files"]),
        *session.posargs,
        env=environment,
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling."""
    install(session, "ruff", "codespell")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the core and the adapters, strictly, against the real frameworks."""
    install(session, "-e", ".[torch,keras,optax]", "mypy")
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Check which modules may import which."""
    install(session, "-e", ".", "import-linter")
    session.run("lint-imports")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the distributions, install the wheel, and run the core's tests on it elsewhere."""
    install(session, "build", group="test-core")
    elsewhere = Path(session.create_tmp()).resolve()
    shutil.rmtree(elsewhere, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(elsewhere / "dist"), ".", silent=True)
    (built,) = (elsewhere / "dist").glob("*.whl")
    session.install(*CONSTRAINTS, str(built))
    # The tests run away from the sources, so that they import the wheel's contents.
    shutil.copytree("tests", elsewhere / "tests")
    shutil.copy("pyproject.toml", elsewhere)
    session.chdir(elsewhere)
    run_tests(session, "core", "core", None)


@nox.session
def together(session: nox.Session) -> None:
    """Test what needs every framework in one environment: isolation, benchmarks, the examples."""
    install(session, "-e", ".[torch,keras,optax]", group="demo")
    install(session, group="test-core")
    install(session, group="recipes")
    where = ["tests/together", "tests/demo", "tests/benchmarks"]
    session.run("pytest", "-n", "auto", *where, *session.posargs)


@nox.session
def trainers(session: nox.Session) -> None:
    """Test the torch adapter in Lightning, Hugging Face's Trainer and Accelerate."""
    install(session, "-e", ".[torch]", group="test-trainers")
    recipes = ("tests/demo/test_recipes.py", "-k", "torch")
    session.run("pytest", "tests/on_torch/trainers", *session.posargs)
    session.run("pytest", *recipes)


@nox.session
def demo(session: nox.Session) -> None:
    """Train one network in PyTorch, Keras and JAX with INDIAN and its peers; draw the curves."""
    install(session, "-e", ".[torch,keras,optax]", group="demo")
    session.run("python", "-m", "benchmarks.demo", *session.posargs)


@nox.session
def figures(session: nox.Session) -> None:
    """Remake those pictures in docs/results that take minutes, not hours."""
    install(session, "-e", ".[torch,keras,optax]", group="demo")
    for study in ("figure1", "precision"):
        session.run("python", "-m", f"benchmarks.{study}", *session.posargs)


def run_notebook(session: nox.Session, source: Path) -> None:
    """Execute a notebook, and write it with its outputs into docs/notebooks."""
    made = Path(session.create_tmp()).resolve() / f"{source.stem}.ipynb"
    session.run("jupytext", "--quiet", "--to", "ipynb", "--output", str(made), str(source))
    to_markdown = ("--execute", "--to", "markdown", "--output-dir", "docs/notebooks")
    session.run("jupyter", "nbconvert", "--log-level", "WARN", *to_markdown, str(made))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into build/site. Any warning, such as of a broken link, fails the build."""
    install(session, "-e", ".[torch]", group="docs")
    for notebook in sorted(Path("examples/notebooks").glob("*.py")):
        run_notebook(session, notebook)
    session.run("zensical", "build", "--strict", *session.posargs)
    session.run("pytest", "-q", "tests/site")
