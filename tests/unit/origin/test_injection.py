# SPDX-License-Identifier: Apache-2.0
"""What counts as other content put into a container."""

from __future__ import annotations

import pytest

from sifgate.origin import apptainer

INJECTING = (
    ("-B /home/alice/lib:/usr/lib", "--bind /home/alice/lib:/usr/lib"),
    ("-B /x:/usr/../lib64/", "--bind /x:/usr/../lib64/"),
    ("-B /data,/x:/opt/app:ro", "--bind /data,/x:/opt/app:ro"),
    ("-B /etc", "--bind /etc"),
    ("-B /x:/", "--bind /x:/"),
    ("-B /x:/var", "--bind /x:/var"),
    ("-B img.sif:/usr:image-src=/,id=3", "--bind img.sif:/usr:image-src=/,id=3"),
    ("--mount type=bind,source=/x,destination=/usr/bin", "--mount type=bind,source=/x,destination=/usr/bin"),
    ("--mount type=bind,src=/x,dst=/lib", "--mount type=bind,src=/x,dst=/lib"),
    ("--mount nonsense", "--mount nonsense"),
    ("--overlay over.img", "--overlay over.img"),
    ("-o over.img:ro", "--overlay over.img:ro"),
    ("--data a.oci.sif:/data", "--data a.oci.sif:/data"),
    ("--fusemount host:sshfs.sh:/x", "--fusemount host:sshfs.sh:/x"),
    ("--env LD_PRELOAD=/x.so", "--env LD_PRELOAD=/x.so"),
    ("--env A=b,LD_AUDIT=/x.so", "--env A=b,LD_AUDIT=/x.so"),
    ("--env-file e", "--env-file e"),
    ("--app other", "--app other"),
    ("--containlibs /x/libz.so", "--containlibs /x/libz.so"),
    ("-H /x:/usr", "--home /x:/usr"),
)
HARMLESS = (
    "-B /data",
    "-B /scratch/alice:/data,/projects",
    "-B /x:/home/alice/usr",
    "-B /usr/share/data:/data",
    "-B /x:/optional",
    "--mount type=bind,source=/x,destination=/data",
    "--env A=LD_PRELOAD",
    "--nv",
    "-H /x:/home/alice",
    "--workdir /usr",
)


@pytest.mark.parametrize(("options", "recorded"), INJECTING, ids=[options for options, _ in INJECTING])
def test_content_over_the_image_is_recorded_as_typed(options: str, recorded: str) -> None:
    """Overlays, binds over places of programs, and loaders are facts of the launch."""
    sighting = apptainer.read(["apptainer", "exec", *options.split(), "x.sif", "ls"], {}, "/w")
    assert sighting is not None
    assert sighting.content_injected == (recorded,)


@pytest.mark.parametrize("options", HARMLESS)
def test_binds_of_data_inject_nothing(options: str) -> None:
    """What users do all day is not flagged."""
    sighting = apptainer.read(["apptainer", "exec", *options.split(), "x.sif", "ls"], {}, "/w")
    assert sighting is not None
    assert sighting.content_injected == ()


@pytest.mark.parametrize(
    "variable",
    [
        "APPTAINER_BIND=/x:/usr",
        "SINGULARITY_BINDPATH=/x:/lib",
        "APPTAINER_OVERLAY=o.img",
        "SINGULARITY_OVERLAYIMAGE=o.img",
        "APPTAINER_MOUNT=type=bind,src=/x,dst=/usr",
        "SINGULARITY_FUSESPEC=host:x:/y",
        "APPTAINERENV_LD_PRELOAD=/x.so",
        "SINGULARITYENV_LD_PRELOAD=/x.so",
    ],
)
def test_variables_inject_like_their_flags(variable: str) -> None:
    """The runtimes read flags from the environment under both prefixes."""
    name, _, value = variable.partition("=")
    sighting = apptainer.read(["apptainer", "exec", "x.sif", "ls"], {name: value, "OTHER": "x"}, "/w")
    assert sighting is not None
    assert sighting.content_injected == (variable,)
