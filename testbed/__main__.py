# SPDX-License-Identifier: Apache-2.0
"""`python -m testbed image|rootfs NAME` prints a path, building what is missing; `list` says what there is."""

from __future__ import annotations

import argparse
import signal
import sys

import psutil

from testbed.apptainer import obtain_apptainer
from testbed.cache import cache_root
from testbed.errors import MissingPackages, TestbedError
from testbed.golang import check_go
from testbed.headers import SUITE_OF, obtain_headers
from testbed.images import image_names, obtain_image
from testbed.licences import rewrite
from testbed.native import check_warnings
from testbed.packages import require
from testbed.prepare import IMAGES, prepare
from testbed.rootfs import TREES, obtain_tree
from testbed.suites import run_suites


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 done, 1 cannot be prepared, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("rootfs", help="print the path of a root tree").add_argument(
        "name", choices=sorted(TREES)
    )
    verbs.add_parser("image", help="print the path of an image").add_argument("name", choices=image_names())
    verbs.add_parser("headers", help="print the path of Slurm's headers").add_argument(
        "series", choices=sorted(SUITE_OF)
    )
    packages = verbs.add_parser("packages", help="have host programs installed")
    packages.add_argument("--optional", action="store_true", help="say what is missing, and go on")
    packages.add_argument("program", nargs="+")
    verbs.add_parser("prepare", help="build what demo or tests need").add_argument(
        "purpose", choices=sorted(IMAGES)
    )
    verbs.add_parser("licences", help="renew the table of dependencies in THIRD_PARTY.md")
    verbs.add_parser("warnings", help="compile the C sources with all warnings as errors")
    verbs.add_parser("golang", help="gofmt, go vet and staticcheck on the Go sources")
    verbs.add_parser("apptainer", help="print the path of the layer with an Apptainer that loads plugins")
    suites = verbs.add_parser("suites", help="run all tests, quick ones and patient ones side by side")
    suites.add_argument("option", nargs="*", help="options of pytest, after --")
    verbs.add_parser("list", help="print what can be asked for")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    try:
        return _run(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def _end(*_: object) -> None:
    """End the programs that were started; their builds then fail, and what is half built is removed."""
    for child in psutil.Process().children(recursive=True):
        child.terminate()
    sys.exit(1)


def _run(arguments: argparse.Namespace) -> int:
    match arguments.verb:
        case "rootfs":
            print(obtain_tree(arguments.name))
        case "image":
            print(obtain_image(arguments.name))
        case "headers":
            print(obtain_headers(arguments.series))
        case "packages":
            _packages(arguments.program, optional=arguments.optional)
        case "prepare":
            for line in prepare(arguments.purpose):
                print(f"testbed: not built: {line}", file=sys.stderr)
        case "licences":
            rewrite()
        case "suites":
            return run_suites(arguments.option)
        case "golang":
            return check_go()
        case "apptainer":
            print(obtain_apptainer())
        case "warnings":
            return check_warnings()
        case _:
            print(f"cache   {cache_root()}")
            print(*(f"rootfs  {name}" for name in sorted(TREES)), sep="\n")
            print(*(f"headers {series}" for series in sorted(SUITE_OF)), sep="\n")
            print(*(f"image   {name}" for name in image_names()), sep="\n")
    return 0


def _packages(programs: list[str], *, optional: bool) -> None:
    try:
        require(*programs)
    except MissingPackages as error:
        if not optional:
            raise
        print(f"testbed: {error}; what needs them is skipped", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
