# SPDX-License-Identifier: Apache-2.0
"""What a Slurm step starts: argv, multi-prog file, batch script or container option → sightings; pure."""

from __future__ import annotations

from sifgate.origin.sighting import RawLaunch, Sighting


def sightings(raw: RawLaunch) -> tuple[Sighting, ...]:
    """Return what `raw` starts, in the order of its words; empty: no known runtime is started."""
    del raw
    return ()
