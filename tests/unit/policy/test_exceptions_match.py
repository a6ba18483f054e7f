# SPDX-License-Identifier: Apache-2.0
"""Which exception holds: dates, names and aliases, packages, scopes; more of them never count more findings."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy.builders import finding, launch, standing

from sifgate import yamlfile
from sifgate.model.finding import Finding
from sifgate.model.image import ImageFacts, ImageReference, ReferenceKind
from sifgate.model.launch import JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import Verdict
from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.exceptions.announce import Stage, announced, stage_of
from sifgate.policy.exceptions.document import ExceptionScope, PolicyException
from sifgate.policy.exceptions.match import Active

NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
CREATED, EXPIRES = date(2026, 8, 1), date(2026, 9, 30)
DIGEST = "sha256:" + "a1" * 32


def exception(**fields: Any) -> PolicyException:
    """Return an exception of CVE-2026-1 for everybody; `fields` replace."""
    given: dict[str, Any] = {
        "id": "SEC-1",
        "reason": "not reachable",
        "author": "alice",
        "created": CREATED,
        "expires": EXPIRES,
        "vulnerabilities": ("CVE-2026-1",),
    }
    return PolicyException(**(given | fields))


def package(text: str) -> PackageCondition:
    """Return the condition that YAML states."""
    return PackageCondition.parse(yamlfile.parse(text.encode(), "a.yaml"), {})


def verdict(*findings: Finding) -> Verdict:
    """Return the verdict of a Debian 11 image."""
    made = standing(*findings).verdict
    assert made is not None
    return made


def chosen(
    found: Finding, *exceptions: PolicyException, at: datetime = NOON, by: LaunchEvent | None = None
) -> str:
    """Return the id of the exception that holds, empty for none."""
    holding = Active(exceptions).of(found, by or launch(), at, verdict())
    return "" if holding is None else holding.id


FOUND = finding(vulnerability="CVE-2026-1", aliases=("GHSA-2222-3333-4444", "PYSEC-2026-1"))


@pytest.mark.parametrize("name", ["CVE-2026-1", "GHSA-2222-3333-4444", "PYSEC-2026-1"])
def test_any_name_of_the_flaw_will_do(name: str) -> None:
    """CVE, GHSA, PYSEC and GO identifiers of one finding are one flaw, whatever case the file has."""
    assert chosen(FOUND, exception(vulnerabilities=(name.upper(),))) == "SEC-1"


def test_another_flaw_is_not_meant() -> None:
    """No part of an identifier matches."""
    assert not chosen(finding(vulnerability="CVE-2026-11"), exception())
    assert not chosen(finding(vulnerability="CVE-2026-2", aliases=("CVE-2026-10",)), exception())


def test_an_advisory_of_several_flaws_needs_all_of_them() -> None:
    """Who excepts one CVE does not except the others that the same advisory repairs."""
    advisory = finding(vulnerability="USN-1-1", aliases=("CVE-2026-1", "CVE-2026-2"))
    assert not chosen(advisory, exception())
    assert chosen(advisory, exception(vulnerabilities=("CVE-2026-1", "CVE-2026-2")))
    assert chosen(advisory, exception(vulnerabilities=("USN-1-1",)))
    renamed = finding(vulnerability="CVE-2026-1", aliases=("CVE-2026-2",))
    assert not chosen(renamed, exception())


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        (datetime(2026, 7, 31, 23, 59, 59, tzinfo=timezone.utc), False),
        (datetime(2026, 8, 1, tzinfo=timezone.utc), True),
        (datetime(2026, 9, 30, 23, 59, 59, 999999, tzinfo=timezone.utc), True),
        (datetime(2026, 10, 1, tzinfo=timezone.utc), False),
        (datetime(2026, 10, 1, 1, 59, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 9, 30, 23, tzinfo=timezone(timedelta(hours=-5))), False),
    ],
)
def test_it_holds_from_midnight_to_midnight_utc(moment: datetime, *, holds: bool) -> None:
    """From the first instant of `created` to the last of `expires`, wherever the clock stands."""
    assert bool(chosen(FOUND, exception(), at=moment)) is holds


def test_the_last_day_of_the_calendar_has_no_end() -> None:
    """9999-12-31 overflows nothing."""
    forever = exception(expires=date.max)
    assert chosen(FOUND, forever, at=datetime.max.replace(tzinfo=timezone.utc))
    assert Active([forever]).clocks(NOON) == ()


def test_until_a_fix_is_there() -> None:
    """The exception ends for a finding as soon as that has a fix, and for no other."""
    until = exception(until="fix_available")
    assert chosen(msgspec.structs.replace(FOUND, fixed_version=""), until)
    assert not chosen(msgspec.structs.replace(FOUND, fixed_version="1.1"), until)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("git", True),
        ("gi*", True),
        ("{name: git, manager: dpkg}", True),
        ("{name: git, manager: rpm}", False),
        ("curl", False),
        ('{purl: "pkg:deb/debian/git"}', True),
        ('{purl: "pkg:deb/debian/git@1.0"}', True),
        ('{purl: "pkg:deb/debian/git@2.0"}', False),
        ('{purl: "pkg:deb/ubuntu/git"}', False),
    ],
)
def test_the_package_is_named_as_in_a_rule(text: str, *, holds: bool) -> None:
    """Name, source, manager and package URL mean what they mean in a rule's `package`."""
    assert bool(chosen(FOUND, exception(package=package(text)))) is holds


def test_a_package_without_vulnerability_means_all_of_it() -> None:
    """Every flaw of the package, and of no other package."""
    whole = exception(vulnerabilities=(), package=package("git"))
    assert chosen(finding(vulnerability="CVE-2020-9"), whole)
    assert not chosen(finding(vulnerability="CVE-2020-9", package="curl", source="curl"), whole)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("libgit", True),
        ("{name: libgit}", True),
        ("{source: git}", True),
        ("git", True),
        ("{name: git}", False),
        ("{source: libgit}", False),
        ('{purl: "pkg:deb/debian/libgit"}', True),
        ("lib[fgh]it", True),
        ("[libgit, curl]", True),
        ("{name: [curl, libgit], manager: rpm}", False),
    ],
)
def test_a_package_is_found_however_it_is_named(text: str, *, holds: bool) -> None:
    """By its own name or its source's, exactly or by pattern, without a vulnerability as with one."""
    found = msgspec.structs.replace(FOUND, package="libgit", source="git")
    assert bool(chosen(found, exception(vulnerabilities=(), package=package(text)))) is holds
    assert bool(chosen(found, exception(package=package(text)))) is holds


def test_what_is_not_known_is_not_met() -> None:
    """A finding whose manager nobody knows is not one of dpkg."""
    unknown = msgspec.structs.replace(FOUND, manager="")
    assert not chosen(unknown, exception(package=package("{name: git, manager: dpkg}")))


HERE = launch(
    reference=ImageReference("x", ReferenceKind.PATH, "/apps/containers/bio/x.sif"),
    image=ImageFacts(owner="root", digest=DIGEST),
)


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        (ExceptionScope(user=("alice",)), True),
        (ExceptionScope(user=("bob",)), False),
        (ExceptionScope(group=("staff", "bio")), True),
        (ExceptionScope(group=("staff",)), False),
        (ExceptionScope(account=("bio01",)), True),
        (ExceptionScope(account=("bio02",)), False),
        (ExceptionScope(partition=("batch",)), True),
        (ExceptionScope(partition=("debug",)), False),
        (ExceptionScope(owner=("root",)), True),
        (ExceptionScope(owner=("alice",)), False),
        (ExceptionScope(image_digest=(DIGEST,)), True),
        (ExceptionScope(image_digest=("sha256:" + "b2" * 32,)), False),
        (ExceptionScope(path=("/apps/containers/**",)), True),
        (ExceptionScope(path=("/apps/containers/*",)), False),
        (ExceptionScope(path=("/apps/containers/**",), owner=("alice",)), False),
        (ExceptionScope(user=("alice",), account=("bio01",), owner=("root",)), True),
    ],
)
def test_every_field_of_the_scope_must_fit(scope: ExceptionScope, *, holds: bool) -> None:
    """A scope of several fields is as narrow as its narrowest."""
    assert bool(chosen(FOUND, exception(scope=scope), by=HERE)) is holds


def test_what_slurm_says_counts_only_from_a_trusted_peer() -> None:
    """A user who claims an account of others gets none of its exceptions."""
    claimed = launch(requester=Requester(uid=1000, user="alice"), job=JobFacts(account="bio01"))
    assert not chosen(FOUND, exception(scope=ExceptionScope(account=("bio01",))), by=claimed)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x.sif",
        "/apps/containers/../../home/alice/x.sif",
        "/apps/containers/./../x.sif",
        "/apps/containersx",
    ],
)
def test_a_path_that_is_not_plain_fits_no_pattern(path: str) -> None:
    """Nobody climbs out of a directory that is excepted."""
    there = launch(reference=ImageReference("x", ReferenceKind.PATH, path))
    assert not chosen(FOUND, exception(scope=ExceptionScope(path=("/apps/containers/**",))), by=there)


def test_what_is_not_known_of_the_image_is_not_in_scope() -> None:
    """Without the digest or owner of the image no exception for one holds."""
    for scope in (ExceptionScope(image_digest=(DIGEST,)), ExceptionScope(owner=("root",))):
        assert not chosen(FOUND, exception(scope=scope), by=launch())


def test_of_several_the_one_that_lasts_longest_is_named() -> None:
    """Ties go by id, so that two nodes name the same one whatever the order of files."""
    later = exception(id="SEC-9", expires=EXPIRES + timedelta(days=1))
    twin = exception(id="SEC-0")
    for order in ((exception(), later, twin), (twin, later, exception())):
        assert chosen(FOUND, *order) == "SEC-9"
        assert chosen(FOUND, *(each for each in order if each is not later)) == "SEC-0"


def test_partition_keeps_the_order_and_loses_nothing() -> None:
    """Every finding is on one side, in the order of the verdict."""
    findings = [finding(vulnerability=f"CVE-2026-{number}") for number in range(5)]
    active = Active([exception(vulnerabilities=("CVE-2026-1", "CVE-2026-3"))])
    counted, excepted = active.partition(findings, verdict(*findings), launch(), NOON)
    assert counted == [findings[0], findings[2], findings[4]]
    assert [each for each, _ in excepted] == [findings[1], findings[3]]


def test_the_next_clock_is_the_first_instant_ahead() -> None:
    """A beginning or an end that is still to come, whatever lies behind; none once all have ended."""
    ahead = exception(id="b", created=date(2026, 9, 10), expires=EXPIRES)
    active = Active([exception(), ahead, exception(id="c", expires=date(2026, 8, 2))])
    begins, ends = (datetime(2026, month, day, tzinfo=timezone.utc) for month, day in ((9, 10), (10, 1)))
    assert active.clocks(NOON) == (begins,)
    assert active.clocks(begins) == (ends,)
    assert active.clocks(ends) == ()


def test_launch_fields_name_what_the_scope_reads() -> None:
    """The memo of a decision is keyed by exactly these."""
    scope = ExceptionScope(image_digest=(DIGEST,), account=("a",))
    assert exception(scope=scope).launch_fields() == {"image.digest", "job.account", "requester.trusted"}
    assert exception(package=package("git")).launch_fields() == frozenset()


@pytest.mark.parametrize(
    ("moment", "stage"),
    [
        (datetime(2026, 7, 31, tzinfo=timezone.utc), Stage.AHEAD),
        (datetime(2026, 8, 1, tzinfo=timezone.utc), Stage.ACTIVE),
        (datetime(2026, 9, 16, 23, 59, tzinfo=timezone.utc), Stage.ACTIVE),
        (datetime(2026, 9, 17, tzinfo=timezone.utc), Stage.EXPIRING),
        (datetime(2026, 9, 30, 23, tzinfo=timezone.utc), Stage.EXPIRING),
        (datetime(2026, 10, 1, tzinfo=timezone.utc), Stage.EXPIRED),
    ],
)
def test_its_end_is_announced(moment: datetime, stage: Stage) -> None:
    """Fourteen days before its end an exception is expiring; expired, it stays listed as such."""
    assert stage_of(exception(), moment, 14) is stage
    assert bool(announced([exception()], moment, 14)) is (stage is Stage.EXPIRING)


SCOPES = st.sampled_from(
    [
        ExceptionScope(),
        ExceptionScope(user=("alice",)),
        ExceptionScope(account=("bio02",)),
        ExceptionScope(path=("/apps/**",)),
    ]
)
EXCEPTIONS = st.builds(
    exception,
    id=st.integers(0, 99).map(str),
    vulnerabilities=st.lists(st.sampled_from(["CVE-2026-1", "CVE-2026-2", "GHSA-2222-3333-4444"])).map(tuple),
    package=st.sampled_from(
        [package("git"), package("cu*"), package("{name: git}"), package("{source: git}")]
    ),
    scope=SCOPES,
    created=st.dates(CREATED, EXPIRES),
    expires=st.dates(CREATED, EXPIRES),
    until=st.sampled_from(["", "fix_available"]),
).filter(lambda each: bool(each.vulnerabilities) or each.package is not None)
FINDINGS = st.builds(
    finding,
    vulnerability=st.sampled_from(["CVE-2026-1", "CVE-2026-2", "USN-1-1"]),
    aliases=st.sampled_from([(), ("CVE-2026-1",), ("GHSA-2222-3333-4444",), ("CVE-2026-1", "CVE-2026-2")]),
    package=st.sampled_from(["git", "curl"]),
    fixed_version=st.sampled_from(["", "1.1"]),
)


@given(
    st.lists(FINDINGS, max_size=6),
    st.lists(EXCEPTIONS, max_size=5),
    EXCEPTIONS,
    st.datetimes(datetime(2026, 7, 30), datetime(2026, 10, 3), timezones=st.just(timezone.utc)),  # noqa: DTZ001
)
def test_one_more_exception_never_counts_more(
    findings: list[Finding], exceptions: list[PolicyException], more: PolicyException, moment: datetime
) -> None:
    """What an exception sets aside stays aside whatever others are added, so no decision grows stronger."""
    facts = verdict(*findings)
    before, _ = Active(exceptions).partition(findings, facts, HERE, moment)
    after, excepted = Active([*exceptions, more]).partition(findings, facts, HERE, moment)
    assert len(after) + len(excepted) == len(findings)
    remaining = list(before)
    for each in after:
        remaining.remove(each)
    for found, holding in excepted:
        assert Active([holding]).of(found, HERE, moment, facts) == holding
    for found in after:
        assert not any(Active([each]).of(found, HERE, moment, facts) for each in [*exceptions, more])


@given(EXCEPTIONS, st.lists(FINDINGS, max_size=4), st.sampled_from(["user", "path", "account"]))
def test_what_is_outside_launch_fields_changes_nothing(
    each: PolicyException, findings: list[Finding], changed: str
) -> None:
    """Launches that agree in the fields named get the same answer."""
    others = {
        "user": (
            "requester.user",
            msgspec.structs.replace(HERE, requester=Requester(1, user="x", trusted=True)),
        ),
        "path": (
            "reference.path",
            msgspec.structs.replace(HERE, reference=ImageReference("y", ReferenceKind.PATH, "/y")),
        ),
        "account": ("job.account", msgspec.structs.replace(HERE, job=JobFacts(account="bio02"))),
    }
    name, other = others[changed]
    facts = verdict(*findings)
    answers = [Active([each]).partition(findings, facts, event, NOON) for event in (HERE, other)]
    assert answers[0] == answers[1] or name in each.launch_fields()
