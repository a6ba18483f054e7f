# SPDX-License-Identifier: Apache-2.0
"""Slurm's own Lua plugins ask too, in the controller and in the client: they warn, or refuse where the site says so."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.again import again
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.agent import eventually

from sifgate.doors.submit import DOOR, SWITCH

pytestmark = pytest.mark.cluster
ALLOW: list[Step] = [("decide", "allow", {})]
NOTICE = "sifgate: launch refused: two KEV\n  why    CVE-1 git"
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]
SCRIPT = '#!/bin/bash\n# it\'s "quoted" $(touch /tmp/owned) `touch /tmp/owned`\necho runs\n'
SETTINGS = ("JobSubmitPlugins=lua", "CliFilterPlugins=cli_filter/lua")
Login = Callable[[Sequence[Step]], ScriptedAgent]


def _filters(root: Path) -> None:
    """Place both Lua files as they are shipped; the client's only once a test wants it."""
    shutil.copy(root / "usr/share/sifgate/slurm/job_submit.lua", root / "etc/slurm/job_submit.lua")
    (root / "etc/slurm/cli_filter.lua").write_text(QUIET)


QUIET = "".join(
    f"function slurm_cli_{name} return slurm.SUCCESS end\n"
    for name in ("setup_defaults(o, e)", "pre_submit(o, p)", "post_submit(p, j, s)")
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a node without the SPANK plugin, and a controller with the job_submit.lua that is shipped."""
    prepare = [install.submission, _filters]
    with Cluster(nodes=("n1",), settings=SETTINGS, prepare=prepare) as running:
        yield running


@pytest.fixture
def login(cluster: Cluster) -> Iterator[Login]:
    """Return a function that starts a scripted agent beside the controller and the users."""
    with ExitStack() as stack:

        def start(script: Sequence[Step]) -> ScriptedAgent:
            return stack.enter_context(ScriptedAgent(cluster.login / "run/agent.sock", script))

        yield start


def _fresh(script: Path) -> None:
    """Make a script one that slurmctld reads again: later, in whole seconds, than the version that it has read."""
    read = int(script.stat().st_mtime)
    eventually(lambda: time.time() >= read + 1)
    script.touch()


@pytest.fixture
def refusing(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Return a function that makes one of the two files a refusing one; what was there comes back."""
    kept: dict[Path, str] = {}

    def switch(name: str) -> None:
        file = cluster.tree / "etc/slurm" / name
        kept[file] = file.read_text()
        shipped = (cluster.tree / "usr/share/sifgate/slurm" / name).read_text()
        _fresh(file)
        file.write_text(shipped.replace("REFUSE = false", "REFUSE = true"))

    yield switch
    for file, text in kept.items():
        _fresh(file)
        file.write_text(text)


def _sbatch(cluster: Cluster, text: str = SCRIPT, *words: str) -> tuple[int, str, str]:
    done = cluster.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out", *words], text=text)
    output = ""
    if done.returncode == 0:
        cluster.wait_job(done.stdout.strip())
        output = (cluster.scratch / "out").read_text()
    return done.returncode, done.stderr, output


def _told(cluster: Cluster, text: str = SCRIPT, *words: str) -> tuple[int, str, str]:
    """Submit until the agent was heard in time."""
    return again(lambda: _sbatch(cluster, text, *words), lambda told: "sifgate" in told[1])


def test_the_controller_warns(cluster: Cluster, login: Login) -> None:
    """The default: the user reads the notice, said to be of a later launch, and the job runs."""
    agent = login(BLOCK)
    code, said, output = _told(cluster)
    assert (code, output) == (0, "runs\n")
    assert "sbatch: sifgate: launch refused: two KEV" in said
    assert "the job is accepted; this was about its launch, later on" in said
    ask = agent.asked[-1]
    assert (ask.text("door"), ask.text("script"), ask.text("cwd")) == ("submit", SCRIPT, "/home/alice")


def test_the_controller_refuses_where_the_site_says_so(
    cluster: Cluster, login: Login, refusing: Callable[[str], None]
) -> None:
    """No job comes to be, by sbatch or by an srun that makes one; no client can evade it. An allowed one is silent."""
    refusing("job_submit.lua")
    with ScriptedAgent(cluster.login / "run/agent.sock", BLOCK) as agent:
        code, said, _ = _told(cluster)
        assert code == 1
        assert "sifgate: launch refused: two KEV" in said
        assert "later on" not in said
        line = ["srun", "true", "apptainer", "x.sif"]
        assert again(lambda: cluster.run("alice", line).returncode, lambda code: code == 1) == 1
        assert agent.asked[-1].every("arg") == [b"true", b"apptainer", b"x.sif"]
        assert cluster.jobs() == []
    login(ALLOW)
    assert _sbatch(cluster) == (0, "", "runs\n")


def test_the_client_refuses_where_the_site_says_so(
    cluster: Cluster, login: Login, refusing: Callable[[str], None]
) -> None:
    """cli_filter.lua reads script files and --wrap as the user, and refuses before anything is contacted."""
    refusing("cli_filter.lua")
    agent = login(BLOCK)
    (cluster.scratch / "job.sh").write_text(SCRIPT)
    asked: list[str] = []
    for words in (["/scratch/job.sh", "a"], ["--wrap", "echo runs"]):
        code, said, _ = _told(cluster, "", *words)
        assert code == 1
        assert said.startswith(f"{NOTICE}\n")
        asked.append(agent.asked[-1].text("script"))
    assert asked == [SCRIPT, "#!/bin/sh\necho runs"]
    assert agent.asked[0].every("arg") == [b"/scratch/job.sh", b"a"]
    line = ["salloc", "-Q", "true", "apptainer"]
    assert again(lambda: cluster.run("alice", line).returncode, lambda code: code == 1) == 1


def test_no_text_of_a_user_is_run_by_the_shell(cluster: Cluster, login: Login) -> None:
    """Quotes, substitutions and newlines in script, words and directory reach the agent as they are."""
    agent = login(ALLOW)
    evil = "a'b\"c$(touch /tmp/owned)`touch /tmp/owned`\n;touch /tmp/owned;&|<>"
    assert _sbatch(cluster, f"#!/bin/sh\n: '{evil}\n")[0] == 0
    assert cluster.run("alice", ["srun", "true", evil, "--", "--uid=0", "-"]).returncode == 0
    assert agent.asked[0].text("script") == f"#!/bin/sh\n: '{evil}\n"
    assert agent.asked[1].every("arg") == [b"true", evil.encode(), b"--", b"--uid=0", b"-"]
    assert cluster.run("root", ["ls", "/tmp/owned"]).returncode != 0


MAD: dict[str, list[Step]] = {
    "silent": [("sleep", 3)],
    "garbage": [("send", b"\xff\x00garbage")],
    "closes": [("close",)],
}


@pytest.mark.parametrize("name", [*MAD, "absent"])
def test_a_mad_agent_holds_no_submission(
    cluster: Cluster, login: Login, refusing: Callable[[str], None], name: str
) -> None:
    """Nothing is known within 50 ms: the job is submitted, without a word."""
    refusing("job_submit.lua")
    if name != "absent":
        login(MAD[name])
    began = time.monotonic()
    done = cluster.run("alice", ["sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"])
    assert time.monotonic() - began < 2.0
    assert (done.returncode, done.stderr) == (0, "")
    cluster.wait_job(done.stdout.strip())


def test_a_huge_script_is_submitted_as_ever(cluster: Cluster, login: Login) -> None:
    """What does not fit one command line is not asked about here; its launch will be judged."""
    login(BLOCK)
    text = f"#!/bin/bash\necho runs\nexit\n{'# x' * 100_000}\n"
    assert _sbatch(cluster, text) == (0, "", "runs\n")


def test_missing_parts_stop_no_job(cluster: Cluster, login: Login) -> None:
    """A controller without sifgate-ask, or without our table, accepts jobs as ever."""
    login(BLOCK)
    for part in (f"/{install.LIBEXEC}/sifgate-ask", "/usr/share/sifgate/slurm/sifgate.lua"):
        cluster.run("root", ["mv", part, f"{part}.away"]).check()
        _fresh(cluster.tree / "etc/slurm/job_submit.lua")
        try:
            assert _sbatch(cluster) == (0, "", "runs\n")
        finally:
            cluster.run("root", ["mv", f"{part}.away", part]).check()
            _fresh(cluster.tree / "etc/slurm/job_submit.lua")


def test_the_door(cluster: Cluster, login: Login) -> None:
    """Placed, seen, and switched off without taking a file from under slurmctld."""
    login(BLOCK)
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    tree, place = cluster.tree, cluster.tree / "etc/slurm/job_submit.lua"
    _fresh(place)
    place.unlink()
    assert DOOR.state(tree).present is False
    said = DOOR.install(tree, parser.parse_args(["--job-submit"]))
    assert said == ["/etc/slurm/job_submit.lua: placed; it warns until it says REFUSE = true"]
    assert DOOR.install(tree, parser.parse_args(["--job-submit"])) == []
    assert DOOR.state(tree).detail == "job_submit.lua"
    assert "sifgate:" in _told(cluster)[1]
    assert DOOR.remove(tree) == [f"{SWITCH}: made, nothing is said at submission"]
    assert DOOR.remove(tree) == []
    assert (DOOR.state(tree).present, place.exists()) == (False, True)
    assert _sbatch(cluster) == (0, "", "runs\n")
    assert DOOR.install(tree, parser.parse_args(["--job-submit"])) == [f"{SWITCH}: removed"]
