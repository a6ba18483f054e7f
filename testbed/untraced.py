# SPDX-License-Identifier: Apache-2.0
"""Pytest plugin: tests of speed run without coverage's tracer, which makes Python several times slower.

A test asks for it: `@pytest.mark.usefixtures("untraced")`. It measures this process only.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from coverage import Coverage


@pytest.fixture
def untraced() -> Iterator[None]:
    """Pause coverage for the test."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()
