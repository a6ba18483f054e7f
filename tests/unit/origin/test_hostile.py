# SPDX-License-Identifier: Apache-2.0
"""Any words at all: never an error, never more than linear time, never silent where a runtime is named."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.model.image import ReferenceKind
from sifgate.origin.sighting import RawLaunch
from sifgate.origin.slurm import sightings

MIB = 1 << 20
TEXT = 250_000
"""Characters of shell text just below the bound."""
PIECES = st.sampled_from([
    "apptainer", "singularity", "exec", "run", "x.sif", "-B", "--bind=", "-c", "bash", "env", "A=b", "$A", "$(", ")",
    "`", "'", '"', "\\", "\n", ";", "&&", "|", "<<EOF", "EOF", "${", "}", "$((", "))", "(", "#", " ", "%t", "cd", ":",
    "mpirun", "timeout", "-k", "--", "-", "", "instance", "start", "oci", "eval", "$@", "~", "*", "\udcff", "\0",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=30).map(" ".join),
    st.lists(PIECES, max_size=30).map("".join),
)
WORDS = st.lists(st.one_of(PIECES, TEXTS), max_size=20).map(tuple)


@given(
    argv=WORDS,
    multiprog=st.booleans(),
    script=TEXTS,
    env=st.dictionaries(TEXTS, TEXTS, max_size=4),
    cwd=TEXTS,
)
def test_nothing_raises(
    *, argv: tuple[str, ...], multiprog: bool, script: str, env: dict[str, str], cwd: str
) -> None:
    """Whatever the words, there is an answer; paths are absolute."""
    raw = RawLaunch(argv=argv, env=env, cwd=cwd, multiprog=multiprog, script="#!/bin/sh\n" + script)
    for sighting in sightings(raw):
        assert sighting.reference.kind is not ReferenceKind.PATH or sighting.reference.path.startswith("/")
        assert type(sighting.reference.text) is str


@given(words=WORDS)
def test_a_runtime_that_is_the_command_is_never_overlooked(words: tuple[str, ...]) -> None:
    """`apptainer exec` with anything behind is a launch unless it asks for help."""
    asks_help = any(w.startswith("-") and "h" in w for w in words)
    assert asks_help or sightings(RawLaunch(argv=("apptainer", "exec", *words), cwd="/w"))


HOSTILE = {
    "one huge argument": ("apptainer", "exec", "x.sif", "a" * MIB),
    "a huge image name": ("apptainer", "exec", "x" * MIB, "a"),
    "a huge cluster": ("apptainer", "exec", "-" + "c" * MIB, "x.sif"),
    "a huge bind": ("apptainer", "exec", "-B", "/a:/b," * (MIB // 6), "x.sif", "ls"),
    "many flags": ("apptainer", "exec", *["--nv"] * 200_000, "x.sif", "ls"),
    "many words": ("launcher", *["a"] * 200_000, "apptainer", "exec", "x.sif", "ls"),
    "many shells": ("launcher", *["bash"] * 200_000, "apptainer"),
    "many shell texts": ("launcher", *["bash", "-c", "apptainer "] * 50_000),
    "many shells without a runtime": ("launcher", *["bash", "-c", "x"] * 200_000),
    "many prefixes": (*["env"] * 200_000, "apptainer", "exec", "x.sif", "ls"),
    "many assignments": (*[f"A{n}=b" for n in range(100_000)], "apptainer", "exec", "x.sif", "ls"),
    "many segments": ("mpirun", *[":"] * 200_000, "apptainer", "exec", "x.sif", "ls"),
    "deep substitutions": ("bash", "-c", "apptainer $(" * (TEXT // 12)),
    "many substitutions": ("bash", "-c", "apptainer exec $(a) x.sif;" + "$(a)" * (TEXT // 5)),
    "many open quotes": ("bash", "-c", "apptainer exec x.sif ls\n" + "'\"" * (TEXT // 3)),
    "many arithmetics": ("bash", "-c", "apptainer exec x.sif ls\n" + "$((" * (TEXT // 4)),
    "many braces": ("bash", "-c", "apptainer exec x.sif ls\n" + "${a:-" * (TEXT // 6)),
    "many dollars": ("bash", "-c", "apptainer exec x.sif ls\n" + "$'" * (TEXT // 3)),
    "many here documents": ("bash", "-c", "apptainer exec x.sif ls\n" + "cat <<E\n" * (TEXT // 9)),
    "nested here documents": ("bash", "-c", "cat <<A\napptainer exec x.sif ls\n" * (TEXT // 32)),
    "doubling variables": ("bash", "-c", "A=apptainer\n" + "A=$A$A\n" * 100 + "apptainer exec $A $A $A"),
    "more text than is read": ("bash", "-c", "apptainer exec x.sif ls\n" * 50_000),
    "many variables": (
        "bash",
        "-c",
        "apptainer exec x.sif ls\n" + "".join(f"A{n}=b\n(:)\n" for n in range(16_000)),
    ),
    "many commands": ("bash", "-c", "apptainer exec x.sif ls;" * (TEXT // 25)),
    "many images": ("bash", "-c", "".join(f"apptainer exec {n}.sif ls;" for n in range(9_000))),
    "backslashes": ("bash", "-c", "apptainer exec x.sif ls " + "\\" * TEXT),
    "parentheses": ("bash", "-c", "apptainer exec x.sif ls " + "(" * TEXT),
    "nested evals": ("bash", "-c", "eval " * 45_000 + "apptainer exec x.sif ls"),
}


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("argv", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_takes_seconds_not_minutes(argv: tuple[str, ...]) -> None:
    """Time is about linear in the words, and a runtime that is named is seen."""
    begin = time.process_time()
    found = sightings(RawLaunch(argv=argv, cwd="/w"))
    assert time.process_time() - begin < 2.0
    assert bool(found) == any("apptainer" in word for word in argv)
    assert len(found) <= 257


@pytest.mark.usefixtures("untraced")
def test_a_hostile_multi_prog_file_and_script_are_bounded() -> None:
    """A megabyte of quotes, ranks or lines is read in seconds."""
    for text in (
        "'" * MIB,
        "0 '\"" * (MIB // 4),
        "0-63 apptainer exec %t.sif x\n" * 20_000,
        "\\\n" * (MIB // 2),
    ):
        begin = time.process_time()
        sightings(RawLaunch(argv=("conf", text, ""), cwd="/w", multiprog=True))
        sightings(RawLaunch(argv=("script",), cwd="/w", script="#!/bin/sh\napptainer " + text))
        assert time.process_time() - begin < 4.0


def test_more_images_than_are_judged_end_in_an_unknown_one() -> None:
    """Hiding an image behind hundreds of others makes the launch unknown."""
    text = "".join(f"apptainer exec {n}.sif ls\n" for n in range(1000))
    found = sightings(RawLaunch(argv=("bash", "-c", text), cwd="/w"))
    assert found[-1].reference.kind is ReferenceKind.UNKNOWN


def test_ranks_of_a_long_line_are_not_written_out() -> None:
    """A line of megabytes for 64 ranks would be as many times its size: its images are unknown instead."""
    line = "0-63 apptainer exec %t.sif" + " %t" * 300_000
    found = sightings(RawLaunch(argv=("srun", line), cwd="/w", multiprog=True))
    assert [sighting.reference.kind for sighting in found] == [ReferenceKind.UNKNOWN]
    assert len(sightings(RawLaunch(argv=("srun", line[:200]), cwd="/w", multiprog=True))) == 64
