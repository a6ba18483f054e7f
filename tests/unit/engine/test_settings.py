# SPDX-License-Identifier: Apache-2.0
"""The section `engine` of `sifgate.yaml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sifgate.config import Places
from sifgate.engine import advisories, settings
from sifgate.errors import ConfigError, UnsafeFile

NAME = "/etc/sifgate/sifgate.yaml"


def test_nothing_written_means_builtin(tmp_path: Path) -> None:
    """Without a file the shipped advisories are loaded into a Clair of ours."""
    found = settings.load(Places.under(tmp_path))
    assert found == settings.EngineSettings()
    assert found.advisories.source == "builtin"


def test_word_instead_of_mapping() -> None:
    """`advisories: online` is enough."""
    found = settings.parse({"advisories": "online"}, NAME)
    assert found.advisories.source == "online"


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"claire": {}}, "claire"),
        ({"advisories": "sometimes"}, "sometimes"),
        ({"advisories": {"source": "mirror"}}, "a mirror needs its URL"),
        ({"advisories": {"source": "mirror", "url": "file:///etc"}}, "not an http"),
        ({"advisories": {"source": "bundle", "path": "relative.zst"}}, "absolute path"),
        ({"advisories": {"source": "online", "sets": ["rhel"]}}, "unknown rhel"),
        ({"advisories": {"period_hours": 0}}, "above 0"),
        ({"clair": {"url": "https://clair.example"}}, "psk_file"),
        ({"clair": {"url": "clair.example", "psk_file": "/k"}}, "not an http"),
        ({"clair": {"memory_mb": 16}}, "at least 256"),
        ({"clair": {"memory_mb": "much"}}, "memory_mb"),
        ({"database": {"dsn": "postgresql://sifgate:secret@db.example/sifgate"}}, "all users would see"),
        ({"database": {"dsn": "host=db password=secret"}}, "all users would see"),
        ({"database": {"dsn": "=="}}, "dsn"),
        ({"package_support": "debian-security-support"}, "absolute path"),
        ({"package_support": ["/usr/share"]}, "package_support"),
    ],
)
def test_wrong_settings(section: dict[str, Any], text: str) -> None:
    """Each mistake is an error that names the key, with a hint."""
    with pytest.raises(ConfigError, match="engine") as caught:
        settings.parse(section, NAME)
    assert text in str(caught.value)
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_nearest_key() -> None:
    """An unknown key comes with the valid one that is nearest."""
    with pytest.raises(ConfigError) as caught:
        settings.parse({"advisorys": "online"}, NAME)
    assert caught.value.hint == "did you mean 'advisories'?"


def test_file_that_others_can_write(tmp_path: Path) -> None:
    """A configuration with mode 0777 is refused."""
    tmp_path.chmod(0o755)
    places = Places.under(tmp_path)
    places.etc.mkdir(mode=0o755)
    file = places.etc / "sifgate.yaml"
    file.write_text("engine: {advisories: online}\n")
    file.chmod(0o644)
    assert settings.load(places).advisories.source == "online"
    file.chmod(0o777)
    with pytest.raises(UnsafeFile):
        settings.load(places)
    assert os.path.lexists(file)


def test_sets_are_always_named() -> None:
    """Whatever the source, Clair is told which sets to run: without a list it would run all of them."""
    found = {}
    for source in ("builtin", "online", "mirror", "bundle"):
        chosen = settings.parse(
            {"advisories": {"source": source, "url": "https://m.example/a", "path": "/b"}}, NAME
        )
        found[source] = advisories.updaters(chosen.advisories, "https://127.0.0.1:1/", ())
    assert found["builtin"]["sets"] == ["debian", "osv"]
    assert found["online"]["sets"] == list(settings.ALL_SETS)
    assert found["mirror"]["config"]["debian"]["json_url"] == "https://m.example/a/tracker/data/json"
    assert found["bundle"]["sets"] == []


def test_further_directories_switch_sets_on(tmp_path: Path) -> None:
    """A directory with alpine/ or nvd/ adds those sets, and loading waits for them."""
    (tmp_path / "alpine").mkdir()
    (tmp_path / "nvd").mkdir()
    section = advisories.updaters(settings.Advisories(), "https://127.0.0.1:1/", [tmp_path])
    assert section["sets"] == ["alpine", "clair.cvss", "debian", "osv"]
    assert set(advisories.expected(settings.Advisories(), section)) == {
        "alpine-", "clair.cvss", "debian/updater", "osv/go", "osv/pypi",
    }  # fmt: skip
