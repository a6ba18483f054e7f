# SPDX-License-Identifier: Apache-2.0
"""The units: systemd finds no fault in them, and they expose no more than promised."""

from __future__ import annotations

import re

import pytest
from tests.packaging.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.live]

MOST_EXPOSED = 3.0


@pytest.fixture(scope="module")
def units(machine: Machine) -> Machine:
    """Return a machine with the packages of agent, server and guard."""
    machine.run("dpkg --install /share/sifgate-agent_*-1+deb13_*.deb /share/sifgate-server_*.deb", seconds=90)
    if "sifgate-guard" in machine.run("ls /share"):
        machine.run("dpkg --install /share/sifgate-guard_*-1+deb13_*.deb")
    return machine


UNITS = ("agent.socket", "agent.service", "server.service", "engine.service", "engine.path", "reload.service",
         "guard.service")  # fmt: skip


@pytest.mark.parametrize("unit", [f"sifgate-{name}" for name in UNITS])
def test_unit_has_no_fault(units: Machine, unit: str) -> None:
    """`systemd-analyze verify` has nothing to say."""
    said = units.run(f"systemd-analyze verify --man=no {unit}")
    assert "sifgate" not in said, said


@pytest.mark.parametrize("unit", ["sifgate-agent.service", "sifgate-server.service"])
def test_unit_exposes_little(units: Machine, unit: str) -> None:
    """`systemd-analyze security` is at most 3.0."""
    said = units.run(f"systemd-analyze security --offline=true --no-pager {unit}")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= MOST_EXPOSED


def test_users_and_directories_come_from_declarations(units: Machine) -> None:
    """Every user of sifgate.engine.accounts is declared, without login; the directories are root's."""
    from sifgate.engine.accounts import NAMES

    for name in NAMES.values():
        entry = units.run(f"getent passwd {name}").strip().split(":")
        assert entry[6] == "/usr/sbin/nologin"
    units.run("rmdir /run/sifgate 2>/dev/null; systemd-tmpfiles --create sifgate.conf")
    assert (
        units.run("stat -c '%a %U:%G' /run/sifgate /var/lib/sifgate /var/log/sifgate").split()
        == ["755", "root:root"] * 3
    )
