# SPDX-License-Identifier: Apache-2.0
"""The command line in front of the whole gate: real images, a real Clair, documents that keep their schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from testbed.images import obtain_image
from tests.integration.conftest import RunningEngine, sifgate

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "src/sifgate/render/schemas"


def document(gate: RunningEngine, verb: str, image: Path, code: int) -> Any:
    """Return the JSON document of `check` or `scan`, checked against its schema."""
    done = sifgate(gate.root, verb, "--format", "json", str(image))
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads((SCHEMAS / f"{verb}.schema.json").read_text(encoding="utf-8")))
    return found


@pytest.fixture(scope="module")
def enforcing(gate: RunningEngine) -> RunningEngine:
    """Return the gate with the enforcing example policy in force."""
    done = sifgate(gate.root, "policy", "install", str(ROOT / "etc/sifgate/examples/enforcing.yaml"))
    assert done.returncode == 0, done.stderr
    assert "the agent has loaded it" in done.stdout
    return gate


def test_a_vulnerable_image_is_listed_and_refused(enforcing: RunningEngine) -> None:
    """Table, document, decision and record of one image agree on its known-exploited vulnerabilities."""
    image = obtain_image("bullseye-sci-packages.sif")
    scanned = document(enforcing, "scan", image, 0)
    assert scanned["state"] == "known"
    assert scanned["summary"]["kev"] == 2
    assert scanned["coverage"]["distribution"].startswith("Debian GNU/Linux 11")
    known = {finding["vulnerability"] for finding in scanned["findings"] if finding["kev"]}
    assert known == {"CVE-2025-27363", "CVE-2025-48384"}
    assert all(finding["fixed_version"] for finding in scanned["findings"] if finding["kev"])
    table = sifgate(enforcing.root, "scan", str(image)).stdout
    assert all(vulnerability in table for vulnerability in known)
    assert "known exploited (KEV): 2" in table
    checked = document(enforcing, "check", image, 1)
    assert (checked["action"], checked["fingerprint"]) == ("block", scanned["fingerprint"])
    explained = sifgate(enforcing.root, "explain", checked["reference"])
    assert explained.returncode == 0, explained.stderr
    assert scanned["fingerprint"] in explained.stdout
    assert "rule kev-fixable" in explained.stdout


def test_a_clean_image_is_shown_with_its_coverage(enforcing: RunningEngine) -> None:
    """0 findings stand beside the distribution, the packages seen and the advisories' date."""
    image = obtain_image("trixie.sif")
    scanned = document(enforcing, "scan", image, 0)
    assert (scanned["state"], scanned["findings"], scanned["summary"]["findings"]) == ("known", [], 0)
    assert scanned["coverage"]["packages"]["dpkg"] > 50
    assert scanned["generation"]["advisories"]
    table = sifgate(enforcing.root, "scan", str(image)).stdout
    assert "0 vulnerabilities in 0 findings" in table
    assert "Coverage: " in table
    assert document(enforcing, "check", image, 0)["action"] in {"allow", "log"}


def test_an_unsupported_image_is_never_called_clean(enforcing: RunningEngine) -> None:
    """Clair finds nothing in CentOS 7, and the report says that this means nothing."""
    image = obtain_image("centos-7-runs.sif")
    scanned = document(enforcing, "scan", image, 0)
    assert scanned["state"] == "unsupported"
    table = sifgate(enforcing.root, "scan", str(image)).stdout
    assert "0 vuln" not in table
    assert "State unsupported" in table
    assert document(enforcing, "check", image, 0)["action"] == "warn"


def test_a_file_that_is_no_image_is_unscannable(enforcing: RunningEngine, tmp_path: Path) -> None:
    """Neither verdict nor numbers, and exit code 3."""
    path = tmp_path / "x.sif"
    path.write_bytes(b"no image at all" * 1000)
    scanned = document(enforcing, "scan", path, 3)
    assert (scanned["state"], scanned["unscannable"], scanned["summary"]) == ("unscannable", "format", None)
