# SPDX-License-Identifier: Apache-2.0
"""The product tree of a CSAF document: which package, on which release of a distribution, a product id means.

`red_hat_enterprise_linux_8:openssl` is a component (a package URL, often without version) on a platform (a CPE). The
platform becomes the qualifier `distro` of the package URL, so that what is said of release 8 is not said of 9. Where
a platform cannot be told in an image, nothing is said of it at all.
"""

from __future__ import annotations

import re

import msgspec

from sifgate.model.purl import parse_purl
from sifgate.vex.document import MAX_PRODUCTS
from sifgate.vex.member import Member
from sifgate.vex.product import BAD_PURL, digest_of, product_of
from sifgate.vex.purls import with_release

MAX_DEPTH = 32
NO_PLATFORM = "a platform that cannot be told in an image"
NO_SUCH = "a product id that the document does not explain"
_CPE = re.compile(r"cpe:(?:/|2\.3:)[oa]:([^:]+):([^:]+):([0-9][0-9.]*)(?::([^:]*))?.*", re.ASCII)
_SYSTEMS = {
    ("redhat", "enterprise_linux"): "rhel",
    ("redhat", "rhel_eus"): "rhel",
    ("redhat", "rhel_aus"): "rhel",
    ("redhat", "rhel_e4s"): "rhel",
    ("redhat", "rhel_tus"): "rhel",
    ("suse", "sles"): "sles",
    ("opensuse", "leap"): "opensuse-leap",
    ("canonical", "ubuntu_linux"): "ubuntu",
    ("debian", "debian_linux"): "debian",
    ("oracle", "linux"): "ol",
}
_SERVICE_PACK = re.compile(r"sp([0-9]{1,2})", re.ASCII)


class Known(msgspec.Struct, frozen=True):
    """A product that can be met: its name as `VexStatement` holds it, and its components if it is an image."""

    name: str
    components: tuple[str, ...] = ()


class _Entry(msgspec.Struct, frozen=True):
    """One product of the tree: what identifies it by itself, or what it is a part of."""

    purl: str = ""
    cpe: str = ""
    digest: str = ""
    component: str = ""
    platform: str = ""


class Products:
    """The products of one document, asked by id."""

    def __init__(self, entries: dict[str, _Entry], groups: dict[str, tuple[str, ...]]) -> None:
        self._entries = entries
        self._known: dict[str, tuple[Known | None, str]] = {}
        self.groups = groups
        """Product ids by group id."""

    def resolve(self, identity: str) -> tuple[Known | None, str]:
        """Return what a product id means, or None and why it cannot be met."""
        if identity not in self._known:
            self._known[identity] = self._resolved(identity)
        return self._known[identity]

    def _resolved(self, identity: str) -> tuple[Known | None, str]:
        entry = self._entries.get(identity)
        if entry is None:
            return None, NO_SUCH
        if not entry.component:
            name, why = product_of(entry.purl, entry.digest)
            return (Known(name) if name else None), why
        purl = self._purl(entry)
        name, why = product_of(purl, "")
        if not name.startswith("pkg:"):
            return (Known(name) if name else None), why
        return self._on_platform(purl, entry.platform)

    def _purl(self, entry: _Entry) -> str:
        """Return the package URL of a part, by however many relationships it is given."""
        for _ in range(MAX_DEPTH):
            if entry.purl or not entry.component:
                return entry.purl
            entry = self._entries.get(entry.component, _Entry())
        return ""

    def _on_platform(self, purl: str, platform: str) -> tuple[Known | None, str]:
        narrowed = False
        entry = self._entries.get(platform, _Entry())
        for _ in range(MAX_DEPTH):
            if not entry.platform:
                break
            narrowed = True  # a module stream of a release, of which an image does not tell
            entry = self._entries.get(entry.platform, _Entry())
        if entry.digest and not narrowed:
            return Known(entry.digest, (purl,)), ""
        release = release_of(entry.cpe)
        if not release or (narrowed and not parse_purl(purl).version):
            return None, NO_PLATFORM
        name = with_release(purl, release)
        return (Known(name), "") if name else (None, BAD_PURL)


def release_of(cpe: str) -> str:
    """Return the release that a CPE names, e.g. `rhel-8`, `sles-15.4`; empty where it is none known here."""
    parts = _CPE.fullmatch(cpe)
    system = _SYSTEMS.get((parts[1], parts[2]), "") if parts else ""
    if not parts or not system:
        return ""
    pack = _SERVICE_PACK.fullmatch(parts[4] or "") if system == "sles" else None
    return f"{system}-{parts[3]}.{pack[1]}" if pack else f"{system}-{parts[3]}"


def read_products(document: Member) -> Products:
    """Return the products of a document's tree."""
    tree = document.get("product_tree")
    entries: dict[str, _Entry] = {}
    groups: dict[str, tuple[str, ...]] = {}
    if tree is None:
        return Products(entries, groups)
    for product in tree.each("full_product_names", MAX_PRODUCTS):
        _add(product, entries)
    _read_branches(tree, entries)
    for relation in tree.each("relationships", MAX_PRODUCTS):
        part = relation.need("product_reference").text()
        platform = relation.need("relates_to_product_reference").text()
        _add(relation.need("full_product_name"), entries, component=part, platform=platform)
    for group in tree.each("product_groups", MAX_PRODUCTS):
        members = group.each("product_ids", MAX_PRODUCTS)
        groups[group.need("group_id").text()] = tuple(member.text() for member in members)
    return Products(entries, groups)


def _read_branches(tree: Member, entries: dict[str, _Entry]) -> None:
    pending = [(tree, 0)]
    while pending:
        parent, depth = pending.pop()
        for branch in parent.each("branches", MAX_PRODUCTS):
            if depth > MAX_DEPTH:
                raise branch.error(f"branches are nested more than {MAX_DEPTH} deep")
            product = branch.get("product")
            if product is not None:
                _add(product, entries)
            pending.append((branch, depth + 1))


def _add(product: Member, entries: dict[str, _Entry], *, component: str = "", platform: str = "") -> None:
    helper = product.get("product_identification_helper")
    entry = _Entry(
        purl=helper.optional("purl") if helper else "",
        cpe=helper.optional("cpe") if helper else "",
        digest=_digest(helper) if helper else "",
        component=component,
        platform=platform,
    )
    entries[product.need("product_id").text()] = entry


def _digest(helper: Member) -> str:
    """Return the SHA-256 digest of the product's one file; empty where it has none or several."""
    found = [
        digest_of(each.need("value").text())
        for hashes in helper.each("hashes", MAX_DEPTH)
        for each in hashes.each("file_hashes", MAX_DEPTH)
        if each.optional("algorithm").lower() == "sha256"
    ]
    return found[0] if len(found) == 1 else ""
