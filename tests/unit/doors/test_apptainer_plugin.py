# SPDX-License-Identifier: Apache-2.0
"""The door `apptainer-plugin` before a program that answers as Apptainer does; real ones are in tests/apptainer."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

import pytest

from sifgate.doors import apptainer_plugin
from sifgate.doors.apptainer_plugin import CHECKOUT, DOOR, PLACE, sources, version
from sifgate.doors.apptainer_runtime import CANARY, PLUGIN, Runtime
from sifgate.doors.memory import Memory
from sifgate.errors import ConfigError

ROOT = Path("/")
PROGRAM = """#!/bin/sh
home={home}/plugin/sifgate; meta={home}/plugin/{meta}.meta
strange() {{
    [ ! -e {home}/strange ] || ! grep -q true $meta || {{ echo "FATAL: built with a different version" >&2; exit 255; }}
}}
case "$1 $2" in
buildcfg*)
    strange
    printf 'PACKAGE_VERSION=1.4.5\\nBUILDDIR={home}/source/builddir\\nPLUGIN_ROOTDIR={home}/plugin\\n' ;;
"plugin compile")
    [ ! -e {home}/broken ] || {{ echo "FATAL: wrong Go version" >&2; exit 255; }}
    [ -z "$(find "$5" -name go.mod -o -name '*_test.go')" ] && sed -n 's/.*version = //p' "$5/version.go" >"$4" ;;
"plugin install")
    mkdir -p $home; cp "$3" $home/object.so
    printf '{{"name":"sifgate","version":%s}}' "$(cat "$3")" >$home/object.manifest ;;
"plugin enable") printf '{{"Name":"sifgate","Enabled":true}}' >$meta ;;
"plugin disable") printf '{{"Name":"sifgate","Enabled":false}}' >$meta ;;
"plugin uninstall") rm -r $home $meta ;;
"plugin list") [ ! -d $home ] || echo "yes sifgate" ;;
--version*) strange ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory with such a program, `apptainer`, and its source tree."""
    canary = tmp_path / "source" / CANARY
    canary.parent.mkdir(parents=True)
    canary.touch()
    program = tmp_path / "apptainer"
    program.write_text(PROGRAM.format(home=tmp_path, meta=hashlib.sha256(PLUGIN.encode()).hexdigest()))
    program.chmod(0o755)
    (tmp_path / "plugin").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the node remember an install into this program, and no other."""
    memory = Memory(home)
    memory.installed(DOOR.name, ["--apptainer", str(home / "apptainer")])
    monkeypatch.setattr(apptainer_plugin, "Memory", lambda _: memory)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def chosen(home: Path, *words: str) -> argparse.Namespace:
    """Return the options of an install."""
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    return parser.parse_args(["--apptainer", str(home / "apptainer"), *words])


def test_it_is_compiled_installed_and_enabled_once(home: Path) -> None:
    """The copy in the source tree goes again; a second install finds nothing to do."""
    (line,) = DOOR.install(ROOT, chosen(home))
    assert "1.4.5" in line
    assert not (home / "source" / PLACE).exists()
    assert Runtime(ROOT, str(home / "apptainer")).installed() == version(CHECKOUT)
    assert DOOR.install(ROOT, chosen(home)) == []
    state = DOOR.state(ROOT)
    assert (state.present, state.problem) == (True, "")


def test_running_containers_keep_their_plugin(home: Path) -> None:
    """An upgrade writes into a file of its own: the mapped one is not truncated."""
    DOOR.install(ROOT, chosen(home))
    library = home / "plugin/sifgate/object.so"
    (home / "plugin/sifgate/object.manifest").write_text('{"version":"older"}')
    with library.open("rb") as mapped:
        DOOR.install(ROOT, chosen(home))
        assert not library.samefile(f"/proc/self/fd/{mapped.fileno()}")


def test_other_sources_are_a_problem(home: Path) -> None:
    """After an upgrade of sifgate the plugin is compiled anew."""
    DOOR.install(ROOT, chosen(home))
    (home / "plugin/sifgate/object.manifest").write_text('{"version":"older"}')
    state = DOOR.state(ROOT)
    assert "other sources" in state.problem
    assert "install" in state.remedy
    assert DOOR.install(ROOT, chosen(home)) != []


def test_a_plugin_that_is_not_loaded_is_disabled_again(home: Path) -> None:
    """An install that would stop every launch undoes itself and says why."""
    (home / "strange").touch()
    with pytest.raises(ConfigError, match="different version"):
        DOOR.install(ROOT, chosen(home))
    assert not Runtime(ROOT, str(home / "apptainer")).enabled()
    assert DOOR.state(ROOT).problem == "it is disabled"


def test_a_plugin_of_another_build_is_named_with_the_way_out(home: Path) -> None:
    """Apptainer was built anew and the plugin was not."""
    DOOR.install(ROOT, chosen(home))
    (home / "strange").touch()
    state = DOOR.state(ROOT)
    assert "no container starts" in state.problem
    assert "plugin disable sifgate" in state.remedy


def test_an_install_gets_over_a_plugin_of_another_build(home: Path) -> None:
    """The runtime says nothing before the plugin is disabled; what it loads in the end is what counts."""
    DOOR.install(ROOT, chosen(home))
    (home / "strange").touch()
    with pytest.raises(ConfigError, match="different version"):
        DOOR.install(ROOT, chosen(home))
    assert len(DOOR.remove(ROOT)) == 1


def test_a_compiler_that_fails_changes_nothing(home: Path) -> None:
    """Its last words are the error; nothing is installed, nothing is left."""
    (home / "broken").touch()
    with pytest.raises(ConfigError, match="wrong Go version"):
        DOOR.install(ROOT, chosen(home))
    assert not (home / "source" / PLACE).exists()
    state = DOOR.state(ROOT)
    assert (state.present, state.applicable, state.problem) == (False, True, "")


def test_a_package_is_no_build(home: Path) -> None:
    """Without its source tree an Apptainer is not this door's business."""
    shutil.rmtree(home / "source")
    with pytest.raises(ConfigError, match="loads no plugins"):
        DOOR.install(ROOT, chosen(home))
    state = DOOR.state(ROOT)
    assert (state.present, state.applicable) == (False, False)


def test_removal_is_idempotent(home: Path) -> None:
    """What is not there is not removed twice."""
    DOOR.install(ROOT, chosen(home))
    assert len(DOOR.remove(ROOT)) == 1
    assert DOOR.remove(ROOT) == []
    assert not DOOR.state(ROOT).present


def test_a_node_without_apptainer_has_no_such_door(home: Path) -> None:
    """Nothing to do, no complaint."""
    (home / "apptainer").unlink()
    state = DOOR.state(ROOT)
    assert (state.present, state.applicable, state.problem) == (False, False, "")
    with pytest.raises(ConfigError, match="cannot be run"):
        DOOR.install(ROOT, chosen(home))


def test_sources_are_found_in_the_tree_first(tmp_path: Path) -> None:
    """A tree that is being prepared brings its own."""
    packaged = tmp_path / "usr/lib/sifgate/apptainer-plugin"
    packaged.mkdir(parents=True)
    (packaged / "plugin.go").touch()
    assert sources(tmp_path) == packaged
    assert sources(tmp_path / "none") == CHECKOUT
