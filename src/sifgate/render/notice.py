# SPDX-License-Identifier: Apache-2.0
"""What a user reads when a launch is refused or warned about: the same lines at every door, at most twelve.

::

    sifgate: launch refused: 2 known-exploited vulnerabilities with a fix (rule "kev-fixable")
      image  /scratch/alice/sci.sif  fp:9f2c41a7  Debian 11 (end of life 2026-08-31)
      why    CVE-2025-48384 git 1:2.30.2-1+deb11u2, fixed in 1:2.30.2-1+deb11u5
      do     apptainer build new.sif from this image with `apt-get upgrade` (removes 371 of 371), or ask …
      ref    7QX4-19   sifgate explain 7QX4-19

Everything from images and users is escaped and cut; the text ends with a newline.
"""

from __future__ import annotations

from collections.abc import Iterator

from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.render.advice import advice
from sifgate.render.distribution import distribution
from sifgate.render.escape import printable

MAX_LINES = 12
MAX_WHY = 4
"""Lines of findings, and then one that counts the rest."""
MAX_ALSO = 2
MAX_PATH = 100
MAX_WORD = 48
"""Of a package name, a version, an identifier."""
MAX_SENTENCE = 160


def notice(decision: Decision, standing: Standing, launch: LaunchEvent, reference: str) -> str:
    """Return the notice for a warning or a refusal; empty for `allow` and `log`."""
    if decision.action < Action.WARN or not decision.reasons:
        return ""
    return "\n".join(_lines(decision, standing, launch, reference)) + "\n"


def waiting(launch: LaunchEvent, seconds: float) -> str:
    """Return the line that is shown while a launch waits for its image to be scanned."""
    return f"sifgate: first launch of {_called(launch)}: being scanned, waiting up to {seconds:.0f} s"


def _lines(decision: Decision, standing: Standing, launch: LaunchEvent, reference: str) -> Iterator[str]:
    main, *others = decision.reasons
    yield f"sifgate: {_verb(decision)}: {_sentence(main)}{_rule(main)}{_ceiling(decision)}"
    yield _line("image", _image(standing, launch))
    for number, text in enumerate(_why(main, standing)):
        yield _line("" if number else "why", text)
    also = [reason for reason in others if reason.action >= Action.WARN][:MAX_ALSO]
    for reason in also:
        yield _line("also", f"{_sentence(reason)}{_rule(reason)}")
    if main.note:
        yield _line("note", _cut(main.note, MAX_SENTENCE))
    yield _line("do", advice(decision, standing))
    if reference:
        word = _cut(reference, MAX_WORD)
        yield _line("ref", f"{word}   sifgate explain {word}")


def _line(label: str, text: str) -> str:
    return f"  {label:<5}  {text}"


def _verb(decision: Decision) -> str:
    return "launch refused" if decision.action is Action.BLOCK else "warning"


def _ceiling(decision: Decision) -> str:
    """Return what weakened the refusal: a grant, the place where it was judged, or the mode."""
    if decision.would_be <= decision.action:
        return ""
    if decision.grant:
        return f"; not refused for break-glass grant {_cut(decision.grant, MAX_WORD)}"
    if decision.mode == "enforce":
        return "; where the container starts this launch would be refused"
    return "; in mode enforce this launch would be refused"


def _sentence(reason: Reason) -> str:
    return _cut(reason.message, MAX_SENTENCE)


def _rule(reason: Reason) -> str:
    kind, _, rest = reason.rule.partition(":")
    name = f'{kind} "{rest}"' if rest else f'rule "{kind}"'
    return f" ({_cut(name, 80)}{f'; {_cut(reason.clock, MAX_WORD)}' if reason.clock else ''})"


def _image(standing: Standing, launch: LaunchEvent) -> str:
    fingerprint = standing.fingerprint or (standing.verdict.fingerprint if standing.verdict else "")
    parts = [_called(launch)]
    if fingerprint:
        parts.append(f"fp:{_cut(fingerprint[:8], 8)}")
    if standing.verdict is not None:
        parts.append(_cut(distribution(standing.verdict), 80))
    return "  ".join(filter(None, parts))


def _called(launch: LaunchEvent) -> str:
    """Return what the user knows the image by: what he called it, not where a runtime has unpacked it."""
    return _cut_path(launch.name or launch.reference.path or launch.reference.text)


def _why(reason: Reason, standing: Standing) -> Iterator[str]:
    shown = reason.findings if reason.count <= MAX_WHY + 1 else reason.findings[:MAX_WHY]
    for finding in shown:
        yield _finding(finding)
    if reason.count > len(shown):
        yield f"and {reason.count - len(shown)} more" if shown else f"{reason.count} vulnerabilities"
    if not shown and (detail := _detail(standing)):
        yield _cut(detail, MAX_SENTENCE)


def _finding(finding: Finding) -> str:
    words = (finding.vulnerability, finding.package, finding.version)
    what = " ".join(_cut(word, MAX_WORD) for word in words if word)
    if finding.fixable:
        return f"{what}, fixed in {_cut(finding.fixed_version, MAX_WORD)}"
    return f"{what}, no fix yet"


def _detail(standing: Standing) -> str:
    return standing.detail or (standing.verdict.detail if standing.verdict else "")


def _cut(text: str, limit: int) -> str:
    """Return text that is safe on a terminal, its end cut off where it is long."""
    safe = printable(text[: limit * 2])
    return safe if len(safe) <= limit else f"{safe[: limit - 3]}..."


def _cut_path(path: str) -> str:
    """Return a path that is safe on a terminal, its middle left out where it is long: the end tells most."""
    safe = printable(path)
    if len(safe) <= MAX_PATH:
        return safe
    head = MAX_PATH // 3
    return f"{safe[:head]}...{safe[-(MAX_PATH - head - 3) :]}"
