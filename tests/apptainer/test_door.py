# SPDX-License-Identifier: Apache-2.0
"""`sifgate apptainer-plugin` on a node with three Apptainers: two from source, and Debian's package."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.apptainer import FLAVOURS, PREFIXES, SOURCES
from testbed.cluster import Cluster
from tests.fakes.apptainer import IMAGE, options, program

from sifgate.doors.apptainer_plugin import DOOR, PLACE
from sifgate.doors.memory import Memory
from sifgate.errors import ConfigError

pytestmark = [pytest.mark.cluster, pytest.mark.root]
REFUSED = 255


@pytest.fixture
def remembered(site: Cluster) -> Cluster:
    """Return the node, which remembers both installs as the command line writes them down."""
    for flavour in FLAVOURS:
        Memory(site.tree).installed("apptainer-plugin", ["--apptainer", program(flavour)])
    return site


def home(site: Cluster, flavour: str) -> Path:
    """Return where a flavour keeps the plugin."""
    return site.tree / PREFIXES / flavour / "libexec/apptainer/plugin/sifgate"


def test_both_are_in_place(remembered: Cluster) -> None:
    """One line with both runtimes; nothing is left in their source trees."""
    state = DOOR.state(remembered.tree)
    assert (state.present, state.applicable, state.problem) == (True, True, "")
    assert all(f"{program(flavour)} 1." in state.detail for flavour in FLAVOURS)
    assert not any((remembered.tree / SOURCES / flavour / PLACE).exists() for flavour in FLAVOURS)


def test_a_second_install_does_nothing(site: Cluster) -> None:
    """The plugin's version is a digest of its sources."""
    file = home(site, "setuid") / "object.so"
    before = file.stat().st_mtime_ns
    assert DOOR.install(site.tree, options("--apptainer", program("setuid"))) == []
    assert file.stat().st_mtime_ns == before


def test_a_package_is_told_from_a_build(bare: Cluster, doors: None) -> None:
    """Debian's Apptainer has no source tree here; the wrapper is named instead."""
    del doors
    with pytest.raises(ConfigError, match="loads no plugins") as raised:
        DOOR.install(bare.tree, options("--apptainer", "/usr/bin/apptainer"))
    assert "wrapper" in raised.value.hint
    with pytest.raises(ConfigError, match="loads no plugins"):
        DOOR.install(bare.tree, options("--apptainer", program("setuid"), "--source", "/tmp"))


def test_what_is_no_runtime_is_an_error(bare: Cluster, doors: None) -> None:
    """Also where it is there but something else."""
    del doors
    for path in ("/nowhere/apptainer", "/bin/true"):
        with pytest.raises(ConfigError):
            DOOR.install(bare.tree, options("--apptainer", path))


def test_a_plugin_that_cannot_be_loaded_is_named_with_the_way_out(remembered: Cluster) -> None:
    """It ends every launch, as one of another build does: `status` says so, and its remedy needs no compiler."""
    site, file = remembered, home(remembered, "unprivileged") / "object.so"
    kept = file.rename(file.with_name("kept"))
    try:
        file.write_bytes(b"\x7fELF of another build")
        assert site.run("alice", [program("unprivileged"), "exec", IMAGE, "true"]).returncode == REFUSED
        state = DOOR.state(site.tree)
        assert (state.present, "no container starts" in state.problem) == (True, True)
        assert f"{program('unprivileged')} plugin disable sifgate" in state.remedy
        site.run("root", [program("unprivileged"), "plugin", "disable", "sifgate"]).check()
        assert site.run("alice", [program("unprivileged"), "exec", IMAGE, "true"]).returncode == 0
        assert DOOR.state(site.tree).problem == "it is disabled"
    finally:
        kept.replace(file)
        site.run("root", [program("unprivileged"), "plugin", "enable", "sifgate"])


def test_a_disabled_plugin_is_a_problem(remembered: Cluster) -> None:
    """Somebody switched it off: that is no state to be in silence about."""
    site = remembered
    site.run("root", [program("setuid"), "plugin", "disable", "sifgate"]).check()
    try:
        state = DOOR.state(site.tree)
        assert (state.present, state.problem) == (False, "it is disabled")
        assert program("setuid") in state.remedy
    finally:
        site.run("root", [program("setuid"), "plugin", "enable", "sifgate"]).check()
