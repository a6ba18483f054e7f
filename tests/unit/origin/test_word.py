# SPDX-License-Identifier: Apache-2.0
"""Which word of the command is the image: what a shim replaces by the file that was judged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.model.image import ReferenceKind
from sifgate.origin.sighting import RawLaunch
from sifgate.origin.slurm import sightings


def words_of(*argv: str, **more: str) -> list[int]:
    """Return the index of the image in each launch that is seen."""
    return [seen.word for seen in sightings(RawLaunch(argv=argv, cwd="/w", env=more))]


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ("apptainer exec x.sif true", 2),
        ("apptainer -q --debug exec --bind /a --nv -B /b,/c x.sif true", 9),
        ("singularity run docker://debian:12", 2),
        ("apptainer run oci:dir:tag", 2),
        ("apptainer instance start x.sif name", 3),
        ("run-singularity x.sif arg", 1),
        ("env A=b timeout 60 apptainer exec x.sif true", 6),
        ("mpirun -n 4 apptainer exec x.sif true", 5),
        ("mpirun -n 1 hostname : -n 2 apptainer exec x.sif true", 9),
        ("nice apptainer exec x.sif x.sif", 3),
        ("./x.sif arg", 0),
        ("apptainer oci run --bundle b name", 0),
    ],
)
def test_image_is_found_at_its_place(argv: str, word: int) -> None:
    """Whatever stands before it is counted."""
    assert words_of(*argv.split()) == [word]


@pytest.mark.parametrize(
    "argv",
    [
        ("bash", "-c", "apptainer exec x.sif true"),
        ("x", "bash", "-c", "apptainer exec $0 true", "x.sif"),
        (
            "mpirun",
            "-n",
            "1",
            "apptainer",
            "exec",
            "x.sif",
            "a",
            ":",
            "-n",
            "1",
            "apptainer",
            "exec",
            "x.sif",
            "b",
        ),
        ("apptainer", "exec", "--unheard-of", "x.sif", "true"),
    ],
)
def test_image_that_is_no_single_word_is_none(argv: tuple[str, ...]) -> None:
    """In a shell's text, at two places, or in words that cannot be read: no word is named."""
    assert set(words_of(*argv)) == {0}


def test_image_of_an_option_is_no_word() -> None:
    """What Slurm's own container option names stands in the environment."""
    assert words_of("true", SLURM_CONTAINER="/b") == [0]


TYPED = "apptainer exec run -B /a --nv env A=b bash -c : mpirun -n 2 instance start oci --bundle x.sif -- docker://d"
WORDS = st.sampled_from([*TYPED.split(), "apptainer exec y.sif", "timeout"])


@given(st.lists(WORDS, max_size=12))
def test_word_is_always_the_image_as_typed(argv: list[str]) -> None:
    """Where a word is named, it is the image's own."""
    for seen in sightings(RawLaunch(argv=tuple(argv), cwd="/w")):
        assert seen.word == 0 or argv[seen.word] == seen.reference.text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/proc/self/fd/9", ReferenceKind.PATH),
        ("/proc/thread-self/fd/9", ReferenceKind.PATH),
        ("/dev/fd/9", ReferenceKind.PATH),
        ("/dev/stdin", ReferenceKind.PATH),
        ("/proc/self/fd/../exe", ReferenceKind.UNKNOWN),
        ("/proc/self/root/x.sif", ReferenceKind.UNKNOWN),
        ("/proc/self/fd/9/x.sif", ReferenceKind.UNKNOWN),
        ("/proc/self/fd/9\n", ReferenceKind.UNKNOWN),
        ("/dev/fd/../../tmp/x.sif", ReferenceKind.UNKNOWN),
    ],
)
def test_descriptors_of_the_process_are_paths_for_it_alone(text: str, kind: ReferenceKind) -> None:
    """Exactly a descriptor can be opened, by who is the process; to all others it is unknown."""
    argv = ("apptainer", "exec", text, "true")
    (own,) = sightings(RawLaunch(argv=argv, cwd="/w", own_paths=True))
    (foreign,) = sightings(RawLaunch(argv=argv, cwd="/w"))
    assert (own.reference.kind, foreign.reference.kind) == (kind, ReferenceKind.UNKNOWN)


@pytest.mark.parametrize(("length", "kind"), [(8192, ReferenceKind.PATH), (8193, ReferenceKind.UNKNOWN)])
def test_word_that_no_kernel_opens_is_no_path(length: int, kind: ReferenceKind) -> None:
    """It would not be kept whole in the record, so it must not be judged as a path either."""
    text = "/" + "ü" * ((length - 1) // 2) + "x" * ((length - 1) % 2)
    (seen,) = sightings(RawLaunch(argv=("apptainer", "exec", text, "true"), cwd="/w"))
    assert seen.reference.kind is kind
