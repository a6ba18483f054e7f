# SPDX-License-Identifier: Apache-2.0
"""What a simulation costs: a month of a large site's launches under a candidate policy and the present one.

Synthetic, in realistic sizes: a million launches of 5,000 images by 2,000 users in 200 accounts, verdicts of 50 to
2,000 findings, launches spread as they are at sites (few images have most of them). As the command does it: records in
the order of their time, JSON, on disk.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import zstandard

from bench.figure import Figure
from sifgate.audit.record import AuditRecord, ReasonLine, encode
from sifgate.model.finding import Finding, Score, Severity
from sifgate.model.image import OsRelease
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict
from sifgate.verdict.digest import canonical

LAUNCHES = 1_000_000
VERDICTS = 5_000
USERS = 2_000
TARGET_SECONDS = 60.0
TARGET_MIB = 300.0
CANDIDATE = """\
schema: sifgate.policy/v1
mode: enforce
rules:
  - {id: kev, when: {kev: true, fixable: true}, action: block}
  - {id: critical-fixable, when: {severity: ">= critical", fixable: true}, action: block}
  - {id: likely, when: {epss: ">= 0.5", severity: ">= high"}, action: warn}
  - {id: too-many, when: {count: {severity: ">= high", fixable: true, over: 100}}, action: warn}
  - {id: old-distro, when: {distro: {eol: true, for: ">= 180d"}}, action: warn}
scopes:
  - {id: teaching, match: {account: [acc7, acc8]}, set: {mode: warn}}
  - {id: vault, match: {partition: [vault]}, set: {scan_states: {pending: block}}}
  - {id: shared, match: {path: "/apps/**"}, set: {rules: {critical-fixable: warn}}}
"""
PRESENT = """\
schema: sifgate.policy/v1
mode: warn
rules:
  - {id: kev, when: {kev: true, fixable: true}, action: block}
"""


def measure() -> list[Figure]:
    """Return the figures."""
    with tempfile.TemporaryDirectory(prefix="bench-simulate-") as name:
        root = Path(name)
        lay(root, launches=LAUNCHES, verdicts=VERDICTS)
        seconds, mib = _run(root)
    note = f"{LAUNCHES} launches, {VERDICTS} verdicts, candidate and present policy"
    return [
        Figure("simulation over a month of launches", seconds, "s", target=TARGET_SECONDS, note=note),
        Figure("  its memory, all processes", mib, "MiB", target=TARGET_MIB),
    ]


def lay(root: Path, *, launches: int, verdicts: int) -> None:
    """Write policies, evidence and audit log of a node below `root`."""
    chance = random.Random(20261122)  # noqa: S311  # the same site each time
    for part in ("etc", "run", "state/agent/evidence/verdicts", "log"):
        (root / part).mkdir(parents=True)
    (root / "etc/policy.yaml").write_text(PRESENT)
    (root / "candidate.yaml").write_text(CANDIDATE)
    known = [_keep(root / "state/agent/evidence/verdicts", number, chance) for number in range(verdicts)]
    with (root / "log/audit.jsonl").open("wb", buffering=1 << 20) as log:
        log.writelines(map(encode, _records(launches, known, chance)))


def _keep(directory: Path, number: int, chance: random.Random) -> tuple[str, str]:
    """Write one verdict; return its digest and fingerprint."""
    fingerprint = hashlib.sha256(b"%d" % number).hexdigest()
    count = round(50 * 40 ** chance.random())  # 50 to 2,000, half of them below 316
    findings = {(finding.vulnerability, finding.package): finding for finding in _findings(count, chance)}
    verdict = Verdict(
        fingerprint=fingerprint,
        state=ScanState.KNOWN,
        findings=tuple(findings[key] for key in sorted(findings)),
        coverage=Coverage(distribution="Debian GNU/Linux 12", advisories=True, packages={"dpkg": count}),
        os_release=OsRelease(id="debian", version_id="12"),
        end_of_life=EndOfLife(product="debian", eol="2026-06-10", lts="2028-06-30"),
        generation=Generation(
            id="g1", advisories="2026-11-20T00:00:00Z", kev="2026-11-20", epss="2026-11-20"
        ),
        scanned_at="2026-11-20T00:00:00Z",
    )
    body = canonical(verdict)
    name = hashlib.sha256(body).hexdigest()
    (directory / f"{name}.json.zst").write_bytes(zstandard.compress(body, 1))
    return f"sha256:{name}", fingerprint


def _findings(count: int, chance: random.Random) -> Iterator[Finding]:
    for _ in range(count):
        number = chance.randrange(30_000)
        package = f"lib{number % 400}"
        score = round(chance.uniform(2, 10), 1)
        yield Finding(
            vulnerability=f"CVE-20{15 + number % 12}-{10_000 + number}",
            package=f"{package}-dev" if number % 3 else package,
            version=f"1.{number % 17}-{number % 5}+deb12u1",
            severity=Severity(chance.choices(range(6), (5, 15, 20, 35, 20, 5))[0]),
            source=package,
            arch="amd64",
            manager="dpkg",
            fixed_version=f"1.{number % 17}-{number % 5}+deb12u9" if number % 3 == 0 else "",
            kev=number % 997 == 0,
            cvss=score,
            published=f"20{15 + number % 12}-03-{1 + number % 28:02d}",
            link=f"https://security-tracker.debian.org/tracker/CVE-20{15 + number % 12}-{10_000 + number}",
            path="var/lib/dpkg/status",
            updater="debian/updater",
            scores=(Score("3.1", score),),
            epss=round(chance.random() ** 8, 5),
            first_seen_site="2026-05-01",
        )


def _records(count: int, known: list[tuple[str, str]], chance: random.Random) -> Iterator[AuditRecord]:
    finding = "CVE-2025-48384 git 1:2.30.2-1+deb11u2"
    for number in range(count):
        image = min(int(len(known) * chance.random() ** 3), len(known) - 1)
        user = chance.randrange(USERS)
        digest, fingerprint = known[image]
        home = f"/apps/containers/i{image}.sif" if image % 5 == 0 else f"/scratch/u{user}/i{image}.sif"
        moment = number * 2_592_000 // count
        yield AuditRecord(
            id=f"{number:026x}",
            time=f"2026-10-{24 + moment // 86_400:02d}T12:00:00.{number % 1000:03d}Z"
            if moment < 8 * 86_400
            else f"2026-11-{moment // 86_400 - 7:02d}T12:00:00.{number % 1000:03d}Z",
            node=f"n{number % 500}",
            door="spank",
            action="warn" if image % 7 == 0 else "allow",
            reference="7QX4-19",
            mode="warn",
            reasons=(ReasonLine("kev", "warn", "1 known-exploited vulnerability with a fix", 1, (finding,)),),
            state="known",
            image=home,
            path=home,
            fingerprint=fingerprint,
            verdict=digest,
            generation="g1",
            policy="sha256:" + "0" * 64,
            uid=10_000 + user,
            gid=100,
            user=f"u{user}",
            groups=(f"u{user}", f"grp{user % 200}"),
            trusted=True,
            job=number,
            step=0,
            step_node=f"n{number % 500}",
            partition="vault" if user % 50 == 0 else "batch",
            account=f"acc{user % 200}",
            qos="normal",
            cwd=f"/scratch/u{user}/run",
            argv=("apptainer", "exec", "-B", "/data", home, "python3", "train.py", f"--fold={number % 10}"),
            argv_sha256="0" * 64,
            latency_ms=1.25,
        )


def _run(root: Path) -> tuple[float, float]:
    """Return seconds and the most MiB that the command and its processes had together."""
    command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), "policy", "simulate"]
    options = ["--at", "2026-11-22", "--since", "2026-10-01", "--format", "json"]
    with (root / "counts.json").open("wb") as out:
        running = subprocess.Popen([*command, *options, str(root / "candidate.yaml")], stdout=out)
    began, most = time.perf_counter(), 0.0
    while running.poll() is None:
        most = max(most, _memory(running.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    counts = msgspec.json.decode((root / "counts.json").read_bytes())
    assert counts["judged"]["launches"] == LAUNCHES, counts
    return seconds, most


def _memory(pid: int) -> float:
    """Return the MiB of a process and its children, what they share divided among them (PSS)."""
    try:
        process = psutil.Process(pid)
        every = [process, *process.children(recursive=True)]
        return sum(each.memory_full_info().pss for each in every) / 2**20
    except psutil.NoSuchProcess:
        return 0.0
