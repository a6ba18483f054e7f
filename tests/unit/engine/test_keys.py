# SPDX-License-Identifier: Apache-2.0
"""Secrets and certificates of the engine."""

from __future__ import annotations

import datetime as dt
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509

from sifgate.config import Places
from sifgate.engine import keys, layout
from sifgate.engine.accounts import Account, Accounts

NOW = dt.datetime(2026, 8, 22, tzinfo=dt.timezone.utc)
ME = Account("me", os.geteuid(), os.getegid())


@pytest.fixture
def made(short: Path) -> layout.Layout:
    """The engine's directories with fresh secrets, all owned by this user."""
    found = layout.Layout(Places.under(short))
    everybody = Accounts(db=ME, clair=ME, server=ME, scan=ME, agent=ME)
    layout.prepare(found, everybody)
    keys.prepare(found, everybody, NOW)
    return found


def _again(made: layout.Layout, now: dt.datetime = NOW) -> None:
    keys.prepare(made, Accounts(db=ME, clair=ME, server=ME, scan=ME, agent=ME), now)


def _contents(made: layout.Layout) -> dict[str, bytes]:
    files = [*(made.places.state / "secrets").rglob("*"), *made.certificates.iterdir()]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def test_secrets_are_private(made: layout.Layout) -> None:
    """Every secret has mode 0600 in a directory of mode 0700; certificates can be read by all."""
    secrets = made.places.state / "secrets"
    for file in secrets.rglob("*"):
        mode = stat.S_IMODE(file.stat().st_mode)
        assert mode == (0o700 if file.is_dir() else 0o600), file
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o644 for file in made.certificates.iterdir())


def test_second_start_keeps_all(made: layout.Layout) -> None:
    """Nothing is made anew without need: agents and index reports stay valid."""
    before = _contents(made)
    _again(made)
    assert _contents(made) == before


@pytest.mark.parametrize("rest", [b"", b"short", b"\xff" * 8])
def test_half_written_secret_is_made_anew(made: layout.Layout, rest: bytes) -> None:
    """A secret cut short by a crash is replaced, and the copies that others hold follow."""
    psk = made.secrets("agent") / "psk"
    psk.write_bytes(rest)
    key = keys.key_file(made, "clair")
    key.write_bytes(rest)
    _again(made)
    assert len(psk.read_bytes()) > 40
    assert psk.read_bytes() == (made.secrets("server") / "psk").read_bytes()
    assert b"PRIVATE KEY" in key.read_bytes()


def test_certificate_is_renewed_before_it_ends(made: layout.Layout) -> None:
    """With less than a year left a start makes a new certificate."""
    file = keys.certificate_file(made, "server")
    before = file.read_bytes()
    _again(made, NOW + dt.timedelta(days=3650 - 300))
    assert file.read_bytes() != before


def test_each_service_has_its_own_certificate(made: layout.Layout) -> None:
    """No certificate can sign another, so one service's key never passes for another's."""
    for name in keys.SERVICES:
        certificate = x509.load_pem_x509_certificate(keys.certificate_file(made, name).read_bytes())
        assert certificate.issuer == certificate.subject
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_clair_trusts_the_system_and_us(made: layout.Layout) -> None:
    """Clair's trust file ends with the certificates of server and mirror, not with its own."""
    content = (made.certificates / "roots.pem").read_bytes()
    assert content.endswith(keys.certificate_file(made, "server").read_bytes())
    assert keys.certificate_file(made, "mirror").read_bytes() in content
    assert keys.certificate_file(made, "clair").read_bytes() not in content
