# SPDX-License-Identifier: Apache-2.0
"""The agent's composition root: settings and places in, a running agent out; the only file that knows all the parts."""

from __future__ import annotations

import grp
import os
import socket
import time
from functools import partial
from typing import Any

import msgspec

from sifgate import fsguard
from sifgate.agent.alarms import Alarms
from sifgate.agent.answers import Answers
from sifgate.agent.breakglass import BreakGlassVerb
from sifgate.agent.bundle import Bundles
from sifgate.agent.cache import Cache
from sifgate.agent.evidence import Evidence
from sifgate.agent.facts import Facts
from sifgate.agent.forward import Forwarder
from sifgate.agent.grants import Grants
from sifgate.agent.heads import Heads
from sifgate.agent.holder import PolicyHolder
from sifgate.agent.inspect import Extract, Inspector
from sifgate.agent.jobs import Jobs
from sifgate.agent.journal import Journal
from sifgate.agent.judge import Judge, Verdicts
from sifgate.agent.lastgood import LastGood
from sifgate.agent.launch import Launches
from sifgate.agent.listener import Listener, bind, handed_over
from sifgate.agent.loop import Loop
from sifgate.agent.memo import Memo, boot_id
from sifgate.agent.mounts import Mounts
from sifgate.agent.once import Once
from sifgate.agent.parses import Parses
from sifgate.agent.peer import NameCache
from sifgate.agent.reads import Reads
from sifgate.agent.remote import Remote, check_files
from sifgate.agent.scans import Scans
from sifgate.agent.shares import FairShares, PendingPasses
from sifgate.agent.shipper import Shipper
from sifgate.agent.status import status_of
from sifgate.agent.steps import Steps
from sifgate.agent.verbs import Verbs
from sifgate.audit.chain import Chain
from sifgate.audit.log import AuditLog
from sifgate.audit.pseudonym import Disguise
from sifgate.config import AuditSettings, Places, Settings, load_settings, server_from_engine
from sifgate.errors import AuditError, ConfigError
from sifgate.image.slim import VERSION as SLIM_VERSION

TIDY_AGAIN = 600.0
"""Seconds until evidence is looked through again, where a log file could not be read."""


def read_settings(places: Places) -> Settings:
    """Return the settings, the server's taken from the engine where none is named; raises ConfigError."""
    path = places.etc / "sifgate.yaml"
    if path.exists():
        fsguard.check(path, owner_uid=os.geteuid())
    settings = load_settings(path)
    if not settings.server.url:
        announced = places.run / "server.json"
        if announced.exists():
            fsguard.check(announced, owner_uid=os.geteuid())
        settings = msgspec.structs.replace(settings, server=server_from_engine(places.run))
    check_files(settings.server)
    return settings


class Knowledge:
    """What the node knows and how it finds out: memo, cache, policy, server, workers, joined."""

    def __init__(
        self, places: Places, settings: Settings, loop: Loop, shares: FairShares, extract: Extract | None
    ) -> None:
        own = settings.agent
        state = places.state / "agent"
        mounts = Mounts(own.file_systems, own.network_file_systems)
        self.memo = Memo(mounts, SLIM_VERSION, own.unleased_life)
        self.cache = Cache(state / "verdicts.sqlite", boot=boot_id(), limit_bytes=own.cache_bytes)
        for key, fingerprint, end in self.cache.files():
            self.memo.restore(key, fingerprint, end)
        self.remote = Remote(settings.server)
        last = LastGood(state / "policy.last")
        self.holder = PolicyHolder(places.etc / "policy.yaml", places.etc / "posture", last)
        self.grants = Grants(state / "grants.json")
        self.judge = Judge(
            self.holder, Verdicts(self.cache), partial(loop.offload, quick=True), grants=self.grants
        )
        self.inspector = Inspector(
            self.memo,
            mounts,
            self.cache,
            workers=own.workers,
            uid=_worker_uid(own.worker_uid),
            extract_one=extract,
        )
        self.scans = Scans(
            loop,
            self.memo,
            self.cache,
            self.judge.verdicts,
            remote=self.remote,
            inspector=self.inspector,
            shares=shares,
            refresh_after=own.refresh_after,
            stale_after=own.stale_after,
        )


class Agent:
    """All parts of one agent, joined."""

    def __init__(self, places: Places, settings: Settings, *, extract: Extract | None = None) -> None:
        self.places = places
        self.settings = settings
        self.started = time.time()
        own = settings.agent
        self.socket_path = places.run / "agent.sock"
        self.loop = Loop()
        self.log = _open_log(places, settings.audit)
        self.journal = Journal(self.log, self.loop)
        self.loop.turn_end = self.journal.flush
        shares = FairShares(own.shares)
        known = Knowledge(places, settings, self.loop, shares, extract)
        self.memo, self.cache, self.remote = known.memo, known.cache, known.remote
        self.holder, self.judge = known.holder, known.judge
        self.inspector, self.scans = known.inspector, known.scans
        state = places.state / "agent"
        self.evidence = Evidence(state / "evidence", self.log.path, self.cache.packed)
        self.cache.keep = self.evidence.keep_verdict
        self.journal.rotated = self.tidy
        self.steps = Steps(self.remote, self.loop.offload)
        self.grants = known.grants
        self.alarms = Alarms()
        names = NameCache(partial(self.loop.offload, quick=True))
        self.facts = Facts(
            self.loop,
            self.holder,
            self.memo,
            self.inspector,
            names,
            per_user=own.shares.cold_scans,
        )
        parses = Parses(partial(self.loop.offload, quick=True))
        once = Once()
        self.launches = self._launches(names, parses, once, shares)
        self.verbs = self._verbs(names)
        self.shipper = self._shipper()
        self.listener = Listener(
            bind(self.socket_path),
            self.loop,
            self.verbs.find,
            parses,
            total=own.connections,
            per_user=own.shares.connections,
        )

    def _launches(self, names: NameCache, parses: Parses, once: Once, shares: FairShares) -> Launches:
        own = self.settings.agent
        self.answers = Answers(
            node=socket.gethostname(),
            loop=self.loop,
            judge=self.judge,
            scans=self.scans,
            journal=self.journal,
            once=once,
            evidence=self.evidence,
            alarms=self.alarms,
        )
        return Launches(
            answers=self.answers,
            once=once,
            loop=self.loop,
            judge=self.judge,
            scans=self.scans,
            facts=self.facts,
            steps=self.steps,
            passes=PendingPasses(lambda: self.holder.policy.pending_passes),
            shares=shares,
            names=names,
            jobs=Jobs(own.squeue),
            parses=parses,
            bundles=Bundles(self.loop, Reads(self.loop), parses),
            deadline=own.deadline,
            judged_when_pulled=own.judged_when_pulled,
        )

    def _verbs(self, names: NameCache) -> Verbs:
        break_glass = BreakGlassVerb(
            node=self.answers.node,
            loop=self.loop,
            judge=self.judge,
            grants=self.grants,
            names=names,
            journal=self.journal,
            alarms=self.alarms,
            audit_group=self.settings.audit.group,
            own_uid=os.geteuid(),
        )
        return Verbs(
            loop=self.loop,
            launches=self.launches,
            judge=self.judge,
            scans=self.scans,
            facts=self.facts,
            names=names,
            log_path=self.log.path,
            audit_group=self.settings.audit.group,
            own_uid=os.geteuid(),
            break_glass=break_glass.answer,
            status=self.status,
            reload=self.reload,
        )

    def _shipper(self) -> Shipper:
        audit = self.settings.audit
        state = self.places.state / "agent"
        self.disguise = Disguise(audit.pseudonymise, audit.pseudonym_key)
        self.forwarder = Forwarder(audit.forward, self.disguise)
        self.journal.forward = self.forwarder.put
        self.heads = Heads(state / "heads.jsonl", self.log, self.remote, self.answers.node)
        return Shipper(
            self.log.path,
            state / "shipped.json",
            self.remote,
            batch=audit.batch,
            spool_bytes=audit.spool_bytes,
            heads=self.heads,
            evidence=self.evidence,
            disguise=self.disguise,
        )

    def start(self) -> None:
        """Load the policy and begin to ship; what is wrong with the policy is a posture, not a reason to stay away."""
        self.reload()
        self.log.begin()
        self.tidy()
        self.forwarder.start()
        if self.settings.audit.ship and self.settings.server.url:
            self.shipper.start()

    def reload(self) -> str:
        """Read policy and settings anew, as SIGHUP asks; return what is wrong, empty if nothing is."""
        problem = self.holder.reload()
        self._keep_policy()
        try:
            self.remote.settings = read_settings(self.places).server
        except ConfigError as error:
            problem = problem or str(error)
        self.loop.soon(self.log.reopen_if_rotated)  # type: ignore[arg-type]  # its answer matters to nobody here
        return problem

    def tidy(self) -> None:
        """Delete, in a thread, the evidence that no log file names any more."""

        def prune() -> None:
            try:
                self.evidence.prune()
            except (AuditError, OSError) as error:  # rotated under our eyes, or damaged: later once more
                self.evidence.problem = str(error)
                self.loop.soon(lambda: self.loop.later(TIDY_AGAIN, self.tidy))

        self.loop.offload(prune)

    def _keep_policy(self) -> None:
        policy = self.holder.policy
        if self.holder.loaded_once:
            self.evidence.keep_policy(policy.digest, msgspec.json.encode(self.holder.sources))

    def close(self) -> None:
        """Hang up, write everything down, and let go."""
        self.scans.stopping.set()
        self.listener.close()
        self.journal.flush()
        self.shipper.stop()
        self.forwarder.stop()
        self.log.close()
        self.loop.close()
        self.cache.close()
        if not handed_over():
            self.socket_path.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """Return what `sifgate status` shows of the agent."""
        return status_of(self)


def _open_log(places: Places, settings: AuditSettings) -> AuditLog:
    """Return the audit log in a directory that only we can have written."""
    places.log.mkdir(mode=0o755, parents=True, exist_ok=True)
    fsguard.check(places.log, owner_uid=os.geteuid())
    chain = Chain(socket.gethostname(), places.state / "agent" / "chain.json")
    return AuditLog(places.log / "audit.jsonl", group=_group_id(settings), chain=chain)


def _group_id(settings: AuditSettings) -> int:
    if not settings.group:
        return -1
    try:
        return grp.getgrnam(settings.group).gr_gid
    except KeyError as error:
        raise ConfigError(f"audit.group: there is no group {settings.group!r}") from error


def _worker_uid(configured: int) -> int | None:
    """Return the user id of workers; None where the worker is to choose, or only root could give them one."""
    return configured if configured >= 0 and os.geteuid() == 0 else None
