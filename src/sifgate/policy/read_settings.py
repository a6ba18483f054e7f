# SPDX-License-Identifier: Apache-2.0
"""Reads what a policy sets once for the whole site."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec

from sifgate.model.finding import Severity
from sifgate.policy.document import Policy
from sifgate.policy.exceptions.limits import LIMIT_KEYS, read_limits
from sifgate.policy.read_schedule import read_action
from sifgate.policy.settings import (
    SOURCES,
    BreakGlass,
    ExceptionSettings,
    FailOpenBudget,
    Metadata,
    SeveritySettings,
    SignatureSettings,
    VexSettings,
    Writers,
)
from sifgate.yamlnode import Node, quoted

MAX_SCAN_WAIT = timedelta(seconds=40)
"""Slurm bears 40 s in the plugin's place before it takes the step for lost."""
MAX_PASSES = 1000
MAX_PATH = 1000
MAX_GRANT = timedelta(days=7)
MAX_PER_HOUR = 1_000_000
SEVERITIES = tuple(severity.name.lower() for severity in Severity)
METADATA_KEYS = ("name", "owner", "revision")
EXCEPTION_KEYS = ("directory", "writable_by", *LIMIT_KEYS)


def read_settings(fields: dict[str, Node], policy: Policy) -> Policy:
    """Return the policy with the settings of one file over it."""
    changes = {}
    for key, (attribute, read) in _READERS.items():
        if key in fields:
            changes[attribute] = read(fields[key], policy)
    return msgspec.structs.replace(policy, **changes)


def _contact(node: Node, _: Policy) -> str:
    return node.text(maximum=200)


def _scan_wait(node: Node, _: Policy) -> float:
    return node.duration(maximum=MAX_SCAN_WAIT).total_seconds()


def _pending_passes(node: Node, _: Policy) -> int:
    return node.integer(minimum=0, maximum=MAX_PASSES)


def _prolog_refuse(node: Node, _: Policy) -> bool:
    return node.boolean()


def _suppress(node: Node, policy: Policy) -> bool:
    fields = node.mapping(keys=("kernel_headers",))
    return fields["kernel_headers"].boolean() if "kernel_headers" in fields else policy.kernel_headers


def _metadata(node: Node, policy: Policy) -> Metadata:
    fields = node.mapping(keys=METADATA_KEYS)
    return msgspec.structs.replace(
        policy.metadata, **{key: value.text(maximum=200) for key, value in fields.items()}
    )


def _severity(node: Node, policy: Policy) -> SeveritySettings:
    fields = node.mapping(keys=("source_order", "unknown_as"))
    order, unknown_as = policy.severity.source_order, policy.severity.unknown_as
    if "source_order" in fields:
        order = tuple(item.choice(SOURCES) for item in fields["source_order"].sequence(minimum=1))
        if len(set(order)) < len(order):
            raise fields["source_order"].error("a source stands twice")
    if "unknown_as" in fields:
        unknown_as = Severity.parse(fields["unknown_as"].choice(SEVERITIES))
    return SeveritySettings(source_order=order, unknown_as=unknown_as)


def _extended_support(node: Node, _: Policy) -> tuple[str, ...]:
    return tuple(sorted({item.text(maximum=64) for item in node.sequence()}))


def _signatures(node: Node, _: Policy) -> SignatureSettings:
    fields = node.mapping(keys=("keyring",), required=("keyring",))
    return SignatureSettings(keyring=fields["keyring"].text(maximum=MAX_PATH))


def _exceptions(node: Node, policy: Policy) -> ExceptionSettings:
    fields = node.mapping(keys=EXCEPTION_KEYS)
    below = policy.exception_settings
    return ExceptionSettings(
        directory=fields["directory"].text(maximum=MAX_PATH) if "directory" in fields else below.directory,
        writable_by=_writers(fields["writable_by"]) if "writable_by" in fields else below.writable_by,
        limits=read_limits(fields, below.limits),
    )


def _writers(node: Node) -> Writers:
    fields = node.mapping(keys=("user", "group"))
    if len(fields) != 1:
        raise node.error("expected one of user and group: one id beside root may write there")
    return Writers(**{key: value.text(maximum=64) for key, value in fields.items()})


def _vex(node: Node, policy: Policy) -> VexSettings:
    fields = node.mapping(keys=("directory", "trusted_authors"))
    below = policy.vex_settings
    authors = below.trusted_authors
    if "trusted_authors" in fields:
        authors = tuple(_author(item) for item in fields["trusted_authors"].sequence())
    directory = fields["directory"].text(maximum=MAX_PATH) if "directory" in fields else below.directory
    return VexSettings(directory=directory, trusted_authors=authors)


def _author(node: Node) -> str:
    word = node.text(maximum=200)
    if not word.strip("*? "):
        raise node.error(f"{quoted(word)} would trust every author, and documents may come from anywhere")
    return word


def _break_glass(node: Node, _: Policy) -> BreakGlass:
    fields = node.mapping(
        keys=("groups", "max_duration", "require_reason"), required=("groups", "max_duration")
    )
    duration = fields["max_duration"].duration(minimum=timedelta(minutes=1), maximum=MAX_GRANT)
    return BreakGlass(
        groups=tuple(item.text(maximum=64) for item in fields["groups"].sequence(minimum=1)),
        max_duration=round(duration.total_seconds()),
        require_reason=fields["require_reason"].boolean() if "require_reason" in fields else True,
    )


def _budget(node: Node, _: Policy) -> FailOpenBudget:
    fields = node.mapping(keys=("per_hour", "then"), required=("per_hour", "then"))
    per_hour = fields["per_hour"].integer(minimum=0, maximum=MAX_PER_HOUR)
    return FailOpenBudget(per_hour=per_hour, then=read_action(fields["then"]))


_READERS: dict[str, tuple[str, Callable[[Node, Policy], object]]] = {
    "contact": ("contact", _contact),
    "metadata": ("metadata", _metadata),
    "scan_wait": ("scan_wait", _scan_wait),
    "pending_passes": ("pending_passes", _pending_passes),
    "prolog_refuse": ("prolog_refuse", _prolog_refuse),
    "suppress": ("kernel_headers", _suppress),
    "severity": ("severity", _severity),
    "extended_support": ("extended_support", _extended_support),
    "signatures": ("signatures", _signatures),
    "exceptions": ("exception_settings", _exceptions),
    "vex": ("vex_settings", _vex),
    "break_glass": ("break_glass", _break_glass),
    "fail_open_budget": ("fail_open_budget", _budget),
}
"""By key of the file: the attribute of the policy, and how it is read."""

SETTING_KEYS = tuple(_READERS)
