# SPDX-License-Identifier: Apache-2.0
"""Every error of sifgate, as one tree; imported by the hot path, so it imports nothing.

::

    SifgateError
    ├── ConfigError            settings, unsafe ownership or permissions
    │   └── UnsafeFile         a file or a parent directory that others can write
    ├── PolicyError            a malformed policy (never "the image violates the policy")
    ├── ImageError             the image, with the scan state it leads to
    │   ├── Unresolved         a reference that cannot be understood or opened
    │   └── Unscannable        cause: encrypted, malformed, bounds, format, filesystem, sandbox
    ├── ScannerError           Clair
    │   ├── ClairUnavailable   an outage, nothing about the image
    │   └── ScanFailed         Clair fails on this image, deterministically
    ├── ServerUnreachable      the agent cannot reach, or does not believe, the server
    ├── HeadRefused            the server knows another history of the audit log
    ├── AgentUnreachable       a client cannot reach the agent
    ├── AgentRefused           the agent answers `error`; `code` is the agent's word
    ├── ProtocolError          bytes that are not the wire protocol
    ├── EngineError            the embedded engine cannot start or stop
    ├── StoreError             PostgreSQL refuses
    └── AuditError             a record could not be made durable
"""

from __future__ import annotations


class SifgateError(Exception):
    """Root of all errors; `str()` says what went wrong, `hint` what to do, `code` is stable for programs."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(SifgateError):
    """Settings that cannot be used; the text names file, line and column where there are any."""

    code = "config"


class UnsafeFile(ConfigError):
    """A file, or one of its parent directories, that others than the allowed owner can write."""

    code = "unsafe_file"


class PolicyError(SifgateError):
    """A policy that cannot be loaded; the text names file, line, column and the nearest valid key."""

    code = "policy_invalid"


class ImageError(SifgateError):
    """An image that leads to a scan state instead of a verdict."""

    code = "image"


class Unresolved(ImageError):
    """An image reference that cannot be understood or opened."""

    code = "unresolved"


class Unscannable(ImageError):
    """An image that cannot be read safely; `cause` is one of the design's six causes."""

    code = "unscannable"

    def __init__(self, cause: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cause = cause


class ScannerError(SifgateError):
    """Something about Clair."""

    code = "scanner"


class ClairUnavailable(ScannerError):
    """Clair does not answer, is not ready, or refuses our key: nothing is known about the image."""

    code = "clair_unavailable"


class ScanFailed(ScannerError):
    """Clair fails on this layer, and would fail again."""

    code = "failed"


class ServerUnreachable(SifgateError):
    """The server does not answer, or who answers is not the server."""

    code = "server_unreachable"


class HeadRefused(SifgateError):
    """The head of the audit log contradicts one that the server has countersigned."""

    code = "head_refused"


class AgentUnreachable(SifgateError):
    """No agent listens, or it gave no sign of life in time."""

    code = "agent_unreachable"


class AgentRefused(SifgateError):
    """The agent answers, but will not do what was asked: `code` is its word, such as `busy` or `forbidden`."""

    code = "agent_refused"


class ProtocolError(SifgateError):
    """Bytes that are not sifgate's wire protocol."""

    code = "protocol"


class EngineError(SifgateError):
    """A part of the embedded engine cannot be started, stopped or built."""

    code = "engine"


class StoreError(SifgateError):
    """PostgreSQL is unreachable or refuses a statement."""

    code = "store"


class AuditError(SifgateError):
    """An audit record could not be written or made durable."""

    code = "audit_unwritable"
