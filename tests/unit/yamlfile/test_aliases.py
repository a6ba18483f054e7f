# SPDX-License-Identifier: Apache-2.0
"""Aliases, where a reader allows them: bounded as if they were written out."""

from __future__ import annotations

import pytest

from sifgate import yamlfile
from sifgate.errors import ConfigError


def test_an_alias_repeats_a_value() -> None:
    """What stands at the anchor stands at the alias."""
    node = yamlfile.parse(b"a: &x {b: [1, c]}\nd: *x\ne: &y text\nf: *y\n", "t.yaml", aliases=True)
    assert node.plain() == {"a": {"b": [1, "c"]}, "d": {"b": [1, "c"]}, "e": "text", "f": "text"}


@pytest.mark.parametrize("text", ["a: &x 1\n", "a: *x\n"])
def test_without_leave_they_are_errors(text: str) -> None:
    """A policy has none."""
    with pytest.raises(ConfigError, match=r"t\.yaml:1:4: anchors and aliases"):
        yamlfile.parse(text.encode(), "t.yaml")


@pytest.mark.parametrize("text", ["a: *x\nb: &x 1\n", "a: &x [1, *x]\n"])
def test_an_alias_without_a_value_before_it_is_located(text: str) -> None:
    """Neither forward nor into itself."""
    with pytest.raises(ConfigError, match=r"t\.yaml:1:\d+: no value before this one is called"):
        yamlfile.parse(text.encode(), "t.yaml", aliases=True)


def test_laughs_are_counted() -> None:
    """A billion of them are refused before memory is spent."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="more than 20000 values"):
        yamlfile.parse("\n".join(lines).encode(), "t.yaml", aliases=True)
