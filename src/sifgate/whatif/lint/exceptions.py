# SPDX-License-Identifier: Apache-2.0
"""Exceptions that are over, will be soon, have not begun, repeat another, or were never used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sifgate.policy.document import Policy
from sifgate.policy.exceptions.announce import Stage, stage_of
from sifgate.policy.exceptions.document import PolicyException
from sifgate.whatif.lint.complaint import Complaint, Weight
from sifgate.whatif.lint.places import Places


def check_exceptions(
    policy: Policy, places: Places, now: datetime, used: frozenset[str] | None
) -> Iterator[Complaint]:
    """Yield what is wrong with exceptions; `used`: ids that the audit log names, None: it was not looked at."""
    for exception in policy.exceptions:
        place = places.of("exceptions", exception.id)
        yield from _dates(policy, exception, place, now)
        if other := _wider(policy, exception):
            text = f"exception {exception.id} changes nothing: {other} holds wherever it does"
            yield Complaint("exception-shadowed", Weight.INFO, place, text, "take it out")
        elif used is not None and exception.id not in used and exception.in_force(now):
            text = f"exception {exception.id} has set no finding aside in the recorded launches"
            yield Complaint(
                "exception-unused", Weight.INFO, place, text, "take it out if nobody needs it any more"
            )


def _dates(policy: Policy, exception: PolicyException, place: str, now: datetime) -> Iterator[Complaint]:
    ends = exception.ends
    if ends is not None and ends <= now:
        text = f"exception {exception.id} has expired on {exception.expires}: it sets nothing aside"
        yield Complaint(
            "exception-expired", Weight.WARNING, place, text, "take it out, or have it approved anew"
        )
        return
    if stage_of(exception, now, policy.exception_settings.limits.announce_days) is Stage.EXPIRING:
        left = (exception.expires - now.date()).days
        days = "today" if left == 0 else f"in {left} day{'s' * (left != 1)}"
        text = f"exception {exception.id} expires {days}, at the end of {exception.expires}"
        remedy = "mend the images, or have it approved anew"
        yield Complaint("exception-expiring", Weight.WARNING, place, text, remedy)
    if exception.begins > now:
        text = f"exception {exception.id} holds only from {exception.created} on"
        yield Complaint("exception-not-begun", Weight.INFO, place, text, "nothing, if that is meant")


def _wider(policy: Policy, exception: PolicyException) -> str:
    """Return an exception that certainly holds wherever this one does, and of two alike the first; empty: none."""
    for other in policy.exceptions:
        if other.id == exception.id or not _holds_for(other, exception):
            continue
        if _holds_for(exception, other) and _place(policy, other) > _place(policy, exception):
            continue
        return other.id
    return ""


def _holds_for(outer: PolicyException, inner: PolicyException) -> bool:
    vulnerabilities = not outer.vulnerabilities or (
        bool(inner.vulnerabilities) and set(inner.vulnerabilities) <= set(outer.vulnerabilities)
    )
    return (
        vulnerabilities
        and (outer.package is None or outer.package == inner.package)
        and (not outer.scope.launch_fields() or outer.scope == inner.scope)
        and (not outer.until or outer.until == inner.until)
        and outer.created <= inner.created
        and inner.expires <= outer.expires
    )


def _place(policy: Policy, exception: PolicyException) -> int:
    return policy.exceptions.index(exception)
