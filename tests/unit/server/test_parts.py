# SPDX-License-Identifier: Apache-2.0
"""Parts of the server that need neither database nor Clair."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from sifgate.clair.schema import UpdateOperation
from sifgate.errors import ConfigError
from sifgate.feeds import eol, epss, kev, published, support
from sifgate.model.support import PackageSupport
from sifgate.server import main, settings
from sifgate.server.access import Role, read_tokens
from sifgate.server.advisories import generation_of
from sifgate.server.canary import SOURCES, canary_layer
from sifgate.server.feedfiles import FeedFiles, FeedPlaces
from sifgate.server.handout import HEADER, Handout
from sifgate.server.requests import kind
from sifgate.server.scanner import manifest_hash

HASH = hashlib.sha256(b"token").hexdigest()
WORDS = (
    *(
        "--listen",
        "127.0.0.1:0",
        "--database",
        "dbname=x",
        "--clair",
        "https://127.0.0.1:1",
        "--tls-cert",
        "c",
    ),
    *("--tls-key", "k", "--tokens-file", "t", "--manifest-key-file", "m", "--state", "s"),
)


def test_tokens_are_read_with_their_roles(tmp_path: Path) -> None:
    """Comments and empty lines do not count."""
    path = tmp_path / "tokens"
    path.write_text(f"# who\n\nnode1 node {HASH}\nwatcher viewer {HASH}\n")
    assert [(holder.name, holder.role) for holder in read_tokens(path)] == [
        ("node1", Role.NODE),
        ("watcher", Role.VIEWER),
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "tokens"),
        (b"# nobody\n", "tokens"),
        (f"a node {HASH}\nb node\n".encode(), "tokens:2"),
        (f"a root {HASH}".encode(), "tokens:1"),
        (f"a node {HASH[:-1]}".encode(), "tokens:1"),
        (f"a node {HASH.upper()}".encode(), "tokens:1"),
        (b"\xff\xfe", "tokens"),
    ],
)
def test_bad_tokens_files(tmp_path: Path, content: bytes, place: str) -> None:
    """An error names file and line; a file that lets nobody in is one."""
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=place):
        read_tokens(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(tmp_path / "none")


def test_requests_are_counted_by_kind() -> None:
    """Verdicts of all images are one kind; what no client of ours asks is another."""
    assert kind("GET", "/v1/verdicts/" + "a" * 64) == "GET /v1/verdicts"
    assert kind("PUT", "/v1/layers/x") == "PUT /v1/layers"
    for method, path in (("GET", "/"), ("BREW", "/v1/status"), ("GET", "/v1/" + "x" * 9), ("GET", "/v1/")):
        assert kind(method, path) == "other"


def test_the_command_line_of_the_engine_is_understood() -> None:
    """All words that the engine gives, with defaults for the rest."""
    given = settings.parse([*WORDS, "--feeds", "f", "--clair-version", "v4.9.0", "--package-support", "d"])
    assert given.package_support == Path("d")
    assert (given.host, given.port, given.feeds, given.clair_version) == ("127.0.0.1", 0, Path("f"), "v4.9.0")
    assert settings.parse([*WORDS, "--listen", "[::1]:443"]).host == "::1"


@pytest.mark.parametrize(
    "words", [("--listen", "here"), ("--listen", ":1"), ("--listen", "h:70000"), ("--clair", "ftp://x")]
)
def test_bad_addresses(words: tuple[str, str]) -> None:
    """An error that names the option."""
    with pytest.raises(ConfigError, match=words[0]):
        settings.parse([*WORDS, *words])


def test_files_that_others_could_have_written_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server does not start with secrets that anybody can replace, nor without them; it says which file."""
    words = list(WORDS)
    for name in ("c", "k", "t", "m"):
        words[words.index(name)] = str(tmp_path / name)
        (tmp_path / name).write_text("x" * 40)
    (tmp_path / "t").chmod(0o666)
    assert main.main(words) == 2
    assert str(tmp_path / "t") in capsys.readouterr().err
    (tmp_path / "t").unlink()
    assert main.main(words) == 2
    assert "is not a file" in capsys.readouterr().err


def test_the_manifest_hash_needs_the_key() -> None:
    """Another key, version or layer gives another hash; the same ones the same."""
    layer = "sha256:" + "a" * 64
    first = manifest_hash(b"k" * 32, 1, layer)
    assert first == manifest_hash(b"k" * 32, 1, layer)
    assert len({first, manifest_hash(b"j" * 32, 1, layer), manifest_hash(b"k" * 32, 2, layer), layer}) == 4


def operation(ref: str, date: str = "2026-01-02T00:00:00Z") -> UpdateOperation:
    """Return an update operation."""
    return UpdateOperation(ref=ref, date=date)


FILES = FeedFiles(
    catalogue=kev.Catalogue(date="2025-08-25", digest="k1"),
    table=eol.Table(date="2026-01-01", digests=("e1",)),
    scores=epss.Scores(date="2026-02-02", digest="p1"),
    packages=support.Table(
        packages={("debian", "11"): PackageSupport(ends={"a": "2026-03-01", "b": "2026-05-01"})},
        date="2026-01-03",
        digests=("s1",),
    ),
)


def test_generations_change_with_every_source_and_nothing_else() -> None:
    """Order of updaters and dates of files do not matter; a new operation or feed does."""
    first = generation_of({"a": operation("1"), "b": operation("2", "2026-02-01T00:00:00Z")}, {}, FILES)
    assert (first.advisories, first.kev, first.eol) == ("2026-02-01T00:00:00Z", "2025-08-25", "2026-01-01")
    assert (first.epss, first.support) == ("2026-02-02", "2026-01-03")
    both = {"b": operation("2"), "a": operation("1")}
    assert generation_of(both, {}, FILES).id == first.id
    changed = msgspec.structs.replace
    others = [
        generation_of({"a": operation("1"), "b": operation("3")}, {}, FILES),
        generation_of({"a": operation("1")}, {"b": operation("2")}, FILES),
        generation_of(both, {}, changed(FILES, catalogue=kev.Catalogue(digest="k2"))),
        generation_of(both, {}, changed(FILES, table=eol.Table(digests=("e2",)))),
        generation_of(both, {}, changed(FILES, scores=epss.Scores(digest="p2"))),
        generation_of(both, {}, changed(FILES, packages=support.Table(digests=("s2",)))),
        generation_of(both, {}, FeedFiles()),
        generation_of({}, {}, FeedFiles()),
    ]
    assert len({first.id, *(other.id for other in others)}) == len(others) + 1


def test_a_generation_ends_when_a_packages_support_does() -> None:
    """The calendar changes findings without any file: on that day alone the generation is another one."""
    days = ("2026-02-28", "2026-03-01", "2026-04-30", "2026-05-01", "2027-01-01")
    ids = [generation_of({}, {}, FILES, day).id for day in days]
    assert ids[1] == ids[2]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 3


def test_a_damaged_feed_holds_back_no_other(tmp_path: Path) -> None:
    """Each feed keeps its own last good state, and what is wrong with it is told; at the start it is an error."""
    entry = '{"cveID": "%s", "dateAdded": "2025-08-25"}'
    catalogue = '{"catalogVersion": "2025.08.25", "vulnerabilities": [%s]}'
    head = "#model_version:v1,score_date:2099-01-02T00:00:00+0000\ncve,epss,percentile\n"
    feeds, packages = tmp_path / "feeds", tmp_path / "debian-security-support"
    feeds.mkdir()
    packages.mkdir()
    places = FeedPlaces(feeds=feeds, packages=packages)
    (feeds / "kev.json").write_text(catalogue % (entry % "CVE-2099-1111"))
    (feeds / "epss.csv").write_text(head + "CVE-2099-1111,0.5,0.5\n")
    (packages / "security-support-ended.deb11").write_text("oldbrowser 1 2022-01-14\n")
    first = FeedFiles.load(places)
    stamp = places.stamp()
    (feeds / "kev.json").write_text(catalogue % (entry % "CVE-2099-22222"))
    (feeds / "epss.csv").write_text(head + "CVE-2099-1111,0.")
    (packages / "security-support-ended.deb11").write_text("oldbrowser 1 soon\n")
    assert places.stamp() != stamp
    second, errors = first.renewed(places)
    assert [str(error).rpartition("/")[2].partition(":")[0] for error in errors] == [
        "epss.csv",
        "security-support-ended.deb11",
    ]
    assert set(second.joined().kev) == {"CVE-2099-22222"}
    assert (second.joined().epss, second.packages) == ({"CVE-2099-1111": 0.5}, first.packages)
    with pytest.raises(ConfigError, match=r"epss\.csv"):
        FeedFiles.load(places)
    assert FeedFiles.load(FeedPlaces()) == FeedFiles()


def test_advisories_are_as_old_as_their_data_where_that_is_known() -> None:
    """The date of publication replaces the date of loading; an updater without one keeps Clair's."""
    files = FeedFiles(published=published.Published(dates={"a": "2024-10-10T00:00:00+00:00"}, digest="p1"))
    dated = files.dated({"a": operation("1"), "b": operation("2")})
    assert (dated["a"].date, dated["b"].date) == ("2024-10-10T00:00:00+00:00", "2026-01-02T00:00:00Z")


def test_a_layer_is_handed_out_for_a_time_and_by_its_secret() -> None:
    """Wrong secret, wrong name, and the end of the block: nothing."""
    handout = Handout("https://127.0.0.1:1/")
    fd = os.memfd_create("layer")
    os.pwrite(fd, b"tar", 0)
    with handout.offered(fd, 3) as source:
        name, (secret,) = source.uri.rpartition("/")[2], source.headers[HEADER]
        assert source.uri.startswith("https://127.0.0.1:1/v1/handout/")
        taken = handout.take(name, secret)
        assert taken is not None
        assert handout.take(name, "wrong") is None
        assert handout.take("wrong", secret) is None
        assert handout.take(name, "\udcff") is None
    assert handout.take(name, secret) is None
    os.close(fd)
    with os.fdopen(taken[0], "rb") as own:  # what was taken stays open
        assert len(own.read()) == taken[1] == 3


def test_the_canary_is_the_same_every_time() -> None:
    """A readable layer of one release with all its sources."""
    layer = canary_layer("11", "bullseye")
    assert layer == canary_layer("11", "bullseye")
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getnames() == ["var/lib/dpkg/info", "etc/os-release", "var/lib/dpkg/status"]
        status = tar.extractfile("var/lib/dpkg/status")
        assert status is not None
        assert status.read().count(b"Package: ") == len(SOURCES) == len(set(SOURCES))
