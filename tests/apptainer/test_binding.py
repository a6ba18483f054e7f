# SPDX-License-Identifier: Apache-2.0
"""What a user can do against the plugin, and what stops him; with user namespaces off, nothing is left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from testbed.apptainer import PREFIXES
from testbed.cluster import Cluster, Completed
from testbed.cluster.scripted import ScriptedAgent
from tests.fakes.apptainer import IMAGE, REFERENCE, Runtime, Script, is_early, program, verdict

pytestmark = [pytest.mark.cluster, pytest.mark.root]
Agents = Callable[[Script], ScriptedAgent]
REFUSED = 255
STOPPED = f"launch refused by sifgate, reference {REFERENCE}"
STARTERS = {"unprivileged": "starter", "setuid": "starter-suid"}
WITHOUT_NAMESPACES = """
unshare -U --keep-caps --net sh -c '
    until grep -q . /proc/self/uid_map && grep -q . /proc/self/gid_map; do sleep 0.02; done
    echo 0 > /proc/sys/user/max_user_namespaces || exit 99
    exec runuser -u alice -- env HOME=/home/alice timeout 60 "$@"' sh "$@" <&0 &
until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
echo "0 0 4294967295" > /proc/$!/uid_map
echo "0 0 4294967295" > /proc/$!/gid_map
wait $!
"""
"""Off for one process tree: the limit is a property of a user namespace, here one that maps every id to itself."""


def configuration(runtime: Runtime) -> dict[str, str]:
    """Return the variables with which the command line starts the starter: what a user could write himself."""
    words = [runtime.program, "exec", IMAGE, "echo", "PAYLOAD"]
    trace = ["strace", "-f", "-qq", "-e", "trace=execve", "-v", "-s", "1000000", "-o", "/scratch/trace"]
    runtime.site.run("alice", [*trace, *words])
    text = (runtime.site.scratch / "trace").read_text(errors="replace")
    (runtime.site.scratch / "trace").unlink()
    line = next(line for line in text.splitlines() if "ENGINE_CONFIG1=" in line)
    found = re.findall(r'"((?:ENGINE_CONFIG|APPTAINER_MESSAGELEVEL)[^=]*=(?:[^"\\]|\\.)*)"', line)
    plain = (json.loads(f'"{variable}"') for variable in found)
    return dict(variable.split("=", 1) for variable in plain)


def by_hand(runtime: Runtime, variables: dict[str, str]) -> list[str]:
    """Return a command that starts the starter with these variables and no others."""
    starter = f"/{PREFIXES}/{runtime.flavour}/libexec/apptainer/bin/{STARTERS[runtime.flavour]}"
    pairs = [f"{name}={value}" for name, value in variables.items()]
    read = "dict(word.split('=', 1) for word in sys.argv[1:])"
    run = f"import os, sys; os.execve('{starter}', ['Apptainer runtime parent'], {read})"
    return ["python3", "-c", run, *pairs]


def without_namespaces(site: Cluster, *words: str) -> Completed:
    """Run a command as alice where nobody can make a user namespace."""
    return site.run("root", ["bash", "-c", WITHOUT_NAMESPACES, "bash", *words])


def test_a_starter_called_by_hand_is_stopped(runtime: Runtime, agents: Agents) -> None:
    """Without the command line nobody asks early; the starter asks all the same."""
    agent = agents(verdict("allow"))
    variables = configuration(runtime)
    agent.script = verdict("block")
    agent.asked.clear()
    done = runtime.site.run("alice", by_hand(runtime, variables))
    assert (done.returncode, done.stdout) == (REFUSED, ""), done.output
    assert STOPPED in done.stderr
    assert [is_early(ask) for ask in agent.asked] == [False]


def test_what_the_command_line_hands_over_decides_nothing(runtime: Runtime, agents: Agents) -> None:
    """A forged reference of a warning silences that warning, and nothing else."""
    agent = agents(verdict("allow"))
    variables = configuration(runtime)
    engine = json.loads(variables["ENGINE_CONFIG1"])
    assert engine["plugin"]["sifgate"]["typed"] == IMAGE
    engine["plugin"]["sifgate"] = {"origin": {"rank": 0, "job": "1"}, "typed": "clean.sif", "told": REFERENCE}
    variables["ENGINE_CONFIG1"] = json.dumps(engine)
    agent.script = verdict("block")
    done = runtime.site.run("alice", by_hand(runtime, variables))
    assert (done.returncode, done.stdout) == (REFUSED, ""), done.output
    assert STOPPED in done.stderr


def test_a_hidden_plugin_is_not_asked(runtime: Runtime, agents: Agents) -> None:
    """Stated, not stopped: whoever may make a user namespace makes one in which the plugin is not there."""
    agent = agents(verdict("block", early="block"))
    place = f"/{PREFIXES}/{runtime.flavour}/libexec/apptainer/plugin"
    hide = f"mount -t tmpfs none {place} && {runtime.program} exec --userns {IMAGE} echo PAYLOAD"
    done = runtime.site.run("alice", ["unshare", "-rm", "sh", "-c", hide])
    assert (done.stdout, agent.asked) == ("PAYLOAD\n", []), done.output


def test_without_user_namespaces_the_setuid_flow_binds(site: Cluster, agents: Agents) -> None:
    """An allowed launch runs; a refused one does not, by hand neither; and there is no namespace to hide in."""
    runtime = Runtime(site, "setuid")
    agent = agents(verdict("allow"))
    passed = without_namespaces(site, program("setuid"), "exec", IMAGE, "sh", "-c", "echo PAYLOAD; exit 7")
    assert (passed.returncode, passed.stdout) == (7, "PAYLOAD\n"), passed.output
    variables = configuration(runtime)
    agent.script = verdict("block")
    for words in ([program("setuid"), "exec", IMAGE, "echo", "PAYLOAD"], by_hand(runtime, variables)):
        refused = without_namespaces(site, *words)
        assert (refused.returncode, refused.stdout) == (REFUSED, ""), refused.output
        assert STOPPED in refused.stderr
    asked = len(agent.asked)
    for words in (["unshare", "-rm", "true"], [program("unprivileged"), "exec", IMAGE, "echo", "PAYLOAD"]):
        done = without_namespaces(site, *words)
        assert (done.returncode != 0, "PAYLOAD" in done.stdout) == (True, False), done.output
    assert not [ask for ask in agent.asked[asked:] if not is_early(ask)]
    assert site.strays() == []
