# SPDX-License-Identifier: Apache-2.0
"""Small trees that hold just a distribution's package data: built in milliseconds, by anybody, with known answers.

A tree is a mapping from a path to what is there: bytes (a file), a `Link`, or None (a directory).
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
ZIP_TIME = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


Tree = Mapping[str, "bytes | Link | None"]


def write_tree(tree: Tree, directory: Path) -> Path:
    """Write a tree into a directory, made if it is absent; return the directory."""
    for name, content in tree.items():
        path = directory / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        elif content is not None:
            path.write_bytes(content)
            path.chmod(0o644)
    return directory


def os_release(identity: str, version: str, codename: str = "", pretty: str = "", more: str = "") -> Tree:
    """Return `etc/os-release` as distributions ship it: a link to the file under `usr/lib`."""
    lines = [
        f'PRETTY_NAME="{pretty or identity + " " + version}"',
        f"ID={identity}",
        f'VERSION_ID="{version}"',
    ]
    if codename:
        lines += [f'VERSION="{version} ({codename})"', f"VERSION_CODENAME={codename}"]
    text = "\n".join([*lines, *more.splitlines()]) + "\n"
    return {"usr/lib/os-release": text.encode(), "etc/os-release": Link("../usr/lib/os-release")}


@dataclass(frozen=True)
class DebianPackage:
    """One row of a package list: binary package, its version, source package, its version, architecture."""

    name: str
    version: str
    source: str
    source_version: str
    architecture: str

    def stanza(self) -> str:
        """Return the package's part of dpkg's status file."""
        lines = [
            f"Package: {self.name}",
            "Status: install ok installed",
            f"Architecture: {self.architecture}",
        ]
        if self.source_version != self.version:
            lines.append(f"Source: {self.source} ({self.source_version})")
        elif self.source != self.name:
            lines.append(f"Source: {self.source}")
        return "\n".join([*lines, f"Version: {self.version}", f"Description: {self.name}"]) + "\n"


def debian_packages(name: str) -> tuple[DebianPackage, ...]:
    """Return a package list of `tests/data/images`, for example `bullseye-sci`."""
    text = gzip.decompress((DATA / "images" / f"packages-{name}.tsv.gz").read_bytes()).decode()
    return tuple(DebianPackage(*line.split("\t")) for line in text.splitlines())


def debian_tree(packages: tuple[DebianPackage, ...], version: str, codename: str) -> Tree:
    """Return a tree with dpkg's database for these packages."""
    # each stanza is followed by an empty line, also the last one: Clair drops a stanza that is not
    status = "".join(package.stanza() + "\n" for package in packages)
    pretty = f"Debian GNU/Linux {version} ({codename})"
    release = os_release("debian", version, codename, pretty, 'NAME="Debian GNU/Linux"')
    return {**release, "var/lib/dpkg/info": None, "var/lib/dpkg/status": status.encode()}


def bullseye_sci() -> Tree:
    """Return Debian 11 with 335 packages: 371 CVEs, 1,146 pairs, 2 of the CVEs known to be exploited.

    The image that gave 1,122 pairs has 333 of them: not openssl (24 pairs) and ca-certificates.
    """
    return debian_tree(debian_packages("bullseye-sci"), "11", "bullseye")


def bullseye_min() -> Tree:
    """Return the smallest Debian 11: 78 CVEs."""
    return debian_tree(debian_packages("bullseye-minbase"), "11", "bullseye")


def bookworm_min() -> Tree:
    """Return the smallest Debian 12, up to date: no finding."""
    return debian_tree(debian_packages("bookworm-minbase"), "12", "bookworm")


def trixie() -> Tree:
    """Return the smallest Debian 13, up to date: no finding, and the advisories do cover it."""
    return debian_tree(debian_packages("trixie-minbase"), "13", "trixie")


ALPINE_PACKAGES = (("expat", "2.2.5-r0"), ("musl", "1.1.19-r10"), ("libgcrypt", "1.8.3-r0"))


def alpine() -> Tree:
    """Return Alpine 3.8.4 with three packages: four findings."""
    # `t:` (build time) after `o:` as in real databases: Clair drops the last line of each stanza
    stanzas = [
        f"P:{name}\nV:{version}\nA:x86_64\no:{name}\nt:1546300800\n" for name, version in ALPINE_PACKAGES
    ]
    issue = b"Welcome to Alpine Linux 3.8\nKernel \\r on an \\m (\\l)\n"
    release = os_release("alpine", "3.8.4", pretty="Alpine Linux v3.8", more='NAME="Alpine Linux"')
    return {**release, "etc/issue": issue, "lib/apk/db/installed": "\n".join(stanzas).encode() + b"\n"}


def centos() -> Tree:
    """Return CentOS 7: Clair finds nothing and has no advisories, so it must never be called clean."""
    more = 'NAME="CentOS Linux"\nID_LIKE="rhel fedora"\nCPE_NAME="cpe:/o:centos:centos:7"'
    return {
        **os_release("centos", "7", pretty="CentOS Linux 7 (Core)", more=more),
        "etc/centos-release": b"CentOS Linux release 7.9.2009 (Core)\n",
    }


def rocky() -> Tree:
    """Return Rocky Linux 9: unsupported as CentOS is."""
    more = 'NAME="Rocky Linux"\nID_LIKE="rhel centos fedora"\nCPE_NAME="cpe:/o:rocky:rocky:9::baseos"'
    return {
        **os_release("rocky", "9.4", pretty="Rocky Linux 9.4 (Blue Onyx)", more=more),
        "etc/rocky-release": b"Rocky Linux release 9.4 (Blue Onyx)\n",
    }


def jar() -> Tree:
    """Return Debian 13 with three Java archives: one with Maven's properties, one with a manifest, one nested."""
    log4j = _zip(
        {
            "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nImplementation-Title: log4j-core\r\n\r\n",
            "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": (
                b"groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n"
            ),
        }
    )
    manifest = (
        b"Manifest-Version: 1.0\r\nBundle-SymbolicName: org.example.manifest\r\n"
        b"Implementation-Vendor-Id: org.example\r\nImplementation-Title: manifest\r\n"
        b"Implementation-Version: 1.0.3\r\n\r\n"
    )
    return {
        **trixie(),
        "opt/app/lib/log4j-core-2.14.1.jar": log4j,
        "opt/app/lib/manifest-1.0.3.jar": _zip({"META-INF/MANIFEST.MF": manifest}),
        "opt/app/app.war": _zip(
            {"WEB-INF/lib/log4j-core-2.14.1.jar": log4j, "WEB-INF/web.xml": b"<web-app/>\n"}
        ),
    }


def old_wheels(prefix: str = "opt/old/lib/python3.9/site-packages") -> Tree:
    """Return a virtual environment's packages: the metadata of real old wheels (requests 2.19.1: PYSEC-2018-28)."""
    tree: dict[str, bytes | Link | None] = {"opt/old/pyvenv.cfg": b"home = /usr/bin\nversion = 3.9.2\n"}
    for metadata in sorted((DATA / "wheels").glob("*.dist-info/METADATA")):
        place = f"{prefix}/{metadata.parent.name}"
        tree |= {f"{place}/METADATA": metadata.read_bytes(), f"{place}/INSTALLER": b"pip\n"}
    return tree


def wheels() -> Tree:
    """Return Debian 13 with a virtual environment of old wheels."""
    return {**trixie(), **old_wheels()}


def _zip(members: Mapping[str, bytes]) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content, zipfile.ZIP_DEFLATED)
    return output.getvalue()


FILE_TREES: Mapping[str, Callable[[], Tree]] = {
    "alpine-3.8.4": alpine,
    "bookworm-packages": bookworm_min,
    "bullseye-min-packages": bullseye_min,
    "bullseye-sci-packages": bullseye_sci,
    "centos-7": centos,
    "jar": jar,
    "rocky-9": rocky,
    "trixie-packages": trixie,
    "wheels": wheels,
}
"""Name → the tree; `python -m testbed image NAME` writes one, `NAME.sif` packs it."""
