# SPDX-License-Identifier: Apache-2.0
"""A real Slurm with Apptainer and sifgate's plugin on this host, in namespaces of its own."""

from __future__ import annotations

from testbed.cluster.harness import Cluster, Completed

__all__ = ["Cluster", "Completed"]
