# SPDX-License-Identifier: Apache-2.0
"""Which variables leave the shim: those that parsers read, never a secret."""

from __future__ import annotations

import pytest

from sifgate.origin.environment import relevant
from sifgate.origin.grammar import GRAMMAR
from sifgate.origin.injection import PREFIXES


@pytest.mark.parametrize(
    "name", ["HOME", "SLURM_CONTAINER", "PYXIS_CONTAINER_IMAGE", "SINGULARITYENV_LD_PRELOAD"]
)
def test_variables_that_are_read_are_sent(name: str) -> None:
    """What decides which image starts, or what is put over it."""
    assert relevant(name)


def test_every_variable_that_can_inject_content_is_sent() -> None:
    """The parser would not see what is not sent."""
    assert all(
        relevant(prefix + name)
        for names in GRAMMAR.environment.values()
        for name in names
        for prefix in PREFIXES
    )


@pytest.mark.parametrize(
    "name",
    ["PATH", "AWS_SECRET", "APPTAINER_DOCKER_PASSWORD", "SINGULARITY_DOCKER_USERNAME", "APPTAINER_ENCRYPTION_PEM_PATH",
     "APPTAINER_ENCRYPTION_PASSPHRASE", "APPTAINERENV_API_KEY"],
)  # fmt: skip
def test_secrets_stay(name: str) -> None:
    """Nothing that unlocks anything leaves the user's environment."""
    assert not relevant(name)
