# SPDX-License-Identifier: Apache-2.0
"""What the guard works out without the kernel: configuration, deadlines, shares, words of runtimes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GUARD = REPOSITORY / "hooks/guard"
PURE = ("config", "trustfile", "table", "budget", "magic", "json", "words")
Drive = Callable[..., str]

pytestmark = pytest.mark.native


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the driver of the pure parts, built with sanitizers."""
    out = tmp_path_factory.mktemp("guard") / "driver"
    words = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{GUARD}"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [HERE / "guard_driver.c", *(GUARD / f"{name}.c" for name in PURE)]
    subprocess.run([*words, *sanitizers, *sources, "-o", out], check=True)
    return out


@pytest.fixture(scope="session")
def drive(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Return a function that runs a verb on a file of these bytes, or on a word, and returns what it prints."""
    place = tmp_path_factory.mktemp("words") / "file"

    def run(verb: str, content: bytes | str, text: str = "") -> str:
        word = content
        if isinstance(content, bytes):
            place.write_bytes(content)
            place.chmod(0o644)
            word = str(place)
        done = subprocess.run(
            [program, verb, word],
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return run


def environ(document: object) -> bytes:
    """Return an environment with the starter's configuration in one piece."""
    text = document if isinstance(document, str) else json.dumps(document)
    return b"PATH=/bin\0ENGINE_CONFIG1=" + text.encode() + b"\0ENGINE_CONFIG_CHUNKS=1\0"


def config_of(image: str) -> dict[str, object]:
    """Return a configuration shaped like the starter's."""
    return {"engineName": "apptainer", "engineConfig": {"jsonConfig": {"image": image, "imageArg": "x"}}}


@pytest.mark.parametrize("image", ["/a.sif", '/with "quotes" and \\', "/tab\tnewline\n", "/ä€𝄞", "/&<>"])
def test_the_image_of_the_engine_is_read_as_go_wrote_it(drive: Drive, image: str) -> None:
    """Escapes and letters beyond ASCII come back as bytes of the path."""
    assert drive("engine", environ(config_of(image))) == image.strip()
    assert drive("engine", environ(json.dumps(config_of(image), ensure_ascii=False))) == image.strip()


def test_a_configuration_in_pieces_is_put_together(drive: Drive) -> None:
    """The runtime cuts a long configuration into ENGINE_CONFIG1, ENGINE_CONFIG2 and so on."""
    text = json.dumps(config_of("/images/long.sif"))
    pieces = [text[at : at + 20] for at in range(0, len(text), 20)]
    environment = b"".join(f"ENGINE_CONFIG{i}={piece}".encode() + b"\0" for i, piece in enumerate(pieces, 1))
    assert drive("engine", environment) == "/images/long.sif"


@pytest.mark.parametrize(
    "text",
    [
        '{"engineConfig":{"jsonConfig":{"image":"/clean","IMAGE":"/evil"}}}',
        '{"engineConfig":{"jsonConfig":{"image":"/clean"}},"ENGINEconfig":{"jsonCONFIG":{"Image":"/evil"}}}',
        '{"engineConfig":{"j\u017fonConfig":{"\\u0069mage":"/evil"}}}',
        '{"plugin":{"engineConfig":{"jsonConfig":{"image":"/no"}}},"engineConfig":{"jsonConfig":{"image":"/evil"}}}',
    ],
)
def test_keys_match_as_they_do_in_go(drive: Drive, text: str) -> None:
    """Whoever writes the configuration by hand cannot show the guard another image than the starter."""
    assert drive("engine", environ(text)) == "/evil"


@pytest.mark.parametrize(
    "environment",
    [b"", b"PATH=/bin\0", environ("{"), environ("[" * 100_000), environ('{"engineConfig":{"jsonConfig":{"image":7}}}'),
     environ('{"engineConfig":{"jsonConfig":{"image":"\\u0000"}}}'), b'ENGINE_CONFIG1={"a":1}', environ('{"a":"\\'),
     environ(config_of("/" + "x" * 5000))],
)  # fmt: skip
def test_what_is_no_configuration_names_no_image(drive: Drive, environment: bytes) -> None:
    """Cut off, nested without end, with NUL, too long for a path: none of it is an image, none is read beyond."""
    assert drive("engine", environment) == "(none)"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_disturb_the_readers(drive: Drive, noise: bytes) -> None:
    """Sanitizers find nothing wrong, whatever stands in a process' memory."""
    for verb in ("engine", "bundle", "transport", "magic"):
        drive(verb, noise)
    drive("engine", environ("") + noise)
    drive("engine", b"ENGINE_CONFIG1=" + noise.replace(b"\0", b"{") + b"\0")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["crun", "run", "c1"], "- -"),
        (["crun", "--cgroup-manager=disabled", "run", "--bundle", "/b", "c1"], "/b -"),
        (["runc", "run", "--bundle=/b", "c1"], "/b -"),
        (["runc", "create", "-b", "/b", "c1"], "/b -"),
        (["crun", "run", "-b/b", "c1"], "/b -"),
        (["crun", "run", "-db", "/b", "c1"], "/b -"),
        (["crun", "run", "--bun=/b", "c1"], "/b -"),
        (["crun", "run", "--bundle", "/a", "--bundle", "/b", "--config=/etc/x", "c1"], "/b /etc/x"),
        (["crun", "restore", "-f", "x.json", "c1"], "- x.json"),
        (["crun", "list"], "(none)"),
        (["crun", "delete", "--force", "c1"], "(none)"),
        (["runc", "init"], "(none)"),
        (["crun"], "(none)"),
        (["crun", "run", "--bundle"], "- -"),
    ],
)
def test_the_bundle_of_an_oci_runtime_is_found(drive: Drive, words: list[str], expected: str) -> None:
    """All spellings that crun and runc accept."""
    assert drive("bundle", b"".join(word.encode() + b"\0" for word in words)) == expected


def test_a_transport_is_left_to_the_witness(drive: Drive) -> None:
    """docker://… says nothing about a file; a path does."""
    assert drive("transport", b"apptainer\0exec\0docker://alpine\0") == "yes"
    assert drive("transport", b"apptainer\0exec\0./oci.sif\0") == "no"


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"hsqs", "yes"), (b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0", "yes"), (b"hsq", "no"), (b"", "no"),
     (b"\x7fELF" + bytes(60), "no"), (b"x" * 32 + b"SIF_MAGI", "no")],
)  # fmt: skip
def test_images_are_told_by_their_magic(drive: Drive, head: bytes, expected: str) -> None:
    """SIF at offset 32, squashfs at 0; what is shorter is neither."""
    assert drive("magic", head) == expected


def test_a_configuration_is_read_line_by_line(drive: Drive) -> None:
    """Comments, blanks, and every kind of target."""
    text = b"""# a comment
level image
  deadline_ms 4000
watchdog_ms\t1000
filesystem /scratch
filesystem /gpfs /gpfs/home/a/test
allow /usr/bin/apptainer build  sif
starter /opt/*/starter
"""
    assert drive("config", text).splitlines() == [
        "level 1 deadline 4000 answer 3000 askers 8 check fine",
        "target 5 /scratch []",
        "target 5 /gpfs [/gpfs/home/a/test]",
        "target 0 /opt/*/starter []",
        "allow /usr/bin/apptainer [ build  sif ]",
    ]


@pytest.mark.parametrize(
    "line",
    ["level", "level images", "deadline_ms 1e3", "deadline_ms -5", "deadline_ms 5s", "askers 1", "askers 99",
     "nonsense 1", "filesystem scratch", "allow cp", "starter /a /b", "socket " + "/x" * 200, "flush_s 0",
     "allow /x " + "y" * 300],
)  # fmt: skip
def test_a_line_that_means_nothing_is_refused(drive: Drive, line: str) -> None:
    """By file and line: a guard that half understands its configuration does not start."""
    assert drive("config", f"\n{line}\n".encode()).startswith("refused: ")
    assert ":2: " in drive("config", f"\n{line}\n".encode())


def test_what_is_usual_can_be_dropped(drive: Drive) -> None:
    """`forget targets` and `forget allow` leave what follows them."""
    text = b"starter /a\nallow /a\nforget targets\nforget allow\nstarter /b\nallow /b\n"
    assert drive("config", text).splitlines()[1:] == ["target 0 /b []", "allow /b []"]
    assert drive("config", b"forget all\n").startswith("refused")


def test_a_deadline_below_the_watchdogs_is_refused(drive: Drive) -> None:
    """Or a dead responder could keep an opener longer than promised."""
    assert "check deadline_ms must be" in drive("config", b"deadline_ms 3000\nwatchdog_ms 2000\n")


def test_a_configuration_that_others_can_write_is_refused(program: Path, tmp_path: Path) -> None:
    """Neither the file nor a directory above it."""
    path = tmp_path / "guard.conf"
    path.write_text("level runtime\n")
    for mode, directory in ((0o666, 0o755), (0o644, 0o777)):
        path.chmod(mode)
        tmp_path.chmod(directory)
        done = subprocess.run([program, "config", path], capture_output=True, text=True, check=True)
        assert "only root can change" in done.stdout
    tmp_path.chmod(0o755)
    assert (
        "refused"
        in subprocess.run([program, "config", tmp_path], capture_output=True, text=True, check=True).stdout
    )


def test_openers_are_served_in_order_and_no_user_takes_all(drive: Drive) -> None:
    """The oldest first; who holds his share of askers waits, others overtake him."""
    played = drive("table", "8", "a 1 90 a 1 90 a 1 90 a 2 90 n 2 s 1 0 n 2 s 2 1 n 2 s 4 2 n 2 r 1 n 2")
    assert played == "1 2 3 4 1 1 2 2 4 4 -1 1 3 count 3 unasked 1"


def test_a_full_table_takes_no_more_and_an_old_verdict_finds_nothing(drive: Drive) -> None:
    """Ids are never used again, also where the place is."""
    assert drive("table", "2", "a 1 9 a 1 9 a 1 9 r 1 a 1 9 f 1 f 2") == "1 2 -1 1 3 -1 2 count 2 unasked 2"


def test_the_table_knows_whose_time_is_over(drive: Drive) -> None:
    """And how long until the next one's is."""
    assert (
        drive("table", "8", "w 0 a 1 100 a 1 50 w 0 o 49 o 50 w 70") == "200 1 2 50 -1 2 0 count 2 unasked 2"
    )


def test_a_user_may_be_late_a_few_times_and_root_always(drive: Drive) -> None:
    """Then the window must pass; others are not touched."""
    assert drive("budget", "2", "7 0 7 1 7 2 8 2 0 3 0 3 0 3 7 999 7 1000") == "yynyyyyny"


def test_more_users_than_accounts_are_counted_still(drive: Drive) -> None:
    """The account that was opened first makes way; nobody gets more than one window's worth at a time."""
    script = " ".join(f"{uid} {uid}" for uid in range(1, 600)) + " 599 600 599 600"
    assert drive("budget", "2", script) == "y" * 600 + "n"
