# SPDX-License-Identifier: Apache-2.0
"""A policy as frozen values; `sifgate.policy.load` makes them from files, `evaluate` applies them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum
from functools import cached_property, partial
from operator import attrgetter

import msgspec

from sifgate.model.decision import Action
from sifgate.model.launch import Door, LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause
from sifgate.model.vex import VexStatement
from sifgate.policy.conditions.when import When
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.exceptions.match import Active
from sifgate.policy.grace import Grace
from sifgate.policy.points import Point, point_of
from sifgate.policy.schedule import Schedule
from sifgate.policy.scopes import ScopeMatch
from sifgate.policy.settings import (
    BreakGlass,
    ExceptionSettings,
    FailOpenBudget,
    Freshness,
    Metadata,
    SeveritySettings,
    SignatureSettings,
    VexSettings,
)
from sifgate.policy.trust import TrustedStore
from sifgate.vex.match import Statements
from sifgate.vex.match import launch_fields as vex_launch_fields

SCHEMA = "sifgate.policy/v1"


class Mode(str, Enum):
    """The ceiling of every action."""

    AUDIT = "audit"
    """Nobody notices anything: at most `log`."""
    WARN = "warn"
    ENFORCE = "enforce"

    def cap(self, action: Action) -> Action:
        """Return the action, or the strongest that this mode allows."""
        return min(action, _CEILINGS[self])


_CEILINGS = {Mode.AUDIT: Action.LOG, Mode.WARN: Action.WARN, Mode.ENFORCE: Action.BLOCK}

STATE_DEFAULTS: dict[ScanState, Action] = {
    ScanState.PENDING: Action.LOG,
    ScanState.PENDING_EXHAUSTED: Action.BLOCK,
    ScanState.UNSUPPORTED: Action.WARN,
    ScanState.PARTIAL: Action.WARN,
    ScanState.INCONSISTENT: Action.WARN,
    ScanState.STALE: Action.LOG,
    ScanState.FAILED: Action.WARN,
    ScanState.UNRESOLVED: Action.WARN,
}
"""What a policy does that names a state nowhere. `known` has none: its findings are judged by the rules."""

UNSCANNABLE_DEFAULTS: dict[UnscannableCause, Action] = {
    UnscannableCause.ENCRYPTED: Action.WARN,
    UnscannableCause.MALFORMED: Action.BLOCK,
    UnscannableCause.BOUNDS: Action.WARN,
    UnscannableCause.FORMAT: Action.WARN,
    UnscannableCause.FILESYSTEM: Action.WARN,
    UnscannableCause.SANDBOX: Action.WARN,
}
"""`malformed` images run differently than they read, which happens by design rather than by chance."""

FAILURE_DEFAULTS: dict[FailureCause, Action] = {
    FailureCause.AGENT_UNREACHABLE: Action.ALLOW,
    FailureCause.SERVER_UNREACHABLE: Action.LOG,
    FailureCause.CLAIR_UNAVAILABLE: Action.LOG,
    FailureCause.POLICY_INVALID: Action.LOG,
    FailureCause.AUDIT_UNWRITABLE: Action.ALLOW,
}
"""A broken sifgate stops no job unless the site says so."""


class Stance(msgspec.Struct, frozen=True):
    """Everything that a scope can set, complete."""

    mode: Mode = Mode.AUDIT
    default_action: Action = Action.ALLOW
    """For a known image when no rule matched."""
    scan_states: dict[ScanState, Action] = msgspec.field(default_factory=partial(dict, STATE_DEFAULTS))
    unscannable: dict[UnscannableCause, Action] = msgspec.field(
        default_factory=partial(dict, UNSCANNABLE_DEFAULTS)
    )
    failure: dict[FailureCause, Action] = msgspec.field(default_factory=partial(dict, FAILURE_DEFAULTS))
    content_injected: Action = Action.LOG
    """For a launch with overlays or binds over system paths: what runs differs from what was judged."""
    rules: dict[str, Schedule] = {}
    """Actions of rules by id, where they differ from the rule's own."""
    enforcement_points: dict[Point, Action] = {}
    """Ceilings by point, beside the mode's; a point that is not named has none."""
    freshness: Freshness = Freshness()

    def cap(self, action: Action, door: Door) -> Action:
        """Return the action, or the strongest that mode and enforcement point allow at a door."""
        return min(self.mode.cap(action), self.ceiling(door))

    def ceiling(self, door: Door) -> Action:
        """Return the strongest action that the door's enforcement point allows, whatever the mode."""
        return self.enforcement_points.get(point_of(door), Action.BLOCK)


class Rule(msgspec.Struct, frozen=True):
    """One rule: when it speaks, and what it asks for."""

    id: str
    when: When
    action: Schedule
    message: str = ""
    unknown_counts: bool = False
    """`on_unknown: match`: what cannot be known is taken as met; otherwise it is skipped."""
    grace: Grace | None = None

    def action_in(self, stance: Stance) -> Schedule:
        """Return what it asks for under a stance, and from when on more."""
        return stance.rules.get(self.id, self.action)


class Scope(msgspec.Struct, frozen=True):
    """A stance for some launches."""

    id: str
    match: ScopeMatch
    stance: Stance


class Policy(msgspec.Struct, frozen=True, dict=True):
    """The site's policy; equal content gives an equal digest, whatever the comments and order of keys."""

    stance: Stance
    rules: tuple[Rule, ...]
    scopes: tuple[Scope, ...] = ()
    trust: tuple[TrustedStore, ...] = ()
    contact: str = ""
    metadata: Metadata = Metadata()
    scan_wait: float = 10.0
    """Seconds that a launch waits for an image that is being scanned."""
    pending_passes: int = 3
    """Launches of an unscanned path that may pass per uid and day; then the state is `pending_exhausted`."""
    prolog_refuse: bool = False
    """Whether the prolog may cancel a job whose image would be refused."""
    kernel_headers: bool = True
    """Whether findings in kernel-header packages are suppressed (listed, not counted)."""
    severity: SeveritySettings = SeveritySettings()
    extended_support: tuple[str, ...] = ()
    """Ids of distributions whose paid support the site has: their end of life is that of `EndOfLife.elts`."""
    signatures: SignatureSettings = SignatureSettings()
    exception_settings: ExceptionSettings = ExceptionSettings()
    exceptions: tuple[PolicyException, ...] = ()
    vex_settings: VexSettings = VexSettings()
    vex: tuple[VexStatement, ...] = ()
    """Of all authors; only those whom `vex_settings` trusts are believed."""
    break_glass: BreakGlass | None = None
    fail_open_budget: FailOpenBudget | None = None
    files: tuple[str, ...] = ()
    """Where it was read from; no part of the digest."""
    digest: str = ""
    """`sha256:` and 64 hex digits over the canonical content."""
    launch_fields: frozenset[str] = frozenset()
    """The attributes of a launch that a decision may depend on, e.g. `job.partition`; no others are read."""

    def scope_of(self, launch: LaunchEvent) -> Scope | None:
        """Return the first scope that matches the launch."""
        return next((scope for scope in self.scopes if scope.match.holds(launch)), None)

    def store_of(self, launch: LaunchEvent) -> TrustedStore | None:
        """Return the first trusted store that holds the launch's image."""
        return next((store for store in self.trust if store.match.holds(launch)), None)

    def launch_key(self, launch: LaunchEvent) -> tuple[object, ...]:
        """Return the values of `launch_fields`, in a fixed order, as part of a memo's key; takes about 1 µs."""
        return self._read_key(launch)

    @cached_property
    def _read_key(self) -> Callable[[LaunchEvent], tuple[object, ...]]:
        """Return the getter of all launch fields."""
        names = sorted(self.launch_fields)
        if len(names) > 1:
            return attrgetter(*names)
        return lambda launch: tuple(attrgetter(name)(launch) for name in names)

    @cached_property
    def active_exceptions(self) -> Active:
        """Return the exceptions, indexed."""
        return Active(self.exceptions)

    @cached_property
    def statements(self) -> Statements:
        """Return the VEX statements of trusted authors, indexed."""
        return Statements(self.vex, self.vex_settings.trusted_authors)

    def stances(self) -> tuple[Stance, ...]:
        """Return what holds outside all scopes, and inside each."""
        return (self.stance, *(scope.stance for scope in self.scopes))

    def posture(self) -> str:
        """Return the text of the posture file (docs/protocol.md §1), which shims obey without an agent."""
        action = self.stance.mode.cap(self.stance.failure[FailureCause.AGENT_UNREACHABLE])
        lines = [
            "sifgate-posture 1",
            f"agent_unreachable {action.word}",
            f"scan_wait_ms {round(self.scan_wait * 1000)}",
        ]
        if self.contact:
            lines.append(f"contact {self.contact}")
        if self.prolog_refuse:
            lines.append("prolog_refuse yes")
        return "\n".join(lines) + "\n"


def sealed(policy: Policy) -> Policy:
    """Return the policy with its digest and launch fields filled in."""
    bare = msgspec.structs.replace(policy, files=(), digest="", launch_fields=frozenset())
    canonical = msgspec.json.encode((SCHEMA, bare), order="deterministic")
    return msgspec.structs.replace(
        policy,
        digest=f"sha256:{hashlib.sha256(canonical).hexdigest()}",
        launch_fields=_launch_fields(policy),
    )


def _launch_fields(policy: Policy) -> frozenset[str]:
    fields = frozenset[str]().union(*(rule.when.launch_fields() for rule in policy.rules))
    fields = fields.union(*(scope.match.launch_fields() for scope in policy.scopes))
    fields = fields.union(*(store.match.launch_fields() for store in policy.trust))
    fields = fields.union(*(exception.launch_fields() for exception in policy.exceptions))
    fields |= vex_launch_fields(policy.vex, policy.vex_settings.trusted_authors)
    if any(stance.content_injected is not Action.ALLOW for stance in policy.stances()):
        fields |= {"content_injected"}
    if any(stance.enforcement_points for stance in policy.stances()):
        fields |= {"door"}
    if policy.fail_open_budget is not None:
        fields |= {"budget_spent"}
    if policy.break_glass is not None:
        fields |= {"grant"}
    return fields
