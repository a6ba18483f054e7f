# SPDX-License-Identifier: Apache-2.0
"""The built Clair is kept with its digest, and nothing else is ever run in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sifgate.engine import clairbuild, gotoolchain
from sifgate.engine.accounts import Account, builder
from sifgate.errors import EngineError, UnsafeFile

ME = Account("me", os.geteuid(), os.getegid())


@pytest.fixture
def cached(short: Path) -> Path:
    """A cache in which a program stands where Clair would."""
    home = short / "clair" / clairbuild._key()
    home.mkdir(parents=True, mode=0o755)
    program = home / "clair"
    program.write_bytes(b"#!/bin/sh\necho clair\n")
    program.chmod(0o755)
    (home / "clair.sha256").write_text(clairbuild.digest(program) + "\n")
    return short


def test_cached_program_is_not_built_again(cached: Path) -> None:
    """A whole cache entry is returned as it is."""
    assert clairbuild.ensure_clair(cached).read_bytes().endswith(b"echo clair\n")


def test_changed_program_is_refused(cached: Path) -> None:
    """A program that is not the one that was built is not run, and the error says what to do."""
    program = clairbuild.ensure_clair(cached)
    program.write_bytes(b"#!/bin/sh\necho other\n")
    with pytest.raises(EngineError, match="not the program that was built here") as caught:
        clairbuild.ensure_clair(cached)
    assert caught.value.hint.startswith("rm ")


def test_program_that_others_can_write(cached: Path) -> None:
    """Mode bits that let others write are refused even while the digest still fits."""
    clairbuild.ensure_clair(cached).chmod(0o775)
    with pytest.raises(UnsafeFile):
        clairbuild.ensure_clair(cached)


@pytest.mark.root
def test_root_does_not_run_from_a_users_cache(cached: Path) -> None:
    """A cache that belongs to a user is refused by root."""
    os.chown(cached / "clair", 12345, 12345)
    with pytest.raises(UnsafeFile, match="uid 12345"):
        clairbuild.ensure_clair(cached)


def test_copy_for_the_parts(cached: Path, short: Path) -> None:
    """The copy is made once, replaced when the source is another, and checked like the source."""
    source = clairbuild.ensure_clair(cached)
    target = clairbuild.install(source, short / "bin" / "clair")
    made = target.stat().st_ino
    assert clairbuild.install(source, target).stat().st_ino == made
    target.write_bytes(b"bad")
    with pytest.raises(EngineError):
        clairbuild.install(source, target)
    source.write_bytes(b"#!/bin/sh\necho newer\n")
    source.with_name("clair.sha256").write_text(clairbuild.digest(source) + "\n")
    assert clairbuild.install(source, target).read_bytes() == source.read_bytes()


def test_failed_build_leaves_nothing(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a module proxy the error names the compiler's words, and no half program is kept."""
    go = short / "go"
    go.write_text(
        "#!/bin/sh\n[ $1 = version ] && echo go version go1.26.1 linux/amd64 && exit\necho no proxy >&2; exit 1\n"
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{short}:/usr/bin:/bin")
    with pytest.raises(EngineError, match="no proxy") as caught:
        clairbuild.ensure_clair(short / "cache")
    assert "engine.clair.url" in caught.value.hint
    assert [file.name for file in (short / "cache").rglob("*") if file.is_file()] in ([], ["lock"])


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("go version go1.24.9 linux/amd64", (1, 24, 9)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("gcc 12", ()),
    ],
)
def test_version_of_go(short: Path, words: str, numbers: tuple[int, ...]) -> None:
    """The version is taken from what `go version` says; anything else is no Go."""
    go = short / "go"
    go.write_text(f"#!/bin/sh\necho '{words}'\n")
    go.chmod(0o755)
    assert gotoolchain.version(go, ME, short) == numbers


def test_go_that_cannot_be_run(short: Path) -> None:
    """A missing Go has no version."""
    assert gotoolchain.version(short / "none", ME, short) == ()


def test_builds_do_not_see_the_callers_environment(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only proxies are passed on; flags and caches are our own."""
    monkeypatch.setenv("GOFLAGS", "-toolexec=evil")
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    found = gotoolchain.environment(Path("/usr/bin/go"), short)
    assert "evil" not in found["GOFLAGS"]
    assert found["GOPROXY"] == "https://proxy.example"
    assert found["GOMODCACHE"].startswith(str(short))


@pytest.mark.root
def test_root_builds_as_a_uid_that_nobody_has() -> None:
    """The builder's uid is in no user database."""
    import pwd

    with pytest.raises(KeyError):
        pwd.getpwuid(builder().uid)
