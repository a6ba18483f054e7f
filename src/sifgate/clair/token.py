# SPDX-License-Identifier: Apache-2.0
"""Short-lived bearer tokens for Clair's pre-shared key (JWT, HS256; clair.md §5.3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError

ISSUER = "sifgate"
LIFE_SECONDS = 60
_LEAST_KEY = 16


def read_key(path: Path) -> bytes:
    """Return the key from a file that holds what Clair's `auth.psk.key` holds: base64 text."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except binascii.Error as error:
        raise ConfigError(
            f"{path}: is not base64: {error}", hint="the file holds Clair's auth.psk.key"
        ) from error
    if len(key) < _LEAST_KEY:
        raise ConfigError(f"{path}: the key has {len(key)} bytes, at least {_LEAST_KEY} are needed")
    return key


def bearer(key: bytes, now: float, *, issuer: str = ISSUER) -> str:
    """Return an `Authorization` value that is good for a minute from `now` (Unix seconds)."""
    issued = int(now)
    claims = {"iss": issuer, "iat": issued, "nbf": issued, "exp": issued + LIFE_SECONDS}
    signed = (
        _part(msgspec.json.encode({"alg": "HS256", "typ": "JWT"})) + b"." + _part(msgspec.json.encode(claims))
    )
    signature = _part(hmac.digest(key, signed, hashlib.sha256))
    return f"Bearer {(signed + b'.' + signature).decode()}"


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
