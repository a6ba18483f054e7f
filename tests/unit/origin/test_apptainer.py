# SPDX-License-Identifier: Apache-2.0
"""The grammar of Apptainer and SingularityCE, form by form and flag by flag."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sifgate.model.image import ReferenceKind
from sifgate.origin import apptainer, grammar
from sifgate.origin.grammar import GRAMMAR
from sifgate.origin.sighting import Sighting

FULL = Path(
    os.environ.get("SIFGATE_FLAGS", Path(__file__).parents[4] / "shared/reference/apptainer_flags.json")
)
CWD = "/data/alice"
IMAGE = "/data/alice/x.sif"


def read(*words: str, **env: str) -> Sighting | None:
    """Return what the words start in /data/alice."""
    return apptainer.read(words, env, CWD)


FORMS = {
    "plain": ("apptainer exec x.sif ls", "exec"),
    "singularity": ("singularity exec x.sif ls", "exec"),
    "absolute program": ("/opt/apptainer/1.4/bin/apptainer exec x.sif ls", "exec"),
    "absolute image": ("apptainer run /data/alice/x.sif", "run"),
    "dot slash": ("apptainer run ./x.sif", "run"),
    "root flag": ("apptainer -q exec x.sif ls", "exec"),
    "root flag with value": ("apptainer -c /etc/other.conf exec x.sif ls", "exec"),
    "root flag glued": ("apptainer --config=/etc/other.conf --debug exec x.sif ls", "exec"),
    "root short glued": ("apptainer -c/etc/other.conf -dq exec x.sif", "exec"),
    "long with equals": ("apptainer exec --bind=/data x.sif ls", "exec"),
    "long with word": ("apptainer exec --bind /data x.sif ls", "exec"),
    "short with word": ("apptainer exec -B /data x.sif ls", "exec"),
    "short glued": ("apptainer exec -B/data:/data x.sif ls", "exec"),
    "short with equals": ("apptainer exec -B=/data x.sif ls", "exec"),
    "cluster": ("apptainer exec -cCe x.sif ls", "exec"),
    "cluster with value glued": ("apptainer exec -ceB/data:/data x.sif ls", "exec"),
    "cluster with value word": ("apptainer exec -ceB /data x.sif ls", "exec"),
    "boolean": ("apptainer exec --nv x.sif ls", "exec"),
    "boolean false": ("apptainer exec --nv=false x.sif ls", "exec"),
    "boolean short false": ("apptainer exec -c=0 x.sif ls", "exec"),
    "value like a flag": ("apptainer exec --pwd --nv x.sif ls", "exec"),
    "double dash": ("apptainer exec --nv -- x.sif ls", "exec"),
    "double dash as value": ("apptainer exec --pwd -- x.sif ls", "exec"),
    "flags of the payload": ("apptainer exec x.sif ls -B --unknown", "exec"),
    "hidden flags": (
        "apptainer exec --no-nv --tmpdir /t --docker-username u --ignore-subuid x.sif ls",
        "exec",
    ),
    "singularity 4 only": ("singularity exec --oci --no-setgroups --cdi-dirs /d x.sif ls", "exec"),
    "apptainer 1.5 only": ("apptainer exec --intel-hpu --sharens x.sif ls", "exec"),
    "old names": ("singularity exec --vm --vm-ram 4 --vm-cpu 2 x.sif ls", "exec"),
    "shell": ("apptainer shell -s /bin/zsh x.sif", "shell"),
    "test": ("apptainer test --app a x.sif", "test"),
    "run with app": ("singularity run --app=a x.sif --flag", "run"),
    "instance start": ("apptainer instance start --boot x.sif name arg", "instance start"),
    "instance run": ("apptainer instance run -B /data x.sif name", "instance run"),
    "run-singularity": ("run-singularity x.sif arg", "run"),
    "run-singularity absolute": ("/usr/bin/run-singularity ./x.sif arg", "run"),
    "overlay flag": ("apptainer exec -o over.img:ro x.sif ls", "exec"),
    "env flag": ("apptainer exec --env A=b,C=d x.sif ls", "exec"),
    "fakeroot": ("apptainer exec -f -w x.sif ls", "exec"),
    "help is the payload's": ("apptainer exec x.sif ls -h --help", "exec"),
    "help denied": ("apptainer exec --help=false x.sif ls", "exec"),
}


@pytest.mark.parametrize(("line", "verb"), FORMS.values(), ids=FORMS)
def test_the_image_is_found(line: str, verb: str) -> None:
    """Every way of writing a launch names the same image."""
    sighting = read(*line.split())
    assert sighting is not None
    assert (sighting.reference.kind, sighting.reference.path) == (ReferenceKind.PATH, IMAGE)
    assert sighting.verb == verb
    assert sighting.runtime == "apptainer"
    assert sighting.argv == tuple(line.split())


UNREADABLE = (
    "apptainer exec --bogus x.sif ls",
    "apptainer exec -Z x.sif ls",
    "apptainer exec --nv=maybe x.sif ls",
    "apptainer exec",
    "apptainer exec --bind",
    "apptainer exec -B",
    "apptainer exec --",
    "apptainer frobnicate x.sif",
    "apptainer --bogus exec x.sif ls",
    "apptainer exec --bin /data x.sif ls",
    "apptainer instance frobnicate x.sif",
    "apptainer ---nv exec x.sif",
    "apptainer exec --=x x.sif ls",
)


@pytest.mark.parametrize("line", UNREADABLE)
def test_words_that_cannot_be_read_are_unknown_never_nothing(line: str) -> None:
    """A runtime that is named but not understood is a launch of an unknown image."""
    sighting = read(*line.split())
    assert sighting is not None
    assert sighting.reference.kind is ReferenceKind.UNKNOWN
    assert sighting.reference.text == line


NO_LAUNCH = (
    "apptainer",
    "apptainer --version",
    "apptainer -h",
    "apptainer --help exec x.sif ls",
    "apptainer version",
    "apptainer exec --help x.sif",
    "apptainer exec -h x.sif",
    "apptainer exec -ch x.sif ls",
    "apptainer help exec",
    "apptainer build new.sif docker://debian",
    "apptainer pull docker://debian",
    "apptainer inspect x.sif",
    "apptainer cache clean -f",
    "apptainer instance list",
    "apptainer instance stop --all",
    "apptainer instance",
    "apptainer sif list x.sif",
    "apptainer key search x",
    "apptainer oci delete id",
    "apptainer completion bash",
    "apptainer checkpoint create x",
)


@pytest.mark.parametrize("line", NO_LAUNCH)
def test_commands_that_run_no_container_are_no_launch(line: str) -> None:
    """Help, version and the helper verbs start nothing that is in an image."""
    assert read(*line.split()) is None


REFERENCES = {
    "docker://debian:12": ReferenceKind.TRANSPORT,
    "docker:debian": ReferenceKind.TRANSPORT,
    "oras://reg.example/a:1": ReferenceKind.TRANSPORT,
    "library://a/b/c": ReferenceKind.TRANSPORT,
    "oci:/dir:tag": ReferenceKind.TRANSPORT,
    "oci-archive:/a.tar": ReferenceKind.TRANSPORT,
    "docker-archive:/a.tar": ReferenceKind.TRANSPORT,
    "docker-daemon:a:b": ReferenceKind.TRANSPORT,
    "https://host/x.sif": ReferenceKind.TRANSPORT,
    "made-up://x": ReferenceKind.TRANSPORT,
    "instance://web": ReferenceKind.INSTANCE,
    "run:2026/x.sif": ReferenceKind.PATH,
    "a b\n.sif": ReferenceKind.PATH,
    "instance:web": ReferenceKind.PATH,
    "..": ReferenceKind.PATH,
    "-": ReferenceKind.PATH,
    "": ReferenceKind.UNKNOWN,
    "/proc/self/fd/3": ReferenceKind.UNKNOWN,
    "/dev/fd/3": ReferenceKind.UNKNOWN,
    "x\0y": ReferenceKind.UNKNOWN,
}


@pytest.mark.parametrize(("text", "kind"), REFERENCES.items(), ids=map(repr, REFERENCES))
def test_a_reference_is_a_path_unless_its_form_says_otherwise(text: str, kind: ReferenceKind) -> None:
    """Colons alone make no transport; names that mean another file to another process are unknown."""
    sighting = read("apptainer", "exec", text, "ls")
    assert sighting is not None
    assert sighting.reference.kind is kind
    assert sighting.reference.text == text


def test_a_relative_image_needs_a_directory() -> None:
    """Without the launch's directory a relative path could be any file."""
    sighting = apptainer.read(("apptainer", "exec", "x.sif", "ls"), {}, "")
    assert sighting is not None
    assert sighting.reference.kind is ReferenceKind.UNKNOWN


def test_dots_and_links_are_left_to_the_kernel() -> None:
    """`a/..` is not folded: with a symlink in it, the kernel ends elsewhere."""
    sighting = read("apptainer", "exec", "../bob/../x.sif", "ls")
    assert sighting is not None
    assert sighting.reference.path == "/data/alice/../bob/../x.sif"


def test_bytes_that_are_not_utf_8_come_back_as_they_were() -> None:
    """A path is given back to the kernel byte for byte."""
    raw = b"/scratch/\xff\xfe image\n.sif"
    sighting = read("apptainer", "exec", os.fsdecode(raw), "ls")
    assert sighting is not None
    assert os.fsencode(sighting.reference.path) == raw


def test_oci_bundles_are_their_root_file_system() -> None:
    """`oci run` names a bundle, whose root file system is what runs."""
    for line in ("apptainer oci run -b /b id", "singularity oci create --bundle=/b/ id"):
        sighting = read(*line.split())
        assert sighting is not None
        assert sighting.reference.path == "/b/rootfs"
    joined = read("apptainer", "oci", "exec", "id", "ls")
    assert joined is not None
    assert joined.reference.kind is ReferenceKind.INSTANCE


def _uses(name: str, short: str | None, *, takes_value: bool) -> list[list[str]]:
    """Return every way of writing one flag."""
    if takes_value:
        forms = [[f"--{name}=/v"], [f"--{name}", "/v"]]
        return forms if short is None else [*forms, [f"-{short}", "/v"], [f"-{short}/v"], [f"-{short}=/v"]]
    forms = [[f"--{name}"], [f"--{name}=true"], [f"--{name}=0"]]
    return forms if short is None else [*forms, [f"-{short}"], [f"-{short}=1"]]


def _check_flags(command: str, flags: dict[str, Any]) -> int:
    """Exercise every flag of a command; return how many launches were read."""
    names = {name: letter for letter, name in flags["short"].items()}
    count = 0
    for kind in ("bool", "value"):
        for name in flags[kind]:
            for use in _uses(name, names.get(name), takes_value=kind == "value"):
                sighting = read("apptainer", *command.split(), *use, "x.sif", "a")
                assert sighting is not None, (command, use)
                assert sighting.reference.path == IMAGE, (command, use)
                count += 1
    return count


@pytest.mark.parametrize("command", sorted(GRAMMAR.launching))
def test_every_flag_of_the_reduced_table_is_read(command: str) -> None:
    """Each flag in each way of writing it leaves the image where it is."""
    flags = GRAMMAR.flags(command)
    assert flags is not None
    assert _check_flags(command, {"bool": flags.bool, "value": flags.value, "short": flags.short}) > 200


@pytest.mark.skipif(not FULL.is_file(), reason="the full flag table (SIFGATE_FLAGS) is not on this machine")
def test_every_flag_of_every_release_is_read() -> None:
    """The reduced table loses nothing of the full one, whatever product and release."""
    full = json.loads(FULL.read_text(encoding="utf-8"))
    count = 0
    for product in full["products"].values():
        for release in product["versions"].values():
            for command in GRAMMAR.launching:
                if command in release["commands"]:
                    count += _check_flags(command, release["commands"][command])
    assert count > 10_000


@pytest.mark.skipif(not FULL.is_file(), reason="the full flag table (SIFGATE_FLAGS) is not on this machine")
def test_the_reduced_table_is_what_the_script_makes() -> None:
    """Nobody edits the package's data by hand."""
    from testbed.reduce_flags import reduce

    made = reduce(json.loads(FULL.read_text(encoding="utf-8")))
    data = Path(grammar.__file__).with_name("grammar.json")
    assert json.loads(data.read_text(encoding="utf-8")) == made


@pytest.mark.skipif(not FULL.is_file(), reason="the full flag table (SIFGATE_FLAGS) is not on this machine")
def test_every_other_command_of_every_release_is_no_launch() -> None:
    """Commands that run no container are known by name, all of them."""
    full = json.loads(FULL.read_text(encoding="utf-8"))
    starting = {*GRAMMAR.launching, *GRAMMAR.bundled, "oci exec"}
    for product in full["products"].values():
        for release in product["versions"].values():
            for command in set(release["commands"]) - starting:
                assert read("apptainer", *command.split(), "--help") is None, command
                assert read("apptainer", *command.split()) is None, command
