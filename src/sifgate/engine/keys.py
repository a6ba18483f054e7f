# SPDX-License-Identifier: Apache-2.0
"""Secrets and certificates, made at first start, each readable only by the part that needs it.

Every TLS service has a self-signed certificate of its own, and its clients trust exactly that one: with a common
authority a broken Clair could pass for the server, since both are 127.0.0.1. A key that is missing, too short or
half-written is made anew; all of them are our own, so nothing is lost but cached index reports.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import ipaddress
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sifgate.engine.accounts import Account, Accounts
from sifgate.engine.layout import Layout

SERVICES = ("clair", "mirror", "server")
_SECRET_BYTES = 32
_LIFE = dt.timedelta(days=3650)
_RENEW = dt.timedelta(days=365)
_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


def prepare(layout: Layout, accounts: Accounts, now: dt.datetime) -> None:
    """Make what is missing: certificates, Clair's key, the agent's token, the server's keys, the mirror's password."""
    owners = {"clair": accounts.clair, "mirror": accounts.clair, "server": accounts.server}
    for service, owner in owners.items():
        _certificate(layout, service, owner, now)
    psk = _kept(layout.secrets("agent") / "psk", accounts.agent, _is_base64, _random_base64)
    write(layout.secrets("server") / "psk", psk, accounts.server)
    _kept(layout.secrets("server") / "manifest.key", accounts.server, _is_long, secrets.token_bytes)
    _kept(layout.secrets("mirror") / "password", accounts.clair, _is_long, _random_text)
    _kept(layout.secrets("server") / "heads.key", accounts.server, _is_ed25519, _new_ed25519)
    token = _kept(layout.secrets("agent") / "token", accounts.agent, _is_long, _random_text)
    line = f"local admin {hashlib.sha256(token.strip()).hexdigest()}\n".encode()
    write(layout.secrets("server") / "tokens", line, accounts.server)
    write(layout.certificates / "roots.pem", _roots(layout), accounts.agent, mode=0o644)


def write(file: Path, content: bytes, owner: Account, *, mode: int = 0o600) -> None:
    """Put a file in place whole, with its owner and mode, unless it already holds that."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
    fresh.replace(file)


def certificate_file(layout: Layout, service: str) -> Path:
    """Return the public certificate of a service; who trusts the service trusts exactly this one."""
    return layout.certificates / f"{service}.crt"


def key_file(layout: Layout, service: str) -> Path:
    """Return the private key of a service."""
    return layout.secrets(service) / "tls.key"


def _kept(file: Path, owner: Account, good: Callable[[bytes], bool], make: Callable[[int], bytes]) -> bytes:
    """Return the content of a secret, made anew if it is missing or not good; owner and mode are set each time."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        content = b""
    if not good(content):
        content = make(_SECRET_BYTES)
    write(file, content, owner)
    return content


def _is_long(content: bytes) -> bool:
    return len(content.strip()) >= _SECRET_BYTES // 2


def _is_ed25519(content: bytes) -> bool:
    try:
        return isinstance(
            serialization.load_pem_private_key(content, password=None), ed25519.Ed25519PrivateKey
        )
    except (ValueError, TypeError):
        return False


def _new_ed25519(_count: int) -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _is_base64(content: bytes) -> bool:
    try:
        return len(base64.b64decode(content.strip(), validate=True)) == _SECRET_BYTES
    except binascii.Error:
        return False


def _random_base64(count: int) -> bytes:
    return base64.b64encode(secrets.token_bytes(count)) + b"\n"


def _random_text(count: int) -> bytes:
    return secrets.token_urlsafe(count).encode() + b"\n"


def _certificate(layout: Layout, service: str, owner: Account, now: dt.datetime) -> None:
    public, private = certificate_file(layout, service), key_file(layout, service)
    if _is_good_pair(public, private, now):
        return
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, service, now)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(private, pem, owner)
    write(
        public,
        certificate.public_bytes(serialization.Encoding.PEM),
        Account("root", os.geteuid(), os.getegid()),
        mode=0o644,
    )


def _is_good_pair(public: Path, private: Path, now: dt.datetime) -> bool:
    """Return whether the two belong together and hold for another year."""
    try:
        certificate = x509.load_pem_x509_certificate(public.read_bytes())
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    return certificate.public_key() == key.public_key() and certificate.not_valid_after_utc - now > _RENEW


def _self_signed(key: ec.EllipticCurvePrivateKey, service: str, now: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sifgate {service}")])
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.DNSName("localhost"),
        x509.DNSName(socket.gethostname().encode("idna").decode() or "localhost"),
    ]
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _roots(layout: Layout) -> bytes:
    """Return the system's root certificates plus those of our services that Clair fetches from."""
    system = next((Path(name).read_bytes() for name in _ROOTS if Path(name).exists()), b"")
    ours = b"".join(certificate_file(layout, service).read_bytes() for service in ("mirror", "server"))
    return system.rstrip() + b"\n" + ours
