# SPDX-License-Identifier: Apache-2.0
"""The commented `sifgate.yaml` against the code: every setting is in it, with the value that holds without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sifgate.config import Settings, load_settings

SHIPPED = Path(__file__).resolve().parents[3] / "etc/sifgate/sifgate.yaml"
COMMENTED = re.compile(r"^#(?=[a-z]|  +[a-z0-9_]+:(?: |$))", re.MULTILINE)
"""A setting behind `#`; prose has one space after it."""


def test_as_shipped_it_says_nothing(tmp_path: Path) -> None:
    """A file of comments gives the defaults."""
    path = tmp_path / "sifgate.yaml"
    path.write_text(SHIPPED.read_text())
    assert load_settings(path) == Settings()


def test_every_setting_stands_with_its_default(tmp_path: Path) -> None:
    """Without the `#` everything loads, and all but the server's place is what holds anyway."""
    path = tmp_path / "sifgate.yaml"
    path.write_text(COMMENTED.sub("", SHIPPED.read_text()).replace('group: ""', "group: adm"))
    loaded = load_settings(path)
    assert loaded.server.url == "https://sifgate.site.example:8443"
    assert loaded.agent == Settings().agent
    assert msgspec.structs.replace(loaded.audit, group="") == Settings().audit
    missing = [
        name
        for name in _fields(Settings())
        if not re.search(rf"^# *{name}:", SHIPPED.read_text(), re.MULTILINE)
    ]
    assert not missing


def test_engine_section_has_the_engine_defaults(tmp_path: Path) -> None:
    """The same for the part that the engine reads."""
    settings = pytest.importorskip("sifgate.engine.settings")
    path = tmp_path / "sifgate.yaml"
    path.write_text(COMMENTED.sub("", SHIPPED.read_text()).replace('group: ""', "group: adm"))
    section = load_settings(path).engine
    assert settings.parse(section, str(path)) == settings.EngineSettings()
    assert (
        not set(_fields(settings.EngineSettings()))
        - set(section)
        - {key for inner in section.values() for key in inner}
    )


def _fields(settings: msgspec.Struct) -> Iterator[str]:
    """Yield the names of all settings at any depth, but for what the policy decides."""
    for name in settings.__struct_fields__:
        if name != "pending_passes_per_day":
            yield name
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            yield from _fields(value)
