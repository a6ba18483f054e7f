# SPDX-License-Identifier: Apache-2.0
"""An image's distribution in a few words: `Debian 11 (end of life 2026-08-31)`."""

from __future__ import annotations

from sifgate.model.verdict import Verdict

NAMES = {
    "almalinux": "AlmaLinux",
    "alpine": "Alpine",
    "amzn": "Amazon Linux",
    "centos": "CentOS",
    "debian": "Debian",
    "fedora": "Fedora",
    "ol": "Oracle Linux",
    "opensuse-leap": "openSUSE Leap",
    "photon": "Photon",
    "rhel": "RHEL",
    "rocky": "Rocky Linux",
    "sles": "SLES",
    "ubuntu": "Ubuntu",
    "wolfi": "Wolfi",
}


def distribution(verdict: Verdict) -> str:
    """Return name and version as the image states them, with the end of its support where it is known."""
    release = verdict.os_release
    name = " ".join(filter(None, (NAMES.get(release.id, release.id), release.version_id or release.codename)))
    name = name or verdict.coverage.distribution or "no distribution recognised"
    ends = max(verdict.end_of_life.eol, verdict.end_of_life.lts)
    return f"{name} (end of life {ends})" if ends else name
