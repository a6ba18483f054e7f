# SPDX-License-Identifier: Apache-2.0
"""The slim layer: just the files of an image that Clair's scanners read, and nothing that could kill Clair.

The rules are those of claircore v1.5.48 (its package, distribution and repository scanners), so that Clair's report on
the slim layer equals its report on the whole tree. On purpose different: symlinks are rewritten to where they lead in
one step, so that no chain of them can loop; what would make Clair fail or die is left out and noted (`omitted`); and
permissions are one value for all, since Clair only asks whether any may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sifgate.errors import Unscannable
from sifgate.image import archives, gobinary, tarball
from sifgate.image.bounds import Bounds
from sifgate.image.threads import in_threads
from sifgate.image.tree import Entry, Kind, Path, Resolver, Tree, shown, walk

VERSION = 1
"""Counts up with every change of what a slim layer holds or how it is written: part of the fingerprint."""

FIXED: tuple[Path, ...] = tuple(
    tuple(path.split(b"/"))
    for path in (
        b"etc/os-release",
        b"usr/lib/os-release",
        b"etc/lsb-release",
        b"etc/issue",
        b"etc/SuSE-release",
        b"etc/photon-release",
        b"lib/apk/db/installed",
        b"var/lib/dpkg/status",
        b"var/lib/rpm/Packages",
        b"var/lib/rpm/Packages.db",
        b"var/lib/rpm/rpmdb.sqlite",
        b"root/buildinfo/labels.json",
        b"usr/share/buildinfo/labels.json",
        b"usr/lib/sysimage/libdnf5/transaction_history.sqlite",
        b"var/lib/dnf/history.sqlite",
    )
)
"""Opened by these names, whatever symlinks they pass through."""

APK: Path = (b"lib", b"apk", b"db", b"installed")

GLOBS: tuple[tuple[Path, bytes, bytes], ...] = (
    ((b"root", b"buildinfo"), b"Dockerfile-", b""),
    ((b"root", b"buildinfo", b"content_manifests"), b"", b".json"),
    ((b"usr", b"share", b"buildinfo"), b"", b".json"),
    ((b"usr", b"share", b"buildinfo", b"content_manifests"), b"", b".json"),
)
"""Opened by directory, beginning and end of the name."""

RPM_DATABASES = frozenset({b"Packages", b"Packages.db", b"rpmdb.sqlite"})
_GEMSPEC = re.compile(rb".*/specifications/.+\.gemspec")
_LONGEST_TEXT = 64 << 20
"""What Clair reads whole into memory: a dpkg status has 1 MB for 2,000 packages."""
_BATCH = 1 << 16
_FILE_MODE, _DIRECTORY_MODE, _LINK_MODE = 0o644, 0o755, 0o777


class Chosen(NamedTuple):
    """One member of the slim layer."""

    kind: Kind
    entry: Entry
    target: bytes = b""
    manager: str = ""
    """The package manager whose data it is, or ""."""


class Selection:
    """Chooses the members of one tree's slim layer."""

    def __init__(self, tree: Tree, bounds: Bounds) -> None:
        self._tree = tree
        self._bounds = bounds
        self.resolver = Resolver(tree)
        self.chosen: dict[Path, Chosen] = {}
        self.omitted: set[str] = set()
        self._suspects: list[tuple[Path, Entry]] = []

    def run(self, watcher: Callable[[int], None] = lambda _: None) -> None:
        """Look at every entry once, then at the fixed paths; `watcher` hears of each directory how many it holds."""
        for path, entries in walk(self._tree, self._bounds):
            self._directory(path, entries)
            watcher(len(entries))
            if len(self._suspects) >= _BATCH:
                self._executables()
        self._executables()
        for fixed in FIXED:
            self._fixed(fixed)
        for directory, begin, end in GLOBS:
            self._glob(directory, begin, end)
        self._drop_pointless_links()
        self._drop_colliding()

    # --- by name, anywhere

    def _directory(self, path: Path, entries: list[tuple[bytes, Entry]]) -> None:
        base = path[-1] if path else b""
        if self._is_dpkg(path, entries):
            names = dict(entries)
            self._take(path, b"status", names[b"status"], "dpkg", _LONGEST_TEXT)
            info = (*path, b"info")
            if (*path, b"status") in self.chosen:
                self.chosen[info] = Chosen(Kind.DIRECTORY, names[b"info"])
        if base == b"status.d":
            self._distroless(path, entries)
        if base.endswith(b".dist-info"):
            self._installer(path, dict(entries))
        for name, entry in entries:
            if entry.kind is Kind.FILE:
                self._file(path, base, name, entry)
            elif name in RPM_DATABASES and entry.kind is not Kind.DIRECTORY:
                self._take(path, name, entry, "rpm", self._bounds.member_size)

    def _is_dpkg(self, path: Path, entries: list[tuple[bytes, Entry]]) -> bool:
        """Return whether Clair takes this directory for a dpkg database, and survives it."""
        found = 0
        for name, entry in entries:
            if (name == b"status" and entry.kind is not Kind.DIRECTORY) or (
                name == b"info" and entry.kind is Kind.DIRECTORY
            ):
                found += 1
        if found != 2:  # noqa: PLR2004  both
            return False
        if any(b"[" in part or b"\\" in part for part in path):
            self._omit("glob", path)  # Clair panics on such a directory: fs.Glob
            return False
        return True

    def _distroless(self, path: Path, entries: list[tuple[bytes, Entry]]) -> None:
        self.chosen[path] = Chosen(Kind.DIRECTORY, self._tree.root)
        for name, entry in entries:
            if entry.kind is not Kind.DIRECTORY:
                self._take(path, name, entry, "dpkg", _LONGEST_TEXT)

    def _file(self, path: Path, base: bytes, name: bytes, entry: Entry) -> None:
        if entry.size >= gobinary.HEAD and entry.mode & 0o555:
            self._suspects.append(((*path, name), entry))
        if name in RPM_DATABASES:
            self._take(path, name, entry, "rpm", self._bounds.member_size)
        elif name.startswith(b".wh."):
            return
        elif is_python(path, base, name):
            self._take(path, name, entry, "python", _LONGEST_TEXT)
        elif name.endswith(archives.EXTENSIONS) and entry.size >= archives.SMALLEST:
            self._archive((*path, name), entry)
        elif (b"specifications" in path) and _GEMSPEC.search(b"/".join((*path, name))):
            self._take(path, name, entry, "ruby", _LONGEST_TEXT)

    def _installer(self, path: Path, names: dict[bytes, Entry]) -> None:
        metadata, installer = names.get(b"METADATA"), names.get(b"INSTALLER")
        if (
            metadata
            and installer
            and metadata.kind is Kind.FILE
            and installer.kind in {Kind.FILE, Kind.SYMLINK}
        ):
            self._take(path, b"INSTALLER", installer, "", _LONGEST_TEXT)

    def _archive(self, path: Path, entry: Entry) -> None:
        if entry.size > self._bounds.archive_size:
            self._omit("too-large", path)
            return
        reason = archives.why_unsafe(self._tree.content(entry), self._bounds.archive_size)
        if reason:
            self._omit("archive", path)
        else:
            self.chosen[path] = Chosen(Kind.FILE, entry, manager="java")

    def _executables(self) -> None:
        """Choose those of the files seen so far that hold Go build information."""
        suspects, self._suspects = self._suspects, []
        looked_at = []
        for index, head in self._tree.heads([entry for _, entry in suspects], gobinary.HEAD):
            if gobinary.looked_at(head):
                path, entry = suspects[index]
                if entry.size > self._bounds.member_size:
                    self._omit("too-large", path)
                else:
                    looked_at.append((path, entry))

        def is_go(suspect: tuple[Path, Entry]) -> bool:
            return gobinary.has_build_info(self._tree.content(suspect[1]))

        for (path, entry), found in zip(looked_at, in_threads(is_go, looked_at), strict=True):
            if found:
                self.chosen[path] = Chosen(Kind.FILE, entry, manager="go")

    # --- taking one

    def _take(self, path: Path, name: bytes, entry: Entry, manager: str, limit: int) -> None:
        """Choose a file, or a symlink and what it leads to; note what Clair could not open."""
        place = (*path, name)
        if entry.kind is Kind.SYMLINK:
            self._link(place, manager, limit)
        elif entry.kind is not Kind.FILE:
            self._omit("not-a-file", place)
        elif entry.size > limit:
            self._omit("too-large", place)
        else:
            self._choose(place, Chosen(Kind.FILE, entry, manager=manager))

    def _choose(self, path: Path, member: Chosen) -> None:
        before = self.chosen.get(path)
        if before is None or (member.manager and not before.manager):
            self.chosen[path] = member

    def _link(self, place: Path, manager: str, limit: int) -> None:
        links: list[Path] = []
        found = self.resolver.resolve(place, links)
        if found is None or found[1].kind is not Kind.FILE:
            self._omit("link", place)
            return
        self._links(links)
        final, entry = found
        self._take(final[:-1], final[-1], entry, manager, limit)

    def _links(self, links: list[Path]) -> None:
        """Choose symlinks, each rewritten to where it leads in the end."""
        for place in links:
            found = self.resolver.resolve(place)
            entry = self.resolver.entry(place)
            if found is not None and entry is not None:
                self.chosen[place] = Chosen(Kind.SYMLINK, entry, target=b"/" + b"/".join(found[0]))

    def _fixed(self, path: Path) -> None:
        links: list[Path] = []
        found = self.resolver.resolve(path, links)
        if found is None:
            for place in links:
                if self.resolver.resolve(place) is None:
                    self._omit("link", place)
            return
        final, entry = found
        if entry.kind is Kind.DIRECTORY:
            return
        if path == APK and entry.kind is Kind.FILE and entry.size <= _LONGEST_TEXT and self._kills_apk(entry):
            self._omit("apk", path)
            return
        self._links(links)
        limit = (
            self._bounds.member_size
            if path[-1].endswith((b".sqlite", b".db", b"Packages"))
            else _LONGEST_TEXT
        )
        self._take(final[:-1], final[-1], entry, _manager_of(path), limit)

    def _kills_apk(self, entry: Entry) -> bool:
        """Return whether Clair's apk scanner would index past the end of an empty line (claircore v1.5.48)."""
        data = b"".join(self._tree.content(entry).chunks())
        return any(paragraph.startswith(b"\n") for paragraph in data.split(b"\n\n"))

    def _glob(self, directory: Path, begin: bytes, end: bytes) -> None:
        found = self.resolver.resolve(directory)
        if found is None or found[1].kind is not Kind.DIRECTORY:
            return
        for name, _ in self._tree.children(found[1]):
            if name.startswith(begin) and name.endswith(end):
                self._fixed((*directory, name))

    # --- afterwards

    def _drop_pointless_links(self) -> None:
        """Leave out symlinks to directories of which nothing is in the layer."""
        dropped = True
        while dropped:
            above = {path[:depth] for path in self.chosen for depth in range(len(path) + 1)}
            dropped = False
            for path, each in list(self.chosen.items()):
                if each.kind is Kind.SYMLINK and tuple(each.target[1:].split(b"/")) not in above:
                    del self.chosen[path]
                    dropped = True

    def _drop_colliding(self) -> None:
        """Leave out members whose names Clair cannot tell apart: it shows bytes that are no UTF-8 as escapes."""
        seen: set[str] = set()
        for path in sorted(self.chosen):
            shown = b"/".join(path).decode("utf-8", "backslashreplace")
            if shown in seen:
                del self.chosen[path]
                self._omit("name", path)
            seen.add(shown)

    def _omit(self, code: str, path: Path) -> None:
        self.omitted.add(f"{code}: {shown(path)}")

    # --- the layer

    def write(self, sink: tarball.Sink) -> int:
        """Write the layer and return its size; raises `Unscannable` past the bound."""
        written = 0
        for path in sorted(self.chosen, key=b"/".join):
            for piece in self._member(b"/".join(path), self.chosen[path]):
                written += len(piece)
                if written > self._bounds.layer_size:
                    raise Unscannable(
                        "bounds", f"the slim layer has more than {self._bounds.layer_size} bytes"
                    )
                sink.write(piece)
        sink.write(tarball.END)
        return written + len(tarball.END)

    def _member(self, name: bytes, member: Chosen) -> Iterator[bytes]:
        if member.kind is Kind.SYMLINK:
            yield tarball.header(name, tarball.SYMLINK, _LINK_MODE, 0, member.target)
        elif member.kind is Kind.DIRECTORY:
            yield tarball.header(name, tarball.DIRECTORY, _DIRECTORY_MODE, 0)
        else:
            size = member.entry.size
            yield tarball.header(name, tarball.FILE, _FILE_MODE, size)
            yield from self._tree.content(member.entry).chunks()
            yield tarball.padding(size)


def is_python(path: Path, base: bytes, name: bytes) -> bool:
    """Return whether Clair reads this file as the metadata of a Python distribution."""
    if name.endswith(b".egg-info"):
        return True
    if name == b"METADATA":
        return base.endswith(b".dist-info")
    if name != b"PKG-INFO":
        return False
    return base.endswith(b".egg-info") or (
        base == b"EGG-INFO" and len(path) > 1 and path[-2].endswith(b".egg")
    )


def _manager_of(path: Path) -> str:
    if path[-1] == b"installed":
        return "apk"
    return "rpm" if path[-1] in RPM_DATABASES else ""
