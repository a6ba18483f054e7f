# SPDX-License-Identifier: Apache-2.0
"""`python -m testbed image|rootfs NAME` prints a path, building what is missing; `list` says what there is."""

from __future__ import annotations

import argparse
import signal
import sys

from testbed.cache import cache_root
from testbed.errors import TestbedError
from testbed.images import image_names, obtain_image
from testbed.packages import require
from testbed.rootfs import TREES, obtain_tree


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 done, 1 cannot be prepared, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("rootfs", help="print the path of a root tree").add_argument("name", choices=sorted(TREES))
    verbs.add_parser("image", help="print the path of an image").add_argument("name", choices=image_names())
    verbs.add_parser("packages", help="have host programs installed").add_argument("program", nargs="+")
    verbs.add_parser("list", help="print what can be asked for")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is half built is removed
    try:
        return _run(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.verb == "rootfs":
        print(obtain_tree(arguments.name))
    elif arguments.verb == "image":
        print(obtain_image(arguments.name))
    elif arguments.verb == "packages":
        require(*arguments.program)
    else:
        print(f"cache   {cache_root()}")
        print(*(f"rootfs  {name}" for name in sorted(TREES)), sep="\n")
        print(*(f"image   {name}" for name in image_names()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
