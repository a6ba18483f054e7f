# SPDX-License-Identifier: Apache-2.0
"""What can go wrong while the testbed prepares something; the text says what to do."""

from __future__ import annotations


class TestbedError(Exception):
    """Something could not be prepared."""

    __test__ = False  # not a test class, whatever pytest thinks of its name


class MissingPackages(TestbedError):
    """Programs that the host lacks and that may not, or cannot, be installed here."""

    def __init__(self, packages: tuple[str, ...], why: str) -> None:
        super().__init__(f"missing Debian packages: {' '.join(packages)} ({why})")
        self.packages = packages


class NeedsRoot(TestbedError):
    """A root tree can only be built by root: its files belong to many users."""
