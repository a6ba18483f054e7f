# SPDX-License-Identifier: Apache-2.0
"""`Cluster`: starts slurmctld and some slurmd in namespaces, runs commands as a user in them, leaves nothing behind.

::

    host                                     namespaces (net, pid, mount, uts, ipc)
    WORK/nodes/n1/{etc,run}  ── bind ──►     /etc/sifgate, /run/sifgate of n1's slurmd and its steps
    WORK/login/{etc,run}     ── bind ──►     the same of all else: slurmctld, and where users submit
    WORK/scratch             ── bind ──►     /scratch
    binds {name: directory}  ── bind, ro ─►  /images/NAME
    tree (read only) + WORK/upper ─ overlay ─► /

The agent runs on the host with `--root WORK/nodes/n1`: sockets, descriptors and the ids of peers pass the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from testbed.cluster import configuration
from testbed.errors import TestbedError
from testbed.rootfs import obtain_tree

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
START_LIMIT = 40.0
TREE_OF = {"22.05": "node-2205", "24.11": "node", "26.05": "node-2605"}
"""Series of Slurm → the root tree that has it; only 24.11's has container runtimes."""
USERS = {"alice": 2001, "bob": 2002}
"""Made by daemons.sh; alice is in the group lab (2100), bob is not."""


@dataclass(frozen=True)
class Completed:
    """How a command in the cluster ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Return both streams, for assertions that do not care which."""
        return self.stdout + self.stderr

    def check(self) -> Completed:
        """Return itself; raise TestbedError where the command failed."""
        if self.returncode != 0:
            raise TestbedError(f"command in the cluster ended with {self.returncode}: {self.output}")
        return self


class Cluster:
    """A running cluster; use it as a context manager."""

    def __init__(
        self,
        *,
        nodes: Sequence[str] = ("n1", "n2"),
        series: str = "24.11",
        tree: Path | None = None,
        settings: Sequence[str] = (),
        plugstack: str = "",
        prepare: Sequence[Callable[[Path], None]] = (),
        binds: Mapping[str, Path] | None = None,
        one_cpu: bool = False,
        configless: bool = False,
    ) -> None:
        """Remember the shape: `settings` are lines of slurm.conf, `prepare` fill the root before the daemons start.

        `one_cpu` is for job_container/tmpfs: Linux 6.18 numbers namespaces per CPU and refuses (EINVAL) to bind-mount
        one whose number is lower than that of its creator, which a job on another CPU than slurmd's may get.
        `configless`: nodes have an empty /etc/slurm of their own, and slurmd fetches its files from slurmctld.
        """
        self.names = tuple(nodes)
        self.series = series
        self._tree = tree
        self._settings = settings
        self._plugstack = plugstack
        self._prepare = prepare
        self._binds = dict(binds or {})
        self._pin = ("taskset", "-c", str(min(os.sched_getaffinity(0)))) if one_cpu else ()
        self._configless = configless
        self._process: subprocess.Popen[str] | None = None
        self._init = 0
        self.work = Path()

    def __enter__(self) -> Self:
        self.work = Path(tempfile.mkdtemp(prefix="sifgate-cluster-"))
        self.work.chmod(0o755)
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def scratch(self) -> Path:
        """Return the host's side of /scratch, where everybody may write."""
        return self.work / "scratch"

    @property
    def root(self) -> Path:
        """Return the layer above the read-only tree: what the cluster wrote, and what `prepare` put there."""
        return self.work / "upper"

    def node_root(self, name: str) -> Path:
        """Return the directory whose `etc` and `run` are the node's /etc/sifgate and /run/sifgate."""
        return self.work / "nodes" / name

    @property
    def login(self) -> Path:
        """Return the directory whose `etc` and `run` are /etc/sifgate and /run/sifgate where users submit."""
        return self.work / "login"

    @property
    def tree(self) -> Path:
        """Return the running cluster's root as the host sees it, for what works on trees; no node's own mounts."""
        return Path("/proc") / str(self._init) / "root"

    def node_tree(self, name: str) -> Path:
        """Return the same with the mounts of one node: the root of its slurmd."""
        (pid,) = self.run("root", ["cat", f"/run/slurm/slurmd.{name}.pid"]).stdout.split()
        namespace = (Path("/proc") / str(self._init) / "ns/pid").readlink()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ids = (entry / "status").read_text().partition("NSpid:")[2].partition("\n")[0].split()
                if ids[-1:] == [pid] and (entry / "ns/pid").readlink() == namespace:
                    return entry / "root"
        raise TestbedError(f"no slurmd of {name} (pid {pid} in the cluster)")

    def _lay_out(self) -> None:
        for name in ("upper", "overlay", "root", "scratch", "binds"):
            (self.work / name).mkdir()
        self.scratch.chmod(0o1777)
        for place in (self.login, *map(self.node_root, self.names)):
            for part in ("etc", "run"):
                (place / part).mkdir(parents=True)
        for name, target in self._binds.items():
            (self.work / "binds" / name).symlink_to(target)
        etc = self.root / "etc/slurm"
        etc.mkdir(parents=True)
        (etc / "slurm.conf").write_text(configuration.slurm_conf(self.names, self._settings))
        (etc / "cgroup.conf").write_text(configuration.cgroup_conf(self.series))
        (etc / "plugstack.conf").write_text(self._plugstack)
        library = self.root / "usr/local/lib/testbed"
        library.mkdir(parents=True)
        shutil.copy(HERE / "daemons.sh", library)
        if self._configless:
            (library / "configless").touch()
        for prepare in self._prepare:
            prepare(self.root)

    def _start(self) -> None:
        tree = self._tree or obtain_tree(TREE_OF[self.series])
        with (self.work / "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *self._pin,
                    *(
                        "unshare",
                        "--net",
                        "--pid",
                        "--mount",
                        "--uts",
                        "--ipc",
                        "--fork",
                        "--kill-child=KILL",
                    ),
                    *("--propagation", "private", "sh", str(HERE / "enter.sh"), str(self.work), str(tree)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "started\n":
            raise TestbedError(
                f"the cluster did not start:\n{(self.work / 'start.log').read_text(errors='replace')}"
            )
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        self._init = int(children.split()[0])
        self.wait_idle(START_LIMIT)

    def close(self) -> None:
        """End every process of the cluster and remove its files."""
        if self._process is not None:
            self._process.kill()  # --kill-child: the namespace's init dies with it, and all in the namespace with that
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
        if self.work != Path():
            _await_unmounted(self.work)
            shutil.rmtree(self.work, ignore_errors=True)

    def run(
        self,
        user: str,
        argv: Sequence[str],
        *,
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        text: str = "",
        limit: float = 60.0,
    ) -> Completed:
        """Run a command as `user`; `text` goes to its standard input, `limit` is in seconds (then exit 124)."""
        home = "/root" if user == "root" else f"/home/{user}"
        environment = {"PATH": PATH, "HOME": home, "USER": user, "LANG": "C.UTF-8", **(env or {})}
        become = ["runuser", "-u", user, "--"] if user != "root" else []
        done = subprocess.run(
            [
                *self._enter(cwd or (home if user in USERS else "/")),
                *become,
                "timeout",
                "-k5",
                str(limit),
                *argv,
            ],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def start(
        self, user: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command as `user` and return it running, both streams piped."""
        environment = {"PATH": PATH, "HOME": f"/home/{user}", "USER": user, "LANG": "C.UTF-8", **(env or {})}
        return subprocess.Popen(
            [*self._enter(f"/home/{user}"), "runuser", "-u", user, "--", *argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _enter(self, cwd: str) -> list[str]:
        return [
            "nsenter",
            "--target",
            str(self._init),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            f"--wdns={cwd}",
        ]

    def nodes(self) -> dict[str, str]:
        """Return each node's state, with its reason where it has one: `idle`, `drained (Prolog error)`."""
        listing = self.run("root", ["sinfo", "-h", "-N", "-p", "debug", "-o", "%N|%T|%E"]).stdout
        states = {}
        for line in listing.splitlines():
            name, state, reason = line.split("|", 2)
            states[name] = state if reason in {"", "none"} else f"{state} ({reason})"
        return states

    def job(self, number: int | str) -> dict[str, str]:
        """Return what `scontrol show job` says, key by key; empty where the job is unknown."""
        words = self.run("root", ["scontrol", "--oneliner", "show", "job", str(number)]).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def jobs(self) -> list[str]:
        """Return the ids of jobs that are not over."""
        return self.run("root", ["squeue", "-h", "-o", "%A"]).stdout.split()

    def wait_job(self, number: int | str, limit: float = 60.0) -> dict[str, str]:
        """Return the job's facts once it is over."""
        over = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
        _wait(
            lambda: self.job(number).get("JobState") in over,
            limit,
            lambda: f"job {number}: {self.job(number)}",
        )
        return self.job(number)

    def wait_idle(self, limit: float = 30.0) -> None:
        """Return once no job is left and every node is idle; raise TestbedError with the states otherwise."""

        def idle() -> bool:
            states = self.nodes()
            return len(states) == len(self.names) and set(states.values()) == {"idle"} and not self.jobs()

        _wait(idle, limit, lambda: f"nodes {self.nodes()}, jobs {self.jobs()}\n{self.log()}")

    def strays(self) -> list[str]:
        """Return the command lines of users' processes in the cluster: between tests there are none."""
        namespace = (Path("/proc") / str(self._init) / "ns/pid").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "ns/pid").readlink() == namespace and entry.stat().st_uid in USERS.values():
                    found.append(
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
        return found

    def log(self, lines: int = 15) -> str:
        """Return the end of every daemon's log."""
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted((self.root / "var/log/slurm").glob("*"))
        )


def _wait(condition: Callable[[], bool], limit: float, complaint: Callable[[], str]) -> None:
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TestbedError(f"not within {limit:.0f} s: {complaint()}")
        time.sleep(0.2)


def _await_unmounted(work: Path) -> None:
    """Wait until the namespace's mounts are gone with its last process (they were never visible here)."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            (work / "root").rmdir()
            return
        time.sleep(0.05)
