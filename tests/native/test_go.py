# SPDX-License-Identifier: Apache-2.0
"""The Go packages below the Apptainer plugin: their own tests, and the linters of `make lint`."""

from __future__ import annotations

import pytest
from testbed.errors import TestbedError
from testbed.golang import SOURCES, checked, go_missing, obtain_staticcheck

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(bool(go_missing()), reason=f"no Go that can compile the plugin: {go_missing()}"),
]


def test_packages_pass_their_own_tests() -> None:
    """`go test` passes, in every package."""
    done = checked(["go", "test", "./..."])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok  \t") == len([path for path in SOURCES.iterdir() if path.is_dir()])


def test_sources_are_formatted() -> None:
    """Nothing is left for gofmt to do, the files that only Apptainer's tree can compile included."""
    done = checked(["gofmt", "-l", "."])
    assert (done.stdout, done.stderr) == ("", "")


def test_vet_is_silent() -> None:
    """`go vet` has nothing to say."""
    done = checked(["go", "vet", "./..."])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_staticcheck_is_silent() -> None:
    """The pinned linter has nothing to say."""
    try:
        program = obtain_staticcheck()
    except TestbedError as error:
        pytest.skip(f"the linter cannot be built here: {error}")
    done = checked([str(program), "./..."])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_the_standard_library_is_needed() -> None:
    """What runs inside a setuid program imports nothing of third parties beside Apptainer's own packages."""
    done = checked(["go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./..."])
    foreign = [line for line in done.stdout.split() if "/plugins/sifgate/" not in line]
    assert (done.returncode, foreign) == (0, [])
