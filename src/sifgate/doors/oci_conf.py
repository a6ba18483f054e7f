# SPDX-License-Identifier: Apache-2.0
"""Slurm's `oci.conf`: `sifgate-ask run` before the runtime that `--container` starts; pure.

slurmstepd runs the line as the user, by a shell, with the bundle's copy in its spool directory as `%b`. It does not
quote what it puts in: `%r`, the root file system of a user's config.json, may hold any character, so it is used
only where the runtime reads no bundle. Slurm reads the file again for each step.
"""

from __future__ import annotations

import re

PATH = "/etc/slurm/oci.conf"
_ASK = "/usr/libexec/sifgate/sifgate-ask run"
_FACTS = "--job %j --step %s --rank %t --"
_LINE = re.compile(
    r'^(?P<head>[ \t]*RunTime(?:Run|Create)[ \t]*=[ \t]*"?)(?P<command>[^\r\n]*)$',
    re.IGNORECASE | re.MULTILINE,
)
_PREFIX = re.compile(re.escape(_ASK) + r" (?:--bundle %b|--rootfs '%r') " + re.escape(_FACTS) + " ")


def with_ask(text: str) -> str:
    """Return the file with sifgate before each runtime that starts a container; as it was where it stands there."""

    def prefixed(match: re.Match[str]) -> str:
        command = match["command"]
        if _PREFIX.match(command) or not command.strip('" \t'):
            return match[0]
        image = "--rootfs '%r'" if "%r" in command and "%b" not in command else "--bundle %b"
        return f"{match['head']}{_ASK} {image} {_FACTS} {command}"

    return _LINE.sub(prefixed, text)


def without_ask(text: str) -> str:
    """Return the file as it was before `with_ask`."""
    return _LINE.sub(lambda match: match["head"] + _PREFIX.sub("", match["command"], count=1), text)


def starts_containers(text: str) -> bool:
    """Return whether the file names a runtime at all."""
    return any(match["command"].strip('" \t') for match in _LINE.finditer(text))


def asks(text: str) -> bool:
    """Return whether sifgate stands before every runtime that the file names."""
    return starts_containers(text) and with_ask(text) == text
