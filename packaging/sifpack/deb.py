# SPDX-License-Identifier: Apache-2.0
"""Debian packages, packed by dpkg-deb; the maintainer scripts only call the package's steps and never fail."""

from __future__ import annotations

from pathlib import Path

from sifpack.catalogue import Package
from sifpack.errors import run
from sifpack.python import version
from sifpack.series import DEB_MACHINE, Series, machine
from sifpack.stage import mark_version

MAINTAINER = "sifgate developers <root@localhost>"
_HEAD = "#!/bin/sh\n# Never fails: a stuck dpkg on a node would be worse than a part that is not in place.\n"
_PREINST = (
    _HEAD + 'case "$1" in install) mkdir -p /var/lib/sifgate && : >/var/lib/sifgate/.new-@ ;; esac\nexit 0\n'
)
_POSTINST = (
    _HEAD
    + """steps=/usr/lib/sifgate/package/@
case "$1" in
configure)
	if rm /var/lib/sifgate/.new-@ 2>/dev/null; then "$steps" put first; else "$steps" put again; fi
	;;
triggered) "$steps" again ;;
abort-*) "$steps" put again ;;
esac
exit 0
"""
)
_PRERM = _HEAD + 'case "$1" in remove | deconfigure) /usr/lib/sifgate/package/@ take ;; esac\nexit 0\n'
_POSTRM = (
    _HEAD
    + """helper() { ! command -v deb-systemd-helper >/dev/null 2>&1 || deb-systemd-helper "$@" >/dev/null 2>&1; }
units="UNITS"
case "$1" in
remove)
	[ -z "$units" ] || helper mask $units
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	;;
purge)
	rm -rf %
	[ -z "$units" ] || { helper purge $units; helper unmask $units; }
	rmdir /var/lib/sifgate /var/log/sifgate /etc/sifgate/policy.d /etc/sifgate /run/sifgate 2>/dev/null
	;;
esac
exit 0
"""
)


def release_of(series: Series, revision: int) -> str:
    """Return the full version of a package."""
    return f"{version()}-{revision}{series.mark}"


def pack(root: Path, package: Package, series: Series, revision: int, out: Path) -> Path:
    """Add the control files to a filled root and pack it into `out`; return the file. The root can be packed again."""
    full = release_of(series, revision)
    control = root / "DEBIAN"
    control.mkdir(exist_ok=True)
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) // 1024
    mark_version(root, full)
    (control / "control").write_text(_control(package, series, full, size))
    _scripts(control, root, package)
    kept = sorted(f"/{path.relative_to(root)}\n" for path in (root / "etc").rglob("*") if path.is_file())
    (control / "conffiles").write_text("".join(kept))
    if package.triggers:
        (control / "triggers").write_text("".join(f"interest-noawait {path}\n" for path in package.triggers))
    target = out / f"{package.name}_{full}_{DEB_MACHINE[machine()]}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", str(root), str(target)])
    return target


def _control(package: Package, series: Series, full: str, size: int) -> str:
    text = "\n".join(f" {line}" for line in package.text.splitlines())
    fields = {
        "Package": package.name,
        "Version": full,
        "Architecture": DEB_MACHINE[machine()],
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Section": "admin",
        "Priority": "optional",
        "Depends": ", ".join(_need(need, series) for need, _ in package.needs),
        "Recommends": ", ".join(package.recommends),
        "Description": f"{package.summary}\n{text}",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def _need(need: str, series: Series) -> str:
    """Return a dependency with the series' own Python in place of `@`."""
    return need.replace("@", series.python)


def _scripts(control: Path, root: Path, package: Package) -> None:
    units = " ".join(path.name for path in sorted((root / "usr/lib/systemd/system").glob("*")))
    purged = " ".join(package.purged) or "/var/lib/sifgate/.new-@"
    purge = _POSTRM.replace("UNITS", units).replace("%", purged)
    scripts = {"preinst": _PREINST, "postinst": _POSTINST, "prerm": _PRERM, "postrm": purge}
    for name, text in scripts.items():
        path = control / name
        path.write_text(text.replace("@", package.name))
        path.chmod(0o755)
