# SPDX-License-Identifier: Apache-2.0
"""The variables of a launch that parsers read; a shim sends no others (docs/protocol.md §1, `env`)."""

from __future__ import annotations

NAMES = frozenset({
    "HOME", "PYXIS_CONTAINER_IMAGE", "PYXIS_CONTAINER_NAME", "SCRATCH", "SLURM_CONTAINER",
    "SLURM_SINGULARITY_CONTAINER", "SLURM_SUBMIT_DIR", "TMPDIR", "USER", "WORK",
})  # fmt: skip
"""Exact names: container options of Slurm and its plugins, and what scripts build paths from."""
PREFIXES = (
    "APPTAINER_", "APPTAINERENV_LD_", "SINGULARITY_", "SINGULARITYENV_LD_",
    "_SLURM_SPANK_OPTION_pyxis_", "_SLURM_SPANK_OPTION_singularity_exec_",
    "SPANK__SLURM_SPANK_OPTION_pyxis_", "SPANK__SLURM_SPANK_OPTION_singularity_exec_",
)  # fmt: skip
"""Beginnings of names: the runtimes' own variables and the options of other SPANK plugins."""
SECRETS = ("PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "USERNAME", "PEM")
"""Parts of names that are never sent, whatever they begin with."""


def relevant(name: str) -> bool:
    """Return whether a parser reads the variable `name`."""
    return name in NAMES or (name.startswith(PREFIXES) and not any(part in name for part in SECRETS))
