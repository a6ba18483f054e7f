# SPDX-License-Identifier: Apache-2.0
"""Turns exception files into exceptions: every key, its bounds, the site's limits, and ids that are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.exceptions.document import FIX_AVAILABLE, SCHEMA, ExceptionScope, PolicyException
from sifgate.policy.exceptions.limits import ExceptionLimits
from sifgate.policy.exceptions.naming import refuse_everything
from sifgate.policy.pathglob import read_path_pattern
from sifgate.vex.words import JUSTIFICATIONS
from sifgate.yamlnode import Node, quoted

MAX_EXCEPTIONS = 10_000
"""Of all files together."""
MAX_VULNERABILITIES = 1000
MAX_TEXT = 300
MAX_NAME = 128
KEYS = (
    "id",
    "vulnerability",
    "package",
    "scope",
    "reason",
    "justification",
    "author",
    "approved_by",
    "ticket",
    "created",
    "expires",
    "until",
)
REQUIRED = ("id", "reason", "author", "created", "expires")
SCOPE_KEYS = ("image_digest", "path", "owner", "user", "group", "account", "partition")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_VULNERABILITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{2,63}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_PATTERN = re.compile(r"[*?\[\]]")


def read_exceptions(documents: Iterable[Node], limits: ExceptionLimits) -> tuple[PolicyException, ...]:
    """Return the exceptions of all files in order, expired ones too; raises the documents' error class.

    There is no clock here: what is not yet or no longer in force is read like the rest, and matches nothing.
    """
    found: dict[str, tuple[PolicyException, Node]] = {}
    for document in documents:
        for node in _entries(document):
            exception = read_exception(node, limits)
            if exception.id in found:
                raise _taken(exception.id, node, found[exception.id][1])
            if len(found) == MAX_EXCEPTIONS:
                raise node.error(f"more than {MAX_EXCEPTIONS} exceptions")
            found[exception.id] = (exception, node)
    return tuple(exception for exception, _ in found.values())


def read_exception(node: Node, limits: ExceptionLimits) -> PolicyException:
    """Return the exception that one entry of a file states."""
    fields = node.mapping(keys=KEYS, required=REQUIRED)
    exception = PolicyException(
        id=_identifier(fields["id"]),
        reason=fields["reason"].text(maximum=MAX_TEXT),
        author=fields["author"].text(maximum=MAX_NAME),
        created=fields["created"].date(),
        expires=fields["expires"].date(),
        vulnerabilities=_vulnerabilities(fields),
        package=PackageCondition.parse(fields["package"], {}) if "package" in fields else None,
        scope=_scope(fields["scope"]) if "scope" in fields else ExceptionScope(),
        approved_by=_text(fields, "approved_by"),
        ticket=_text(fields, "ticket"),
        until=fields["until"].choice((FIX_AVAILABLE,)) if "until" in fields else "",
        justification=fields["justification"].choice(JUSTIFICATIONS) if "justification" in fields else "",
    )
    if not exception.vulnerabilities:
        refuse_everything(node, fields.get("package"))
    _obey(exception, limits, node, fields)
    return exception


def _entries(document: Node) -> tuple[Node, ...]:
    """Return the entries of one file; looks at the schema first, since another one has other keys."""
    schema = document.mapping().get("schema")
    if schema is not None and schema.text() != SCHEMA:
        raise schema.error(f'expected "{SCHEMA}", got {quoted(schema.text())}')
    fields = document.mapping(keys=("schema", "exceptions"), required=("schema", "exceptions"))
    return fields["exceptions"].sequence(maximum=MAX_EXCEPTIONS)


def _obey(
    exception: PolicyException, limits: ExceptionLimits, node: Node, fields: Mapping[str, Node]
) -> None:
    """Raise if the dates make no sense or the site asks for more."""
    days = (exception.expires - exception.created).days
    if days < 0:
        raise fields["expires"].error(f"it expires before {exception.created}, when it was created")
    if limits.max_days and days > limits.max_days:
        latest = f"{limits.max_days} days after {exception.created}"
        raise fields["expires"].error(
            f"it lasts {days} days, the policy allows {limits.max_days}",
            hint=f"let it end {latest} at the latest",
        )
    for key in limits.require:
        if key not in fields:
            raise node.error(f'the key "{key}" is missing, which the policy asks for')
    same = _person(exception.author) == _person(exception.approved_by)
    if same and not limits.self_approval:
        raise fields["approved_by"].error("author and approver are the same")


def _person(name: str) -> str:
    """Return a name so that spellings of one are equal."""
    return " ".join(name.casefold().split())


def _scope(node: Node) -> ExceptionScope:
    fields = node.mapping(keys=SCOPE_KEYS)
    if not fields:
        raise node.error("the scope is empty: leave it out to mean every launch")
    readers = {"image_digest": _digest, "path": read_path_pattern}
    return ExceptionScope(
        **{key: value.one_or_more(readers.get(key, _name)) for key, value in fields.items()}
    )


def _identifier(node: Node) -> str:
    word = node.text()
    if not _ID.fullmatch(word):
        raise node.error(f"expected an id of letters, digits, '.', '_', '-' (at most 63), got {quoted(word)}")
    return word


def _vulnerabilities(fields: Mapping[str, Node]) -> tuple[str, ...]:
    if "vulnerability" not in fields:
        return ()
    node = fields["vulnerability"]
    named = node.one_or_more(_vulnerability)
    if len(named) > MAX_VULNERABILITIES:
        raise node.error(f"expected at most {MAX_VULNERABILITIES} identifiers, got {len(named)}")
    return tuple(dict.fromkeys(named))


def _vulnerability(node: Node) -> str:
    word = node.text()
    if not _VULNERABILITY.fullmatch(word):
        raise node.expected("an identifier such as CVE-2026-1234 (patterns are not supported)")
    return word.upper()


def _digest(node: Node) -> str:
    word = node.text()
    if not _DIGEST.fullmatch(word):
        raise node.expected('"sha256:" and 64 lower-case hex digits')
    return word


def _name(node: Node) -> str:
    name = node.text(maximum=MAX_NAME)
    if _PATTERN.search(name):
        raise node.error(f"names are exact, patterns are not supported: {quoted(name)}")
    return name


def _text(fields: Mapping[str, Node], key: str) -> str:
    return fields[key].text(maximum=MAX_NAME) if key in fields else ""


def _taken(name: str, node: Node, first: Node) -> Exception:
    where = f"{first.document.name}:{first.line}"
    return node.mapping()["id"].error(f"the exception id {quoted(name)} is taken ({where})")
