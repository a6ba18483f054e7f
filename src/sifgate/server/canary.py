# SPDX-License-Identifier: Apache-2.0
"""Whether Clair has advisories for one release of Debian: asked by a package list that must have findings.

Clair tells which updaters ran, and for Debian that is one for all releases: a release that left the mirror is
recognised, matched against nothing, and looks clean. So before an image of such a release is called clean, a layer with
packages older than every advisory is matched; if nothing is found for it either, nothing would ever be found.
Other distributions have an updater for each release (`clair.ecosystems`).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import threading
from collections.abc import Mapping

import structlog

from sifgate.clair.api import Clair
from sifgate.clair.schema import Distribution, UpdateOperation
from sifgate.errors import ScanFailed
from sifgate.server.handout import Handout

_LOG = structlog.get_logger(__name__)

UPDATER = "debian/updater"
SOURCES = (
    *(
        "apache2",
        "bind9",
        "bzip2",
        "chromium",
        "curl",
        "expat",
        "firefox-esr",
        "freetype",
        "git",
        "glibc",
        "gnutls28",
    ),
    *(
        "imagemagick",
        "krb5",
        "libxml2",
        "linux",
        "openssh",
        "openssl",
        "perl",
        "samba",
        "sqlite3",
        "sudo",
        "systemd",
    ),
    *("tiff", "wget", "wireshark", "xz-utils", "zlib"),
)
"""Sources of which every release that had security support has some advisory."""
OLDEST = "0~~"
"""Older than any version that ever repaired something."""
_NUMBER = re.compile(r"\d{1,3}(\.\d{1,2})?")
_CODENAME = re.compile(r"[a-z]{2,20}")


class Canary:
    """Asks once for each release and state of the advisories; usable from several threads."""

    def __init__(self, clair: Clair, handout: Handout, manifest_key: bytes) -> None:
        self._clair = clair
        self._handout = handout
        self._key = manifest_key
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], bool] = {}

    def without(
        self, distribution: Distribution | None, operations: Mapping[str, UpdateOperation]
    ) -> frozenset[tuple[str, str]]:
        """Return the release (did, version id) if Clair has no advisories for it; raises ClairUnavailable."""
        if distribution is None or distribution.did != "debian" or UPDATER not in operations:
            return frozenset()
        place = (operations[UPDATER].ref, distribution.version_id, distribution.version_code_name)
        with self._lock:
            if place not in self._known:
                self._known[place] = self._sings(distribution)
                _LOG.info("canary", release=distribution.version_id, advisories=self._known[place])
            covered = self._known[place]
        return frozenset() if covered else frozenset({(distribution.did, distribution.version_id)})

    def _sings(self, distribution: Distribution) -> bool:
        """Return whether the canary's packages have findings."""
        number, codename = distribution.version_id, distribution.version_code_name
        if not _NUMBER.fullmatch(number) or not _CODENAME.fullmatch(codename):
            return False
        layer = canary_layer(number, codename)
        digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        manifest = (
            "sha256:" + hashlib.blake2b(digest.encode(), key=self._key[:64], digest_size=32).hexdigest()
        )
        fd = os.memfd_create("canary", os.MFD_CLOEXEC)
        try:
            os.write(fd, layer)
            with self._handout.offered(fd, len(layer)) as source:
                self._clair.index(manifest, digest, lambda: source)
            report = self._clair.report(manifest, digest)
        except ScanFailed as error:
            _LOG.warning("canary failed", error=str(error))
            return False
        finally:
            os.close(fd)
        return any(report.package_vulnerabilities.values()) if report.package_vulnerabilities else False


def canary_layer(number: str, codename: str) -> bytes:
    """Return a layer of one Debian release with packages that every advisory concerns; the same bytes every time."""
    release = (
        f'PRETTY_NAME="Debian GNU/Linux {number} ({codename})"\nNAME="Debian GNU/Linux"\nVERSION_ID="{number}"\n'
        f'VERSION="{number} ({codename})"\nVERSION_CODENAME={codename}\nID=debian\n'
    )
    stanzas = (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {OLDEST}\nDescription: -\n\n"
        for name in SOURCES
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo("var/lib/dpkg/info")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, text in (("etc/os-release", release), ("var/lib/dpkg/status", "".join(stanzas))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode("ascii")))
    return buffer.getvalue()
