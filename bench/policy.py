# SPDX-License-Identifier: Apache-2.0
"""What a judgement costs: the largest real verdict under the strict preset, cold and remembered, beside bare Python.

Cold is one evaluation with nothing kept from any other: findings grouped, each rule applied, reasons chosen. The bare
baseline is one pass over the same findings that only compares a severity. Remembered is the agent's own path: the key
is made and the decision looked up.
"""

from __future__ import annotations

import gc
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from testbed.known_images import largest_standing

from bench.figure import Figure, quantile
from sifgate import yamlfile
from sifgate.admission.ports import Footing
from sifgate.agent.cache import Cache
from sifgate.agent.holder import PolicyHolder
from sifgate.agent.judge import Judge, Verdicts
from sifgate.agent.turns import Promise
from sifgate.errors import PolicyError
from sifgate.model.decision import Decision
from sifgate.model.finding import Severity
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import ScanState, Standing, Verdict
from sifgate.policy.evaluate import evaluate
from sifgate.policy.preset import preset
from sifgate.policy.read import policy_from
from sifgate.verdict import digest

COLD_LAPS = 40
WARM_LAPS = 20_000
COLD_TARGET_MS = 10.0
WARM_TARGET_US = 50.0
LAUNCH = LaunchEvent(
    door=Door.SPANK,
    requester=Requester(uid=1000, user="alice", groups=("alice", "bio"), trusted=True),
    reference=ImageReference("sci.sif", ReferenceKind.PATH, "/scratch/alice/sci.sif"),
    job=JobFacts(job_id=7, step_id=0, partition="batch", account="bio01"),
)


def measure() -> list[Figure]:
    """Return the figures."""
    standing = largest_standing()
    assert standing.verdict is not None
    count = len(standing.verdict.findings)
    cold, bare = _cold(standing)
    warm = _remembered(standing)
    note = f"{count} real findings, preset strict"
    return [
        Figure("one pass over the findings in bare Python", bare, "ms"),
        Figure("judgement, cold", quantile(cold, 0.5), "ms", target=COLD_TARGET_MS, note=note),
        Figure("judgement, cold, p99", quantile(cold, 0.99), "ms"),
        Figure("judgement, remembered", quantile(warm, 0.5), "µs", target=WARM_TARGET_US, note=note),
        Figure("judgement, remembered, p99", quantile(warm, 0.99), "µs"),
    ]


def _cold(standing: Standing) -> tuple[list[float], float]:
    """Return laps of an evaluation, and the median lap of the bare pass, both in ms."""
    policy = policy_from([yamlfile.parse(preset("strict").encode(), "strict.yaml", failure=PolicyError)])
    assert standing.verdict is not None
    body = digest.canonical(standing.verdict)
    now = datetime.now(timezone.utc)
    laps, bare = [], []
    for _ in range(COLD_LAPS):
        verdict = digest.decode(body)  # a new object: nothing may be kept by identity
        fresh = msgspec.structs.replace(standing, verdict=verdict)
        gc.collect()
        started = time.perf_counter()
        evaluate(policy, fresh, LAUNCH, now)
        laps.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        assert sum(finding.severity >= Severity.HIGH for finding in verdict.findings)
        bare.append((time.perf_counter() - started) * 1000)
    return laps, quantile(bare, 0.5)


def _remembered(standing: Standing) -> list[float]:
    """Return laps of a decision that the agent has made before, in µs."""
    with tempfile.TemporaryDirectory(prefix="sifgate-bench-") as name:
        directory = Path(name)
        (directory / "policy.yaml").write_text(preset("strict"), encoding="utf-8")
        holder = PolicyHolder(directory / "policy.yaml", directory / "posture")
        assert holder.reload() == ""
        cache = Cache(directory / "verdicts.sqlite", boot="bench", limit_bytes=1 << 26)
        verdicts = Verdicts(cache)
        assert isinstance(standing.verdict, Verdict)
        verdicts.put(standing.digest, standing.verdict)
        judge = Judge(holder, verdicts, lambda work: Promise[Decision].kept(work()))
        footing = Footing(state=ScanState.KNOWN, fingerprint=standing.fingerprint, digest=standing.digest)
        judge.decide_now(footing, LAUNCH)
        laps = []
        for _ in range(WARM_LAPS):
            started = time.perf_counter()
            judge.decide(footing, LAUNCH)
            laps.append((time.perf_counter() - started) * 1e6)
        assert judge.evaluations == 1
        cache.close()
        return laps
