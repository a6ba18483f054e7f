# SPDX-License-Identifier: Apache-2.0
"""`sifgate DOOR install | remove | status`: one door of this node, or of a tree that is being prepared."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sifgate.cli.conversation import add_format, print_json
from sifgate.config import Places
from sifgate.doors.door import Door, DoorState
from sifgate.doors.memory import Memory
from sifgate.doors.table import find
from sifgate.errors import ConfigError
from sifgate.render.escape import printable
from sifgate.render.table import Column, print_table

PLACED = 0
PROBLEM = 1
NOT_PLACED = 3
HOST = Path("/")
COLUMNS = (Column("door"), Column("state"), Column("detail", fold=True), Column("remedy", fold=True))


class DoorVerb:
    """The verb of one door."""

    def __init__(self, name: str) -> None:
        self.name = name

    def register(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the verb's parser, with the door's own options at `install`."""
        door = find(self.name)
        parser = subparsers.add_parser(
            self.name,
            help=door.summary,
            description=f"{door.summary[:1].upper()}{door.summary[1:]}.",
            epilog="exit codes of status: 0 in place, 1 in place and does not work, 3 not in place",
        )
        tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
        install = tasks.add_parser(
            "install", help="put it in place", description="Put the door in place; twice is as good as once."
        )
        door.options(install)
        remove = tasks.add_parser(
            "remove",
            help="take it away",
            description="Take the door away; launches go on as if it had never been there.",
        )
        status = tasks.add_parser(
            "status", help="say how it lies", description="Say how the door lies on this node."
        )
        add_format(status)
        for task in (install, remove, status):
            add_tree(task)

    def run(self, arguments: argparse.Namespace, places: Places) -> int:
        """Do it; return the exit code."""
        del places
        door, tree = find(self.name), checked(arguments.tree)
        if arguments.task == "status":
            return _status(door, tree, arguments.format)
        need_root(tree, f"{self.name} {arguments.task}")
        lines = _install(door, tree, arguments) if arguments.task == "install" else _remove(door, tree)
        say(lines or [f"{self.name}: nothing was to do"])
        return PLACED


def add_tree(parser: argparse.ArgumentParser) -> None:
    """Add `--tree`."""
    parser.add_argument(
        "--tree",
        type=Path,
        default=HOST,
        metavar="DIR",
        help="root of the file system it is done in: a chroot or an image of a node (default: this host)",
    )


def checked(tree: Path) -> Path:
    """Return the tree as an absolute path, `HOST` for this host's; raises ConfigError where it is no directory.

    Not resolved: `/proc/PID/root` leads into a container and reads as `/`.
    """
    with plain("--tree"):
        if not tree.is_dir():
            raise ConfigError(f"{tree}: no such directory", hint="--tree names the root of a file system")
        return HOST if tree.samefile(HOST) else tree.absolute()


def need_root(tree: Path, what: str) -> None:
    """Raise ConfigError where the host's own files would be changed by somebody who is not root."""
    if tree == HOST and os.geteuid() != 0:
        raise ConfigError(f"{what}: only root can do this", hint="run it as root, or in a tree: --tree DIR")


def say(lines: Iterable[str]) -> None:
    """Print what was done, a line each."""
    for line in lines:
        print(f"sifgate: {printable(line)}")


@contextlib.contextmanager
def plain(name: str) -> Iterator[None]:
    """Turn what the system refuses into a ConfigError with the door's name."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ConfigError(f"{name}: {where}{error.strerror or error}") from error


def parsed(door: Door, words: Sequence[str]) -> argparse.Namespace:
    """Return the options of an install that was remembered."""
    parser = argparse.ArgumentParser(prog=f"sifgate {door.name} install", exit_on_error=False)
    door.options(parser)
    try:
        chosen, unknown = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{door.name}: its remembered options {list(words)} are wrong: {error}") from error
    if unknown:
        raise ConfigError(f"{door.name}: its remembered options {unknown} are no longer known")
    return chosen


def _install(door: Door, tree: Path, arguments: argparse.Namespace) -> list[str]:
    words = _own_words(arguments.argv)
    memory = Memory(tree)
    with plain(door.name):
        if door.name in memory.disabled():
            memory.installed(door.name, words)
            return [f"{door.name}: is disabled and stays so; `sifgate enable {door.name}` puts it in place"]
        lines = door.install(tree, arguments)
        memory.installed(door.name, words)
    return lines


def _own_words(argv: Sequence[str]) -> list[str]:
    """Return the words after `install`, without `--tree DIR`: what `enable` has to say again."""
    words = iter(argv[argv.index("install") + 1 :])
    kept = []
    for word in words:
        if word == "--tree":
            next(words, None)
        elif not word.startswith("--tree="):
            kept.append(word)
    return kept


def _remove(door: Door, tree: Path) -> list[str]:
    with plain(door.name):
        lines = door.remove(tree)
        Memory(tree).removed(door.name)
    return lines


def _status(door: Door, tree: Path, form: str) -> int:
    state = door.state(tree)
    if form == "json":
        print_json(state)
    else:
        print_table(COLUMNS, [row(state)], sys.stdout)
    if state.problem:
        return PROBLEM
    return PLACED if state.present else NOT_PLACED


def row(state: DoorState) -> tuple[str, str, str, str]:
    """Return the cells of one door: name, a word for its state, what lies where, what to do."""
    word = "in place" if state.present else "not in place" if state.applicable else "no use here"
    detail = "; ".join(text for text in (state.problem, state.detail) if text)
    return state.name, "problem" if state.problem else word, detail, state.remedy
