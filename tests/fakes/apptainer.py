# SPDX-License-Identifier: Apache-2.0
"""An Apptainer from source on a test's node, and the scripts of an agent that it meets."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from testbed.apptainer import PREFIXES
from testbed.cluster import Cluster, Completed
from testbed.cluster.scripted import Step

from sifgate.doors.apptainer_plugin import DOOR
from sifgate.wire import Message

IMAGE = "/images/clean/trixie.sif"
NOTICE = "sifgate: launch judged\n  why    as the test says"
REFERENCE = "7QX4-19"
Script = Callable[[Message], Sequence[Step]]


def entering(site: Cluster) -> list[str]:
    """Return the words before a command that is to run on the node as root."""
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wdns=/"]
    return ["nsenter", "--target", site.tree.parent.name, *spaces]


def options(*words: str) -> argparse.Namespace:
    """Return the options of the door's install."""
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    return parser.parse_args(words)


def program(flavour: str) -> str:
    """Return the runtime of a flavour."""
    return f"/{PREFIXES}/{flavour}/bin/apptainer"


@dataclass(frozen=True)
class Runtime:
    """One flavour on the node, used by alice."""

    site: Cluster
    flavour: str

    @property
    def program(self) -> str:
        """Return its path."""
        return program(self.flavour)

    def __call__(self, *words: str, text: str = "", limit: float = 60, **env: str) -> Completed:
        """Run one command of it as alice."""
        return self.site.run("alice", [self.program, *words], text=text, limit=limit, env=env)


def is_early(ask: Message) -> bool:
    """Return whether the command line asks: the starter has no environment to send."""
    return bool(ask.every("env"))


def image_of(ask: Message) -> str:
    """Return the image among the words of a question: the first path that is no flag's value."""
    words = [word.decode() for word in ask.every("arg")]
    for before, word in itertools.pairwise(words):
        if word.startswith("/") and before not in _VALUED:
            return word
    raise AssertionError(f"no image in {words}")


_VALUED = {"--bind", "--overlay", "--home", "--fusemount"}


def master(site: Cluster) -> str:
    """Return the process id of the one starter that runs on the node."""
    return site.run("alice", ["pgrep", "-o", "-f", "^Apptainer runtime parent"]).stdout.strip()


def verdict(action: str, *, early: str = "allow") -> Script:
    """Return a script that has the image opened and decides so, and `early` on the command line."""

    def script(ask: Message) -> Sequence[Step]:
        word = early if is_early(ask) else action
        fields = {"notice": NOTICE, "reference": REFERENCE} if word in {"warn", "block"} else {}
        return [("open", image_of(ask)), ("decide", word, fields)]

    return script


def wait_for(condition: Callable[[], bool], limit: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "not within the limit"
        time.sleep(0.02)
