# SPDX-License-Identifier: Apache-2.0
"""`sifgate completion`: a completion script for a shell, made from the parser itself."""

from __future__ import annotations

import argparse

from sifgate.cli.main import ALLOWED, build_parser
from sifgate.config import Places

EPILOG = """\
examples:
  sifgate completion bash > /etc/bash_completion.d/sifgate
  sifgate completion zsh > "${fpath[1]}/_sifgate"
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "completion",
        help="print a completion script for a shell",
        description="Print a script that completes verbs, options and file names in a shell.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell to write for")


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the script."""
    del places
    import shtab

    print(shtab.complete(build_parser(), shell=arguments.shell))
    return ALLOWED
