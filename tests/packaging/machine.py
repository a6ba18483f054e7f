# SPDX-License-Identifier: Apache-2.0
"""A small machine: systemd as first process over the root tree of the node, with namespaces and a cgroup of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
from testbed.rootfs import obtain_tree

BOOT = Path(__file__).with_name("boot.sh")
BOOT_SECONDS = 30.0
UNWANTED = (
    *(
        "slurmd.service",
        "slurmctld.service",
        "munge.service",
        "systemd-udevd.service",
        "systemd-binfmt.service",
    ),
    *("systemd-modules-load.service", "systemd-sysctl.service", "systemd-remount-fs.service"),
    *(
        "console-getty.service",
        "systemd-tmpfiles-setup-dev.service",
        "systemd-tmpfiles-setup-dev-early.service",
    ),
    *("dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount", "ldconfig.service"),
    *("systemd-firstboot.service", "systemd-journal-catalog-update.service"),
)
"""What would look at the host's devices and kernel, or only take time."""
_ENTER_CGROUP = """
set -eu
mount -t cgroup2 none "$1/cgroup"
mkdir -p "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
umount "$1/cgroup"
exec unshare --cgroup --pid --net --uts --ipc --mount --fork --kill-child --propagation private -- sh "$3" "$1" "$4"
"""
_LEAVE_CGROUP = """
mount -t cgroup2 none "$1/cgroup"
for i in $(seq 100); do # the kernel takes a moment to bury the dead
	find "$1/cgroup/$2" -depth -type d -exec rmdir {} + 2>/dev/null
	[ -d "$1/cgroup/$2" ] || exit 0
	sleep 0.1
done
echo "left behind: cgroup $2" >&2
"""


class Machine:
    """What was booted; commands run in it as root."""

    def __init__(self, work: Path, process: subprocess.Popen[bytes]) -> None:
        self.share = work / "share"
        self._process = process
        self._first = 0

    def wait(self) -> None:
        """Wait until systemd has reached its target."""
        end = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end:
            for child in psutil.Process(self._process.pid).children():
                with contextlib.suppress(psutil.Error):
                    if child.name() == "systemd":
                        self._first = child.pid
            if self._first and self.run("systemctl is-active basic.target", check=False).strip() == "active":
                return
            time.sleep(0.1)
        raise AssertionError("the machine did not boot")

    def run(self, script: str, *, check: bool = True, seconds: float = 60) -> str:
        """Run a shell script; return what it printed, both streams."""
        return self.start(script).finish(check=check, seconds=seconds)

    def start(self, script: str) -> Running:
        """Start a shell script."""
        enter = [
            "nsenter",
            "--target",
            str(self._first),
            "--all",
            "--root",
            "--wd",
            "--",
            "/bin/sh",
            "-c",
            script,
        ]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        mark = {name: value for name, value in os.environ.items() if name == "SIFGATE_TEST_SESSION"}
        return Running(subprocess.Popen(
            enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment | mark,
        ), script)  # fmt: skip

    def until(self, script: str, seconds: float = 20) -> None:
        """Wait until a shell script succeeds."""
        self.run(f"for i in $(seq {round(seconds * 10)}); do ({script}) >/dev/null 2>&1 && exit 0; sleep 0.1; done; "
                 f"echo 'never: {script}'; exit 1", seconds=seconds + 20)  # fmt: skip


class Running:
    """A script that runs."""

    def __init__(self, process: subprocess.Popen[str], script: str) -> None:
        self._process = process
        self._script = script

    def finish(self, *, check: bool = True, seconds: float = 60) -> str:
        """Wait for its end; return what it printed."""
        try:
            text, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            text, _ = self._process.communicate()
            raise AssertionError(f"{self._script}: still runs after {seconds:g} s:\n{text}") from None
        assert not check or self._process.returncode == 0, (
            f"{self._script}: {self._process.returncode}\n{text}"
        )
        return text


@contextlib.contextmanager
def booted(work: Path) -> Iterator[Machine]:
    """Boot a machine whose changes stay below `work`; nothing of it is left afterwards."""
    tree = obtain_tree("node")
    for name in ("upper", "overlay", "root", "share", "cgroup"):
        (work / name).mkdir()
    (work / "upper/etc").mkdir()
    (work / "upper/etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    masks = work / "upper/etc/systemd/system"
    masks.mkdir(parents=True)
    for name in UNWANTED:
        (masks / name).symlink_to("/dev/null")
    group = f"sifgate-{work.name}-{os.getpid()}"
    outer = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c"]
    process = subprocess.Popen(
        [*outer, _ENTER_CGROUP, "enter", str(work), group, str(BOOT), str(tree)], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    machine = Machine(work, process)
    try:
        machine.wait()
        yield machine
    finally:
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGKILL)  # the namespace's first process: all others go with it
        process.kill()
        process.wait()
        subprocess.run([*outer, _LEAVE_CGROUP, "leave", str(work), group], check=False, timeout=30)
        shutil.rmtree(work / "upper", ignore_errors=True)
