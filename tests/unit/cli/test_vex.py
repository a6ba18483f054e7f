# SPDX-License-Identifier: Apache-2.0
"""`sifgate vex`: documents that any reader of OpenVEX takes, nonsense refused, and a list that says what counts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.unit.cli.conftest import Outcome, Run

from sifgate.cli.main import main
from sifgate.policy.load import load_policy

AUTHOR = "security@site.example"
POLICY = f"""\
schema: sifgate.policy/v1
mode: enforce
vex: {{directory: vex, trusted_authors: ["{AUTHOR}"]}}
rules:
  - {{id: kev, when: {{kev: true}}, action: block}}
"""
SCHEMA = Path(__file__).resolve().parents[4] / "shared/data/vex/openvex/openvex_json_schema.json"
CURL = ("--vulnerability", "CVE-2026-1", "--product", "pkg:deb/debian/curl@7.88")
SETTLED = ("--status", "not_affected", "--justification", "vulnerable_code_not_present")


@pytest.fixture
def directory(root: Path) -> Path:
    """Return the directory of VEX documents of a policy in force."""
    (root / "etc/policy.yaml").write_text(POLICY)
    path = root / "etc/vex"
    path.mkdir()
    return path


def create(sifgate: Run, *words: str, author: str = AUTHOR) -> Outcome:
    """Run `vex create`."""
    return sifgate("vex", "create", "--author", author, *words)


@pytest.mark.parametrize(
    "words",
    [
        SETTLED,
        ("--status", "not_affected", "--impact", "only in the build"),
        (*SETTLED, "--alias", "GHSA-2222-3333-4444", "--id", "https://site.example/vex/1"),
        ("--status", "affected", "--action", "upgrade"),
        ("--status", "fixed"),
        ("--status", "under_investigation"),
    ],
)
def test_a_document_is_one_of_openvex(words: tuple[str, ...], sifgate: Run) -> None:
    """It obeys the schema of OpenVEX v0.2.0, and holds what was asked for."""
    done = create(sifgate, *CURL, *words, "--output", "-")
    assert done.code == 0, done.err
    document: dict[str, Any] = done.document
    (statement,) = document["statements"]
    assert statement["vulnerability"]["name"] == "CVE-2026-1"
    assert statement["products"][0]["@id"] == "pkg:deb/debian/curl@7.88"
    assert statement["status"] == words[1]
    if not SCHEMA.exists():
        pytest.skip("the schema of OpenVEX needs ../shared/data/vex")
    checker = jsonschema.Draft202012Validator(
        json.loads(SCHEMA.read_text()), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    checker.validate(document)


def test_a_document_is_in_force_where_the_policy_reads(directory: Path, sifgate: Run) -> None:
    """Written into the policy's directory, its statement is among the policy's."""
    done = create(sifgate, *CURL, *SETTLED)
    assert done.code == 0, done.err
    (statement,) = load_policy(directory.parent / "policy.yaml").vex
    assert (statement.author, statement.vulnerabilities) == (AUTHOR, ("CVE-2026-1",))
    assert statement.products == ("pkg:deb/debian/curl@7.88",)
    assert [path.suffix for path in directory.iterdir()] == [".json"]


def test_an_author_whom_nobody_trusts_is_told(directory: Path, sifgate: Run) -> None:
    """The document is written, and who wrote it learns why it will not count."""
    done = create(sifgate, *CURL, *SETTLED, author="me")
    assert done.code == 0
    assert "does not trust me" in done.out
    assert len(list(directory.iterdir())) == 1


def test_an_image_is_named_by_the_digest_of_its_file(directory: Path, image: Path, sifgate: Run) -> None:
    """The whole file, with the component in it that the statement is about."""
    words = ("--vulnerability", "CVE-2026-1", "--image", str(image), "--component", "pkg:pypi/requests")
    done = create(sifgate, *words, *SETTLED)
    assert done.code == 0, done.err
    (statement,) = load_policy(directory.parent / "policy.yaml").vex
    assert statement.products == (f"sha256:{hashlib.sha256(b'image').hexdigest()}",)
    assert statement.subcomponents == ("pkg:pypi/requests",)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((*CURL, "--status", "not_affected"), "needs a justification or an impact statement"),
        (
            (*CURL, "--status", "not_affected", "--justification", "not_present"),
            "is no justification of OpenVEX",
        ),
        (
            (*CURL, "--status", "fixed", "--justification", "component_not_present"),
            "takes neither justification",
        ),
        ((*CURL, "--status", "affected"), "affected needs an action statement"),
        ((*CURL, "--status", "fixed", "--action", "upgrade"), "nothing else takes one"),
        (
            (*CURL[:2], "--product", "pkg:deb/debian/curl", "--status", "fixed"),
            "needs the version that is fixed",
        ),
        ((*CURL[:2], *SETTLED), "a statement without products says nothing"),
        ((*CURL[:2], "--product", "curl", *SETTLED), 'begins with "pkg:"'),
        ((*CURL[:2], "--product", "pkg:oci/curl@sha256:00", *SETTLED), "by the digest of its file"),
        ((*CURL, "--component", "pkg:pypi/x", *SETTLED), "only images have components here"),
        (("--vulnerability", "a vulnerability", *CURL[2:], *SETTLED), "is no identifier of a vulnerability"),
        ((*CURL, *SETTLED, "--alias", "https://x"), "is no identifier of a vulnerability"),
        ((*CURL, *SETTLED, "--id", "one"), "is no IRI"),
        ((*CURL, "--status", "not_affected", "--impact", "a\x1b[2Jb"), "expected one line"),
        ((*CURL[:2], "--image", "/nowhere.sif", *SETTLED), "/nowhere.sif: No such file"),
    ],
)
def test_nonsense_is_refused(
    words: tuple[str, ...], text: str, directory: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the format forbids, or what would set nothing aside, is not written."""
    assert main(["--root", str(root), "vex", "create", "--author", AUTHOR, *words]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert "\x1b" not in told
    assert list(directory.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, sifgate: Run) -> None:
    """A file that is there stays as it is."""
    path = tmp_path / "vex.json"
    assert create(sifgate, *CURL, *SETTLED, "--output", str(path)).code == 0
    before = path.read_bytes()
    again = create(sifgate, *CURL, *SETTLED, "--output", str(path))
    assert (again.code, "is there already" in again.err) == (2, True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_list_says_what_counts_and_why_not(directory: Path, tmp_path: Path, sifgate: Run) -> None:
    """Trusted or not, how many statements set something aside, and for each why it does not."""
    assert create(sifgate, *CURL, *SETTLED).code == 0
    other = tmp_path / "other.json"
    assert create(sifgate, *CURL, *SETTLED, "--output", str(other), author="me").code == 0
    (own,) = sifgate("vex", "list", "--format", "json").document["documents"]
    assert (own["trusted"], own["statements"][0]["without_effect"]) == (True, "")
    (foreign,) = sifgate("vex", "list", "--format", "json", str(other)).document["documents"]
    assert (foreign["trusted"], foreign["statements"][0]["without_effect"]) == (
        False,
        "its author is not trusted",
    )
    table = sifgate("vex", "list").out.splitlines()
    assert table[1].split()[:4] == [AUTHOR, "yes", "1", "1"]
    assert "sets aside" in sifgate("vex", "list", "--statements").out
    assert "nothing: its author is not trusted" in sifgate("vex", "list", "--statements", str(other)).out


def test_products_that_are_never_met_are_told(directory: Path, tmp_path: Path, sifgate: Run) -> None:
    """A document of which nothing follows for images does not pass for one that helps."""
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": AUTHOR,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-1"},
                "products": [{"@id": "pkg:golang/k3s", "subcomponents": [{"@id": "pkg:golang/x"}]}],
                "status": "not_affected",
            }
        ],
    }
    path = tmp_path / "k3s.json"
    path.write_text(json.dumps(document))
    done = sifgate("vex", "list", str(path))
    assert "1 product is never met: a component of another package" in done.out
    assert sifgate("vex", "list").out.startswith("no VEX documents in ")


def test_a_broken_document_is_named(directory: Path, sifgate: Run) -> None:
    """No list is shown that leaves documents out."""
    (directory / "a.json").write_text("{")
    done = sifgate("vex", "list")
    assert done.code == 2
    assert f"{directory}/a.json:1:" in done.err
