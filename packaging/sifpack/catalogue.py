# SPDX-License-Identifier: Apache-2.0
"""The packages: what each is, needs, is told of by the package manager, and leaves only when it is purged."""

from __future__ import annotations

from typing import NamedTuple


class Package(NamedTuple):
    """One package of every form."""

    name: str
    summary: str
    text: str
    needs: tuple[tuple[str, str], ...] = ()
    """Pairs: what it needs, by Debian's name and by rpm's ("": nothing); `@` stands for the Python series.

    Packages of ours work with any version of one another within the wire's version: each can be rolled back alone."""
    recommends: tuple[str, ...] = ()
    """Debian only."""
    triggers: tuple[str, ...] = ()
    """Files of others: when one of them is installed or replaced, the package's steps run `again`."""
    purged: tuple[str, ...] = ()
    """What purge removes (Debian); shell patterns."""
    steps: bool = True
    """Whether `steps/NAME.sh` is to be run."""


_LIBRARIES = (("libc6 (>= 2.28)", ""), ("libseccomp2", "libseccomp"))
_PYTHON = (("python@", "/usr/bin/python@"),)
_AGENT = (("sifgate-agent", "sifgate-agent"),)
SLURM_FILES = ("/usr/bin/srun", "/usr/sbin/slurmd", "/usr/sbin/slurmstepd")
RUNTIME_FILES = ("/usr/bin/apptainer", "/usr/bin/singularity")

PACKAGES = (
    Package(
        "sifgate-agent",
        "judges container launches on a cluster node: agent and command line",
        "The daemon of every node and login node, the sifgate command, systemd units, the first policy (mode audit).\n"
        "It brings its own Python packages, pinned; nothing is fetched when it is installed.",
        needs=(*_LIBRARIES, *_PYTHON),
        recommends=("logrotate",),
        purged=("/var/lib/sifgate/agent", "/var/lib/sifgate/doors", "/var/lib/sifgate/disabled",
                "/var/log/sifgate/audit.jsonl*", "/etc/sifgate/policy.yaml", "/etc/sifgate/posture",
                "/etc/sifgate/sifgate.yaml", "/run/sifgate/agent.sock"),
    ),
    Package(
        "sifgate-server",
        "verdicts for container images: server and embedded engine",
        "The server of a site beside its PostgreSQL and Clair, or with `sifgate up` all of it on one machine.",
        needs=(*_LIBRARIES, *_PYTHON),
        recommends=("sifgate-agent",),
        purged=("/var/lib/sifgate-server", "/var/cache/sifgate", "/etc/default/sifgate-server",
                *(f"/var/lib/sifgate/{name}" for name in
                  ("bin", "certificates", "feeds", "secrets", "postgres", "clair", "server")),
                "/var/log/sifgate/*.log*"),
    ),
    Package(
        "sifgate-spank",
        "asks sifgate before a step of Slurm starts a container",
        "The SPANK plugin for several release series of Slurm, side by side. The line in plugstack.conf is written\n"
        "after the plugin was loaded by the installed Slurm, and again whenever Slurm is replaced.",
        needs=(("libc6 (>= 2.28)", ""), *_AGENT),
        triggers=SLURM_FILES,
    ),
    Package(
        "sifgate-wrapper",
        "asks sifgate before Apptainer or SingularityCE starts a container",
        "Takes the place of the runtime's program and runs it once the launch was judged; put back whenever the\n"
        "runtime's package replaces it.",
        needs=_AGENT,
        triggers=RUNTIME_FILES,
    ),
    Package(
        "sifgate-hooks",
        "asks sifgate for OCI runtimes, Podman, Enroot and Slurm's prolog",
        "Programs that other programs are told to run; `sifgate oci-hook install` and its like put them in place.\n"
        "With the sources of the Apptainer plugin, which is compiled against an Apptainer built from source.",
        needs=_AGENT,
    ),
    Package(
        "sifgate-guard",
        "sees container launches that pass every other door (fanotify)",
        "Opt-in: its unit is not switched on by the package.",
        needs=_AGENT,
    ),
)  # fmt: skip
