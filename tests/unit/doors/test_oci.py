# SPDX-License-Identifier: Apache-2.0
"""The doors of OCI runtimes and of Enroot, in trees that are being prepared: what is written, taken away, and seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from sifgate.doors import enroot, oci, oci_conf
from sifgate.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[3]
PLAIN, SLURM = argparse.Namespace(slurm=False), argparse.Namespace(slurm=True)
CRUN = 'RunTimeRun="crun run --bundle %b %n.%u.%j.%s.%t"'
APPTAINER = "RunTimeRun=apptainer exec --userns %r %@"
ASKS = "/usr/libexec/sifgate/sifgate-ask run --bundle %b --job %j --step %s --rank %t -- "
ROOTFS = ASKS.replace("--bundle %b", "--rootfs '%r'")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with Podman, Enroot and the program of the doors."""
    for name in ("usr/bin/podman", "usr/bin/enroot", "usr/libexec/sifgate/sifgate-ask"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o755)
    (tmp_path / "etc/slurm").mkdir(parents=True)
    return tmp_path


def _contents(tree: Path) -> dict[str, str]:
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}


def test_sites_without_the_command_line_find_the_same_files() -> None:
    """What configuration management copies from the repository is what the door writes."""
    for name, text in oci.FILES.items():
        assert (REPOSITORY / "hooks/oci" / name).read_text() == text
    assert (REPOSITORY / "hooks/enroot/50-sifgate.sh").read_text() == enroot.SCRIPT
    assert json.loads(oci.FILES["sifgate.json"])["stages"] == ["createRuntime"]


@pytest.mark.parametrize("chosen", [PLAIN, SLURM])
def test_twice_is_as_good_as_once_and_removal_leaves_what_was(tree: Path, chosen: argparse.Namespace) -> None:
    """Not a byte of the site's own files changes."""
    conf = tree / "etc/slurm/oci.conf"
    conf.write_text(f"# ours\nIgnoreFileConfigJson=false\n{CRUN}\nRunTimeQuery=crun state %n\n")
    conf.chmod(0o640)
    before = _contents(tree)
    for door in (oci.DOOR, enroot.DOOR):
        assert door.install(tree, chosen)
        assert door.install(tree, chosen) == []
        assert (door.state(tree).present, door.state(tree).problem) == (True, "")
    assert (ASKS in conf.read_text()) == (chosen is SLURM)
    assert conf.stat().st_mode & 0o777 == 0o640
    for door in (oci.DOOR, enroot.DOOR):
        assert door.remove(tree)
        assert door.remove(tree) == []
        assert not door.state(tree).present
    assert _contents(tree) == before


def test_hooks_without_their_program_are_not_installed(tree: Path) -> None:
    """They would refuse every container of the node."""
    (tree / "usr/libexec/sifgate/sifgate-ask").unlink()
    before = _contents(tree)
    for door in (oci.DOOR, enroot.DOOR):
        with pytest.raises(ConfigError):
            door.install(tree, PLAIN)
    assert _contents(tree) == before


@pytest.mark.parametrize("conf", [None, "", "RunTimeQuery=crun state %n\n", 'RunTimeRun=""\n'])
def test_slurm_without_a_runtime_is_said(tree: Path, conf: str | None) -> None:
    """Then `--container` runs on the host, and nothing is changed."""
    if conf is not None:
        (tree / "etc/slurm/oci.conf").write_text(conf)
    before = _contents(tree)
    with pytest.raises(ConfigError, match=r"oci\.conf"):
        oci.DOOR.install(tree, SLURM)
    assert _contents(tree) == before


def test_a_door_that_cannot_work_says_why(tree: Path) -> None:
    """Program gone, hook changed, hook missing, a containers.conf that leaves the directory out."""
    oci.DOOR.install(tree, PLAIN)
    hooks = tree / "usr/share/containers/oci/hooks.d"
    (tree / "etc/containers").mkdir()
    conf = tree / "etc/containers/containers.conf"
    conf.write_text(
        '# hooks_dir = ["/x"]\n[engine]\nhooks_dir = [\n  "/usr/share/containers/oci/hooks.d",\n "/x"]\n'
    )
    assert oci.DOOR.state(tree).problem == ""
    conf.write_text('[engine]\nhooks_dir = ["/x"]\n')
    assert "hooks_dir" in oci.DOOR.state(tree).problem
    (hooks / "sifgate-notice.json").unlink()
    assert "missing" in oci.DOOR.state(tree).problem
    (hooks / "sifgate.json").write_text("{}")
    assert "not the hooks of this version" in oci.DOOR.state(tree).problem
    (tree / "usr/libexec/sifgate/sifgate-ask").unlink()
    assert "refuse every container" in oci.DOOR.state(tree).problem


def test_a_node_without_runtimes_needs_no_door(tmp_path: Path) -> None:
    """Nothing to do there, and no complaint."""
    for door in (oci.DOOR, enroot.DOOR):
        state = door.state(tmp_path)
        assert (state.present, state.applicable, state.problem) == (False, False, "")


def test_a_door_that_is_missing_is_seen(tree: Path) -> None:
    """With what it would judge."""
    assert oci.DOOR.state(tree).detail == "not in place, and there is podman"
    assert enroot.DOOR.state(tree).applicable


def test_a_changed_script_of_enroot_is_seen(tree: Path) -> None:
    """One that nobody may run is skipped by Enroot in silence."""
    enroot.DOOR.install(tree, PLAIN)
    (tree / enroot.HOOK[1:]).chmod(0o644)
    assert enroot.DOOR.state(tree).problem
    assert enroot.DOOR.install(tree, PLAIN)
    assert not enroot.DOOR.state(tree).problem


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (CRUN, f'RunTimeRun="{ASKS}crun run --bundle %b %n.%u.%j.%s.%t"'),
        (APPTAINER, f"RunTimeRun={ROOTFS}apptainer exec --userns %r %@"),
        ("  runtimecreate = /opt/x create", f"  runtimecreate = {ASKS}/opt/x create"),
        ("RunTimeKill=crun kill", "RunTimeKill=crun kill"),
        ("# RunTimeRun=crun", "# RunTimeRun=crun"),
        ("RunTimeRun=", "RunTimeRun="),
    ],
)
def test_only_lines_that_start_containers_change(line: str, expected: str) -> None:
    """And they change back."""
    text = f"A=b\n{line}\nC=d\n"
    changed = oci_conf.with_ask(text)
    assert changed == f"A=b\n{expected}\nC=d\n"
    assert oci_conf.with_ask(changed) == changed
    assert oci_conf.without_ask(changed) == text


def test_a_link_is_left_to_who_made_it(tree: Path) -> None:
    """An oci.conf that another program manages is not replaced by a file."""
    (tree / "managed").write_text(CRUN)
    (tree / "etc/slurm/oci.conf").symlink_to(tree / "managed")
    with pytest.raises(ConfigError):
        oci.DOOR.install(tree, SLURM)
    assert (tree / "managed").read_text() == CRUN
