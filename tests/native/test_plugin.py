# SPDX-License-Identifier: Apache-2.0
"""The SPANK plugin compiles against every supported series of Slurm and exports only what Slurm asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from testbed.headers import SUITE_OF, obtain_headers

pytestmark = pytest.mark.native
REPOSITORY = Path(__file__).resolve().parents[2]
CALLBACKS = {f"slurm_spank_{name}" for name in ("init", "init_post_opt", "user_init", "task_init_privileged")}
SYMBOLS = {"plugin_name", "plugin_type", "plugin_version", "spank_plugin_version"} | CALLBACKS


@pytest.fixture(scope="module", params=SUITE_OF)
def plugin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the plugin compiled against one series' headers."""
    out = tmp_path_factory.mktemp(f"plugin-{request.param}")
    make: list[str | Path] = [
        "make",
        "-s",
        "-C",
        REPOSITORY / "plugin",
        f"OUT={out}",
        f"SLURM_INCLUDE={obtain_headers(request.param)}",
    ]
    subprocess.run(make, check=True)
    return out / "sifgate.so"


def test_only_slurms_symbols_are_exported(plugin: Path) -> None:
    """Nothing of ours can collide with another plugin in the same process."""
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", plugin], capture_output=True, text=True, check=True
    )
    assert {line.split()[-1] for line in listing.stdout.splitlines()} == SYMBOLS


def test_no_slurm_library_is_needed(plugin: Path) -> None:
    """The host process brings `spank_*`; linking libslurm would tie the plugin to its soname."""
    listing = subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True, check=True).stdout
    assert "libslurm" not in listing
    assert "BIND_NOW" in listing


def test_missing_headers_are_named(tmp_path: Path) -> None:
    """Without headers `make` says what to install."""
    make: list[str | Path] = [
        "make",
        "-s",
        "-C",
        REPOSITORY / "plugin",
        f"OUT={tmp_path}/out",
        f"SLURM_INCLUDE={tmp_path}/none",
    ]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "libslurm-dev" in done.stderr


def test_install_puts_the_plugin_beside_those_of_other_series(plugin: Path, tmp_path: Path) -> None:
    """`make install` under a staging directory: where `sifgate spank install` finds it; no line is written."""
    series = plugin.parent.name.removeprefix("plugin-")[:5]
    make: list[str | Path] = ["make", "-s", "-C", REPOSITORY / "plugin", "install", f"OUT={plugin.parent}"]
    subprocess.run([*make, f"SLURM_INCLUDE={obtain_headers(series)}", f"DESTDIR={tmp_path}"], check=True)
    installed = tmp_path / f"usr/lib/sifgate/spank/{series}/sifgate.so"
    assert installed.read_bytes() == plugin.read_bytes()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [installed]
