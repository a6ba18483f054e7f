# SPDX-License-Identifier: Apache-2.0
"""The result of a simulation as a document: numbers, no names but of rules, and of the images that are hit most."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sifgate.model.decision import Action
from sifgate.whatif.tally import Affected, Share, Tally


class Size(msgspec.Struct, frozen=True):
    """How many, of what."""

    launches: int = 0
    users: int = 0
    accounts: int = 0
    images: int = 0


class Change(msgspec.Struct, frozen=True):
    """Launches that fare differently."""

    before: str
    """What the present policy does; what was done then, where there is none."""
    after: str
    size: Size


class RuleCount(msgspec.Struct, frozen=True):
    """What one rule, state or cause of the candidate asked for."""

    rule: str
    by_action: dict[str, Size]
    newly_refused: Size
    """Launches that it refuses and that passed before."""


class ImageCount(msgspec.Struct, frozen=True):
    """One image of which launches would newly be refused."""

    image: str
    path: str
    """One of the paths that it was started by."""
    size: Size
    rules: tuple[str, ...]
    users: tuple[str, ...]
    """Who starts it, at most `MOST_USERS`."""


MOST_USERS = 100


class Counts(msgspec.Struct, frozen=True):
    """The document of `sifgate policy simulate --format json`."""

    candidate: str
    """Digest."""
    present: str
    """Digest; empty: compared with what happened."""
    at: str
    """ISO time at which everything was judged; empty: each launch at its own."""
    since: str
    first: str
    last: str
    """Times of the oldest and newest launch."""
    counted: str
    """`done`: what is done under the candidate's mode; `would_be`: what mode `enforce` would do."""
    judged: Size
    by_action: dict[str, Size]
    by_would_be: dict[str, Size]
    newly_refused: Size
    no_longer_refused: Size
    changes: tuple[Change, ...]
    happened: tuple[tuple[str, str, int], ...]
    """What was done then, what the candidate does, launches."""
    rules: tuple[RuleCount, ...]
    """Those that newly refuse most first."""
    affected: tuple[ImageCount, ...]
    """Images hit most, first; at most as many as were asked for."""
    unjudged: dict[str, int]
    """Launches that could not be judged, by why."""
    unreadable: int
    """Lines or reports that hold nothing that can be read."""
    schema: int = 1


class Facts(msgspec.Struct, frozen=True):
    """What a document says beside its counts."""

    candidate: str
    present: str
    at: str
    since: str
    first: str
    last: str
    unreadable: int
    capped: bool


def counts_of(tally: Tally, facts: Facts, *, images: int) -> Counts:
    """Return the document, with at most so many affected images."""
    refusals = Action.BLOCK
    rules = [
        RuleCount(
            rule=rule,
            by_action=_by_action(share.by_action),
            newly_refused=size_of(share.newly),
        )
        for rule, share in tally.rules.items()
    ]
    affected = sorted(tally.affected.items(), key=lambda item: (-item[1].share.launches, item[0]))
    return Counts(
        candidate=facts.candidate,
        present=facts.present,
        at=facts.at,
        since=facts.since,
        first=facts.first,
        last=facts.last,
        counted="done" if facts.capped else "would_be",
        judged=size_of(tally.judged),
        by_action=_by_action(tally.by_action),
        by_would_be=_by_action(tally.by_would_be),
        newly_refused=_joined(share for (_, after), share in tally.changes.items() if after is refusals),
        no_longer_refused=_joined(
            share for (before, _), share in tally.changes.items() if before is refusals
        ),
        changes=tuple(
            Change(before.word, after.word, size_of(share))
            for (before, after), share in sorted(tally.changes.items(), reverse=True)
        ),
        happened=tuple(
            (then.word, now.word, number) for (then, now), number in sorted(tally.happened.items())
        ),
        rules=tuple(sorted(rules, key=_most)),
        affected=tuple(_affected(image, hit) for image, hit in affected[:images]),
        unjudged=dict(sorted(tally.unjudged.items())),
        unreadable=facts.unreadable,
    )


def _affected(image: str, hit: Affected) -> ImageCount:
    return ImageCount(
        image=image,
        path=hit.path,
        size=size_of(hit.share),
        rules=tuple(rule for rule, _ in hit.rules.most_common()),
        users=tuple(sorted(hit.share.users)[:MOST_USERS]),
    )


def size_of(share: Share) -> Size:
    """Return the numbers of a share."""
    return Size(share.launches, len(share.users), len(share.accounts), len(share.images))


def _joined(shares: Iterable[Share]) -> Size:
    whole = Share()
    for share in shares:
        whole.merge(share)
    return size_of(whole)


def _by_action(shares: dict[Action, Share]) -> dict[str, Size]:
    return {action.word: size_of(shares[action]) for action in sorted(shares, reverse=True)}


def _most(count: RuleCount) -> tuple[int, int, str]:
    total = sum(size.launches for size in count.by_action.values())
    return (-count.newly_refused.launches, -total, count.rule)
