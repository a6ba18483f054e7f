# SPDX-License-Identifier: Apache-2.0
"""Runs inside the machine with the agent's own Python: asks again and again, as a shim would, and counts the answers.

asker.py IMAGE STOP: prints one line for each ask that failed, and at the end, when STOP exists, how many were answered
and the longest wait.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sifgate.client import Client
from sifgate.errors import SifgateError

PATIENCE = 30.0
"""Seconds; a shim has 2, but nobody knows how busy the host of a test is."""


def main(image: str, stop: str) -> None:
    """Ask until STOP is there."""
    answered, longest, failed = 0, 0.0, []
    while not Path(stop).exists():
        began = time.monotonic()
        try:
            Client("/run/sifgate/agent.sock", sign_of_life=PATIENCE).ask(
                [("door", b"spank"), ("uid", b"0"), ("path", image.encode())]
            )
            answered += 1
        except SifgateError as error:
            failed.append(f"failed: {error.code}: {error}")
        longest = max(longest, time.monotonic() - began)
    print(*failed, f"answered {answered}, longest {longest:.2f} s", sep="\n")  # noqa: T201 - its result


main(*sys.argv[1:])
