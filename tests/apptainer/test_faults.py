# SPDX-License-Identifier: Apache-2.0
"""Agents that are absent, silent or lie, and launches that nobody would type, at the plugin's door."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.apptainer import IMAGE, Runtime, Script, is_early, verdict

pytestmark = [pytest.mark.cluster, pytest.mark.root]
Agents = Callable[[Script], ScriptedAgent]
Posture = Callable[[str], None]
REFUSED = 255
SCRIPTS: dict[str, list[Step]] = {
    "silent": [("sleep", 20)],
    "gone": [("close",)],
    "garbage": [("send", b"HTTP/1.1 200 OK\r\n\r\n")],
    "error": [("send", b"sifgate/1 error\ncode:8=internal\ntext:4=oops\n")],
    "no action": [("send", b"sifgate/1 decision\naction:5=maybe\n")],
    "descriptors": [("flood", 5), ("close",)],
    "other path": [("open", "/etc/shadow"), ("close",)],
}


def test_without_an_agent_the_posture_lets_pass(runtime: Runtime, posture: Posture) -> None:
    """At once, and in silence."""
    posture("allow")
    began = time.monotonic()
    done = runtime("exec", IMAGE, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout, done.stderr) == (0, "PAYLOAD\n", "")
    assert time.monotonic() - began < 5


def test_without_an_agent_the_posture_warns(runtime: Runtime, posture: Posture) -> None:
    """Once, although two callbacks found nobody."""
    posture("warn")
    done = runtime("exec", IMAGE, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout) == (0, "PAYLOAD\n")
    assert done.stderr.count("sifgate: launch not checked") == 1


def test_without_an_agent_the_posture_refuses(runtime: Runtime, posture: Posture) -> None:
    """With the cause and whom to ask, and no reference: there is no record."""
    posture("block")
    done = runtime("exec", IMAGE, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert 'cause "agent_unreachable"' in done.stderr
    assert "security@site.example" in done.stderr
    assert done.stderr.rstrip().endswith("launch refused by sifgate")


def test_a_posture_that_the_user_can_write_is_not_believed(runtime: Runtime, posture: Posture) -> None:
    """It would let him refuse, or worse."""
    posture("block")
    (runtime.site.login / "etc/posture").chmod(0o666)
    assert runtime("exec", IMAGE, "true").returncode == 0


@pytest.mark.parametrize("fault", SCRIPTS)
def test_no_fault_of_the_agent_hangs_a_launch(
    runtime: Runtime, agents: Agents, posture: Posture, fault: str
) -> None:
    """The starter takes the posture; what runs in a setuid program opens no path that it was told."""
    posture("block")
    agent = agents(lambda ask: verdict("allow")(ask) if is_early(ask) else SCRIPTS[fault])
    began = time.monotonic()
    done = runtime("exec", IMAGE, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "launch refused" in done.stderr
    assert time.monotonic() - began < 8
    if fault == "other path":
        assert agent.opened[-1] == ("2", b"")


def test_a_socket_of_another_user_is_not_believed(runtime: Runtime, posture: Posture) -> None:
    """Whoever is neither root nor the user himself may listen there: nobody tells him anything."""
    posture("block")
    site = runtime.site
    listen = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind('/run/sifgate/agent.sock');"
        "import os; os.chmod('/run/sifgate/agent.sock', 0o666); s.listen(9); print('up', flush=True); sys.stdin.read()"
    )
    (site.login / "run").chmod(0o777)
    process = site.start("bob", ["timeout", "30", "python3", "-c", f"{listen}; import time; time.sleep(30)"])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        done = runtime("exec", IMAGE, "true")
        assert "neither root nor this user" in done.stderr
        assert done.returncode == REFUSED
    finally:
        site.run("bob", ["pkill", "-u", "bob"])
        process.communicate()
        (site.login / "run").chmod(0o755)
        (site.login / "run/agent.sock").unlink(missing_ok=True)


def test_a_payload_of_a_megabyte_is_asked_about_in_one_packet(runtime: Runtime, agents: Agents) -> None:
    """The words behind the image are for the record only, and cut."""
    agent = agents(verdict("allow"))
    done = runtime("exec", IMAGE, "true", *["x" * 60_000] * 12)
    assert done.returncode == 0, done.output
    assert [len(ask.every("arg")) for ask in agent.asked] == [4, 4]


def test_thousands_of_binds_travel_as_a_sealed_memory(runtime: Runtime, agents: Agents) -> None:
    """All of them are told, by both callbacks; a starter of which too many binds are asked refuses by itself."""
    binds = [word for number in range(2_500) for word in ("-B", f"/usr/share/doc:/mnt/bind-number-{number}")]
    agent = agents(verdict("block"))
    done = runtime("exec", *binds, IMAGE, "true")
    assert done.returncode == REFUSED
    assert [len(ask.every("arg")) > 5000 for ask in agent.asked] == [True, True]


def test_a_path_that_is_no_text_reaches_the_agent_as_it_is(runtime: Runtime, agents: Agents) -> None:
    """Bytes are bytes, from the kernel to the agent. Apptainer itself cannot hand them to its starter, and says so."""
    site = runtime.site
    site.run("alice", ["sh", "-c", f"cp {IMAGE} /scratch/$(printf 'caf\\351.sif')"]).check()
    agent = agents(lambda _: [("decide", "allow", {})])
    done = site.run("alice", ["sh", "-c", f"{runtime.program} exec /scratch/caf*.sif true"])
    assert b"/scratch/caf\xe9.sif" in agent.asked[0].every("arg")
    assert (done.returncode, len(agent.asked)) == (REFUSED, 1)


def test_an_image_behind_links_is_named_as_it_lies(runtime: Runtime, agents: Agents) -> None:
    """The command line tells what was typed, the starter what it opened."""
    site = runtime.site
    links = "ln -s /images/clean/trixie.sif /scratch/a; ln -s a /scratch/b; ln -s b /scratch/c"
    site.run("alice", ["sh", "-c", links]).check()
    agent = agents(verdict("allow"))
    assert runtime("exec", "/scratch/c", "true").returncode == 0
    assert [
        (b"/scratch/c" in ask.every("arg"), IMAGE.encode() in ask.every("arg")) for ask in agent.asked
    ] == [
        (True, False),
        (False, True),
    ]


def test_many_launches_at_once_all_end(runtime: Runtime, agents: Agents) -> None:
    """An agent that is busy is asked again; no launch is lost, none is left."""
    turns = [0]

    def busy(ask: object) -> Sequence[Step]:
        del ask
        turns[0] += 1
        if turns[0] % 2:
            return [("send", b"sifgate/1 error\ncode:4=busy\n")]
        return [("decide", "allow", {})]

    agents(busy)
    words = f"for i in $(seq 20); do {runtime.program} exec {IMAGE} echo PAYLOAD & done; wait"
    done = runtime.site.run("alice", ["sh", "-c", words], limit=120)
    assert done.stdout.count("PAYLOAD") == 20, done.stderr
