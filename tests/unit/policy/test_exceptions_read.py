# SPDX-License-Identifier: Apache-2.0
"""Exception files: what is refused and where the error points, what the site's limits ask for, what is kept."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.exceptions import read
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.exceptions.limits import ExceptionLimits, read_limits
from sifgate.policy.exceptions.read import read_exceptions
from sifgate.policy.exceptions.write import rendered

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "src/sifgate/policy/exceptions/schema.json").read_text())
NO_LIMITS = ExceptionLimits()
DIGEST = "sha256:" + "a1" * 32
PLAIN = {
    "id": "SEC-1",
    "vulnerability": "CVE-2026-1",
    "reason": "not reachable",
    "author": "alice",
    "created": "2026-08-01",
    "expires": "2026-09-30",
}
EVERYTHING = PLAIN | {
    "vulnerability": ["CVE-2026-1", "ghsa-aaaa-bbbb-cccc"],
    "package": {"name": "openssl*", "manager": "dpkg"},
    "scope": {
        "image_digest": DIGEST,
        "path": "/apps/**",
        "owner": ["root"],
        "user": "alice",
        "group": ["bio"],
        "account": "bio01",
        "partition": ["batch"],
    },
    "justification": "vulnerable_code_not_in_execute_path",
    "approved_by": "bob",
    "ticket": "T-1",
    "until": "fix_available",
}

REFUSED: dict[str, tuple[dict[str, object] | None, str]] = {
    "a malformed date": ({"expires": "30.09.2026"}, "exceptions[0].expires: expected a date as YYYY-MM-DD"),
    "no such day": ({"expires": "2026-02-30"}, "no such date: 2026-02-30"),
    "a date with a time": ({"expires": "2026-09-30T00:00:00Z"}, "expected a date as YYYY-MM-DD"),
    "a number as date": ({"created": 20260801}, "exceptions[0].created: expected a date"),
    "never": ({"expires": "never"}, "expected a date as YYYY-MM-DD"),
    "nothing as date": ({"expires": None}, "expected a date as YYYY-MM-DD"),
    "no expiry": ({"expires": ...}, 'the key "expires" is missing'),
    "no author": ({"author": ...}, 'the key "author" is missing'),
    "no reason": ({"reason": ...}, 'the key "reason" is missing'),
    "an empty reason": ({"reason": ""}, "expected text, got an empty one"),
    "a reason of two lines": ({"reason": "a\nb"}, "control or invisible characters"),
    "a reason that moves the terminal": ({"reason": "a\u202eb"}, "control or invisible characters"),
    "a reason without end": ({"reason": "x" * 301}, "expected at most 300 characters"),
    "a number as ticket": ({"ticket": 7}, "expected text, got the number"),
    "an unknown key": ({"expire": "2026-09-30"}, '(did you mean "expires"?)'),
    "an unknown word of until": ({"until": "fix-available"}, '(did you mean "fix_available"?)'),
    "an unknown justification": ({"justification": "not_present"}, "expected one of component_not_present"),
    "an end before its beginning": ({"expires": "2026-07-31"}, "it expires before 2026-08-01"),
    "a pattern of vulnerabilities": ({"vulnerability": "CVE-2026-*"}, "patterns are not supported"),
    "an empty list of vulnerabilities": ({"vulnerability": []}, "the list is empty"),
    "neither vulnerability nor package": ({"vulnerability": ...}, "it would except everything"),
    "every package": ({"vulnerability": ..., "package": "*"}, "must be named"),
    "every package by class": ({"vulnerability": ..., "package": ["[!x]*"]}, "must be named"),
    "a package and every other": ({"vulnerability": ..., "package": ["openssl", "*"]}, "must be named"),
    "every package of a manager": ({"vulnerability": ..., "package": {"manager": "dpkg"}}, "must be named"),
    "every package URL": ({"vulnerability": ..., "package": {"purl": "pkg:deb/debian/*"}}, "must be named"),
    "an empty package": ({"package": {}}, "names no package"),
    "an empty scope": ({"scope": {}}, "leave it out to mean every launch"),
    "a pattern of users": ({"scope": {"user": "a*"}}, "names are exact"),
    "a digest cut short": ({"scope": {"image_digest": "sha256:ab"}}, "64 lower-case hex digits"),
    "a relative path": ({"scope": {"path": "apps/**"}}, "expected an absolute path"),
    "a path that climbs": ({"scope": {"path": "/apps/../**"}}, ".."),
    "a fingerprint": ({"scope": {"fingerprint": "a" * 64}}, "unknown key"),
    "an id with a space": ({"id": "SEC 1"}, "expected an id"),
    "its own approver": ({"approved_by": " Alice "}, "author and approver are the same"),
    "a list as exception": (None, "expected a mapping, got text"),
}


def parse(*files: object, limits: ExceptionLimits = NO_LIMITS) -> tuple[PolicyException, ...]:
    """Return the exceptions of files with these entries; JSON is YAML."""
    documents = [
        yamlfile.parse(
            json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": entries}).encode(),
            f"{number}.yaml",
            failure=PolicyError,
        )
        for number, entries in enumerate(files)
    ]
    return read_exceptions(documents, limits)


def entry(changes: dict[str, object]) -> dict[str, object]:
    """Return the plain entry with changes; `...` takes a key away."""
    return {key: value for key, value in {**PLAIN, **changes}.items() if value is not ...}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_where(name: str) -> None:
    """Each slip is an error that names file, line, column, and says what was expected."""
    changes, text = REFUSED[name]
    with pytest.raises(PolicyError) as caught:
        parse([entry(changes) if changes is not None else "SEC-1"])
    assert str(caught.value).startswith("0.yaml:1:")
    assert text in str(caught.value)


def test_every_key_is_kept() -> None:
    """What stands in the file stands in the exception, identifiers in upper case, dates as dates."""
    (read_back,) = parse([EVERYTHING])
    assert read_back.vulnerabilities == ("CVE-2026-1", "GHSA-AAAA-BBBB-CCCC")
    assert (read_back.created, read_back.expires) == (date(2026, 8, 1), date(2026, 9, 30))
    assert read_back.scope.image_digest == (DIGEST,)
    assert read_back.scope.account == ("bio01",)
    assert read_back.package is not None
    assert read_back.package.name == ("openssl*",)
    assert (read_back.until, read_back.ticket, read_back.approved_by) == ("fix_available", "T-1", "bob")


def test_dates_may_be_quoted_or_not() -> None:
    """A YAML date and text with the same digits are the same date."""
    text = (
        "schema: sifgate.exceptions/v1\nexceptions:\n"
        "- {id: a, vulnerability: CVE-2026-1, reason: r, author: b, created: 2026-08-01, expires: '2026-09-30'}\n"
    )
    (found,) = read_exceptions([yamlfile.parse(text.encode(), "a.yaml")], ExceptionLimits())
    assert (found.created, found.expires) == (date(2026, 8, 1), date(2026, 9, 30))


def test_an_expired_exception_loads() -> None:
    """One that ended long ago, or that begins in years, breaks nothing: it is read like the others."""
    old = entry({"id": "old", "created": "2001-01-01", "expires": "2001-02-01"})
    ahead = entry({"id": "ahead", "created": "2101-01-01", "expires": "2101-02-01"})
    assert [each.id for each in parse([old, ahead])] == ["old", "ahead"]


@pytest.mark.parametrize(
    ("limits", "changes", "text"),
    [
        (ExceptionLimits(max_days=59), {}, "it lasts 60 days, the policy allows 59"),
        (ExceptionLimits(require=("ticket",)), {}, 'the key "ticket" is missing, which the policy asks for'),
        (ExceptionLimits(require=("approved_by",)), {}, 'the key "approved_by" is missing'),
        (ExceptionLimits(require=("scope",)), {}, 'the key "scope" is missing'),
        (ExceptionLimits(max_days=60), {"expires": "9999-12-31"}, "the policy allows 60"),
    ],
)
def test_the_sites_limits_hold(limits: ExceptionLimits, changes: dict[str, object], text: str) -> None:
    """An exception that lasts longer, or states less, than the policy allows is an error with its place."""
    with pytest.raises(PolicyError, match=text):
        parse([entry(changes)], limits=limits)


def test_limits_that_are_kept_let_it_load() -> None:
    """Exactly as many days as allowed, and every key that is asked for."""
    limits = ExceptionLimits(max_days=60, require=("approved_by", "justification", "scope", "ticket"))
    assert parse([EVERYTHING], limits=limits)
    assert parse([entry({"approved_by": "alice"})], limits=ExceptionLimits(self_approval=True))


def test_limits_are_read_from_the_policy() -> None:
    """`announce` is in whole days, `require` takes only keys that can be left out."""
    node = yamlfile.parse(b"{max_days: 90, announce: 48h, require: [ticket], self_approval: true}", "p.yaml")
    found = read_limits(node.mapping(), ExceptionLimits())
    assert found == ExceptionLimits(max_days=90, announce_days=2, require=("ticket",), self_approval=True)
    for text in (b"announce: 36h", b"require: [id]", b"max_days: 0", b"max_days: 90d"):
        with pytest.raises(Exception, match="expected"):
            read_limits(yamlfile.parse(text, "p.yaml").mapping(), ExceptionLimits())


def test_an_id_is_taken_over_all_files() -> None:
    """The second use is the error, and it says where the first is."""
    with pytest.raises(PolicyError, match=r'1.yaml.*the exception id "SEC-1" is taken \(0.yaml:1\)'):
        parse([PLAIN], [PLAIN])


def test_another_schema_is_an_error() -> None:
    """A policy file in the exceptions directory is not read as one of exceptions."""
    for text in (b"schema: sifgate.policy/v1\nrules: []\n", b"exceptions: []\n", b"", b"[]"):
        with pytest.raises(PolicyError):
            read_exceptions([yamlfile.parse(text, "a.yaml", failure=PolicyError)], ExceptionLimits())


def test_a_file_may_be_empty_of_exceptions() -> None:
    """The last exception may be taken out of a file."""
    assert parse([]) == ()


def test_too_many_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound counts the exceptions of all files together."""
    monkeypatch.setattr(read, "MAX_EXCEPTIONS", 2)
    entries = [[entry({"id": f"a{number}"})] for number in range(3)]
    assert len(parse(*entries[:2])) == 2
    with pytest.raises(PolicyError, match="more than 2 exceptions"):
        parse(*entries)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=4))
def test_a_value_of_any_kind_is_read_or_refused(value: object) -> None:
    """Whatever stands in a key, the answer is an exception or an error with its place."""
    for key in PLAIN:
        problem = ""
        try:
            parse([entry({key: value})])
        except PolicyError as error:
            problem = str(error)
        assert not problem or problem.startswith("0.yaml:")


@given(st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4))
def test_any_damage_is_read_or_refused(damage: list[tuple[int, bytes]]) -> None:
    """Bytes that were changed or put in give exceptions or an error that names the file."""
    content = rendered([EVERYTHING, PLAIN | {"id": "SEC-2"}])
    for place, put in damage:
        at = place % len(content)
        content = content[:at] + put + content[at + len(put) :]
    problem = ""
    try:
        read_exceptions([yamlfile.parse(content, "a.yaml", failure=PolicyError)], NO_LIMITS)
    except PolicyError as error:
        problem = str(error)
    assert not problem or problem.startswith("a.yaml:")


def test_the_schema_takes_what_the_reader_takes() -> None:
    """Editors complete against the same keys and words."""
    check = jsonschema.Draft202012Validator(SCHEMA)
    for good in (PLAIN, EVERYTHING, entry({"vulnerability": ..., "package": ["openssl"]})):
        check.validate({"schema": "sifgate.exceptions/v1", "exceptions": [good]})
    properties = SCHEMA["$defs"]["exception"]["properties"]
    assert set(properties) == set(read.KEYS)
    assert set(properties["scope"]["properties"]) == set(read.SCOPE_KEYS)


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in {
    "no such day", "an end before its beginning", "every package", "every package by class",
    "a package and every other", "every package of a manager", "every package URL", "its own approver",
    "a reason that moves the terminal", "a path that climbs",
}])  # fmt: skip
def test_the_schema_refuses_what_the_reader_refuses(name: str) -> None:
    """But for what a schema cannot say: comparisons of keys, and calendars."""
    changes, _ = REFUSED[name]
    document = {
        "schema": "sifgate.exceptions/v1",
        "exceptions": [entry(changes) if changes is not None else "SEC-1"],
    }
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
