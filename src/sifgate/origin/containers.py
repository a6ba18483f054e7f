# SPDX-License-Identifier: Apache-2.0
"""Containers that Slurm or one of its plugins starts for a step: the image is an option, not a word of argv.

Options of another SPANK plugin arrive in the environment as `_SLURM_SPANK_OPTION_<plugin>_<option>` (with a
leading `SPANK_` in a prolog).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.origin.apptainer import RUNTIME, bundle
from sifgate.origin.injection import injected
from sifgate.origin.reference import classify, local
from sifgate.origin.sighting import Sighting

_OPTION = ("_SLURM_SPANK_OPTION_", "SPANK__SLURM_SPANK_OPTION_")


def of_environment(env: Mapping[str, str], cwd: str) -> Iterator[Sighting]:
    """Yield the containers that the step's environment asks for."""
    oci = env.get("SLURM_CONTAINER", "")
    if oci:
        yield Sighting(reference=bundle(oci, cwd), runtime="oci", verb="run")
    image = _option(env, "pyxis_container_image") or env.get("PYXIS_CONTAINER_IMAGE", "")
    name = _option(env, "pyxis_container_name") or env.get("PYXIS_CONTAINER_NAME", "")
    if image:
        yield Sighting(reference=pyxis(image, cwd), runtime="pyxis", verb="run")
    elif name:
        reference = ImageReference(text=name, kind=ReferenceKind.INSTANCE)
        yield Sighting(reference=reference, runtime="pyxis", verb="run")
    wrapped = _option(env, "singularity_exec_singularity_container") or env.get(
        "SLURM_SINGULARITY_CONTAINER", ""
    )
    if wrapped:
        yield Sighting(
            reference=classify(wrapped, cwd), content_injected=injected((), env), runtime=RUNTIME, verb="exec"
        )


def _option(env: Mapping[str, str], name: str) -> str:
    """Return the value of another plugin's option; empty where it was not given."""
    return next((env[prefix + name] for prefix in _OPTION if env.get(prefix + name)), "")


def pyxis(image: str, cwd: str) -> ImageReference:
    """Return what `--container-image` means: squashfs if it begins with `/` or `.`, else a registry image."""
    if image.startswith(("/", ".")):
        return local(image, cwd)
    text = image if "://" in image else f"docker://{image}"
    return ImageReference(text=text, kind=ReferenceKind.TRANSPORT)
