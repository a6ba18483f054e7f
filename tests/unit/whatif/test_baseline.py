# SPDX-License-Identifier: Apache-2.0
"""A baseline excepts what runs today and nothing else, and says what it cannot except."""

from __future__ import annotations

from datetime import date

import msgspec
import yaml
from tests.unit.policy.builders import NOON, finding, policy, standing
from tests.unit.whatif.conftest import Node, by, image

from sifgate.audit.files import lines
from sifgate.errors import PolicyError
from sifgate.model.decision import Action
from sifgate.model.image import ImageFacts
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import ScanState, Standing
from sifgate.policy.document import Policy, sealed
from sifgate.policy.evaluate import evaluate
from sifgate.policy.exceptions.candidates import Candidates
from sifgate.policy.exceptions.document import ExceptionScope
from sifgate.policy.exceptions.limits import ExceptionLimits
from sifgate.policy.exceptions.read import read_exceptions
from sifgate.policy.exceptions.write import rendered
from sifgate.whatif.baseline import Baseline, violations_of
from sifgate.whatif.baseline_file import Terms, entries, files
from sifgate.whatif.launches import Intake
from sifgate.yamlfile import parse

STRICT = policy("""\
mode: audit
rules:
  - {id: kev, when: {kev: true}, action: block}
  - {id: many, when: {count: {over: 2}}, action: block}
scan_states: {unsupported: block}
""")
TERMS = Terms(author="alice", created=date(2026, 9, 1), expires=date(2026, 11, 30), prefix="base")


def found(node: Node, rules: Policy = STRICT, *, anywhere: bool = False) -> Baseline:
    """Return what breaks the policy in a node's log."""
    rows = sorted(Intake().rows(line for _, line in lines(node.log)))
    return violations_of(rules, rows, node.kept, NOON, anywhere=anywhere, progress=lambda _count: None)


def excepted(baseline: Baseline, rules: Policy = STRICT) -> Policy:
    """Return the policy with the baseline's exceptions, written and read back."""
    texts = [rendered(part) for part in files(entries(baseline, TERMS))]
    documents = [parse(text, f"{number}.yaml", failure=PolicyError) for number, text in enumerate(texts)]
    read = read_exceptions(documents, ExceptionLimits(max_days=90))
    return sealed(msgspec.structs.replace(rules, exceptions=read))


def fill(node: Node) -> tuple[Standing, LaunchEvent]:
    """Record launches that break each rule; return one of them."""
    bad = node.keep(standing(finding(kev=True), finding(kev=True, package="libgit")))
    three = [finding(vulnerability=f"CVE-2026-000{number}") for number in range(3)]
    many = node.keep(image(standing(*three), "many"))
    for user in ("alice", "bob"):
        node.record(bad, by(user))
        node.record(many, by(user))
    return bad, by("alice")


def test_afterwards_nothing_of_it_is_refused(node: Node) -> None:
    """What ran yesterday runs tomorrow, in mode enforce."""
    fill(node)
    before = found(node)
    assert (before.launches, before.refused) == (4, 4)
    assert not before.beyond
    after = found(node, excepted(before))
    assert (after.launches, after.refused) == (4, 0)


def test_anything_new_is_refused(node: Node) -> None:
    """Another vulnerability, package or image is not excepted."""
    bad, event = fill(node)
    rules = excepted(found(node))
    assert evaluate(rules, bad, event, NOON).would_be is Action.ALLOW
    for fields in ({"vulnerability": "CVE-2026-9999"}, {"package": "other"}):
        assert evaluate(rules, standing(finding(kev=True, **fields)), event, NOON).would_be is Action.BLOCK
    elsewhere = msgspec.structs.replace(
        event, reference=msgspec.structs.replace(event.reference, path="/scratch/alice/new.sif")
    )
    assert evaluate(rules, bad, elsewhere, NOON).would_be is Action.BLOCK
    late = NOON.replace(month=12)
    assert evaluate(rules, bad, event, late).would_be is Action.BLOCK


def test_an_image_whose_digest_is_known_is_bound_to_it(node: Node) -> None:
    """The content, not where it lies."""
    bad = node.keep(standing(finding(kev=True)))
    digest = "sha256:" + "a" * 64
    node.record(bad, by("alice", image=ImageFacts(digest=digest)))
    (entry,) = entries(found(node), TERMS)
    assert entry["scope"] == {"image_digest": [digest]}


def test_what_no_exception_can_cover_is_named(node: Node) -> None:
    """Scan states stay refused, and the count says so."""
    node.record(Standing(state=ScanState.UNSUPPORTED, fingerprint="f" * 64), by("alice"))
    before = found(node)
    assert before.beyond == {"state:unsupported": 1}
    assert not list(entries(before, TERMS))
    assert found(node, excepted(before)).refused == 1


def test_paths_that_a_pattern_could_widen_are_taken_literally(node: Node) -> None:
    """A user cannot name his file so that an exception covers another."""
    bad = node.keep(standing(finding(kev=True)))
    event = by("alice")
    hostile = {"/scratch/*/x[1]?.sif": True, "/scratch/../etc/x.sif": False, "/scratch/a\nb.sif": False}
    for path in hostile:
        reference = msgspec.structs.replace(event.reference, path=path)
        node.record(bad, msgspec.structs.replace(event, reference=reference))
    before = found(node)
    assert before.beyond == {"kev": 2}
    rules = excepted(before)
    for path, covered in {**hostile, "/scratch/bob/x11.sif": False}.items():
        reference = msgspec.structs.replace(event.reference, path=path)
        decision = evaluate(rules, bad, msgspec.structs.replace(event, reference=reference), NOON)
        assert (decision.would_be is Action.ALLOW) is covered, path


def test_a_large_baseline_is_several_files(node: Node) -> None:
    """Each within what a reader takes."""
    vulnerable = [finding(vulnerability=f"CVE-2026-{n:05d}", package=f"p{n}", kev=True) for n in range(2000)]
    node.record(node.keep(standing(*vulnerable)), by("alice"))
    before = found(node)
    parts = files(entries(before, TERMS))
    assert len(parts) > 1
    assert len({entry["id"] for part in parts for entry in part}) == 2000
    for part in parts:
        parse(rendered(part), "part.yaml", failure=PolicyError)


def test_the_same_vulnerability_in_many_images_is_one_exception(node: Node) -> None:
    """Packages with the same images share their paths."""
    fill(node)
    (first, *_) = entries(found(node), TERMS)
    assert yaml.safe_load(rendered([first]))["exceptions"][0]["scope"]["path"] == [
        "/scratch/alice/sci.sif",
        "/scratch/bob/sci.sif",
    ]


def test_exceptions_are_found_by_path_and_digest_as_if_each_were_asked() -> None:
    """The index leaves out none that holds."""
    scopes = [
        ExceptionScope(path=("/a/x.sif", "/b/x.sif")),
        ExceptionScope(path=("/a/**",)),
        ExceptionScope(path=("/b/x.sif", "/a/?.sif")),
        ExceptionScope(image_digest=("sha256:1",)),
        ExceptionScope(image_digest=("sha256:1",), path=("/b/x.sif",)),
        ExceptionScope(user=("alice",)),
        ExceptionScope(),
    ]
    index = Candidates(scopes)
    for path in ("/a/x.sif", "/b/x.sif", "/c/x.sif", "/a/../a/x.sif", "/b//./x.sif", ""):
        for digest in ("", "sha256:1"):
            for user in ("alice", "bob"):
                event = by(user, image=ImageFacts(digest=digest))
                reference = msgspec.structs.replace(event.reference, path=path)
                event = msgspec.structs.replace(event, reference=reference)
                holding = [number for number, scope in enumerate(scopes) if scope.holds(event)]
                perhaps = index.of(event)
                assert perhaps == sorted(perhaps)
                assert [number for number in perhaps if scopes[number].holds(event)] == holding
