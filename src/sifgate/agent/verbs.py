# SPDX-License-Identifier: Apache-2.0
"""The verbs of the command line: `scan`, `status`, `explain`, `audit`, `reload`, `grant`; each ends in one `answer`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from sifgate import wire
from sifgate.admission.controller import review
from sifgate.admission.ports import Ports
from sifgate.agent.facts import Facts
from sifgate.agent.judge import Judge
from sifgate.agent.launch import Alone, Launches, Nothing, Patience, Unlimited
from sifgate.agent.loop import Loop
from sifgate.agent.peer import NameCache
from sifgate.agent.scans import Scans
from sifgate.agent.session import Session, Verb
from sifgate.audit import query
from sifgate.audit.record import AuditRecord
from sifgate.policy.aside import set_aside

QUERY_LIMIT = 1000
"""Records of one answer."""


class Verbs:
    """The table of verbs and the small ones among them."""

    def __init__(
        self,
        *,
        loop: Loop,
        launches: Launches,
        judge: Judge,
        scans: Scans,
        facts: Facts,
        names: NameCache,
        log_path: Path,
        audit_group: str,
        own_uid: int,
        break_glass: Verb,
        status: Callable[[], dict[str, Any]],
        reload: Callable[[], str],
    ) -> None:
        self._loop = loop
        self._launches = launches
        self._judge = judge
        self._scans = scans
        self._facts = facts
        self._names = names
        self._log_path = log_path
        self._audit_group = audit_group
        self._own_uid = own_uid
        self._status = status
        self._reload = reload
        self._table: dict[str, Verb] = {
            "ask": launches.ask,
            "prescan": launches.prescan,
            "scan": self._scan,
            "status": self._tell_status,
            "explain": self._explain,
            "audit": self._audit,
            "reload": self._take_reload,
            "grant": break_glass,
        }

    def find(self, name: str) -> Verb | None:
        """Return the verb of that name."""
        return self._table.get(name)

    async def _scan(self, session: Session, message: wire.Message) -> None:
        """Answer with everything known of one image: `{"standing", "decision", "suppressed"}`, waiting for its scan."""
        asker = await self._launches.asker(session, message)
        launches = await self._launches.launches(message, asker)
        if len(launches) != 1:
            session.refuse("usage", "one image is asked for with `path`")
            return
        images = Patience(session, self._scans, self._facts, self._loop)
        ports = Ports(
            shim=session,
            images=images,
            judge=self._judge,
            passes=Unlimited(),
            steps=Alone(),
            past=Nothing(),
        )
        patience = message.number("deadline_ms", 60_000) / 1000
        found = await review(launches[0], ports, patience=min(patience, 1800.0))
        self._scans.passed(launches[0], "", launches[0])

        def answer() -> bytes:
            standing = self._judge.standing(found.footing)
            now = datetime.fromtimestamp(found.at or time.time(), timezone.utc)
            policy, verdict = self._judge.holder.policy, standing.verdict
            hidden = [] if verdict is None else set_aside(policy, verdict, found.launch, now).places()
            return msgspec.json.encode(
                {"standing": standing, "decision": found.decision, "suppressed": hidden}
            )

        _say(session, await self._loop.offload(answer, quick=True))

    async def _tell_status(self, session: Session, message: wire.Message) -> None:
        del message
        _say(session, msgspec.json.encode(await self._loop.offload(self._status, quick=True)))

    async def _explain(self, session: Session, message: wire.Message) -> None:
        """Answer with `{"record", "standing"}` of one reference code, if the asker may see it."""
        allowed = await self._may_see(session)
        reference = message.text("reference")
        record = await self._loop.offload(
            lambda: query.by_reference(self._log_path, reference, allowed), quick=True
        )
        if record is None:
            session.refuse("not_found", f"no record {reference!r} that you may see on this node")
            return
        standing = await self._loop.offload(lambda: self._as_judged(record), quick=True)
        _say(session, msgspec.json.encode({"record": record, "standing": standing}))

    async def _audit(self, session: Session, message: wire.Message) -> None:
        """Answer with `{"records", "unreadable"}`, newest first, of those that the asker may see."""
        allowed = await self._may_see(session)
        filters = {key: message.text(key) for key in query.FILTERS if message.first(key)}
        limit = max(1, min(message.number("limit", 100), QUERY_LIMIT))
        try:
            wanted = query.matcher(filters)
        except ValueError as error:
            session.refuse("usage", str(error))
            return
        found = await self._loop.offload(
            lambda: query.find(
                self._log_path, lambda record: allowed(record) and wanted(record), limit=limit
            ),
            quick=True,
        )
        _say(session, msgspec.json.encode(found))

    async def _take_reload(self, session: Session, message: wire.Message) -> None:
        del message
        if session.peer.uid not in (0, self._own_uid):
            session.refuse("forbidden", "only root may reload the agent")
            return
        problem = await self._loop.offload(self._reload, quick=True)
        _say(session, msgspec.json.encode({"problem": problem, "policy": self._judge.policy_digest}))

    async def _may_see(self, session: Session) -> Callable[[AuditRecord], bool]:
        uid = session.peer.uid
        if uid in (0, self._own_uid):
            return _anything
        names = self._names.at_once(uid) or await self._names.of(uid)
        if self._audit_group and self._audit_group in names.groups:
            return _anything
        return lambda record: record.uid == uid

    def _as_judged(self, record: AuditRecord) -> Any:
        """Return the verdict that a record was made with, if the node still has exactly that one."""
        known = self._scans.cache.recall(record.fingerprint) if record.fingerprint else None
        if known is None or known.footing.digest != record.verdict:
            return None
        return self._judge.standing(known.footing)


def _anything(record: AuditRecord) -> bool:
    """Accept: root and the audit group see all records."""
    del record
    return True


def _say(session: Session, body: bytes) -> None:
    session.finish("answer", [("body", body)])
