# SPDX-License-Identifier: Apache-2.0
"""VEX documents of the three formats, as values to change, and the reader on them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sifgate.errors import PolicyError
from sifgate.vex.document import VexDocument
from sifgate.vex.read import read_documents

DIGEST = "a1" * 32
GIT = "pkg:deb/debian/git"


def openvex(*statements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an OpenVEX document."""
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://site.example/vex/1",
        "author": "security@site.example",
        "timestamp": "2026-08-01T12:00:00+02:00",
        "version": 1,
        "statements": list(statements),
    } | fields


def said(**fields: Any) -> dict[str, Any]:
    """Return one statement of OpenVEX on git."""
    return {
        "vulnerability": {"name": "CVE-2026-1"},
        "products": [{"@id": GIT}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
    } | fields


def one(document: object) -> VexDocument:
    """Return the document read from its JSON."""
    (found,) = read_documents([("a.json", json.dumps(document).encode())])
    return found


def refusal(content: bytes) -> str:
    """Return the text of the error that the content is."""
    with pytest.raises(PolicyError) as caught:
        read_documents([("a.json", content)])
    return str(caught.value)


def known(identity: str, **helper: str) -> dict[str, Any]:
    """Return a product of a CSAF tree, known by CPE or package URL."""
    return {"product": {"product_id": identity, "product_identification_helper": helper}}


def relation(component: str, platform: str, identity: str = "") -> dict[str, Any]:
    """Return a component on a platform."""
    return {
        "full_product_name": {"product_id": identity or f"{platform}:{component}"},
        "product_reference": component,
        "relates_to_product_reference": platform,
    }


CSAF: dict[str, Any] = {
    "document": {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "publisher": {"name": "Vendor Security"},
        "tracking": {"id": "V-1", "status": "final", "current_release_date": "2026-08-01T00:00:00Z"},
    },
    "product_tree": {
        "branches": [
            {
                "branches": [
                    known("r8", cpe="cpe:/o:redhat:enterprise_linux:8"),
                    known("other", cpe="cpe:/a:redhat:quay:3"),
                    known("curl", purl="pkg:rpm/redhat/curl?arch=src"),
                    known("go", purl="pkg:golang/example.org/x@v1"),
                ]
            }
        ],
        "relationships": [relation("curl", "r8"), relation("curl", "other")],
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-1",
            "ids": [{"text": "GHSA-2222-3333-4444"}, {"text": "2241933"}],
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["r8:curl"]}],
            "threats": [{"category": "impact", "details": "low"}],
            "product_status": {
                "known_not_affected": ["r8:curl", "other:curl", "nowhere"],
                "known_affected": ["go"],
            },
        }
    ],
}  # fmt: skip


def cyclonedx(**fields: Any) -> dict[str, Any]:
    """Return a CycloneDX document with one analysis of git."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:1",
        "metadata": {"timestamp": "2026-08-01T00:00:00Z", "supplier": {"name": "Supplier"}},
        "components": [
            {"bom-ref": "git", "purl": f"{GIT}@1.0", "components": [{"bom-ref": "in", "purl": f"{GIT}@2"}]}
        ],
        "vulnerabilities": [
            {
                "id": "CVE-2026-1",
                "analysis": {
                    "state": "false_positive",
                    "justification": "code_not_reachable",
                    "detail": "no",
                },
                "affects": [{"ref": "git"}, {"ref": "in"}],
            },
            {"id": "CVE-2026-2", "affects": [{"ref": "git"}]},
        ],
    } | fields
