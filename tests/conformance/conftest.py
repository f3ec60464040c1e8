"""The suite's parameters: every variant of the adapter, every reference trajectory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.conformance.trajectories import CLOSED_LOOP, OPEN_LOOP, by_name
from tests.conftest import load_driver


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on what its arguments ask for.

    `open_loop`, `closed_loop`: all trajectories of that kind, in both dtypes. `trajectory`: those
    that the test's `@on` names. `method`: every method. `paper_method`: those of the paper's law.
    `variant`: every variant. What the adapter has not is left out. Slow variants run the essential
    trajectories, each kind in one dtype, and of the named ones the first of each method.
    """
    driver = load_driver(metafunc.config)
    asked = metafunc.fixturenames
    slow = getattr(driver, "slow_variants", ())
    for kind, trajectories, only in (
        ("open_loop", OPEN_LOOP, "float64"),
        ("closed_loop", CLOSED_LOOP, "float32"),
    ):
        if kind in asked:
            metafunc.parametrize(
                ("variant", kind, "dtype"),
                [
                    pytest.param(
                        variant, trajectory, dtype, id=f"{variant}-{trajectory.name}-{dtype}"
                    )
                    for variant in driver.variants
                    for trajectory in trajectories
                    for dtype in ("float64", "float32")
                    if trajectory.is_of(driver)
                    if variant not in slow or (trajectory.essential and dtype == only)
                ],
            )
            return
    if "trajectory" in asked:
        named = [t for name in metafunc.function.trajectories for t in by_name(name)]
        present = [t for t in named if t.is_of(driver)]
        first = {t.method: t.name for t in reversed(present)}.values()
        metafunc.parametrize(
            ("variant", "trajectory"),
            [
                pytest.param(variant, trajectory, id=f"{variant}-{trajectory.name}")
                for variant in driver.variants
                for trajectory in present
                if variant not in slow or trajectory.name in first
            ],
        )
        return
    if "method" in asked:
        metafunc.parametrize("method", sorted(driver.methods))
    if "paper_method" in asked:
        metafunc.parametrize("paper_method", ["INDIAN", "INNAprop"])
    if "variant" in asked:
        metafunc.parametrize("variant", driver.variants)


@pytest.fixture(scope="session")
def driver(pytestconfig: pytest.Config) -> type:
    return load_driver(pytestconfig)


@pytest.fixture
def record_error(request: pytest.FixtureRequest) -> Callable[[str, str, float], None]:
    """Keep an error of a variant in the test report, which reaches the summary under xdist too."""

    def record(variant: str, what: str, error: float) -> None:
        request.node.user_properties.append(("error", (variant, what, error)))

    return record


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    worst: dict[tuple[str, str], float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "error":
                    variant, what, error = value
                    worst[variant, what] = max(worst[variant, what], error)
    if not worst:
        return
    adapter = config.getoption("--adapter")
    terminalreporter.section(f"worst relative errors of {adapter} against the trajectories")
    for (variant, what), error in sorted(worst.items()):
        terminalreporter.write_line(f"{variant:>16}  {what:<32} {error:.1e}")
