# SPDX-License-Identifier: Apache-2.0
"""`sifgate down`: stop what `sifgate up` started, also where its supervisor was killed."""

from __future__ import annotations

import argparse

from sifgate.config import Places
from sifgate.engine import halt
from sifgate.engine.layout import Layout


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    subparsers.add_parser("down", help="stop what `sifgate up` started", description=__doc__)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Stop everything; return 0 when nothing runs any more."""
    del arguments
    print("sifgate: stopped" if halt.down(Layout(places)) else "sifgate: was not running")
    return 0
