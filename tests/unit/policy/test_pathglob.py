# SPDX-License-Identifier: Apache-2.0
"""Patterns of paths, with names that users choose."""

from __future__ import annotations

import time

import pytest

from sifgate.policy.pathglob import fits, fits_any, plain_path


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/apps/containers/**", "/apps/containers/x.sif", True),
        ("/apps/containers/**", "/apps/containers/bio/2026/x.sif", True),
        ("/apps/containers/**", "/apps/containers", False),
        ("/apps/containers/**", "/apps/containers2/x.sif", False),
        ("/apps/containers/**", "/apps/containers/../../tmp/x.sif", False),
        ("/apps/containers/**", "/apps/containers/./x.sif", True),
        ("/apps/containers/**", "//apps/containers//x.sif", True),
        ("/apps/containers/x", "/apps/./containers/x/", True),
        ("/apps/containers/**", "apps/containers/x.sif", False),
        ("/apps/containers/**", "/apps/containers/", False),
        ("/apps/*.sif", "/apps/x.sif", True),
        ("/apps/*.sif", "/apps/a/x.sif", False),
        ("/apps/*.sif", "/apps/x.sif\n", False),
        ("/shared/*/images/**", "/shared/lab/images/a/b", True),
        ("/shared/*/images/**", "/shared/a/b/images/x", False),
        ("/a/**/b", "/a/b", True),
        ("/a/**/b", "/a/x/b", True),
        ("/a/**/b", "/a/x/y/b", True),
        ("/a/**/b", "/a/b/c", False),
        ("/a/**/b/**/c", "/a/x/b/c/y/c", True),
        ("/a/**/b/**/c", "/a/x/c/b", False),
        ("/**", "/x", True),
        ("/a/**/**", "/a/x", True),
        ("/a?", "/ab", True),
        ("/a?", "/a", False),
        ("/A", "/a", False),
        ("/a", "", False),
        ("/a", "/", False),
    ],
)
def test_pattern_fits_as_documented(pattern: str, path: str, *, expected: bool) -> None:
    """One star stays in a directory, two cross them, and a path that is not plain fits nothing."""
    assert fits(pattern, path) is expected
    assert fits_any(("/no/such", pattern), path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"), ("//a/./b/", "/a/b"), ("/a/../b", ""), ("/a/b/..", ""), ("a/b", ""), ("", ""), ("/", ""),
        ("/a/...", "/a/..."), ("/a/b\n", "/a/b\n"),
    ],
)  # fmt: skip
def test_plain_path_drops_what_changes_nothing(path: str, expected: str) -> None:
    """What users type; but nothing is guessed of `..`, which may lead through a link."""
    assert plain_path(path) == expected


def test_hostile_path_takes_no_time() -> None:
    """A path as long as the kernel takes, against the worst pattern that can be written, is compared at once."""
    pattern = "/" + "/".join(["**", "*a*a*a*a*b"] * 20)
    path = "/" + "/".join(["a" * 200] * 20)
    start = time.process_time()
    assert not fits(pattern, path)
    assert time.process_time() - start < 5
