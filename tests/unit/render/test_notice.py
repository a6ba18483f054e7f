# SPDX-License-Identifier: Apache-2.0
"""The notice: its shape for every outcome, and that nothing from an image or user can act on a terminal."""

from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, ROOT, finding, launch, policy, standing

from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.finding import Severity
from sifgate.model.image import ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, Grant
from sifgate.model.verdict import EndOfLife, FailureCause, ScanState, Standing, UnscannableCause
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_policy
from sifgate.policy.states import STATE_SENTENCES
from sifgate.render.notice import MAX_LINES, notice, waiting

GIT = finding(
    version="1:2.30.2-1+deb11u2",
    fixed_version="1:2.30.2-1+deb11u5",
    kev=True,
    severity=Severity.HIGH,
    cvss=8.1,
)
FREETYPE = finding(
    vulnerability="CVE-2025-27363",
    package="libfreetype6",
    source="freetype",
    version="2.10.4+dfsg-1+deb11u1",
    fixed_version="2.10.4+dfsg-1+deb11u2",
    kev=True,
    severity=Severity.HIGH,
)


def enforcing() -> Policy:
    """Return the shipped policy that refuses."""
    return load_policy(ROOT / "etc/sifgate/examples/enforcing.yaml")


def shown(known: Standing, site: Policy | None = None, **fields: object) -> str:
    """Return the notice for a standing under the enforcing policy."""
    event = launch(**fields)
    return notice(evaluate(site or enforcing(), known, event, NOON), known, event, "7QX4-19")


def test_refusal_has_the_shape_of_the_design() -> None:
    """Who, what, why, what to do and how to look it up, line by line."""
    assert shown(standing(GIT, FREETYPE)) == (
        'sifgate: launch refused: 2 known-exploited vulnerabilities with a fix (rule "kev-fixable")\n'
        "  image  /scratch/alice/sci.sif  fp:9f2c41a7  Debian 11 (end of life 2026-08-31)\n"
        "  why    CVE-2025-48384 git 1:2.30.2-1+deb11u2, fixed in 1:2.30.2-1+deb11u5\n"
        "         CVE-2025-27363 libfreetype6 2.10.4+dfsg-1+deb11u1, fixed in 2.10.4+dfsg-1+deb11u2\n"
        '  also   Debian 11 reached its end of life on 2026-08-31 (rule "eol-distro")\n'
        "  do     apptainer build new.sif from this image with `apt-get upgrade` (removes 2 of 2), "
        "or ask security@site.example\n"
        "  ref    7QX4-19   sifgate explain 7QX4-19\n"
    )


def test_warning_without_findings() -> None:
    """A rule about the image itself has no list of vulnerabilities, and says the site's own words."""
    assert shown(standing()) == (
        'sifgate: warning: Debian 11 reached its end of life on 2026-08-31 (rule "eol-distro")\n'
        "  image  /scratch/alice/sci.sif  fp:9f2c41a7  Debian 11 (end of life 2026-08-31)\n"
        "  note   rebuild the image on a supported release\n"
        "  do     rebuild the image on a current release, or ask security@site.example\n"
        "  ref    7QX4-19   sifgate explain 7QX4-19\n"
    )


def test_allow_and_log_say_nothing() -> None:
    """Who is not stopped and not warned reads nothing."""
    assert not shown(standing(finding(), end_of_life=EndOfLife()))
    assert not shown(standing(GIT), load_policy(ROOT / "etc/sifgate/policy.yaml"))


def test_warning_mode_says_what_enforcing_would_do() -> None:
    """The ceiling of the mode is visible to the user, so that the day of enforcement is no surprise."""
    site = policy("mode: warn\nrules: [{id: kev, when: {kev: true}, action: block}]")
    first = shown(standing(GIT), site).splitlines()[0]
    assert first == (
        'sifgate: warning: 1 known-exploited vulnerability (rule "kev"); in mode enforce this launch would be refused'
    )


def test_what_is_to_come_is_said_before_it_comes() -> None:
    """A date of promotion stands beside the rule."""
    site = policy(
        "mode: enforce\nrules: [{id: kev, when: {kev: true}, action: {now: warn, 2026-12-01: block}}]"
    )
    assert shown(standing(GIT), site).splitlines()[0] == (
        'sifgate: warning: 1 known-exploited vulnerability (rule "kev"; refused from 2026-12-01)'
    )


def test_warning_in_mode_enforce_says_why_it_is_no_refusal() -> None:
    """A grant, or a place where the launch is only looked at."""
    site = policy(
        "mode: enforce\nenforcement_points: {submit: warn}\nbreak_glass: {groups: [a], max_duration: 4h}\n"
        "rules: [{id: kev, when: {kev: true}, action: block}]"
    )
    grant = Grant("g1", 1000, "r", "olga", "2026-09-01T11:00:00Z", "2026-09-01T13:00:00Z")
    said = 'sifgate: warning: 1 known-exploited vulnerability (rule "kev"); '
    granted = shown(standing(GIT), site, grant=grant).splitlines()[0]
    assert granted == f"{said}not refused for break-glass grant g1"
    submitted = shown(standing(GIT), site, door=Door.SUBMIT).splitlines()[0]
    assert submitted == f"{said}where the container starts this launch would be refused"


@pytest.mark.parametrize("count", [1, 4, 5, 6, 400])
def test_many_findings_are_counted(count: int) -> None:
    """Five are listed; of more, four, and how many there are besides."""
    known = standing(*(finding(vulnerability=f"CVE-2025-{n:04}", kev=True) for n in range(count)))
    lines = shown(known).splitlines()
    listed = [line for line in lines if "CVE-" in line]
    assert len(listed) == (count if count <= 5 else 4)
    assert (f"         and {count - 4} more" in lines) is (count > 5)
    assert len(lines) <= MAX_LINES


@pytest.mark.parametrize("state", [state for state in ScanState if state is not ScanState.KNOWN])
def test_every_state_has_a_notice(state: ScanState) -> None:
    """Each says what is wrong in words, with something to do, under its own name."""
    site = policy(
        "mode: enforce\ncontact: help@site\nrules: [{id: kev, when: {kev: true}, action: block}]\n"
        "scan_states: {pending: block, pending_exhausted: block, unsupported: block, partial: block, "
        "inconsistent: block, stale: block, failed: block, unresolved: block, unscannable: block}"
    )
    lines = shown(Standing(state=state, detail="the reason"), site).splitlines()
    assert lines[0].startswith(f"sifgate: launch refused: {STATE_SENTENCES[state]}")
    assert lines[0].endswith(f'(state "{state.value}")')
    assert lines[1:3] == ["  image  /scratch/alice/sci.sif", "  why    the reason"]
    assert lines[3].startswith("  do     ")
    assert lines[3].endswith("ask help@site")


@pytest.mark.parametrize("cause", list(UnscannableCause))
def test_every_unscannable_cause_has_its_own_advice(cause: UnscannableCause) -> None:
    """The sentence and the step fit the cause."""
    site = policy(
        "mode: enforce\nscan_states: {unscannable: block}\nrules: [{id: k, when: {kev: true}, action: log}]"
    )
    text = shown(Standing(state=ScanState.UNSCANNABLE, unscannable=cause), site)
    assert text.count("\n") == 4
    assert "or ask the cluster's administrators" in text


@pytest.mark.parametrize("cause", list(FailureCause))
def test_failure_of_the_infrastructure_is_not_blamed_on_the_image(cause: FailureCause) -> None:
    """The user reads that it is not his image, and to try again."""
    causes = ", ".join(f"{each.value}: block" for each in FailureCause)
    site = policy(
        f"mode: enforce\nfailure: {{{causes}}}\nrules: [{{id: k, when: {{kev: true}}, action: log}}]"
    )
    lines = shown(Standing(cause=cause), site).splitlines()
    assert lines[0].endswith(f'(cause "{cause.value}")')
    assert "  do     try again later" in lines[2]


@pytest.mark.parametrize(
    ("manager", "release", "command"),
    [
        ("dpkg", "ubuntu", "`apt-get upgrade`"),
        ("apk", "alpine", "`apk upgrade`"),
        ("rpm", "rocky", "`dnf update`"),
        ("rpm", "sles", "`zypper update`"),
        ("python", "debian", "`pip install --upgrade requests`"),
        ("go", "debian", "newer builds of its Go programs"),
        ("java", "debian", "newer jars (requests)"),
        ("ruby", "debian", "`gem update requests`"),
        ("", "", "an upgrade of its packages"),
    ],
)
def test_advice_fits_the_package_manager(manager: str, release: str, command: str) -> None:
    """The command is the one of the image's own tools."""
    known = standing(
        finding(package="requests", manager=manager, kev=True),
        os_release=OsRelease(id=release, version_id="1"),
    )
    assert f"do     apptainer build new.sif from this image with {command} (removes 1 of 1)" in shown(known)


def test_advice_names_both_managers_and_counts_what_stays() -> None:
    """What has no fix is not promised."""
    known = standing(
        GIT,
        finding(vulnerability="CVE-2", package="numpy", manager="python"),
        finding(vulnerability="CVE-3", fixed_version=""),
    )
    assert "with `apt-get upgrade` and `pip install --upgrade numpy` (removes 2 of 3)" in shown(known)


def test_advice_without_any_fix() -> None:
    """Where an upgrade brings nothing, it is not advised."""
    site = policy("mode: enforce\nrules: [{id: kev, when: {kev: true}, action: block}]")
    text = shown(standing(finding(kev=True, fixed_version="")), site)
    assert "CVE-2025-48384 git 1.0, no fix yet" in text
    assert "do     rebuild the image on a current release" in text


@pytest.mark.parametrize("name", ["a; rm -rf ~", "$(id)", "`id`", "a b", "-e", "../x", "x\ny", "a|b", "'"])
def test_package_names_cannot_smuggle_commands_into_advice(name: str) -> None:
    """Users paste commands: a name that could do anything in a shell is left out of them."""
    known = standing(finding(package=name, manager="python", kev=True))
    advice = next(line for line in shown(known).splitlines() if line.startswith("  do"))
    command = advice.split("`")[1]
    assert command == "pip install --upgrade ..."


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\u2066\u200b\r\nsifgate: launch allowed\x00\x9b31m\udcff\u2028"


def test_nothing_hostile_reaches_the_terminal() -> None:
    """Escapes, bidirectional controls and line ends in any value are shown, not obeyed; no line can be forged."""
    nasty = finding(
        vulnerability=HOSTILE, package=HOSTILE, version=HOSTILE, fixed_version=HOSTILE, kev=True, manager="x"
    )
    known = standing(nasty, os_release=OsRelease(id=HOSTILE, version_id=HOSTILE))
    text = shown(known, reference=ImageReference(HOSTILE, ReferenceKind.PATH, "/scratch/" + HOSTILE))
    _check_safe(text)
    assert "\nsifgate: launch allowed" not in text


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.text(max_size=300),
    st.lists(st.sampled_from("ab"), max_size=9),
)
def test_any_text_stays_within_its_lines(path: str, name: str, detail: str, notes: list[str]) -> None:
    """Whatever the values hold: at most twelve lines, each of bounded length, all characters visible."""
    reasons = (
        Reason(
            rule="r",
            action=Action.BLOCK,
            message=detail,
            findings=(finding(package=name),) * 5,
            count=99,
            note=name,
        ),
        *(Reason(rule=note, action=Action.WARN, message=detail) for note in notes),
    )
    decision = Decision(
        action=Action.BLOCK, would_be=Action.BLOCK, reasons=reasons, contact=detail, clearable=1, total=1
    )
    known = msgspec.structs.replace(standing(finding(package=name)), detail=detail)
    event = launch(reference=ImageReference(path, ReferenceKind.PATH, path))
    text = notice(decision, known, event, name)
    _check_safe(text)
    assert len(text.splitlines()) == text.count("\n") <= MAX_LINES
    assert max(map(len, text.splitlines())) <= 420
    line = waiting(event, 10)
    _check_safe(line + "\n")
    assert len(line) <= 200


def test_long_path_keeps_its_end() -> None:
    """The end of a path tells the image, the beginning the file system."""
    path = "/scratch/" + "deep/" * 100 + "image.sif"
    text = shown(standing(GIT), reference=ImageReference(path, ReferenceKind.PATH, path))
    assert "/scratch/deep/" in text
    assert "deep/image.sif  fp:9f2c41a7" in text


def test_waiting_line_names_image_and_time() -> None:
    """One line while a launch waits for a first scan."""
    assert waiting(launch(), 10.0) == (
        "sifgate: first launch of /scratch/alice/sci.sif: being scanned, waiting up to 10 s"
    )


def _check_safe(text: str) -> None:
    text.encode()
    for character in text.replace("\n", ""):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}, hex(
            ord(character)
        )
