# SPDX-License-Identifier: Apache-2.0
"""The distributions that packages are made for: their Python decides, everything else is the same for all."""

from __future__ import annotations

import platform
from typing import NamedTuple


class Series(NamedTuple):
    """One distribution's release."""

    name: str
    form: str
    """`deb` or `rpm`."""
    python: str
    """The Python series that the environments are made for, and that the packages depend on."""
    mark: str
    """Ends the package's release, so that packages for several releases can lie in one directory."""


SERIES = {
    each.name: each
    for each in (
        Series("trixie", "deb", "3.13", "+deb13"),
        Series("bookworm", "deb", "3.11", "+deb12"),
        Series(
            "el", "rpm", "3.12", ".el"
        ),  # python3.12 of Enterprise Linux 8 and 9 (AppStream), python3 of 10
    )
}
SLURM = ("22.05", "24.11", "26.05")
"""Release series of Slurm whose plugin is in the package, side by side."""
GLIBC = "2.28"
"""The oldest C library (Enterprise Linux 8) that loads what is compiled here."""

DEB_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}


def machine() -> str:
    """Return the machine that packages are made for: this one, in the kernel's word."""
    return platform.machine()
