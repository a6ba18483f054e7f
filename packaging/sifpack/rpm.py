# SPDX-License-Identifier: Apache-2.0
"""rpm packages, packed by rpmbuild from the same roots and steps as the Debian ones."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from sifpack.catalogue import Package
from sifpack.errors import run
from sifpack.python import version
from sifpack.series import Series, machine
from sifpack.stage import mark_version

_SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: {summary}
License: Apache-2.0
AutoReqProv: no
{requires}
%description
{text}

%install
cp -a {root}/. %{{buildroot}}/

%files
{files}
{scripts}"""
_DEFINES = {
    "__os_install_post": "%{nil}",  # what is packed is final: no stripping, no compiling, no links of build ids
    "_build_id_links": "none",
    "debug_package": "%{nil}",
    "_binary_payload": "w6.gzdio",
    "source_date_epoch_from_changelog": "0",
}
# rpm calls an upgrade's new %post with 2 and the old one's %preun with 1.
_SCRIPTS = """
%post
if [ "$1" -le 1 ]; then {steps} put first; else {steps} put again; fi
exit 0

%preun
if [ "$1" -eq 0 ]; then {steps} take; fi
exit 0

%postun
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
exit 0
"""
# A file trigger's prefix is compared with directories only; it is given the files on standard input, all to be read.
_TRIGGER = """
%transfiletriggerin -- {directories}
if awk '{condition} {{ found = 1 }} END {{ exit !found }}'; then {steps} again; fi
exit 0
"""


def release_of(series: Series, revision: int) -> str:
    """Return version and release, as in a file's name."""
    return f"{version()}-{revision}{series.mark}"


def pack(root: Path, package: Package, series: Series, revision: int, out: Path) -> Path:
    """Pack a filled root into `out`; return the file."""
    mark_version(root, release_of(series, revision))
    with tempfile.TemporaryDirectory(prefix="sifgate-rpm-") as name:
        work = Path(name)
        spec = work / f"{package.name}.spec"
        spec.write_text(_spec(root, package, series, revision))
        places = {"_topdir": str(work), "_rpmdir": str(work / "rpms"), "_tmppath": str(work)}
        defines = [
            word for key, value in (_DEFINES | places).items() for word in ("--define", f"{key} {value}")
        ]
        run(["rpmbuild", "-bb", "--quiet", "--target", machine(), *defines, str(spec)])
        built = next((work / "rpms").rglob("*.rpm"))
        target = out / built.name
        target.write_bytes(built.read_bytes())
    return target


def _spec(root: Path, package: Package, series: Series, revision: int) -> str:
    needs = [rpm.replace("@", series.python) for _, rpm in package.needs if rpm]
    steps = f"/usr/lib/sifgate/package/{package.name}"
    scripts = _SCRIPTS.format(steps=steps)
    if package.triggers:
        condition = " || ".join(f'$0 == "{path}"' for path in package.triggers)
        directories = " ".join(sorted({str(Path(path).parent) for path in package.triggers}))
        scripts += _TRIGGER.format(steps=steps, directories=directories, condition=condition)
    return _SPEC.format(
        name=package.name,
        version=version(),
        release=f"{revision}{series.mark}",
        summary=package.summary,
        requires="".join(f"Requires: {need}\n" for need in needs),
        text=package.text,
        root=shlex.quote(str(root)),
        files="\n".join(_files(root)),
        scripts=scripts,
    )


_SHARED = frozenset(
    {"bin", "lib", "libexec", "share", "systemd", "system", "tmpfiles.d", "sysusers.d", "logrotate.d", "etc", "usr",
     "doc", "bash-completion", "completions"}
)  # fmt: skip
"""Directories that belong to others."""


def _files(root: Path) -> list[str]:
    """Return the lines of %files: every file and our own directories, all of root, nothing of others'."""
    lines = []
    for path in sorted(root.rglob("*")):
        place = f"/{path.relative_to(root)}"
        if path.is_dir() and not path.is_symlink():
            if path.name not in _SHARED or "/sifgate" in place:
                lines.append(f'%dir %attr(0755, root, root) "{place}"')
        elif place.startswith("/etc/"):
            lines.append(f'%config(noreplace) %attr(0644, root, root) "{place}"')
        else:
            mode = "-" if path.is_symlink() else f"0{path.stat().st_mode & 0o777:o}"
            lines.append(f'%attr({mode}, root, root) "{place}"')
    return lines
