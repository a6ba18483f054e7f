# SPDX-License-Identifier: Apache-2.0
"""`sifgate wrapper install | remove` in trees with a real dpkg, with rpm's way of writing, and with prefixes."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sifgate.doors.door import DoorState
from sifgate.doors.memory import Memory
from sifgate.doors.runtime import MARK
from sifgate.doors.wrapper import DOOR
from sifgate.errors import ConfigError

pytestmark = pytest.mark.native
WRAPPER = b"\x7fELF" + MARK
Package = Callable[[str], None]


def program(version: str) -> bytes:
    """Return the bytes of a program of the runtime."""
    return b"\x7fELF apptainer " + version.encode()


def install(tree: Path, prefix: Path | None = None) -> list[str]:
    """Put the door in place as the verb does."""
    done = DOOR.install(tree, argparse.Namespace(prefix=prefix))
    Memory(tree).installed("wrapper", ["--prefix", str(prefix)] if prefix else [])
    return done


def put(path: Path, content: bytes) -> Path:
    """Write a program the way a package manager does: beside it, then one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spare = path.with_name(path.name + ".new")
    spare.write_bytes(content)
    spare.chmod(0o755)
    spare.replace(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return an empty tree with our wrapper where packages put it."""
    root = tmp_path / "tree"
    put(root / "usr/libexec/sifgate/sifgate-wrapper", WRAPPER)
    return root


@pytest.fixture
def package(tree: Path, tmp_path: Path) -> Package:
    """Return a function that installs a version of a package with /usr/bin/apptainer and a link to it, by dpkg."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg here")
    for name in ("info", "updates"):
        (tree / "var/lib/dpkg" / name).mkdir(parents=True)
    (tree / "var/lib/dpkg/status").touch()

    def at(version: str) -> None:
        source = tmp_path / f"apptainer-{version}"
        put(source / "usr/bin/apptainer", program(version))
        (source / "usr/bin/singularity").symlink_to("apptainer")
        (source / "DEBIAN").mkdir()
        (source / "DEBIAN/control").write_text(
            f"Package: apptainer\nVersion: {version}\nArchitecture: all\nMaintainer: test\nDescription: test\n"
        )
        deb = tmp_path / f"{version}.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", source, deb], check=True, capture_output=True)
        dpkg(tree, "--install", str(deb))

    return at


def dpkg(tree: Path, *words: str) -> None:
    """Run dpkg on the tree."""
    command = ["dpkg", f"--root={tree}", "--force-not-root", "--force-script-chrootless", *words]
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    subprocess.run(command, check=True, capture_output=True, env=environment)


def lies(tree: Path) -> tuple[bytes, bytes]:
    """Return what lies under the program's name, and under its second one; empty where nothing does."""
    paths = (tree / "usr/bin/apptainer", tree / "usr/bin/apptainer.real")
    found = tuple(path.read_bytes() if path.exists() else b"" for path in paths)
    assert not list((tree / "usr/bin").glob(".sifgate-*"))
    return found[0], found[1]


def state(tree: Path) -> DoorState:
    """Return how the door lies."""
    return DOOR.state(tree)


def test_a_program_of_dpkg_is_diverted_and_put_back(tree: Path, package: Package) -> None:
    """Twice is as good as once, both ways; links to the program lead to the wrapper."""
    package("1")
    assert (state(tree).present, state(tree).applicable) == (False, True)
    first, again = install(tree), install(tree)
    assert (len(first), again) == (3, [])
    assert lies(tree) == (WRAPPER, program("1"))
    assert (tree / "usr/bin/singularity").read_bytes() == WRAPPER
    assert (state(tree).present, state(tree).problem) == (True, "")
    assert (len(DOOR.remove(tree)), DOOR.remove(tree)) == (2, [])
    assert lies(tree) == (program("1"), b"")
    package("2")
    assert lies(tree) == (program("2"), b"")


def test_an_upgrade_of_the_package_leaves_the_wrapper(tree: Path, package: Package) -> None:
    """The package manager writes to the diverted name, without anything of ours having to run."""
    package("1")
    install(tree)
    package("2")
    assert lies(tree) == (WRAPPER, program("2"))
    assert (install(tree), state(tree).problem) == ([], "")


def test_a_removed_package_comes_back_behind_the_wrapper(tree: Path, package: Package) -> None:
    """Meanwhile the wrapper stays and doctor says that there is nothing behind it."""
    package("1")
    install(tree)
    dpkg(tree, "--remove", "apptainer")
    assert lies(tree) == (WRAPPER, b"")
    assert "no program behind /usr/bin/apptainer" in state(tree).problem
    assert install(tree) == []
    package("2")
    assert (lies(tree), state(tree).problem) == ((WRAPPER, program("2")), "")
    dpkg(tree, "--remove", "apptainer")
    DOOR.remove(tree)
    assert lies(tree) == (b"", b"")


def test_an_interrupted_install_is_finished_by_the_next(tree: Path, package: Package) -> None:
    """Whatever step was the last: diverted only, diverted and upgraded, or with two names for one program."""
    package("1")
    install(tree)
    (tree / "usr/bin/apptainer").unlink()
    install(tree)
    assert lies(tree) == (WRAPPER, program("1"))
    put(tree / "usr/bin/apptainer", program("0"))
    install(tree)
    assert lies(tree) == (WRAPPER, program("1"))
    (tree / "usr/bin/apptainer").unlink()
    os.link(tree / "usr/bin/apptainer.real", tree / "usr/bin/apptainer")
    install(tree)
    assert lies(tree) == (WRAPPER, program("1"))


def test_rpm_writes_over_the_wrapper_and_it_is_put_back(tree: Path) -> None:
    """What the package wrote last is what runs behind it, whatever was left there."""
    put(tree / "usr/bin/apptainer", program("1"))
    install(tree)
    put(tree / "usr/bin/apptainer", program("2"))
    assert (state(tree).present, state(tree).remedy) == (False, "sifgate wrapper install")
    assert len(install(tree)) == 2
    assert lies(tree) == (WRAPPER, program("2"))
    put(tree / "usr/bin/apptainer", program("3"))
    DOOR.remove(tree)
    assert lies(tree) == (program("3"), b"")


def test_rpm_removes_the_program_and_nothing_stays(tree: Path) -> None:
    """The wrapper went with the package's file; the second name goes with the trigger."""
    put(tree / "usr/bin/apptainer", program("1"))
    install(tree)
    (tree / "usr/bin/apptainer").unlink()
    assert install(tree) == ["apptainer.real: left over from a program that is gone, removed"]
    assert (lies(tree), state(tree).applicable) == ((b"", b""), False)


def test_a_new_release_of_the_wrapper_replaces_the_old(tree: Path) -> None:
    """Known by its mark, whatever else is in it."""
    put(tree / "usr/bin/apptainer", program("1"))
    install(tree)
    put(tree / "usr/libexec/sifgate/sifgate-wrapper", WRAPPER + b" 2")
    assert "another release" in state(tree).problem
    assert len(install(tree)) == 1
    assert lies(tree) == (WRAPPER + b" 2", program("1"))


def test_a_prefix_is_remembered(tree: Path) -> None:
    """`remove`, and an install by a trigger, know every place that was ever named."""
    prefix = Path("/opt/apptainer-1.4")
    inside = put(tree / "opt/apptainer-1.4/bin/apptainer", program("1"))
    install(tree, prefix)
    put(inside, program("2"))
    assert (len(install(tree)), inside.read_bytes()) == (2, WRAPPER)
    assert state(tree).detail == "before /opt/apptainer-1.4/bin/apptainer"
    DOOR.remove(tree)
    assert (inside.read_bytes(), inside.with_name("apptainer.real").exists()) == (program("2"), False)


def test_both_runtimes_are_wrapped(tree: Path) -> None:
    """SingularityCE's program is a file of its own."""
    for name in ("apptainer", "singularity"):
        put(tree / "usr/local/bin" / name, program(name))
    assert len(install(tree)) == 4
    assert (tree / "usr/local/bin/singularity.real").read_bytes() == program("singularity")


@pytest.mark.parametrize("fault", ["nothing", "script", "writable", "directory", "wrapper"])
def test_what_cannot_be_wrapped_is_left_alone(tree: Path, fault: str) -> None:
    """Said with a reason; nothing is changed, not even for the programs before it."""
    first = put(tree / "usr/bin/apptainer", program("1")) if fault != "nothing" else tree / "none"
    second = put(tree / "usr/local/bin/apptainer", b"#!/bin/sh\n" if fault == "script" else program("1"))
    if fault == "nothing":
        second.unlink()
    elif fault == "writable":
        second.chmod(0o775)
    elif fault == "directory":
        second.parent.chmod(0o777)
    elif fault == "wrapper":
        (tree / "usr/libexec/sifgate/sifgate-wrapper").unlink()
    with pytest.raises(ConfigError):
        install(tree)
    assert fault == "nothing" or first.read_bytes() == program("1")
    second.parent.chmod(0o755)


@pytest.mark.root
def test_a_program_of_somebody_else_is_not_wrapped(tree: Path) -> None:
    """Who owns it, or a directory above it, would take the wrapper away."""
    inside = put(tree / "opt/x/bin/apptainer", program("1"))
    os.chown(inside.parent, 65533, 65533)
    with pytest.raises(ConfigError, match="belongs to uid 65533"):
        install(tree, Path("/opt/x"))
    assert inside.read_bytes() == program("1")


def test_the_program_is_never_missing(tree: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every rename, link and removal of install and remove, /usr/bin/apptainer is a whole program."""
    package("1")
    target, seen = tree / "usr/bin/apptainer", []

    def watched(real: Callable[..., object]) -> Callable[..., object]:
        def call(*words: object, **more: object) -> object:
            seen.append(target.read_bytes())
            result = real(*words, **more)
            seen.append(target.read_bytes())
            return result

        return call

    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(Path, name, watched(getattr(Path, name)))
    monkeypatch.setattr(os, "link", watched(os.link))
    install(tree)
    DOOR.remove(tree)
    assert len(seen) > 6
    assert set(seen) == {program("1"), WRAPPER}
