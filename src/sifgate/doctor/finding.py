# SPDX-License-Identifier: Apache-2.0
"""What a look at one thing found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import msgspec

from sifgate.errors import SifgateError


class Health(str, Enum):
    """How a thing is."""

    FINE = "fine"
    PROBLEM = "problem"
    ABSENT = "not in place"
    """A door that the site does not use: no complaint."""
    UNSEEN = "not seen"
    """It could not be looked at, though it should have been possible."""
    ROOT = "root only"
    """Only root can look at it."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor."""

    subject: str
    health: Health
    detail: str = ""
    remedy: str = ""


Look = Callable[[], Iterator[Finding]]


def fine(subject: str, detail: str = "") -> Finding:
    """Return that all is well."""
    return Finding(subject, Health.FINE, detail)


def problem(subject: str, detail: str, remedy: str) -> Finding:
    """Return what is wrong, and what to do."""
    return Finding(subject, Health.PROBLEM, detail, remedy)


def roots(subject: str) -> Finding:
    """Return that a user cannot look there."""
    return Finding(subject, Health.ROOT, "only root can look", "sudo sifgate doctor")


def safely(subject: str, look: Look) -> list[Finding]:
    """Return what a look found; a look that fails in a way it did not expect is itself a finding."""
    found = []
    try:
        for each in look():
            found.append(each)  # noqa: PERF402 - what was found before the failure counts
    except SifgateError as error:
        found.append(problem(subject, str(error), error.hint))
    except Exception as error:  # noqa: BLE001 - the other findings are wanted all the same
        what = f"{type(error).__name__}: {error}"
        found.append(Finding(subject, Health.UNSEEN, what, "sifgate --verbose doctor; report it"))
    return found
