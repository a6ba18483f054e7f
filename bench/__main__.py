# SPDX-License-Identifier: Apache-2.0
"""`make bench`: measure, print a table, write `bench/results/latest.json`.

`python -m bench warm` measures one part; `python -m bench --readme` puts the last results into the README.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figure import Figure

RESULTS = Path(__file__).resolve().parent / "results"
README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- bench:begin -->\n", "<!-- bench:end -->\n"


class Run(msgspec.Struct, frozen=True):
    """One run of the bench, as it is kept."""

    date: str
    machine: str
    parts: dict[str, list[Figure]]


def main(argv: list[str] | None = None) -> int:
    """Measure the parts named, or all; 0 done, 1 a part could not be measured. A missed target is no failure."""
    parts = _parts()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(parts)}; default: all")
    parser.add_argument(
        "--readme", action="store_true", help="measure nothing: quote the last results in the README"
    )
    arguments = parser.parse_args(argv)
    if arguments.readme:
        quote(msgspec.json.decode((RESULTS / "latest.json").read_bytes(), type=Run))
        return 0
    names = arguments.part or list(parts)
    if unknown := sorted(set(names) - set(parts)):
        parser.error(f"no part is called {', '.join(unknown)}")
    measured, status = {}, 0
    for name in names:
        try:
            measured[name] = parts[name]()
        except Exception as error:  # noqa: BLE001 - what one part meets must not cost the figures of the others
            print(f"bench: {name}: {type(error).__name__}: {error}", file=sys.stderr)
            status = 1
    if arguments.part and (RESULTS / "latest.json").exists():
        measured = msgspec.json.decode((RESULTS / "latest.json").read_bytes(), type=Run).parts | measured
    run = Run(
        date=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        machine=_machine(),
        parts=measured,
    )
    _print(run)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    return status


def quote(run: Run) -> None:
    """Put the table of a run between the README's marks."""
    rows = [
        f"`make bench` on {run.date[:10]}, {run.machine}; ratios are from one run of each part; what has a target:",
        "",
        "| figure | measured | target |",
    ]
    rows.append("|---|---|---|")
    for figures in run.parts.values():
        for figure in (each for each in figures if each.target is not None):
            missed = "" if figure.met in {True, None} else " (missed)"
            rows.append(f"| {figure.name.strip()} | {shown(figure)} | {target(figure)}{missed} |")
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + "## Speed\n\n" + "\n".join(rows) + "\n" + END + after)


def _parts() -> dict[str, Callable[[], list[Figure]]]:
    from bench import audit, cold, guard, image, oci, policy, simulate, slurm, submit, warm, wrapper

    return {
        "image": image.measure,
        "cold": cold.measure,
        "warm": warm.measure,
        "slurm": slurm.measure,
        "submit": submit.measure,
        "wrapper": wrapper.measure,
        "oci": oci.measure,
        "guard": guard.measure,
        "simulate": simulate.measure,
        "policy": policy.measure,
        "audit": audit.measure,
    }


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    linux = platform.release().split("-")[0]
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {linux}, Python {platform.python_version()}"


def _print(run: Run) -> None:
    table = Table(title=f"sifgate bench, {run.date}, {run.machine}", title_justify="left")
    for heading in ("part", "figure", "value", "target", "met", "note"):
        table.add_column(heading, justify="right" if heading in {"value", "target"} else "left")
    for part, figures in run.parts.items():
        for figure in figures:
            table.add_row(part, figure.name, shown(figure), target(figure), _met(figure), figure.note)
    Console(width=160).print(table)


def shown(figure: Figure) -> str:
    """Return the value with three significant digits and its unit."""
    return f"{figure.value:.3g} {figure.unit}" if figure.value < 1000 else f"{figure.value:.0f} {figure.unit}"  # noqa: PLR2004


def target(figure: Figure) -> str:
    """Return the target as people write it: `≤ 5 ms`, `≥ 40 ×`; empty without one."""
    if figure.target is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {figure.target:g} {figure.unit}"


def _met(figure: Figure) -> str:
    return {True: "yes", False: "NO", None: ""}[figure.met]


if __name__ == "__main__":
    sys.exit(main())
