# SPDX-License-Identifier: Apache-2.0
"""The plugin is taken away, after all others of this directory have used it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testbed.apptainer import FLAVOURS
from testbed.cluster import Cluster
from testbed.cluster.scripted import ScriptedAgent
from tests.fakes.apptainer import IMAGE, Script, program, verdict

from sifgate.doors.apptainer_plugin import DOOR
from sifgate.doors.memory import Memory

pytestmark = [pytest.mark.cluster, pytest.mark.root]


def test_launches_go_on_as_if_it_had_never_been_there(
    site: Cluster, agents: Callable[[Script], ScriptedAgent]
) -> None:
    """Both runtimes are freed, nobody is asked any more, and a second removal finds nothing."""
    for flavour in FLAVOURS:
        Memory(site.tree).installed("apptainer-plugin", ["--apptainer", program(flavour)])
    agent = agents(verdict("block", early="block"))
    assert len(DOOR.remove(site.tree)) == len(FLAVOURS)
    for flavour in FLAVOURS:
        done = site.run("alice", [program(flavour), "exec", IMAGE, "echo", "PAYLOAD"])
        assert (done.returncode, done.stdout) == (0, "PAYLOAD\n")
    assert agent.asked == []
    assert DOOR.remove(site.tree) == []
    state = DOOR.state(site.tree)
    assert (state.present, state.applicable) == (False, True)
