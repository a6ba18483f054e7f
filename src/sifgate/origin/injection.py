# SPDX-License-Identifier: Apache-2.0
"""Options and variables that put other content into a container than the image that is judged.

A bind counts only over the places where an image keeps its programs and libraries: binds of data are what
users do all day. Symlinks inside the image are not seen, so this finds what is done openly (design §5).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from sifgate.origin.grammar import GRAMMAR

PREFIXES = ("APPTAINER_", "SINGULARITY_")
"""Apptainer reads flags from both; SingularityCE from the second."""
CONTAINER_PREFIXES = ("APPTAINERENV_", "SINGULARITYENV_")
"""Variables that are set inside the container."""

_ALWAYS = frozenset({"overlay", "data", "fusemount", "app", "containlibs", "env-file"})
_LOADER = frozenset({"LD_PRELOAD", "LD_AUDIT"})
_SYSTEM = (
    "/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/root", "/sbin",
    "/usr", "/var/lib", "/.singularity.d", "/singularity",
)  # fmt: skip
_COMMA = re.compile(r"(?<!\\),")
_COLON = re.compile(r"(?<!\\):")


def injected(options: Iterable[tuple[str, str]], env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options and variables that inject content, as typed, in their order."""
    found = [f"--{name} {value}" for name, value in options if injects(name, value)]
    found += [
        f"{variable}={env[variable]}" for name, variable in _variables(env) if injects(name, env[variable])
    ]
    found += [
        f"{prefix}{name}={env[prefix + name]}"
        for prefix in CONTAINER_PREFIXES
        for name in sorted(_LOADER)
        if env.get(prefix + name)
    ]
    return tuple(found)


def _variables(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (flag, variable) for the variables of `env` that stand for a flag."""
    return [
        (name, prefix + suffix)
        for name, suffixes in GRAMMAR.environment.items()
        for suffix in suffixes
        for prefix in PREFIXES
        if env.get(prefix + suffix)
    ]


def injects(name: str, value: str) -> bool:
    """Return whether the option `--name value` puts content over the image's."""
    if name in _ALWAYS:
        return True
    if name == "bind":
        return any(over_system(destination) for destination in _bind_destinations(value))
    if name == "home":
        return over_system(_bind_destinations(value)[-1])
    if name == "mount":
        return any(over_system(destination) for destination in _mount_destinations(value))
    if name == "env":
        return any(item.partition("=")[0].strip() in _LOADER for item in value.split(","))
    return False


def over_system(destination: str) -> bool:
    """Return whether `destination` is, holds or is below a place of programs and libraries."""
    path = posixpath.normpath("/" + destination.lstrip("/"))
    return path in {"/", "/var"} or any(path == s or path.startswith(s + "/") for s in _SYSTEM)


def _bind_destinations(value: str) -> list[str]:
    """Return the destinations of `src[:dst[:options]],…`."""
    destinations = []
    for item in _COMMA.split(value):
        parts = _COLON.split(item)
        destinations.append(parts[1] if len(parts) > 1 and parts[1] else parts[0])
    return [d for d in destinations if d.startswith("/")] or [value]


def _mount_destinations(value: str) -> list[str]:
    """Return the destinations of `type=bind,source=…,destination=…`; `/` where none is understood."""
    fields = [field.strip().strip('"').partition("=") for field in value.split(",")]
    found = [path for key, _, path in fields if key.strip() in {"destination", "dst", "target"}]
    return found or ["/"]
