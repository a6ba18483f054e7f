# SPDX-License-Identifier: Apache-2.0
"""Each trick by which package data hide packages from Clair (clair.md §3.4) is seen; honest trees are not accused."""

from __future__ import annotations

import pytest
from tests.unit.image.corpus import APK, OS_RELEASE, STATUS, debian
from tests.unit.image.opened import layer_of
from tests.unit.image.squashwriter import Directory, File, Link, Node, tree

SQLITE = b"SQLite format 3\0" + bytes(100)
WHEEL = b"Metadata-Version: 2.1\nName: requests\nVersion: 2.19.1\n"
SITE = "usr/lib/python3.11/site-packages/requests-2.19.1.dist-info"
BOTH = STATUS + b"Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.1\n\n"
ALPINE = b'ID=alpine\nVERSION_ID=3.8.4\nPRETTY_NAME="Alpine Linux v3.8"\n'
RHEL = b'ID="rhel"\nVERSION_ID="8.10"\n'


def changed(files: dict[str, Node | None]) -> Directory:
    """Return the honest Debian tree with some files replaced, added or (None) gone."""
    honest: dict[str, Node | None] = {
        "etc/os-release": Link(b"../usr/lib/os-release"),
        "usr/lib/os-release": File(OS_RELEASE),
        "etc/debian_version": File(b"13.1\n"),
        "var/lib/dpkg/status": File(STATUS),
        "var/lib/dpkg/info/bash.list": File(b"/bin/bash\n"),
        "var/lib/dpkg/info/bash.md5sums": File(b""),
    }
    return tree({path: node for path, node in {**honest, **files}.items() if node is not None})


TRICKS: list[tuple[str, Directory, str]] = [
    ("status emptied", changed({"var/lib/dpkg/status": File()}), "dpkg-unlisted"),
    ("status emptied, no lists", changed({"var/lib/dpkg/status": File(b"\n")}), "missing-database"),
    (
        "a package cut out",
        changed({"var/lib/dpkg/info/openssl.list": File(b"/usr/bin/openssl\n")}),
        "dpkg-unlisted: 1 packages",
    ),
    (
        "a package marked removed",
        changed(
            {
                "var/lib/dpkg/status": File(
                    STATUS.replace(b"install ok", b"deinstall ok").replace(
                        b"ok installed", b"ok config-files"
                    )
                )
            }
        ),
        "dpkg-hidden",
    ),
    ("a package without files", changed({"var/lib/dpkg/status": File(BOTH)}), "dpkg-no-files"),
    (
        "a newer version of the same name",
        changed({"var/lib/dpkg/status": File(STATUS + STATUS.replace(b"5.2", b"99"))}),
        "dpkg-repeated",
    ),
    (
        "an entry that the reader breaks off at",
        changed({"var/lib/dpkg/status": File(b"no field\n" + STATUS)}),
        "dpkg-malformed",
    ),
    (
        "a last entry that is not closed, which Clair drops",
        changed(
            {
                "var/lib/dpkg/status": File(BOTH[:-1]),
                "var/lib/dpkg/info/openssl.list": File(b"/usr/bin/openssl\n"),
            }
        ),
        "dpkg-unclosed: openssl",
    ),
    (
        "info is a symlink",
        changed(
            {
                "var/lib/dpkg/info/bash.list": None,
                "var/lib/dpkg/info/bash.md5sums": None,
                "var/lib/dpkg/info": Link(b"/opt/info"),
                "opt/info/bash.list": File(),
            }
        ),
        "dpkg-unseen",
    ),
    (
        "a planted rpm database",
        changed({"var/lib/rpm/Packages": File(b"x")}),
        "foreign-database: var/lib/rpm",
    ),
    (
        "a real rpm database elsewhere",
        changed({"opt/rpmdb.sqlite": File(SQLITE)}),
        "foreign-database: opt/rpm",
    ),
    (
        "a planted INSTALLER of dpkg",
        changed({f"opt/{SITE}/METADATA": File(WHEEL), f"opt/{SITE}/INSTALLER": File(b"dpkg\n")}),
        "installer: opt/",
    ),
    (
        "a planted INSTALLER of rpm, by a symlink",
        changed(
            {
                f"opt/{SITE}/METADATA": File(WHEEL),
                f"opt/{SITE}/INSTALLER": Link(b"/opt/word"),
                "opt/word": File(b"rpm"),
            }
        ),
        "installer: opt/",
    ),
    (
        "a wheel where dpkg's own are",
        changed({"usr/lib/python3/dist-packages/requests-2.19.1.dist-info/METADATA": File(WHEEL)}),
        "python-hidden: usr/lib/python3",
    ),
    (
        "a wheel where rpm's own are",
        tree(
            {
                "etc/os-release": File(RHEL),
                "var/lib/rpm/rpmdb.sqlite": File(SQLITE),
                f"{SITE}/METADATA": File(WHEEL),
            }
        ),
        "python-hidden: usr/lib/python3.11",
    ),
    (
        "another VERSION_ID",
        changed({"usr/lib/os-release": File(OS_RELEASE.replace(b'"13"', b'"12"'))}),
        "version: VERSION_ID is 12",
    ),
    (
        "another VERSION_ID and codename",
        changed(
            {"usr/lib/os-release": File(OS_RELEASE.replace(b'"13"', b'"12"').replace(b"trixie", b"bookworm"))}
        ),
        "version: VERSION_ID is '12', etc/debian_version says '13'",
    ),
    (
        "another VERSION_ID than base-files",
        changed(
            {
                "etc/debian_version": None,
                "var/lib/dpkg/status": File(
                    STATUS.replace(b"bash", b"base-files").replace(b"5.2", b"11.1+deb11u9")
                ),
                "var/lib/dpkg/info/base-files.list": File(),
                "var/lib/dpkg/info/bash.list": None,
                "var/lib/dpkg/info/bash.md5sums": None,
            }
        ),
        "base-files",
    ),
    ("two os-releases", changed({"etc/os-release": File(ALPINE)}), "os-release: ID is 'alpine'"),
    ("Alpine without apk", tree({"etc/os-release": File(ALPINE)}), "missing-database: alpine"),
    ("Red Hat without rpm", tree({"etc/os-release": File(RHEL)}), "missing-database: rhel"),
    (
        "an rpm database that is none",
        tree({"etc/os-release": File(RHEL), "var/lib/rpm/Packages": File(bytes(100))}),
        "missing-database: rhel",
    ),
    (
        "another Alpine",
        tree(
            {
                "etc/os-release": File(ALPINE),
                "lib/apk/db/installed": File(APK),
                "etc/alpine-release": File(b"3.9.0"),
            }
        ),
        "version:",
    ),
    (
        "another Red Hat",
        tree(
            {
                "etc/os-release": File(RHEL),
                "var/lib/rpm/rpmdb.sqlite": File(SQLITE),
                "etc/redhat-release": File(b"Red Hat Enterprise Linux release 7.9 (Maipo)\n"),
            }
        ),
        "version:",
    ),
    (
        "a dpkg status in Alpine",
        tree(
            {"etc/os-release": File(ALPINE), "lib/apk/db/installed": File(APK), "var/lib/dpkg/status": File()}
        ),
        "foreign-database: var/lib/dpkg/status",
    ),
]

HONEST: list[tuple[str, Directory]] = [
    ("Debian", changed({})),
    ("Debian without lists", debian()),
    ("no os-release", changed({"usr/lib/os-release": None, "etc/os-release": None})),
    ("an unsupported distribution", tree({"etc/os-release": File(b'ID="centos"\nVERSION_ID="7"\n')})),
    (
        "Debian with the package rpm",
        changed(
            {
                "var/lib/dpkg/status": File(STATUS + STATUS.replace(b"bash", b"rpm")),
                "var/lib/dpkg/info/rpm.list": File(),
                "var/lib/rpm/rpmdb.sqlite": File(SQLITE),
            }
        ),
    ),
    (
        "a wheel that dpkg owns",
        changed(
            {
                "usr/lib/python3/dist-packages/a-1.dist-info/METADATA": File(WHEEL),
                "usr/lib/python3/dist-packages/a-1.dist-info/INSTALLER": File(b"dpkg"),
                "var/lib/dpkg/info/bash.list": File(
                    b"/bin/bash\n/usr/lib/python3/dist-packages/a-1.dist-info/METADATA\n"
                ),
            }
        ),
    ),
    (
        "a wheel that rpm owns",
        tree(
            {
                "etc/os-release": File(RHEL),
                "var/lib/rpm/rpmdb.sqlite": File(SQLITE + b"/requests-2.19.1.dist-info/\0"),
                f"{SITE}/METADATA": File(WHEEL),
                f"{SITE}/INSTALLER": File(b"rpm"),
            }
        ),
    ),
    (
        "a wheel that apk owns",
        tree(
            {
                "etc/os-release": File(ALPINE),
                "lib/apk/db/installed": File(APK.rstrip() + f"\nF:{SITE}\n\n".encode()),
                f"{SITE}/METADATA": File(WHEEL),
                f"{SITE}/INSTALLER": File(b"apk"),
            }
        ),
    ),
    (
        "wheels of pip",
        changed({f"opt/{SITE}/METADATA": File(WHEEL), f"opt/{SITE}/INSTALLER": File(b"pip\n")}),
    ),
]


@pytest.mark.parametrize(
    ("root", "expected"), [each[1:] for each in TRICKS], ids=[each[0] for each in TRICKS]
)
def test_trick_is_seen(root: Directory, expected: str) -> None:
    """The facts say which package data contradict the image."""
    facts, _ = layer_of(root)
    assert any(each.startswith(expected) or expected in each for each in facts.contradictions), facts


@pytest.mark.parametrize("root", [each[1] for each in HONEST], ids=[each[0] for each in HONEST])
def test_honest_tree_is_not_accused(root: Directory) -> None:
    """Nothing is found where nothing is hidden."""
    facts, _ = layer_of(root)
    assert facts.contradictions == ()
