# SPDX-License-Identifier: Apache-2.0
"""Enforcement points: where in a job's life a launch is judged; several doors may be one point."""

from __future__ import annotations

from enum import Enum

from sifgate.model.launch import Door


class Point(str, Enum):
    """A place with a ceiling of its own."""

    SUBMIT = "submit"
    PROLOG = "prolog"
    LAUNCH = "launch"
    """Every door at which a container is about to start."""
    GUARD = "guard"
    CLI = "cli"


_POINTS = {
    Door.SUBMIT: Point.SUBMIT,
    Door.PROLOG: Point.PROLOG,
    Door.GUARD: Point.GUARD,
    Door.CLI: Point.CLI,
}


def point_of(door: Door) -> Point:
    """Return the point that a door belongs to."""
    return _POINTS.get(door, Point.LAUNCH)
