# SPDX-License-Identifier: Apache-2.0
"""Reduce the full table of Apptainer's and SingularityCE's flags to what the parser needs.

    python -m testbed.reduce_flags FULL.json [src/sifgate/origin/grammar.json]

The full table (every flag of every command at thirteen releases, extracted from the sources' syntax trees)
is 750 KB; a parser needs for each command that starts a container which flags take a value, and the names
of all other commands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LAUNCHING = ("exec", "run", "shell", "test", "instance start", "instance run")
HELPING = ("run-help",)
"""Runs the image's shell to show its help; of the others' flags it has one, and is read as if it had all."""
BUNDLED = ("oci run", "oci create")
INJECTING = (
    "app",
    "bind",
    "containlibs",
    "data",
    "env",
    "env-file",
    "fusemount",
    "home",
    "mount",
    "overlay",
    "writable",
)
BUILTIN = ("help", "completion", "__complete", "__completeNoDesc")
SIFTOOL = (
    "sif",
    "sif add",
    "sif del",
    "sif dump",
    "sif header",
    "sif info",
    "sif list",
    "sif new",
    "sif setprim",
)
DESTINATION = "src/sifgate/origin/grammar.json"


def table(command: dict[str, Any]) -> dict[str, Any]:
    """Return one command's flags as sorted names and a map of shorts."""
    short = command["short"]
    return {
        "bool": sorted(command["bool"]),
        "value": sorted(command["value"]),
        "short": {k: v if isinstance(v, str) else v[0]["name"] for k, v in sorted(short.items())},
    }


def common(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the flags that all of `tables` have."""
    first, *rest = tables
    return {
        kind: sorted(set(first[kind]).intersection(*(t[kind] for t in rest))) for kind in ("bool", "value")
    } | {"short": {k: v for k, v in first["short"].items() if all(t["short"].get(k) == v for t in rest)}}


def beyond(flags: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return what `flags` has and `shared` has not."""
    return {kind: sorted(set(flags[kind]) - set(shared[kind])) for kind in ("bool", "value")} | {
        "short": {k: v for k, v in flags["short"].items() if k not in shared["short"]}
    }


def environment(full: dict[str, Any]) -> dict[str, list[str]]:
    """Return the variables, without prefix, of each flag that can put other content into a container."""
    found: dict[str, set[str]] = {name: set() for name in INJECTING}
    for product in full["products"].values():
        for name in INJECTING:
            for entry in product["flags"].get(name, []):
                found[name].update(entry["env"])
    return {name: sorted(variables) for name, variables in found.items() if variables}


def reduce(full: dict[str, Any]) -> dict[str, Any]:
    """Return the reduced table."""
    union = full["union_for_parsers"]
    tables = {name: table(union["commands"][name]) for name in LAUNCHING}
    shared = common(list(tables.values()))
    tables |= {name: table(union["commands"][name]) for name in HELPING}
    names = {c for p in full["products"].values() for v in p["versions"].values() for c in v["commands"]}
    launching = {*LAUNCHING, *HELPING, *BUNDLED}
    return {
        "root": table(union["root"]),
        "shared": shared,
        "launching": {name: beyond(flags, shared) for name, flags in tables.items()},
        "bundled": {name: table(union["commands"][name]) for name in BUNDLED},
        "other": sorted({*names, *BUILTIN, *SIFTOOL} - launching),
        "transports": sorted(full["image_reference_forms"]["bare_colon_transports"]),
        "environment": environment(full),
    }


def main() -> int:
    """Write the reduced table."""
    source, destination = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else DESTINATION)  # noqa: PLR2004 - one optional operand
    reduced = reduce(json.loads(source.read_text(encoding="utf-8")))
    lines = [f' "{key}": {json.dumps(value, sort_keys=True)}' for key, value in reduced.items()]
    destination.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{destination}: {destination.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
