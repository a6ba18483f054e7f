# SPDX-License-Identifier: Apache-2.0
"""`python -m sifpack [--out DIR] [WHAT …]`: builds wheel, sdist, deb, rpm and the offline bundle into DIR."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path

from testbed.cache import cache_root
from testbed.headers import obtain_headers

from sifpack import bundle, deb, rpm
from sifpack.catalogue import PACKAGES
from sifpack.errors import PackagingError, say
from sifpack.native import obtain_plugins, obtain_programs
from sifpack.python import SOURCE, build_wheel
from sifpack.series import SERIES, SLURM, Series
from sifpack.stage import Parts, fill, missing

NAMES = tuple(package.name for package in PACKAGES)
KINDS = ("wheel", "deb", "rpm", "bundle")


def main(argv: list[str] | None = None) -> int:
    """Build what was asked for; return 0, or 1 with the reason."""
    options = _options(argv)
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="sifgate-package-") as work:
            for file in _build(options, Path(work), out):
                print(file)
    except (PackagingError, OSError) as error:
        say(f"failed: {error}")
        return 1
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument(
        "what", nargs="*", default=[], metavar="WHAT", help=f"of {', '.join(KINDS)}; default: all"
    )
    parser.add_argument("--out", type=Path, default=SOURCE / "dist", metavar="DIR")
    parser.add_argument("--series", action="append", choices=sorted(SERIES), default=[], help="default: all")
    parser.add_argument(
        "--revision", type=int, default=1, metavar="N", help="of the packages (default %(default)s)"
    )
    parser.add_argument(
        "--advisories", type=Path, metavar="FILE", help="for the bundle: of clairctl export-updaters"
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="for the bundle: Red Hat's repository-to-cpe.json"
    )
    options = parser.parse_args(argv)
    unknown = [word for word in options.what if word not in KINDS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not of {', '.join(KINDS)}")
    options.what = options.what or list(KINDS)
    return options


def _build(options: argparse.Namespace, work: Path, out: Path) -> list[Path]:
    say("wheel and sdist")
    wheel = build_wheel(out)
    done = [wheel, *out.glob(f"{wheel.name.split('-py3')[0]}.tar.gz")]
    if options.what == ["wheel"]:
        return done
    series = [SERIES[name] for name in options.series or SERIES]
    forms = {"deb", "rpm"} if "bundle" in options.what else set(options.what)
    parts = compile_parts(wheel)
    packages: list[Path] = []
    for each in series:
        if each.form in forms:
            packages += make_packages(each, parts, [options.revision], work, out)
    if "bundle" in options.what:
        say("offline bundle")
        data = {"advisories": options.advisories, "mapping": options.mapping}
        packages.append(bundle.assemble(out, bundle.Content(packages, wheel, series, cache_root(), **data)))
    return done + packages


def compile_parts(wheel: Path) -> Parts:
    """Return the compiled C parts with the wheel."""
    say("C programs and plugins")
    return Parts(wheel, obtain_programs(), obtain_plugins({each: obtain_headers(each) for each in SLURM}))


def make_packages(
    series: Series,
    parts: Parts,
    revisions: Sequence[int],
    work: Path,
    out: Path,
    *,
    only: Container[str] = NAMES,
) -> list[Path]:
    """Make the packages of a series in `out`, in each revision; return them. What cannot be made is said."""
    made = []
    pack = deb.pack if series.form == "deb" else rpm.pack
    for package in PACKAGES:
        if package.name not in only:
            continue
        why = missing(package, parts)
        if why:
            say(f"{package.name}: not made: {why}")
            continue
        say(f"{package.name} for {series.name}")
        root = work / f"{package.name}.{series.name}"
        fill(root, package, series, parts)
        made += [pack(root, package, series, revision, out) for revision in revisions]
        shutil.rmtree(root)
    return made


if __name__ == "__main__":
    sys.exit(main())
