# SPDX-License-Identifier: Apache-2.0
"""What a simulation counts: launches, and the users, accounts and images behind them, by what became of them."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import msgspec

from sifgate.model.decision import Action, Decision

Key = TypeVar("Key")


class Outcome(msgspec.Struct, frozen=True):
    """Of a decision what is counted."""

    action: Action
    would_be: Action
    """Before the caps of mode and enforcement point."""
    rules: tuple[tuple[str, Action], ...] = ()
    """What spoke, and what it asked for."""


class Launched(msgspec.Struct, frozen=True):
    """Launches that are alike in everything that is counted."""

    user: str
    """Empty: nobody has started it, as in a report."""
    account: str
    image: str
    """Fingerprint; the path where there is none."""
    path: str
    count: int
    recorded: Action
    """What was done then."""


class Share(msgspec.Struct):
    """How many launches, and whose."""

    launches: int = 0
    users: set[str] = msgspec.field(default_factory=set)
    accounts: set[str] = msgspec.field(default_factory=set)
    images: set[str] = msgspec.field(default_factory=set)

    def add(self, launched: Launched) -> None:
        """Count launches."""
        self.launches += launched.count
        if launched.user:
            self.users.add(launched.user)
        if launched.account:
            self.accounts.add(launched.account)
        self.images.add(launched.image)

    def merge(self, other: Share) -> None:
        """Count what another share holds."""
        self.launches += other.launches
        self.users |= other.users
        self.accounts |= other.accounts
        self.images |= other.images


class RuleShare(msgspec.Struct):
    """What one rule of the candidate asked for."""

    by_action: dict[Action, Share] = {}
    newly: Share = msgspec.field(default_factory=Share)
    """Of launches that are refused now and were not before: those that it asked to refuse."""


class Affected(msgspec.Struct):
    """One image of which launches would newly be refused."""

    path: str
    share: Share = msgspec.field(default_factory=Share)
    rules: Counter[str] = msgspec.field(default_factory=Counter)


class Tally(msgspec.Struct):
    """The counts; tallies of parts add up to that of the whole."""

    judged: Share = msgspec.field(default_factory=Share)
    unjudged: Counter[str] = msgspec.field(default_factory=Counter)
    """Launches that could not be judged, by why."""
    by_action: dict[Action, Share] = {}
    by_would_be: dict[Action, Share] = {}
    changes: dict[tuple[Action, Action], Share] = {}
    """By what the present policy does and what the candidate does, where these differ."""
    happened: Counter[tuple[Action, Action]] = msgspec.field(default_factory=Counter)
    """Launches by what was done then and what the candidate does."""
    rules: dict[str, RuleShare] = {}
    affected: dict[str, Affected] = {}
    """By image."""

    def add(self, launched: Launched, candidate: Outcome, present: Outcome | None, *, capped: bool) -> None:
        """Count launches; `capped`: by what is done, otherwise by what mode `enforce` would do."""
        action = candidate.action if capped else candidate.would_be
        self.judged.add(launched)
        _share(self.by_action, action).add(launched)
        _share(self.by_would_be, candidate.would_be).add(launched)
        self.happened[launched.recorded, action] += launched.count
        before = _before(launched, present, capped=capped)
        if before is not action:
            _share(self.changes, (before, action)).add(launched)
        newly = action is Action.BLOCK and before is not Action.BLOCK
        for rule, asked in candidate.rules:
            share = self.rules.setdefault(rule, RuleShare())
            _share(share.by_action, asked).add(launched)
            if newly and asked is Action.BLOCK:
                share.newly.add(launched)
        if newly:
            self._affect(launched, candidate)

    def skip(self, why: str, count: int) -> None:
        """Count launches that could not be judged."""
        self.unjudged[why] += count

    def merge(self, other: Tally) -> None:
        """Count what another tally holds."""
        self.judged.merge(other.judged)
        self.unjudged.update(other.unjudged)
        for mine, theirs in (
            (self.by_action, other.by_action),
            (self.by_would_be, other.by_would_be),
        ):
            for action, share in theirs.items():
                _share(mine, action).merge(share)
        for change, share in other.changes.items():
            _share(self.changes, change).merge(share)
        self.happened.update(other.happened)
        for rule, theirs_of in other.rules.items():
            kept = self.rules.setdefault(rule, RuleShare())
            kept.newly.merge(theirs_of.newly)
            for action, share in theirs_of.by_action.items():
                _share(kept.by_action, action).merge(share)
        for image, affected in other.affected.items():
            known = self.affected.setdefault(image, Affected(affected.path))
            known.share.merge(affected.share)
            known.rules.update(affected.rules)

    @property
    def newly_refused(self) -> int:
        """Launches that the candidate refuses and that passed before."""
        return sum(share.launches for (_, after), share in self.changes.items() if after is Action.BLOCK)

    def _affect(self, launched: Launched, candidate: Outcome) -> None:
        affected = self.affected.setdefault(launched.image, Affected(launched.path))
        affected.share.add(launched)
        for rule, asked in candidate.rules:
            if asked is Action.BLOCK:
                affected.rules[rule] += launched.count


def outcome_of(decision: Decision) -> Outcome:
    """Return what is counted of a decision."""
    rules = tuple((reason.rule, reason.action) for reason in decision.reasons)
    return Outcome(decision.action, decision.would_be, rules)


def _before(launched: Launched, present: Outcome | None, *, capped: bool) -> Action:
    """Return what the present policy does; where there is none, what was done then."""
    if present is not None:
        return present.action if capped else present.would_be
    return launched.recorded


def _share(shares: dict[Key, Share], key: Key) -> Share:
    return shares.setdefault(key, Share())
