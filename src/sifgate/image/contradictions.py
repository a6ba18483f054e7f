# SPDX-License-Identifier: Apache-2.0
"""Package data that contradict the image: the tricks that Clair's scanners would fall for (clair.md §3.4).

sifgate finds neglect, not forgery: who rewrites everything consistently is not caught here. But what hides packages by
one stroke is: an emptied or edited dpkg status, a foreign rpm database, an INSTALLER that nobody installed, another
VERSION_ID. Each finding is `code: detail`; any of them makes the image `inconsistent`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from sifgate.image import dpkg, osrelease, rpmdb
from sifgate.image.slim import APK, RPM_DATABASES, Selection
from sifgate.image.tree import Kind, Path, Tree, shown

_DPKG: Path = (b"var", b"lib", b"dpkg")
_RPM: Path = (b"var", b"lib", b"rpm")
_RPM_HOMES = {
    _RPM,
    (b"usr", b"lib", b"sysimage", b"rpm"),
    (b"usr", b"share", b"rpm"),
    (b"usr", b"lib", b"sysimage", b"rpm-ostree-base-db"),
}
_LIMIT = 64 << 20
_NATIVE = {
    "dpkg": {"debian", "ubuntu"},
    "apk": {"alpine", "wolfi", "chainguard"},
    "rpm": {
        "rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn", "photon", "mariner", "azurelinux",
        "suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed",
    },
}  # fmt: skip
_DEBIAN = {
    "9": "stretch", "10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky",
}  # fmt: skip
_RED_HAT = {"rhel", "centos", "rocky", "almalinux", "ol", "fedora"}
_COVERED = {"debian", "ubuntu", "alpine", "rhel", "amzn", "ol", "photon", "sles", "opensuse-leap"}
"""What Clair has scanners for; without one the image is unsupported anyway, which says more."""

_MANAGERS = {b"dpkg", b"rpm", b"apk"}
_MOST_NAMED = 20


class Evidence:
    """What one image says about itself, read once and only as far as a question needs it."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree = tree
        self._selection = selection
        self.resolver = selection.resolver
        self.release = self.values(osrelease.PATHS[0]) or self.values(osrelease.PATHS[1])
        self.id = self.release.get("ID", "").lower()
        self.version_id = self.release.get("VERSION_ID", "")

    def read(self, path: Path) -> bytes | None:
        """Return a file's content, symlinks followed; None if there is none, or too much of it."""
        found = self.resolver.resolve(path)
        if found is None or found[1].kind is not Kind.FILE or found[1].size > _LIMIT:
            return None
        return b"".join(self._tree.content(found[1]).chunks())

    def values(self, path: Path) -> dict[str, str]:
        """Return names and values of an os-release file."""
        return osrelease.parse((self.read(path) or b"")[:_LIMIT])

    def names(self, path: Path) -> list[bytes]:
        """Return the names in a directory, none if it is none."""
        found = self.resolver.resolve(path)
        if found is None or found[1].kind is not Kind.DIRECTORY:
            return []
        return [name for name, _ in self._tree.children(found[1])]

    @cached_property
    def native(self) -> str:
        """The package manager that this distribution is made of, or "" for those we do not know."""
        for word in (self.id, *self.release.get("ID_LIKE", "").lower().split()):
            for manager, words in _NATIVE.items():
                if word in words:
                    return manager
        return ""

    @cached_property
    def managers(self) -> set[str]:
        """The package managers whose data Clair can read here."""
        found = {each.manager for each in self._selection.chosen.values() if each.manager not in {"", "rpm"}}
        return found | ({"rpm"} if self.rpm_databases else set())

    @cached_property
    def rpm_databases(self) -> list[Path]:
        """Where rpm databases lie that are what their names say."""
        return [
            path
            for path, each in self._selection.chosen.items()
            if each.manager == "rpm"
            and path[-1] in RPM_DATABASES
            and rpmdb.is_database(path[-1], self._tree.content(each.entry))
        ]

    @cached_property
    def status(self) -> dpkg.Status:
        """The status file of the system's dpkg."""
        return dpkg.parse_status(self.read((*_DPKG, b"status")) or b"")

    @cached_property
    def owned_by_dpkg(self) -> set[bytes]:
        """All paths in dpkg's lists of files that belong to a Python distribution."""
        found: set[bytes] = set()
        for name in self.names((*_DPKG, b"info")):
            if name.endswith(b".list"):
                text = self.read((*_DPKG, b"info", name)) or b""
                found.update(line[1:] for line in text.split(b"\n") if b"-info" in line)
        return found

    @cached_property
    def has_lists(self) -> bool:
        """Whether dpkg's lists of files are there at all; some sites strip them from their images."""
        return any(name.endswith(b".list") for name in self.names((*_DPKG, b"info")))

    @cached_property
    def owned_by_rpm(self) -> set[bytes]:
        """The Python distributions that the rpm databases in their usual places know."""
        found: set[bytes] = set()
        for path in self.rpm_databases:
            if path[:-1] in _RPM_HOMES:
                found |= rpmdb.known_distributions(self._tree.content(self._selection.chosen[path].entry))
        return found

    @cached_property
    def owned_by_apk(self) -> set[bytes]:
        """The directories of Python distributions in apk's database."""
        text = self.read(APK) or b""
        return {line[2:] for line in text.split(b"\n") if line.startswith(b"F:") and b"-info" in line}

    def chosen(self, manager: str = "", name: bytes = b"") -> Iterator[Path]:
        """Yield the members of the slim layer of one manager, or of one name, in order."""
        for path in sorted(self._selection.chosen):
            if (manager and self._selection.chosen[path].manager == manager) or (name and path[-1] == name):
                yield path

    def owned(self, manager: bytes, path: Path) -> bool:
        """Return whether a manager says that it installed the distribution to which a file belongs."""
        distribution = path if path[-1].endswith(b"-info") else path[:-1]
        if manager == b"dpkg":
            return b"/".join(path) in self.owned_by_dpkg or b"/".join(distribution) in self.owned_by_dpkg
        if manager == b"apk":
            return b"/".join(distribution) in self.owned_by_apk
        return rpmdb.knows(self.owned_by_rpm, distribution[-1])

    def is_regular(self, path: Path) -> bool:
        """Return whether Clair's test for a database sees one here: parents followed, the last name not."""
        found = self.resolver.resolve(path[:-1])
        entry = self.resolver.entry((*found[0], path[-1])) if found else None
        return entry is not None and entry.kind is Kind.FILE


def contradictions(evidence: Evidence) -> set[str]:
    """Return what contradicts the image, each `code: detail`."""
    found = set()
    for question in (
        _releases,
        _versions,
        _base_files,
        _databases,
        _foreign,
        _dpkg,
        _installers,
        _hidden_python,
    ):
        answers = sorted(question(evidence))
        found.update(answers[:_MOST_NAMED])
        if len(answers) > _MOST_NAMED:
            found.add(f"{answers[0].partition(':')[0]}: {len(answers) - _MOST_NAMED} more")
    return found


def _releases(evidence: Evidence) -> Iterator[str]:
    """Two os-release files, or an lsb-release, that name different distributions."""
    first, second = (evidence.values(path) for path in osrelease.PATHS)
    for name in ("ID", "VERSION_ID"):
        if first and second and first.get(name) != second.get(name):
            yield f"os-release: {name} is {first.get(name)!a} in etc and {second.get(name)!a} in usr/lib"
    lsb = evidence.values((b"etc", b"lsb-release"))
    if evidence.id == "ubuntu" and "DISTRIB_RELEASE" in lsb and lsb["DISTRIB_RELEASE"] != evidence.version_id:
        yield f"version: os-release says {evidence.version_id!a}, lsb-release {lsb['DISTRIB_RELEASE']!a}"
    if lsb.get("DISTRIB_ID", "").lower() == "ubuntu" and evidence.id == "debian":
        yield "os-release: ID is 'debian', lsb-release says 'Ubuntu'"


def _versions(evidence: Evidence) -> Iterator[str]:
    """VERSION_ID beside the file in which the distribution itself writes its version."""
    major = evidence.version_id.partition(".")[0]
    if evidence.id == "debian" and major.isdigit():
        codename = evidence.release.get("VERSION_CODENAME", "")
        if codename and _DEBIAN.get(major, codename) != codename:
            yield f"version: VERSION_ID is {major}, the codename {codename!a}"
        yield from _other_version(evidence, b"debian_version", r"(\d+)(?:\.|$)", major)
    if evidence.id == "alpine" and evidence.version_id:
        short = ".".join(evidence.version_id.split(".")[:2])
        yield from _other_version(evidence, b"alpine-release", r"(\d+\.\d+)", short)
    if evidence.id in _RED_HAT and major.isdigit():
        yield from _other_version(evidence, b"redhat-release", r".*release (\d+)", major)


def _other_version(evidence: Evidence, file: bytes, pattern: str, expected: str) -> Iterator[str]:
    text = (evidence.read((b"etc", file)) or b"")[:256].decode("ascii", "replace")
    found = re.match(pattern, text)
    if found and found.group(1) != expected:
        yield f"version: VERSION_ID is {evidence.version_id!a}, etc/{file.decode()} says {found.group(1)!a}"


def _base_files(evidence: Evidence) -> Iterator[str]:
    """VERSION_ID beside the version of the package that ships os-release."""
    version = evidence.status.version("base-files")
    if not version or evidence.id not in {"debian", "ubuntu"}:
        return
    if ("ubuntu" in version) != (evidence.id == "ubuntu"):
        yield f"version: ID is {evidence.id!a}, the package base-files is {version!a}"
    elif evidence.id == "debian" and evidence.version_id.isdigit():
        found = re.match(r"(\d+)", version)
        if found and found.group(1) != evidence.version_id:
            yield f"version: VERSION_ID is {evidence.version_id!a}, the package base-files is {version!a}"


def _databases(evidence: Evidence) -> Iterator[str]:
    """A distribution without the package data that it is made of."""
    if evidence.id not in _COVERED:
        return
    if evidence.native not in evidence.managers:
        yield f"missing-database: {evidence.id} without data of {evidence.native}"
        return
    distroless = any(path[-2] == b"status.d" for path in evidence.chosen("dpkg"))
    visible = distroless or any(each.visible for each in evidence.status.stanzas)
    if (evidence.native == "dpkg" and not visible) or (
        evidence.native == "apk" and not (evidence.read(APK) or b"").strip()
    ):
        yield f"missing-database: {evidence.id} without a single installed package"


def _foreign(evidence: Evidence) -> Iterator[str]:
    """Databases of another distribution's manager, which make Clair pass over files."""
    packages = {each.name for each in evidence.status.stanzas if each.visible}
    installed = (evidence.read(APK) or b"").split(b"\n")
    packages |= {line[2:].decode("ascii", "replace") for line in installed if line.startswith(b"P:")}
    if evidence.native in {"dpkg", "apk"} and "rpm" not in packages:
        for name in sorted(RPM_DATABASES):
            if evidence.is_regular((*_RPM, name)):
                yield f"foreign-database: {shown((*_RPM, name))} beside {evidence.native}"
    if evidence.native == "apk" and "dpkg" not in packages and evidence.is_regular((*_DPKG, b"status")):
        yield f"foreign-database: {shown((*_DPKG, b'status'))} beside apk"
    if evidence.native == "rpm" and any(each.visible for each in evidence.status.stanzas):
        yield f"foreign-database: {shown((*_DPKG, b'status'))} beside rpm"
    for path in evidence.rpm_databases:
        if path[:-1] not in _RPM_HOMES:
            yield f"foreign-database: {shown(path)}"


def _dpkg(evidence: Evidence) -> Iterator[str]:
    """A status file beside the lists of what is installed."""
    if evidence.status.stanzas and not any(path[-1] == b"status" for path in evidence.chosen("dpkg")):
        yield "dpkg-unseen: var/lib/dpkg/status without a directory info beside it"
    if evidence.names(_DPKG):
        yield from dpkg.against_lists(evidence.status, evidence.names((*_DPKG, b"info")))


def _installers(evidence: Evidence) -> Iterator[str]:
    """An INSTALLER that makes Clair pass over a wheel which that manager never installed."""
    for path in evidence.chosen(name=b"INSTALLER"):
        manager = (evidence.read(path) or b"").strip()
        if manager in _MANAGERS and not evidence.owned(manager, (*path[:-1], b"METADATA")):
            yield f"installer: {shown(path)} says {manager.decode()}"


def _hidden_python(evidence: Evidence) -> Iterator[str]:
    """Python distributions where Clair does not look because a manager is thought to own them, which it does not."""
    rpm = any(evidence.is_regular((*_RPM, name)) for name in RPM_DATABASES)
    if not rpm and not (evidence.is_regular((*_DPKG, b"status")) and evidence.has_lists):
        return
    skipped = re.compile(rb"usr/lib[^/]*/python[23]\.[^/]*/" if rpm else rb"usr/lib[^/]*/python[23]/")
    for path in evidence.chosen("python"):
        if skipped.match(b"/".join(path)) and not evidence.owned(b"rpm" if rpm else b"dpkg", path):
            yield f"python-hidden: {shown(path)}"
