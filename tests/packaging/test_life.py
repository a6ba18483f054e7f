# SPDX-License-Identifier: Apache-2.0
"""The agent's package on a machine with systemd: installed, upgraded under load, rolled back, removed, purged."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from testbed.images import obtain_image
from tests.packaging.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.live]

ASKER = Path(__file__).with_name("asker.py")
PYTHON = "/usr/lib/sifgate/agent/bin/python3"


def _version(machine: Machine, package: str = "sifgate-agent") -> str:
    return machine.run(f"dpkg-query --show --showformat='${{Version}}' {package}")


def _pid(machine: Machine) -> str:
    return machine.run("systemctl show --property MainPID --value sifgate-agent.service").strip()


def _install(machine: Machine, revision: int, *packages: str) -> str:
    names = " ".join(f"/share/{name}_*-{revision}+deb13_*.deb" for name in packages or ("sifgate-agent",))
    return machine.run(f"dpkg --install {names}", seconds=90)


def test_installed_agent_serves_from_its_own_environment(machine: Machine) -> None:
    """After dpkg alone the agent listens through systemd's socket, hardened, and its sandbox has every layer."""
    _install(machine, 1)
    machine.until("systemctl is-active sifgate-agent.service")
    status = machine.run("sifgate status")
    assert not re.findall(
        r"^(?:landlock|limits|network|no_new_privs|seccomp|uid) +(?!active| )", status, re.MULTILINE
    )
    assert status.count("active") >= 6
    command = machine.run(f"tr '\\0' ' ' </proc/{_pid(machine)}/cmdline")
    assert command.startswith("/usr/lib/sifgate/live/"), command
    assert "NoNewPrivs:\t1" in machine.run(f"cat /proc/{_pid(machine)}/status")
    assert machine.run("getent passwd sifgate-scan; getent group sifgate-audit").count("sifgate-") == 2
    assert machine.run("stat -c '%a %U' /run/sifgate /run/sifgate/agent.sock").split() == [
        "755",
        "root",
        "666",
        "root",
    ]
    assert machine.run("sifgate reload").startswith("sifgate: in force: sha256:")


def test_hardened_agent_reads_images(machine: Machine) -> None:
    """An image that a user opens is extracted by a worker inside the unit's walls, and known by its mount at once."""
    shutil.copyfile(obtain_image("trixie.sif"), machine.share / "trixie.sif")
    machine.run(
        "cp /share/trixie.sif /var/tmp/image.sif; chown 65534 /var/tmp/image.sif; chmod 600 /var/tmp/image.sif"
    )
    first = machine.run("sifgate check --format json --wait 20 /var/tmp/image.sif", check=False)
    assert re.search(r'"fingerprint": ?"[0-9a-f]{64}"', first), first
    machine.run(
        "mkdir -p /var/tmp/box/etc && echo ID=debian >/var/tmp/box/etc/os-release && chmod 700 /var/tmp/box"
    )
    assert "fingerprint" in machine.run("sifgate check --format json --wait 20 /var/tmp/box", check=False)
    status = machine.run("sifgate status")
    assert re.search(r"^scans.extractions +2$", status, re.MULTILINE), status


def test_agent_sees_its_peers_and_workers_see_nobody(machine: Machine) -> None:
    """Inside the unit's walls group 0 reads of other processes what the agent needs; a worker's uid sees none."""
    inside = (
        f"nsenter --target {_pid(machine)} --mount setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
    )
    assert "/init.scope" in machine.run(f"{inside} cat /proc/1/cgroup")
    assert "systemd" in machine.run(f"{inside} cat /proc/1/stat")
    worker = f"{inside} --reuid=sifgate-scan --regid=65533 --clear-groups"
    assert "No such file" in machine.run(f"{worker} cat /proc/1/stat", check=False)


def test_upgrade_fails_no_launch(machine: Machine) -> None:
    """While the package is upgraded, asks go on without pause; each is answered, by the old agent or the new one."""
    shutil.copyfile(ASKER, machine.share / "asker.py")
    old = _pid(machine)
    machine.run("echo '# the site wrote this' >>/etc/sifgate/policy.yaml")
    askers = [machine.start(f"{PYTHON} -I /share/asker.py /var/tmp/image.sif /run/enough") for _ in range(2)]
    machine.until("[ $(grep -c . /var/log/sifgate/audit.jsonl) -gt 20 ]")
    _install(machine, 2)
    machine.until("systemctl is-active sifgate-agent.service")
    new = _pid(machine)
    machine.run("touch /run/enough")
    told = [each.finish() for each in askers]
    assert old != new
    assert _version(machine) == "0.1.0-2+deb13"
    for text in told:
        assert "failed" not in text, text
        assert int(text.split()[1].rstrip(",")) > 20, text
    assert "the site wrote this" in machine.run("cat /etc/sifgate/policy.yaml")


def test_rollback_to_the_version_before(machine: Machine) -> None:
    """The older package installs over the newer one, with the same policy and the same log."""
    lines = int(machine.run("wc -l </var/log/sifgate/audit.jsonl"))
    _install(machine, 1)
    machine.until("systemctl is-active sifgate-agent.service")
    assert _version(machine) == "0.1.0-1+deb13"
    assert "the site wrote this" in machine.run("cat /etc/sifgate/policy.yaml")
    assert int(machine.run("wc -l </var/log/sifgate/audit.jsonl")) >= lines
    assert "0.1.0-1+deb13" in machine.run("readlink /usr/lib/sifgate/live/agent")
    assert len(machine.run("ls /usr/lib/sifgate/live").split()) == 3  # the link, this one, the one before


def test_package_without_bytecode_is_compiled_when_installed(machine: Machine) -> None:
    """Built on a host without this Python, the package brings a mark, and its steps compile; the agent serves."""
    home = "/usr/lib/sifgate/agent"
    machine.run(f"find {home} -name __pycache__ -prune -exec rm -rf {{}} + ; touch {home}/compile")
    machine.run("/usr/lib/sifgate/package/sifgate-agent put again")
    machine.until("systemctl is-active sifgate-agent.service")
    assert machine.run("find /usr/lib/sifgate/live/agent/ -name 'main.cpython-313.pyc'")
    machine.run(f"rm {home}/compile")


def test_dead_agent_is_started_by_the_next_ask(machine: Machine) -> None:
    """A killed agent is back before a shim gives up; a stopped one is started by whoever asks."""
    old = _pid(machine)
    machine.run(f"kill -9 {old}")
    assert "agent" in machine.run("sifgate status")
    machine.run("systemctl stop sifgate-agent.service")
    assert "agent" in machine.run("sifgate status")
    assert _pid(machine) not in {"0", old}


def test_hung_agent_is_replaced(machine: Machine) -> None:
    """An agent whose loop no longer turns is ended by systemd's watchdog, and another one serves."""
    machine.run("mkdir -p /run/systemd/system/sifgate-agent.service.d && printf '[Service]\\nWatchdogSec=1\\n' "
                ">/run/systemd/system/sifgate-agent.service.d/short.conf && systemctl daemon-reload && "
                "systemctl restart sifgate-agent.service")  # fmt: skip
    old = _pid(machine)
    machine.until(
        "systemctl show --property WatchdogTimestampMonotonic --value sifgate-agent.service | grep -v '^0$'"
    )
    machine.run(f"kill -STOP {old}")
    machine.until(f"new=$(systemctl show --property MainPID --value sifgate-agent.service); "
                  f"[ $new != 0 ] && [ $new != {old} ] && sifgate status | grep uptime", seconds=30)  # fmt: skip
    assert machine.run("systemctl show --property NRestarts --value sifgate-agent.service").strip() != "0"


def test_log_is_rotated_without_a_lost_record(machine: Machine) -> None:
    """A forced logrotate accepts the configuration, renames the log, and the agent goes on in a new file."""
    machine.run("logrotate --debug /etc/logrotate.d/sifgate")
    before = machine.run("cat /var/log/sifgate/audit.jsonl | wc -l")
    machine.run("logrotate --force /etc/logrotate.d/sifgate")
    machine.run("sifgate check /var/tmp/image.sif", check=False)
    machine.until("ls /var/log/sifgate/audit.jsonl*")
    after = machine.run("cat /var/log/sifgate/audit.jsonl* | wc -l")
    assert int(after) == int(before) + 1
    machine.until(
        "logrotate --force /etc/logrotate.d/sifgate && ls /var/log/sifgate/*.gz"
    )  # names have the second


def test_removed_agent_leaves_the_evidence(machine: Machine) -> None:
    """`dpkg --remove` ends the agent and keeps policy and audit log; `--purge` takes them too."""
    machine.run("dpkg --remove sifgate-agent")
    assert machine.run("systemctl is-active sifgate-agent.socket", check=False).strip() == "inactive"
    machine.run("[ ! -e /usr/lib/sifgate ] && [ ! -e /usr/bin/sifgate ] && [ ! -S /run/sifgate/agent.sock ]")
    machine.run(
        "ls /var/log/sifgate/audit.jsonl* && [ -s /etc/sifgate/policy.yaml ] && [ -d /var/lib/sifgate/agent ]"
    )
    _install(machine, 2)
    machine.until("systemctl is-active sifgate-agent.service")
    assert "the site wrote this" in machine.run("cat /etc/sifgate/policy.yaml")
    machine.run("dpkg --purge sifgate-agent")
    assert not machine.run("ls -d /etc/sifgate /var/lib/sifgate /var/log/sifgate /etc/logrotate.d/sifgate 2>/dev/null",
                           check=False)  # fmt: skip
    assert "sifgate" not in machine.run("dpkg --get-selections")
