# SPDX-License-Identifier: Apache-2.0
"""What a user can do about a decision: the cheapest step that helps, and whom to ask."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sifgate.model.decision import Decision
from sifgate.model.finding import Finding
from sifgate.model.verdict import ScanState, Standing, UnscannableCause
from sifgate.render.escape import printable

MAX_CONTACT = 100
MAX_NAMES = 3

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ZYPPER = frozenset({"sles", "opensuse-leap", "opensuse-tumbleweed", "suse"})
_UPGRADES = {
    "dpkg": "`apt-get upgrade`",
    "apk": "`apk upgrade`",
    "python": "`pip install --upgrade {names}`",
    "ruby": "`gem update {names}`",
    "go": "newer builds of its Go programs",
    "java": "newer jars ({names})",
}
_STATES = {
    ScanState.PENDING: "see `sifgate check` of the image in a minute: the scan goes on",
    ScanState.PENDING_EXHAUSTED: "wait until `sifgate check` of the image shows an answer",
    ScanState.UNSUPPORTED: "build on a distribution that sifgate knows (`sifgate status` lists them)",
    ScanState.PARTIAL: "see `sifgate scan` of the image for what was left out",
    ScanState.INCONSISTENT: "build the image anew with its package manager's data in place",
    ScanState.STALE: "start it again later: the image is due for another scan",
    ScanState.FAILED: "see `sifgate scan` of the image for the scanner's words",
    ScanState.UNRESOLVED: "name an image file that exists and that you may read",
}
_CAUSES = {
    UnscannableCause.ENCRYPTED: "use an image that is not encrypted",
    UnscannableCause.MALFORMED: "build the image anew, or copy it again: it may be damaged",
    UnscannableCause.BOUNDS: "make the image smaller: fewer files, shorter paths, no huge archives",
    UnscannableCause.FORMAT: "build a SIF image from it: apptainer build new.sif ...",
    UnscannableCause.FILESYSTEM: "build a SIF image from it: apptainer build new.sif ...",
    UnscannableCause.SANDBOX: "start it on another node",
}


def advice(decision: Decision, standing: Standing) -> str:
    """Return the text of the notice's `do` line."""
    step = _step(decision, standing)
    contact = printable(decision.contact[:MAX_CONTACT]) or "the cluster's administrators"
    return f"{step}, or ask {contact}" if step else f"ask {contact}"


def _step(decision: Decision, standing: Standing) -> str:
    main = decision.reasons[0]
    if main.rule == "content_injected":
        return "start it without overlays and binds over system directories"
    if main.rule.startswith("cause:"):
        return "try again later"
    if main.rule.startswith("state:"):
        return _state_step(ScanState(main.rule.partition(":")[2]), standing)
    if not main.findings or not decision.clearable:
        return "rebuild the image on a current release"
    commands = " and ".join(_commands(standing, main.findings)[:2])
    removes = f"(removes {decision.clearable} of {decision.total})"
    return f"apptainer build new.sif from this image with {commands} {removes}"


def _state_step(state: ScanState, standing: Standing) -> str:
    if state is ScanState.UNSCANNABLE:
        return "" if standing.unscannable is None else _CAUSES[standing.unscannable]
    return _STATES[state]


def _commands(standing: Standing, first: Iterable[Finding]) -> list[str]:
    """Return how to upgrade what has a fix, one step per package manager, those of `first` ahead."""
    if standing.verdict is None:
        return []
    release = standing.verdict.os_release.id
    fixable = [finding for finding in (*first, *standing.verdict.findings) if finding.fixable]
    managers = dict.fromkeys(finding.manager for finding in fixable)
    return [_command(manager, release, _names(fixable, manager)) for manager in managers]


def _command(manager: str, release: str, names: str) -> str:
    if manager == "rpm":
        return "`zypper update`" if release in _ZYPPER else "`dnf update`"
    return _UPGRADES.get(manager, "an upgrade of its packages").format(names=names)


def _names(findings: Iterable[Finding], manager: str) -> str:
    """Return a few package names; only such as cannot do anything where a user pastes the command."""
    named = dict.fromkeys(finding.package for finding in findings if finding.manager == manager)
    plain = [name for name in named if _PLAIN.fullmatch(name)]
    more = len(named) > MAX_NAMES or len(plain) < len(named)
    return " ".join((*plain[:MAX_NAMES], *(["..."] if more else [])))
