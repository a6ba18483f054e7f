# SPDX-License-Identifier: Apache-2.0
"""The image and the launch of a policy case: plain words in, the values that the evaluator reads out.

What a case leaves out is an ordinary Debian 11 image that alice starts through SPANK.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum
from typing import Any, TypeVar

from sifgate.model.finding import Finding, Rating, Score, Severity
from sifgate.model.image import CoverageFacts, ImageFacts, ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, Grant, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import (
    Coverage,
    EndOfLife,
    FailureCause,
    Generation,
    ScanState,
    Standing,
    UnscannableCause,
    Verdict,
)
from sifgate.yamlnode import Node

FINGERPRINT = "9f2c41a7" * 8
DIGEST = "sha256:" + "0" * 64
UID = 1000
PATH = "/scratch/alice/sci.sif"
SEVERITIES = tuple(severity.name.lower() for severity in Severity)

FACTS = ("owner", "created", "digest", "signers")
IMAGE_KEYS = (
    "findings", "state", "unscannable", "failure", "detail", "distro", "eol", "lts", "elts", "kev_catalogue",
    "epss_scores", "support_table", "advisories", "advisories_loaded", "managers", "scanned_at", *FACTS,
)  # fmt: skip
FINDING_KEYS = (
    "cve", "package", "source", "version", "manager", "path", "arch", "severity", "ratings", "fixed", "kev",
    "kev_added", "cvss", "scores", "epss", "aliases", "support_ended", "published", "fix_available", "first_seen_image",
    "first_seen_site",
)  # fmt: skip
LAUNCH_KEYS = (
    "user", "uid", "groups", "trusted", "partition", "account", "qos", "reservation", "door", "path", "name",
    "injected", "grant", "budget_spent",
)  # fmt: skip
GRANT_KEYS = ("id", "reason", "by", "begins", "ends")

Choice = TypeVar("Choice", bound=Enum)


class Fields:
    """The keys of a mapping, each read once with a default; raises the document's error, located."""

    def __init__(self, node: Node, keys: tuple[str, ...], required: tuple[str, ...] = ()) -> None:
        self._found = node.mapping(keys=keys, required=required)

    def has(self, key: str) -> bool:
        """Return whether the key is given."""
        return key in self._found

    def node(self, key: str) -> Node:
        """Return the value of a key that is given."""
        return self._found[key]

    def text(self, key: str, default: str = "") -> str:
        """Return text, or a date or number as it is written."""
        return _text(self._found[key]) if key in self._found else default

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text is a list of one."""
        node = self._found.get(key)
        if node is None:
            return ()
        return tuple(map(_text, node.sequence() if node.is_sequence else (node,)))

    def truth(self, key: str, default: bool) -> bool:  # noqa: FBT001  # the value itself
        """Return true or false."""
        return self._found[key].boolean() if key in self._found else default

    def number(self, key: str, default: float) -> float:
        """Return a number."""
        return _number(self._found[key]) if key in self._found else default

    def whole(self, key: str, default: int) -> int:
        """Return a whole number of at least 0."""
        return self._found[key].integer(minimum=0, maximum=2**32 - 2) if key in self._found else default

    def instant(self, key: str, default: str) -> str:
        """Return a moment as ISO time, UTC; an empty text stays empty: not known."""
        if not self.text(key):
            return "" if key in self._found else default
        return moment(self._found[key]).astimezone(timezone.utc).isoformat().replace("+00:00", "Z")

    def choice(self, key: str, kind: type[Choice]) -> Choice | None:
        """Return the member that a word names; None where the key is not given."""
        if key not in self._found:
            return None
        return kind(self._found[key].choice(member.value for member in kind))

    def each(self, key: str, read: Callable[[str, Node], Any]) -> tuple[Any, ...]:
        """Return what `read` makes of each pair of a mapping, sorted by key."""
        if key not in self._found:
            return ()
        return tuple(read(word, node) for word, node in sorted(self._found[key].mapping().items()))


def standing_of_case(image: Node) -> Standing:
    """Return the standing that the `image` of a case describes."""
    fields = Fields(image, IMAGE_KEYS)
    cause = fields.choice("failure", FailureCause)
    state = fields.choice("state", ScanState)
    if not fields.has("findings"):
        unscannable = fields.choice("unscannable", UnscannableCause)
        return Standing(state=state, cause=cause, unscannable=unscannable, detail=fields.text("detail"))
    verdict = _verdict(fields, state or ScanState.KNOWN)
    return Standing(state=verdict.state, cause=cause, verdict=verdict, fingerprint=FINGERPRINT, digest=DIGEST)


def launch_of_case(launch: Node | None, image: Node) -> LaunchEvent:
    """Return the launch that the `launch` of a case describes, with what its `image` says of the file."""
    blank = Node(image.document, image.line, image.column, "launch", {})
    fields = Fields(launch or blank, LAUNCH_KEYS)
    uid = fields.whole("uid", UID)
    path = fields.text("path", PATH)
    return LaunchEvent(
        door=fields.choice("door", Door) or Door.SPANK,
        requester=Requester(
            uid=uid,
            user=fields.text("user", "alice"),
            groups=fields.texts("groups"),
            trusted=fields.truth("trusted", default=True),
        ),
        reference=ImageReference(path.rpartition("/")[2], ReferenceKind.PATH, path),
        job=JobFacts(
            job_id=7,
            step_id=0,
            partition=fields.text("partition"),
            account=fields.text("account"),
            qos=fields.text("qos"),
            reservation=fields.text("reservation"),
        ),
        content_injected=fields.texts("injected"),
        name=fields.text("name"),
        image=_facts(Fields(image, IMAGE_KEYS)),
        grant=_grant(fields.node("grant"), uid) if fields.has("grant") else None,
        budget_spent=fields.truth("budget_spent", default=False),
    )


def moment(node: Node) -> datetime:
    """Return the moment that a date or a time with time zone names; a bare date is its midnight, UTC."""
    text = _text(node)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise node.expected("a date, or a time with its zone such as 2026-09-01T12:00:00+00:00") from None
    if found.tzinfo is None:
        if len(text) > len("2026-09-01"):
            raise node.error("the time has no zone", hint="end it with Z or +00:00")
        found = found.replace(tzinfo=timezone.utc)
    return found


def _verdict(fields: Fields, state: ScanState) -> Verdict:
    name, _, version = fields.text("distro", "debian 11").partition(" ")
    findings = (_finding(node) for node in fields.node("findings").sequence())
    managers = fields.texts("managers")
    return Verdict(
        fingerprint=FINGERPRINT,
        state=state,
        findings=tuple(sorted(findings, key=_order)),
        coverage=Coverage(
            distribution=fields.text("distro", "debian 11"),
            advisories=fields.truth("advisories_loaded", default=True),
            packages=dict.fromkeys(managers, 1),
        ),
        os_release=OsRelease(id=name, version_id=version),
        end_of_life=EndOfLife(
            product=name, eol=fields.text("eol"), lts=fields.text("lts"), elts=fields.text("elts")
        ),
        facts=CoverageFacts(managers=managers),
        generation=Generation(
            id="g1",
            advisories=fields.instant("advisories", "2026-08-31T00:00:00Z"),
            kev=fields.text("kev_catalogue", "2026-08-01"),
            epss=fields.text("epss_scores", "2026-08-01"),
            support=fields.text("support_table", "2026-08-01"),
        ),
        scanned_at=fields.instant("scanned_at", "2026-08-31T00:00:00Z"),
    )


def _finding(node: Node) -> Finding:
    fields = Fields(node, FINDING_KEYS, required=("cve",))
    scores = fields.each("scores", lambda version, value: Score(version, _number(value)))
    highest = max((score.score for score in scores), default=-1.0)
    return Finding(
        vulnerability=fields.text("cve"),
        package=fields.text("package", "git"),
        version=fields.text("version", "1.0"),
        severity=_severity(fields.node("severity")) if fields.has("severity") else Severity.UNKNOWN,
        aliases=tuple(sorted(fields.texts("aliases"))),
        source=fields.text("source"),
        arch=fields.text("arch"),
        manager=fields.text("manager", "dpkg"),
        fixed_version=fields.text("fixed"),
        kev=fields.truth("kev", default=False),
        kev_added=fields.text("kev_added"),
        cvss=fields.number("cvss", highest),
        published=fields.text("published"),
        path=fields.text("path"),
        ratings=fields.each("ratings", lambda source, value: Rating(source, _severity(value))),
        scores=scores,
        epss=fields.number("epss", -1.0),
        fix_available=fields.text("fix_available"),
        first_seen_image=fields.text("first_seen_image"),
        first_seen_site=fields.text("first_seen_site"),
        support_ended=fields.truth("support_ended", default=False) if fields.has("support_ended") else None,
    )


def _facts(fields: Fields) -> ImageFacts:
    return ImageFacts(
        owner=fields.text("owner"),
        created=fields.instant("created", ""),
        digest=fields.text("digest"),
        signers=tuple(sorted(fields.texts("signers"))) if fields.has("signers") else None,
    )


def _grant(node: Node, uid: int) -> Grant:
    fields = Fields(node, GRANT_KEYS, required=("id", "begins", "ends"))
    return Grant(
        id=fields.text("id"),
        uid=uid,
        reason=fields.text("reason"),
        by=fields.text("by", "root"),
        begins=fields.instant("begins", ""),
        ends=fields.instant("ends", ""),
    )


def _order(finding: Finding) -> tuple[str, ...]:
    return (finding.vulnerability, finding.package, finding.version, finding.arch, finding.path)


def _severity(node: Node) -> Severity:
    return Severity.parse(node.choice(SEVERITIES))


def _number(node: Node) -> float:
    value = node.plain()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise node.expected("a number")
    return float(value)


def _text(node: Node) -> str:
    """Return text as written; dates and numbers need no quotes in a case."""
    if isinstance(node.content, str) and node.type_name in ("date", "number"):
        return node.content
    return node.text(empty=True)
