# SPDX-License-Identifier: Apache-2.0
"""The server's own key, with which it says: this head I have seen, at this time."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sifgate import fsguard
from sifgate.errors import ConfigError
from sifgate.model.head import Countersigned, signed_bytes

_ID_DIGITS = 16


class Signer:
    """Holds the private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = base64.b64encode(raw).decode()
        """The public key's 32 bytes in Base64."""
        self.key = hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]
        """Its id."""

    def sign(self, seen: Countersigned) -> Countersigned:
        """Return `seen` with this key's id and signature."""
        named = msgspec.structs.replace(seen, key=self.key, signature="")
        signature = base64.b64encode(self._private.sign(signed_bytes(named))).decode()
        return msgspec.structs.replace(named, signature=signature)


def load_signer(path: Path) -> Signer:
    """Return the signer whose key is in `path`, made there (0600) if it is missing; raises ConfigError.

    A file that is there and no key is never replaced: that would hide that somebody has damaged it.
    """
    _make_if_missing(path)
    fsguard.check(path, owner_uid=os.geteuid())
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: is not a private key in PEM: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is not an Ed25519 key")
    return Signer(private)


def _make_if_missing(path: Path) -> None:
    """Put a new key in place whole; where two servers start at once, the first one's stays."""
    if path.exists():
        return
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(descriptor)
        os.link(fresh, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be made: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
