# SPDX-License-Identifier: Apache-2.0
"""What demo and tests need, built beforehand and side by side: compiling keeps cores busy, root trees the network.

What cannot be built here (not root, a package missing) is said; the tests that need it skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from sifgate.engine.clairbuild import ensure_clair
from sifgate.errors import SifgateError
from testbed.cache import cache_root
from testbed.errors import TestbedError
from testbed.headers import SUITE_OF, obtain_headers
from testbed.images import obtain_image
from testbed.rootfs import obtain_tree
from testbed.steps import step

IMAGES = {
    "demo": ("trixie.sif", "bullseye-kev.sif", "centos-7-runs.sif"),
    "test": (
        "trixie.sif",
        "bullseye-min.sif",
        "bullseye-kev.sif",
        "bullseye-sci.sif",
        "trixie-go.sif",
        "rpm",
        "centos-7-runs.sif",
    ),
}
"""Purpose → its images; the root tree of the Slurm node and Clair are needed for both."""
CLAIR_SECONDS = 150


def prepare(purpose: str) -> list[str]:
    """Build what is missing; return a line for each thing that cannot be built here."""
    with ThreadPoolExecutor(max_workers=2) as lanes:
        running = [lanes.submit(_all, lane) for lane in (_clair_lane(), _tree_lane(purpose))]
        return [line for lane in running for line in lane.result()]


def _all(lane: Iterable[tuple[str, Callable[[], object]]]) -> list[str]:
    """Build one thing after the other; a failure of one does not stop the next."""
    failed = []
    for name, build in lane:
        try:
            build()
        except (TestbedError, SifgateError) as error:
            failed.append(f"{name}: {error}")
    return failed


def _clair_lane() -> Iterable[tuple[str, Callable[[], object]]]:
    yield "Clair", _clair


def _clair() -> None:
    if any((cache_root() / "clair").glob("*/clair")):
        ensure_clair(cache_root())
        return
    with step("building Clair from its Go module", CLAIR_SECONDS):
        ensure_clair(cache_root())


def _tree_lane(purpose: str) -> Iterable[tuple[str, Callable[[], object]]]:
    yield "Slurm node", lambda: obtain_tree("node")
    for series in SUITE_OF:
        yield f"headers of Slurm {series}", lambda series=series: obtain_headers(series)  # type: ignore[misc]
    for name in IMAGES[purpose]:
        yield name, lambda name=name: obtain_image(name)  # type: ignore[misc]
