# SPDX-License-Identifier: Apache-2.0
"""Findings that are listed but not counted: a container never runs the kernel whose headers it holds.

28.9 % of all (image, CVE) pairs of arXiv 2010.13970 exist only in `linux-libc-dev`. The names are those of
Debian, Ubuntu, the RPM distributions and Alpine (grype's `match-upstream-kernel-headers: false` is alike).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter

from sifgate.model.finding import Finding

_LIBRARIES = frozenset({"python", "go", "java", "ruby"})
"""Managers that install no kernel headers, whatever a package is called."""

_HEADERS = re.compile(
    r"""
      linux-libc-dev(-\S+-cross)?            # Debian, Ubuntu
    | linux-(\S+-)?headers(-\S+)?            # Debian linux-headers-amd64, Ubuntu linux-aws-headers-…, Alpine
    | linux-(doc|kbuild|source)(-\S+)?       # Debian, Ubuntu
    | kernel(-\S+)?-(headers|devel|doc|srpm-macros)(-\S+)?   # RHEL, Fedora, SUSE kernel-default-devel
    | linux-glibc-devel                      # SUSE
    """,
    re.VERBOSE,
)
_PACKAGE = attrgetter("package")
_NAMES = attrgetter("package", "source", "manager")
_KERNEL_SOURCE = re.compile(r"(linux|kernel)([-_.+]\S*)?")


def is_kernel_header(package: str, source: str, manager: str) -> bool:
    """Return whether a package holds kernel headers, sources or manuals, and is built from the kernel."""
    if manager in _LIBRARIES or not _HEADERS.fullmatch(package):
        return False
    return not source or _KERNEL_SOURCE.fullmatch(source) is not None


def partition(findings: Sequence[Finding], *, kernel_headers: bool) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that count, and those that are suppressed, in their order."""
    if not kernel_headers:
        return list(findings), []
    named = {name for name in set(map(_PACKAGE, findings)) if _HEADERS.fullmatch(name)}
    if not named:
        return list(findings), []
    counted: list[Finding] = []
    suppressed: list[Finding] = []
    for finding in findings:
        hidden = finding.package in named and is_kernel_header(*_NAMES(finding))
        (suppressed if hidden else counted).append(finding)
    return counted, suppressed
