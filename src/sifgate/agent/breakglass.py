# SPDX-License-Identifier: Apache-2.0
"""The verb `grant`: takes, lists and ends break-glass grants (docs/protocol.md §1).

Who asks is the kernel's word. A member of the policy's groups may take a grant for himself, root for anybody; each is
recorded before it is told, and the site is told at once.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable

import msgspec

from sifgate import wire
from sifgate.agent.alarms import Alarms
from sifgate.agent.grants import Grants, time_text
from sifgate.agent.journal import Entry, Journal
from sifgate.agent.judge import Judge, moment
from sifgate.agent.loop import Loop
from sifgate.agent.peer import NameCache, Names
from sifgate.agent.session import Session
from sifgate.audit.record import SCHEMA, AuditRecord, encode, escape, iso, record_id, reference_code
from sifgate.errors import AgentRefused
from sifgate.model.launch import Door, Grant
from sifgate.policy.break_glass import ALARM
from sifgate.policy.settings import BreakGlass

OUTCOME = "break_glass"
REASON_LIMIT = 300
"""Characters of a reason: one line."""
_ID_BYTES = 4


class BreakGlassVerb:
    """Answers `grant`; used from the loop only."""

    def __init__(
        self,
        *,
        node: str,
        loop: Loop,
        judge: Judge,
        grants: Grants,
        names: NameCache,
        journal: Journal,
        alarms: Alarms,
        audit_group: str,
        own_uid: int,
    ) -> None:
        self._node = node
        self._loop = loop
        self._judge = judge
        self._grants = grants
        self._names = names
        self._journal = journal
        self._alarms = alarms
        self._audit_group = audit_group
        self._own_uid = own_uid
        self._verbs = {"start": self._start, "list": self._list, "end": self._end}

    async def answer(self, session: Session, message: wire.Message) -> None:
        """Do what the field `do` says: `start`, `list` or `end`."""
        verb = self._verbs.get(message.text("do"))
        if verb is None:
            raise _refusal("usage", "`do` is start, list or end")
        await verb(session, message, await self._names.fresh(session.peer.uid))

    async def _start(self, session: Session, message: wire.Message, names: Names) -> None:
        settings = self._settings()
        if not self._is_root(session) and not set(names.groups) & set(settings.groups):
            raise _refusal("forbidden", f"only root and members of {', '.join(settings.groups)} may do this")
        reason = _reason(message, settings)
        seconds = message.number("seconds", settings.max_duration)
        if not 1 <= seconds <= settings.max_duration:
            raise _refusal("usage", f"the policy allows a grant to last from 1 to {settings.max_duration} s")
        uid, user = await self._whom(session, message, names)
        at = moment()
        grant = Grant(
            id=os.urandom(_ID_BYTES).hex(),
            uid=uid,
            reason=reason,
            by=escape(names.user) or str(session.peer.uid),
            begins=time_text(at),
            ends=time_text(int(at) + seconds),
        )
        await self._loop.offload(lambda: self._grants.add(grant, at), quick=True)
        text = f"{grant.by} took grant {grant.id} for {user or uid} until {grant.ends}: {reason}"
        self._told(session, grant, user, "started", text, undo=lambda: self._grants.end(grant.id, at))

    async def _list(self, session: Session, message: wire.Message, names: Names) -> None:
        """Answer with the grants in force that the asker may see: his own, or all of them."""
        del message
        settings = self._judge.holder.policy.break_glass
        groups = {self._audit_group, *(settings.groups if settings else ())} - {""}
        everything = self._is_root(session) or bool(groups & set(names.groups))
        uid = session.peer.uid
        seen = [each for each in self._grants.in_force(moment()) if everything or each.uid == uid]
        _say(session, {"grants": seen})

    async def _end(self, session: Session, message: wire.Message, names: Names) -> None:
        """End a grant before its time: root any, a user his own."""
        at, identifier = moment(), message.text("id")
        for grant in self._grants.in_force(at):
            if grant.id == identifier and (self._is_root(session) or grant.uid == session.peer.uid):
                break
        else:
            raise _refusal("not_found", f"no grant {identifier[:32]!r} is in force that you may end")
        await self._loop.offload(lambda: self._grants.end(grant.id, at), quick=True)
        by = names.user or str(session.peer.uid)
        user = (await self._names.of(grant.uid)).user
        text = f"{by} ended grant {grant.id} of {user or grant.uid}, taken by {grant.by}: {grant.reason}"
        self._told(session, msgspec.structs.replace(grant, ends=time_text(at)), user, "ended", text, by=by)

    def _told(
        self,
        session: Session,
        grant: Grant,
        user: str,
        event: str,
        text: str,
        *,
        by: str = "",
        undo: Callable[[], object] | None = None,
    ) -> None:
        """Record what happened, then raise the alarm and answer; a grant that cannot be recorded is none."""
        record = self._record(session, grant, user, event, by or grant.by)

        def send() -> None:
            self._alarms.ring(ALARM, (grant.id, event), text)
            _say(session, {"grant": grant, "event": event, "reference": record.reference})

        def unwritable() -> None:
            if undo is not None:
                undo()
            session.refuse("audit_unwritable", "nothing was granted: no audit record can be written")

        self._journal.add(Entry(encode(record), 1, durable=True, send=send, unwritable=unwritable))

    def _record(self, session: Session, grant: Grant, user: str, event: str, by: str) -> AuditRecord:
        at = moment()
        identifier = record_id(at, os.urandom(6))
        return AuditRecord(
            schema=SCHEMA,
            id=identifier,
            time=iso(at),
            node=self._node,
            door=Door.CLI.value,
            action="log",
            reference=reference_code(identifier),
            outcome=OUTCOME,
            event=event,
            mode=self._judge.holder.policy.stance.mode.value,
            policy=self._judge.policy_digest,
            uid=grant.uid,
            user=escape(user),
            user_reason=grant.reason,
            grant=grant,
            detail=escape(f"by {by}, uid {session.peer.uid}"),
        )

    def _settings(self) -> BreakGlass:
        settings = self._judge.holder.policy.break_glass
        if settings is None:
            raise _refusal("forbidden", "the policy has no `break_glass`")
        return settings

    def _is_root(self, session: Session) -> bool:
        return session.peer.uid in (0, self._own_uid)

    async def _whom(self, session: Session, message: wire.Message, names: Names) -> tuple[int, str]:
        """Return for whom the grant is: root says, everybody else asks for himself."""
        named = message.text("user")
        if named in ("", names.user, str(session.peer.uid)):
            return session.peer.uid, names.user
        if not self._is_root(session):
            raise _refusal("forbidden", "only root may take a grant for somebody else")
        return await self._loop.offload(lambda: _look_up(named), quick=True)


def _refusal(code: str, text: str) -> AgentRefused:
    error = AgentRefused(text)
    error.code = code
    return error


def _look_up(name: str) -> tuple[int, str]:
    """Return uid and name of a user; may wait for a directory service."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError) as error:
        raise _refusal("usage", f"there is no user {name[:64]!r} on this node") from error
    return entry.pw_uid, entry.pw_name


def _reason(message: wire.Message, settings: BreakGlass) -> str:
    reason = message.text("reason").strip()
    if len(reason) > REASON_LIMIT or not reason.isprintable():
        raise _refusal("usage", f"a reason is one line of at most {REASON_LIMIT} characters")
    if settings.require_reason and not reason:
        raise _refusal("usage", "the policy wants a reason")
    return reason


def _say(session: Session, body: object) -> None:
    session.finish("answer", [("body", msgspec.json.encode(body))])
