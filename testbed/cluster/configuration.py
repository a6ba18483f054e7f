# SPDX-License-Identifier: Apache-2.0
"""The files of /etc/slurm for a small cluster whose nodes all live on this host."""

from __future__ import annotations

from collections.abc import Sequence

FIRST_PORT = 17001


def slurm_conf(nodes: Sequence[str], extra: Sequence[str] = ()) -> str:
    """Return slurm.conf; `extra` lines come last but one, so that node and partition lines stay together."""
    lines = [
        "ClusterName=testbed",
        "SlurmctldHost=tb(127.0.0.1)",
        "AuthType=auth/munge",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SlurmUser=slurm",
        "StateSaveLocation=/var/lib/slurm/slurmctld",
        "SlurmdSpoolDir=/var/spool/slurmd.%n",
        "SlurmctldPidFile=/run/slurm/slurmctld.pid",
        "SlurmdPidFile=/run/slurm/slurmd.%n.pid",
        "SlurmctldLogFile=/var/log/slurm/slurmctld.log",
        "SlurmdLogFile=/var/log/slurm/slurmd.%n.log",
        "SlurmctldDebug=info",
        "SlurmdDebug=info",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=sched_interval=5,batch_sched_delay=0,bf_interval=2",
        "SelectType=select/cons_tres",
        "ReturnToService=2",
        "SlurmdParameters=config_overrides",
        "SlurmctldTimeout=300",
        "SlurmdTimeout=300",
        *extra,
        *(
            f"NodeName={name} NodeHostname=tb NodeAddr=127.0.0.1 Port={FIRST_PORT + number} CPUs=4 State=UNKNOWN"
            for number, name in enumerate(nodes)
        ),
        "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8",
        "PartitionName=other Nodes=ALL MaxTime=INFINITE State=UP OverSubscribe=FORCE:8",
    ]
    return "\n".join(lines) + "\n"


def cgroup_conf(series: str) -> str:
    """Return cgroup.conf for a series of Slurm: there is no cgroup file system to manage in the namespace.

    Before 24.05 there is no such plugin as `disabled`; cgroup/v1 mounts nothing as long as nothing uses it.
    """
    return f"CgroupPlugin={'cgroup/v1' if series < '24.05' else 'disabled'}\n"
