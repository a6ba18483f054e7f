# SPDX-License-Identifier: Apache-2.0
"""Reads a policy: the main file, `policy.d/*.yaml` beside it in name order, then the exceptions and VEX it names.

Rules, scopes and trusted stores of all files are appended in that order; of any other key the last file wins, and of
the keys inside a mapping likewise. A directory that the policy names and that is not there is an error: exceptions
that vanish would stop jobs that ran yesterday.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import Policy, sealed
from sifgate.policy.exceptions.read import read_exceptions
from sifgate.policy.files import listed, read_file
from sifgate.policy.read import policy_from
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.vex.member import MAX_BYTES as MAX_VEX_BYTES
from sifgate.vex.read import read_vex
from sifgate.yamlnode import Node


def load_policy(path: Path) -> Policy:
    """Return the policy at `path`; raises PolicyError with its place. Does not check ownership."""
    return load_with_sources(path)[1]


def policy_sources(path: Path) -> PolicySources:
    """Return every file of the policy at `path`, exceptions and VEX included; raises PolicyError as `load_policy`."""
    return load_with_sources(path)[0]


def load_with_sources(path: Path) -> tuple[PolicySources, Policy]:
    """Return the policy at `path` and the files that it was made of; raises PolicyError as `load_policy`."""
    files = _policy_sources(path)
    draft = policy_from([_document(file) for file in files])
    exceptions = _directory(path, draft.exception_settings.directory)
    vex = _directory(path, draft.vex_settings.directory)
    if exceptions is not None:
        # a link there would have root read what its owner cannot
        files += _read(exceptions, Role.EXCEPTION, ".yaml", yamlfile.MAX_BYTES, links=False)
    if vex is not None:
        files += _read(vex, Role.VEX, ".json", MAX_VEX_BYTES, links=True)
    sources = PolicySources(
        files=files,
        writable_by=draft.exception_settings.writable_by,
        exception_directory="" if exceptions is None else str(exceptions),
        vex_directory="" if vex is None else str(vex),
    )
    return sources, _completed(draft, sources)


def draft_policy(path: Path) -> Policy:
    """Return the policy at `path` without exceptions and VEX: for a file that does not lie where it will be used.

    Raises PolicyError with its place.
    """
    return policy_from([_document(file) for file in _policy_sources(path)])


def policy_of(sources: PolicySources) -> Policy:
    """Return the policy of files that were read before, here or elsewhere; raises PolicyError as `load_policy`."""
    files = sources.of(Role.POLICY)
    if not files:
        raise PolicyError("the sources hold no policy file")
    return _completed(policy_from([_document(file) for file in files]), sources)


def policy_files(path: Path) -> tuple[Path, ...]:
    """Return the files that the rules of the policy at `path` are read from, in order, for the caller to check."""
    return (path, *listed(path.parent / "policy.d", ".yaml", needed=False))


def _policy_sources(path: Path) -> tuple[SourceFile, ...]:
    paths = policy_files(path)
    return tuple(SourceFile(str(file), Role.POLICY, read_file(file, yamlfile.MAX_BYTES)) for file in paths)


def _completed(draft: Policy, sources: PolicySources) -> Policy:
    """Return the policy with its exceptions and VEX statements."""
    documents = [_document(file) for file in sources.of(Role.EXCEPTION)]
    exceptions = read_exceptions(documents, draft.exception_settings.limits)
    vex = read_vex((file.path, file.content) for file in sources.of(Role.VEX))
    if not exceptions and not vex:
        return draft
    return sealed(msgspec.structs.replace(draft, exceptions=exceptions, vex=vex))


def _directory(path: Path, named: str) -> Path | None:
    """Return a directory that the policy names: a relative one is beside the policy's main file."""
    return path.parent / named if named else None


def _read(directory: Path, role: Role, ending: str, maximum: int, *, links: bool) -> tuple[SourceFile, ...]:
    paths = listed(directory, ending, needed=True)
    return tuple(SourceFile(str(file), role, read_file(file, maximum, links=links)) for file in paths)


def _document(file: SourceFile) -> Node:
    return yamlfile.parse(file.content, file.path, failure=PolicyError)
