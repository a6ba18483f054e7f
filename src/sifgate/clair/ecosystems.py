# SPDX-License-Identifier: Apache-2.0
"""Which package manager told of a package, and which updaters bring advisories for it (clair.md §4.4, §4.6); pure."""

from __future__ import annotations

import re

from sifgate.clair.schema import Distribution

SYSTEM = frozenset({"apk", "dpkg", "rpm"})
"""Managers whose packages belong to the distribution."""

_PREFIXES = (
    ("bdb:", "rpm"),
    ("ndb:", "rpm"),
    ("sqlite:", "rpm"),
    ("python:", "python"),
    ("go:", "go"),
    ("maven:", "java"),
    ("jar:", "java"),
    ("file:", "java"),
    ("ruby:", "ruby"),
)
_LANGUAGES = {
    "python": re.compile("osv/pypi"),
    "go": re.compile("osv/go"),
    "java": re.compile("osv/maven"),
    "ruby": re.compile("osv/rubygems"),
}


def manager_of(package_db: str) -> str:
    """Return the manager that keeps `package_db` (an environment's member); `other` for a form not known here."""
    for prefix, manager in _PREFIXES:
        if package_db.startswith(prefix):
            return manager
    if package_db == "lib/apk/db/installed":
        return "apk"
    if package_db.endswith("/status") or "/status.d" in package_db or package_db == "status":
        return "dpkg"
    if package_db.startswith("root/buildinfo/"):
        return "rhcc"
    return "other"


def updaters_for_language(manager: str) -> re.Pattern[str] | None:
    """Return the pattern of updater names that cover a language's packages; None for other managers."""
    return _LANGUAGES.get(manager)


def updaters_for_distribution(distribution: Distribution) -> re.Pattern[str] | None:
    """Return the pattern of updater names that cover a distribution release; None where Clair has no matcher."""
    did, version = distribution.did, distribution.version_id or distribution.version
    exact = re.escape(version)
    minor = re.escape(".".join(version.split(".")[:2]))
    codename = re.escape(distribution.version_code_name)
    patterns = {
        "debian": "debian/updater",
        "ubuntu": f"ubuntu/updater/{codename}" if codename else "",
        "alpine": f"alpine-(main|community)-v{minor}-updater" if version else "",
        "rhel": "rhel-vex",
        "ol": r"oracle-\d+-updater",
        "photon": f"photon-updater-{exact}",
        "sles": r"suse-updater-suse\.linux\.enterprise\.server\..*",
        "opensuse-leap": rf"suse-updater-opensuse\.leap\.{exact}",
        "amzn": {"2018.03": "aws-(linux1|AL1)-updater", "2": "aws-(linux2|AL2)-updater"}.get(
            version, "aws-(linux|AL)2023-updater"
        ),
    }
    pattern = patterns.get(did, "")
    return re.compile(pattern) if pattern else None
