# SPDX-License-Identifier: Apache-2.0
"""A Slurm whose series changes below the plugin: never an outage, and the door's install puts it right."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.scripted import ScriptedAgent

from sifgate.doors import slurm
from sifgate.doors.spank import DOOR
from sifgate.errors import ConfigError

pytestmark = pytest.mark.cluster
SRUN = ["srun", "echo", "apptainer", "ran"]
PLACE = "etc/slurm/plugstack.conf.d/sifgate.conf"
INCLUDE = "include /etc/slurm/plugstack.conf.d/*.conf\n"
OURS = f"/{install.SPANKDIR}/24.11/sifgate.so"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a node of 24.11 with the plugins of all series and, so far, no line."""
    with Cluster(nodes=("n1",), plugstack=INCLUDE, prepare=[install.plugins]) as running:
        yield running


@pytest.fixture(autouse=True)
def bare(cluster: Cluster) -> Iterator[None]:
    """Begin and end without a line, and with an agent that refuses everything."""
    with ScriptedAgent(
        cluster.node_root("n1") / "run/agent.sock", [("decide", "block", {"notice": "sifgate: no"})]
    ):
        yield
    cluster.run("root", ["rm", "-rf", f"/{Path(PLACE).parent}"])


def _options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    return parser.parse_args(words)


def _line(tree: Path) -> str:
    """Return the line in force, or nothing."""
    lines = (tree / PLACE).read_text().splitlines() if (tree / PLACE).exists() else []
    return "\n".join(line for line in lines if not line.startswith("#"))


def _left_by(tree: Path, need: str, series: str) -> None:
    """Write the line that the door wrote for another series, before Slurm was changed below it."""
    (tree / PLACE).parent.mkdir(exist_ok=True)
    (tree / PLACE).write_text(f"{need} /{install.SPANKDIR}/{series}/sifgate.so\n")


def test_install_state_remove(cluster: Cluster) -> None:
    """`optional` at first, in force for the next step, and gone again; doing it twice does nothing."""
    tree = cluster.tree
    assert DOOR.state(tree).present is False
    (said,) = DOOR.install(tree, _options())
    assert said == f"/{PLACE}: optional {OURS} (Slurm 24.11.5 has loaded it)"
    assert DOOR.install(tree, _options()) == []
    state = DOOR.state(tree)
    assert (state.present, state.problem) == (True, "")
    assert "sifgate: no" in cluster.run("alice", SRUN).stderr
    assert DOOR.install(tree, _options("--required", "--argument", "socket=/run/sifgate/agent.sock"))
    assert _line(tree) == f"required {OURS} socket=/run/sifgate/agent.sock"
    assert DOOR.install(tree, _options()) == []  # need and arguments stay as they are
    assert cluster.run("alice", SRUN).returncode == 1
    assert DOOR.remove(tree) == [f"/{PLACE}: removed"]
    assert DOOR.remove(tree) == []
    assert cluster.run("alice", SRUN).returncode == 0


@pytest.mark.parametrize("series", ["22.05", "26.05"], ids=["upgraded", "rolled back"])
def test_an_old_optional_line_harms_nobody(cluster: Cluster, series: str) -> None:
    """Steps run with a complaint of Slurm's; status names it; the package's trigger puts the right plugin there."""
    _left_by(cluster.tree, "optional", series)
    done = cluster.run("alice", SRUN)
    assert (done.returncode, done.stdout) == (0, "apptainer ran\n")
    assert "ncompatible" in done.stderr
    state = DOOR.state(cluster.tree)
    assert "ncompatible" in state.problem
    assert state.remedy == "sifgate spank install"
    DOOR.install(cluster.tree, _options())
    assert _line(cluster.tree) == f"optional {OURS}"
    assert "sifgate: no" in cluster.run("alice", SRUN).stderr


@pytest.mark.parametrize("series", ["22.05", "26.05"], ids=["upgraded", "rolled back"])
def test_an_old_required_line_is_what_the_trigger_is_for(cluster: Cluster, series: str) -> None:
    """Without it every step and job would fail, nodes idle; with it they are judged as before, `required` kept."""
    _left_by(cluster.tree, "required", series)
    done = cluster.run("alice", SRUN)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Failed to load plugin" in done.stderr
    assert cluster.run("alice", ["sbatch", "--wrap", "true"]).returncode == 1
    cluster.wait_idle()
    DOOR.install(cluster.tree, _options())
    assert _line(cluster.tree) == f"required {OURS}"
    assert "sifgate: no" in cluster.run("alice", SRUN).stderr


@pytest.mark.parametrize("need", ["required", "optional"])
@pytest.mark.parametrize("how", ["absent", "garbage", "other series"])
def test_where_no_plugin_fits_the_line_goes(cluster: Cluster, need: str, how: str) -> None:
    """Said loudly, jobs run; once there is a plugin that fits, the line is as it was."""
    tree = cluster.tree
    DOOR.install(tree, _options(f"--{need}"))
    plugin = tree / OURS.lstrip("/")
    kept = plugin.read_bytes()
    plugin.unlink()
    if how == "garbage":
        plugin.write_bytes(b"\x7fELF garbage")
    elif how == "other series":
        shutil.copy(tree / install.SPANKDIR / "22.05/sifgate.so", plugin)
    with pytest.raises(ConfigError, match="TAKEN OUT"):
        DOOR.install(tree, _options())
    assert _line(tree) == ""
    done = cluster.run("alice", SRUN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "apptainer ran\n", "")
    state = DOOR.state(tree)
    assert (state.present, state.remedy) == (False, "sifgate spank install")
    with pytest.raises(ConfigError):
        DOOR.install(tree, _options())
    plugin.unlink(missing_ok=True)
    plugin.write_bytes(kept)
    DOOR.install(tree, _options())
    assert _line(tree) == f"{need} {OURS}"


BROKEN_CLIENTS = {
    "hangs": "#!/bin/sh\nexec sleep 600\n",
    "cannot be run": "#!/no/such/interpreter\n",
    "says nothing": "#!/bin/sh\n",
    "ends with an error": "#!/bin/sh\necho 'srun: fatal: no configuration' >&2; exit 1\n",
}


@pytest.mark.parametrize("how", BROKEN_CLIENTS)
def test_a_broken_client_writes_no_line(cluster: Cluster, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that comes to no end changes nothing; nothing hangs, and status says what is wrong."""
    monkeypatch.setattr(slurm, "LIMIT_S", 1.0)
    client = cluster.tree / "usr/bin/srun"
    with ExitStack() as stack:
        cluster.run("root", ["mv", "/usr/bin/srun", "/usr/bin/srun.kept"]).check()
        stack.callback(cluster.run, "root", ["mv", "-f", "/usr/bin/srun.kept", "/usr/bin/srun"])
        client.write_text(BROKEN_CLIENTS[how])
        client.chmod(0o755)
        with pytest.raises(ConfigError):
            DOOR.install(cluster.tree, _options())
        assert not (cluster.tree / PLACE).exists()
        assert DOOR.state(cluster.tree).problem != ""
        _left_by(cluster.tree, "required", "24.11")
        with pytest.raises(ConfigError):
            DOOR.install(cluster.tree, _options())
        assert bool(_line(cluster.tree)) is (how == "hangs")
    assert list((cluster.tree / "tmp").glob("sifgate-slurm-*")) == []


def test_nothing_is_written_where_it_cannot_work(cluster: Cluster) -> None:
    """A plugstack.conf without our include, or with a line of somebody else's for the same plugin, stays untouched."""
    conf = cluster.tree / "etc/slurm/plugstack.conf"
    with ExitStack() as stack:
        stack.callback(conf.write_text, INCLUDE)
        conf.write_text("# the site's own\n")
        with pytest.raises(ConfigError, match="does not include") as raised:
            DOOR.install(cluster.tree, _options())
        assert raised.value.hint == "add the line `include /etc/slurm/plugstack.conf.d/*.conf` to it"
        conf.write_text(f"{INCLUDE}optional {OURS} timing=/dev/null\n")
        with pytest.raises(ConfigError, match="already has the line"):
            DOOR.install(cluster.tree, _options())
        assert not (cluster.tree / PLACE).exists()
        assert DOOR.remove(cluster.tree) == [
            f"/etc/slurm/plugstack.conf: `optional {OURS} timing=/dev/null` is a comment now"
        ]
        assert conf.read_text() == f"{INCLUDE}# taken out by sifgate: optional {OURS} timing=/dev/null\n"
        assert DOOR.install(cluster.tree, _options())


def test_a_missing_plugstack_conf_is_made(cluster: Cluster) -> None:
    """Slurm without one loads no plugin, and says nothing."""
    conf = cluster.tree / "etc/slurm/plugstack.conf"
    conf.unlink()
    said = DOOR.install(cluster.tree, _options())
    assert said[0] == f"/etc/slurm/plugstack.conf: made, with `{INCLUDE.strip()}`"
    assert "sifgate: no" in cluster.run("alice", SRUN).stderr


def test_configless_nodes_have_their_own_line() -> None:
    """The controller ships plugstack.conf, neither what it includes nor the plugin: each node needs its own install."""
    settings = ["SlurmctldParameters=enable_configless"]
    prepare = [install.plugins]
    block = [("decide", "block", {"notice": "sifgate: no"})]
    with (
        Cluster(nodes=("n1",), plugstack=INCLUDE, settings=settings, prepare=prepare, configless=True) as own,
        ScriptedAgent(own.node_root("n1") / "run/agent.sock", block),
    ):
        node = own.node_tree("n1")
        DOOR.install(own.tree, _options())  # the controller's own: it reaches no node
        done = own.run("alice", SRUN)
        assert (done.returncode, done.stdout) == (0, "apptainer ran\n")
        assert DOOR.state(node).present is False
        DOOR.install(node, _options("--required"))
        assert DOOR.state(node).present is True
        assert "sifgate: no" in own.run("alice", SRUN).stderr
        own.wait_idle()
        DOOR.remove(node)
        assert own.run("alice", SRUN).returncode == 0
