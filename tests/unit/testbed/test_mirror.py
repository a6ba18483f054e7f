# SPDX-License-Identifier: Apache-2.0
"""The host's Debian mirror, from both formats of apt."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.mirror import Source, debian_mirror, parse_deb822, parse_one_line


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    """Return an empty configuration directory of apt."""
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_one_line_format_is_read() -> None:
    """Options in brackets and comments are skipped; source archives do not count."""
    text = "# deb http://old.example/d sid main\ndeb-src http://m.example/debian sid main\n"
    text += "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian/ trixie main contrib # ours\n"
    assert list(parse_one_line(text)) == [Source("http://m.example/debian", ("trixie",), ("main", "contrib"))]


def test_deb822_format_is_read() -> None:
    """Stanzas, continued lines and comments inside a stanza; disabled stanzas do not count."""
    text = (
        "Types: deb deb-src\n# a comment\nURIs: https://m.example/debian\nSuites: trixie\n trixie-updates\n"
        "Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n\n"
        "Types: deb\nURIs: http://off.example/debian\nSuites: sid\nComponents: main\nEnabled: no\n"
    )
    assert list(parse_deb822(text)) == [
        Source("https://m.example/debian", ("trixie", "trixie-updates"), ("main",))
    ]


def test_security_archives_and_strangers_are_no_mirror(apt: Path) -> None:
    """Only an archive with Debian's own suites and `main` is taken."""
    (apt / "sources.list").write_text(
        "deb http://sec.example/s trixie-security main\ndeb http://x.example/x nodistro main\n"
    )
    (apt / "sources.list.d" / "z.sources").write_text(
        "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
    )
    assert debian_mirror(apt) == "http://m.example/debian"


def test_host_without_debian_has_no_mirror(apt: Path) -> None:
    """Then debootstrap's own default serves."""
    (apt / "sources.list").write_text("deb http://u.example/ubuntu noble main\n")
    assert debian_mirror(apt) == ""


def test_mirror_list_stands_for_its_first_entry(apt: Path, tmp_path: Path) -> None:
    """`mirror+file:`, as cloud images have it, is followed."""
    listing = tmp_path / "mirrors"
    listing.write_text("https://first.example/debian\nhttps://second.example/debian\n")
    (apt / "sources.list").write_text(f"deb mirror+file:{listing} sid main\n")
    assert debian_mirror(apt) == "https://first.example/debian"
