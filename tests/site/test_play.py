"""The interactive page, in a real browser: it draws the path that `DampedSGD` makes."""

from __future__ import annotations

import functools
import html
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indian_numpy import DampedSGD

SITE = Path(__file__).parents[2] / "build" / "site"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

if not SITE.exists():
    pytest.skip("no site is built: nox -s docs", allow_module_level=True)
if BROWSER is None:
    pytest.skip("no browser is installed: apt-get install chromium", allow_module_level=True)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/idea.html"
        server.shutdown()


def test_the_page_shows_the_steps_of_damped_sgd(address: str, tmp_path: Path) -> None:
    options = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run"
    done = subprocess.run(
        [
            *(str(BROWSER), *options.split(), f"--user-data-dir={tmp_path}"),
            *("--virtual-time-budget=5000", "--dump-dom", address),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    page = html.unescape(done.stdout)
    shown = [re.search(rf'id="play-{name}"[^>]*value="([^"]+)"', page) for name in ("m", "d", "lr")]
    momentum, damping, exponent = (float(each.group(1)) for each in shown if each)
    says = re.search(r'id="play-says"[^>]*>([^<]+)<', page)
    assert says

    curvature, theta = np.array([1.0, 25.0]), np.array([-1.8, 0.8])
    optimizer = DampedSGD([theta], lr=10**exponent, momentum=momentum, damping=damping)
    losses = []
    for _ in range(300):
        optimizer.step([curvature * theta])
        losses.append(float(np.sum(curvature * theta**2) / 2))
    first = next(k for k, loss in enumerate(losses, 1) if loss < 0.01)
    numbers = re.findall(r"[\d.]+(?:e[-+]\d+)?", says.group(1))
    assert int(numbers[1]) == first
    assert float(numbers[3].rstrip(".")) == pytest.approx(losses[-1], rel=0.1)
