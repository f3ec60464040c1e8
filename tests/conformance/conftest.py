"""The suite's parameters: every variant of the adapter, every reference trajectory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.conformance.trajectories import CLOSED_LOOP, OPEN_LOOP
from tests.conftest import load_driver

WORST = pytest.StashKey[dict[tuple[str, str], float]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WORST] = defaultdict(float)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    driver = load_driver(metafunc.config)
    slow = getattr(driver, "slow_variants", ())
    for kind, trajectories in (("open_loop", OPEN_LOOP), ("closed_loop", CLOSED_LOOP)):
        if kind in metafunc.fixturenames:
            metafunc.parametrize(
                ("variant", kind),
                [
                    pytest.param(variant, trajectory, id=f"{variant}-{trajectory.name}")
                    for variant in driver.variants
                    for trajectory in trajectories
                    if variant not in slow or trajectory.essential
                ],
            )
            return
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", driver.variants)


@pytest.fixture(scope="session")
def driver(pytestconfig: pytest.Config) -> type:
    return load_driver(pytestconfig)


@pytest.fixture
def record_error(pytestconfig: pytest.Config) -> Callable[[str, str, float], None]:
    """Remember the worst error of each variant and dtype for the summary."""

    def record(variant: str, what: str, error: float) -> None:
        worst = pytestconfig.stash[WORST]
        worst[variant, what] = max(worst[variant, what], error)

    return record


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    worst = config.stash[WORST]
    if not worst:
        return
    adapter = config.getoption("--adapter")
    terminalreporter.section(f"worst relative errors of {adapter} against the trajectories")
    for (variant, what), error in sorted(worst.items()):
        terminalreporter.write_line(f"{variant:>16}  {what:<32} {error:.1e}")
