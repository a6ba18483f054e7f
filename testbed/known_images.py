# SPDX-License-Identifier: Apache-2.0
"""Six images of arXiv 2010.13970 as verdicts: what Ubuntu's advisories of June 2020 said of their packages.

Real findings in real numbers, for the presets and for the bench. Whether a vulnerability is known to be exploited is
today's knowledge, from the catalogue that ships with sifgate. Of `linux-libc-dev`, which five of the six have, those
advisories say nothing; `BULLSEYE_HEADERS` is the noise case.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from sifgate.feeds import eol, kev
from sifgate.model.finding import Finding, Severity
from sifgate.model.image import OsRelease
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Standing, Verdict
from sifgate.verdict import digest
from testbed.filetrees import DATA, DebianPackage

FEEDS = Path(eol.__file__).parents[1] / "engine" / "data" / "feeds"
RELEASES = {
    "BIDS_brainiak-srm": "16.04",
    "BIDS_fmriprep": "16.04",
    "BIDS_magetbrain": "18.04",
    "BIDS_mriqc": "16.04",
    "BIDS_mrtrix3_connectome": "18.04",
    "Boutiques_fmriprep": "16.04",
}
"""Image → Ubuntu release, by the versions of its packages."""
SCANNED = "2020-06-15T00:00:00Z"
BULLSEYE_HEADERS = DebianPackage("linux-libc-dev", "5.10.223-1", "linux", "5.10.223-1", "amd64")
"""Kernel headers as Debian 11 had them in its last point release."""


def paper_findings(name: str, *, updated: bool = False) -> tuple[Finding, ...]:
    """Return the findings of an image; `updated` leaves out those that an upgrade of its packages ends."""
    exploited = kev.load(FEEDS).added
    text = gzip.decompress((DATA / "paper" / f"{name}.tsv.gz").read_bytes()).decode()
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(
        Finding(
            vulnerability=cve,
            package=package,
            version=version,
            severity=Severity.parse(severity),
            manager="dpkg",
            fixed_version=fixed,
            kev=cve in exploited,
            kev_added=exploited.get(cve, ""),
            fix_available=SCANNED[:10] if fixed else "",
        )
        for cve, package, version, fixed, _, severity in rows
        if not (updated and fixed)
    )


def standing_of(findings: tuple[Finding, ...], release: str = "16.04") -> Standing:
    """Return the standing of an Ubuntu image with these findings."""
    verdict = Verdict(
        fingerprint="0" * 64,
        state=ScanState.KNOWN,
        findings=findings,
        coverage=Coverage(distribution=f"Ubuntu {release}", advisories=True, packages={"dpkg": 300}),
        os_release=OsRelease(id="ubuntu", version_id=release),
        end_of_life=eol.load(FEEDS).support.get(("ubuntu", release), EndOfLife()),
        generation=Generation(id="paper", advisories=SCANNED, kev="2025-08-25"),
        scanned_at=SCANNED,
    )
    body = digest.canonical(verdict)
    return Standing(
        state=ScanState.KNOWN, verdict=verdict, fingerprint=verdict.fingerprint, digest=digest.digest(body)
    )


def paper_standing(name: str, *, updated: bool = False) -> Standing:
    """Return the standing of one of `RELEASES`."""
    return standing_of(paper_findings(name, updated=updated), RELEASES[name])


def largest_standing() -> Standing:
    """Return a standing with more than 5,000 real findings: those of the two largest images, apart by their paths."""
    one = paper_findings("BIDS_fmriprep")
    two = (
        msgspec.structs.replace(finding, path="opt/second/var/lib/dpkg/status")
        for finding in paper_findings("Boutiques_fmriprep")
    )
    return standing_of((*one, *two))
