# SPDX-License-Identifier: Apache-2.0
"""OCI state and `config.json`: what runtimes really write, and what a user could make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.origin import oci

RUNC: dict[str, Any] = {
    "ociVersion": "1.0.2-dev",
    "id": "c1",
    "status": "creating",
    "pid": 4711,
    "bundle": "/tmp/b",
    "annotations": {"run.oci.hooks.stderr": "/dev/stderr"},
}
CRUN = {**RUNC, "ociVersion": "1.0", "root": "/tmp/b/rootfs", "owner": ""}
CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs", "readonly": True},
    "process": {"args": ["sh", "-c", "id"], "cwd": "/"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/etc/hosts", "type": "bind", "source": "/run/c/hosts", "options": ["bind", "rw"]},
        {"destination": "/data", "type": "bind", "source": "/scratch", "options": ["rbind"]},
        {"destination": "/usr/local", "type": "none", "source": "/home/eve", "options": ["rbind", "ro"]},
    ],
}


def encoded(value: object) -> bytes:
    """Return a document as a runtime writes it."""
    return json.dumps(value).encode()


def reference(state: bytes, config: bytes | None = None) -> ImageReference:
    """Return the image that is found."""
    known = oci.read_config(config) if config is not None else None
    return oci.sighting(oci.read_state(state), known).reference


def test_crun_tells_the_root_itself() -> None:
    """With crun no bundle need be read."""
    assert reference(encoded(CRUN)).path == "/tmp/b/rootfs"


def test_runcs_root_stands_in_the_bundle() -> None:
    """A relative root is meant against the bundle."""
    assert reference(encoded(RUNC), encoded(CONFIG)).path == "/tmp/b/rootfs"


def test_absolute_root_of_podman() -> None:
    """Podman's bundle names the merged directory of its storage."""
    merged = "/var/lib/containers/storage/overlay/ab/merged"
    assert reference(encoded(RUNC), encoded({**CONFIG, "root": {"path": merged}})).path == merged


def test_runtime_is_believed_before_the_bundle() -> None:
    """The bundle may have been changed since the runtime read it."""
    assert reference(encoded(CRUN), encoded({**CONFIG, "root": {"path": "/clean"}})).path == "/tmp/b/rootfs"


def test_what_runs_and_what_lies_over_it_is_told() -> None:
    """Arguments and binds over system paths are taken; the engine's own files and binds of data are not."""
    seen = oci.sighting(oci.read_state(encoded(CRUN)), oci.read_config(encoded(CONFIG)))
    assert seen.argv == ("sh", "-c", "id")
    assert seen.content_injected == ("--mount /home/eve:/usr/local",)
    assert seen.runtime == "oci"


def test_engines_annotation_names_the_image() -> None:
    """CRI-O and containerd say what the image was called."""
    notes = {"io.kubernetes.cri-o.ImageName": "registry.example/tool:1"}
    state = oci.read_state(encoded({**CRUN, "annotations": notes}))
    assert state is not None
    assert state.name == "registry.example/tool:1"


def test_bytes_that_are_not_utf8_stay_as_they_are() -> None:
    """Crun copies a path's bytes as they are."""
    state = encoded(CRUN).replace(b"/tmp/b/rootfs", b"/tmp/b\xff/rootfs")
    assert reference(state).path == "/tmp/b\udcff/rootfs"


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"bundle":' * 20_000,
        encoded({**RUNC, "bundle": ""}),
        encoded({**RUNC, "bundle": "relative"}),
        encoded({**RUNC, "bundle": ["/tmp/b"]}),
        encoded({**RUNC, "bundle": "/tmp/\0b"}),
        encoded({**RUNC, "bundle": "/tmp/\ud800"}),
        encoded({**RUNC, "bundle": "/" + "x" * 5000}),
        encoded({**CRUN, "id": "x" * oci.STATE_LIMIT}),
        b'{"pid":' + b"9" * 5000 + b"}",
    ],
)
def test_state_that_cannot_be_understood_is_unknown(state: bytes) -> None:
    """It is a launch all the same, and never a clean one."""
    assert oci.read_state(state) is None
    assert oci.sighting(None, None).reference.kind is ReferenceKind.UNKNOWN


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{}",
        encoded({"root": "rootfs"}),
        encoded({"root": {"path": ""}}),
        encoded({"root": {"path": 7}}),
        encoded({"root": {"path": "/a\0b"}}),
        b"[" * 100_000,
        encoded({**CONFIG, "x": "y" * oci.CONFIG_LIMIT}),
    ],
)
def test_bundle_that_cannot_be_understood_is_unknown(config: bytes) -> None:
    """Where only the bundle could tell the root, nothing is guessed."""
    assert oci.read_config(config) is None
    assert reference(encoded(RUNC), config).kind is ReferenceKind.UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "bundle", "root", "annotations", "process", "args", "mounts", "path", "options"]
)
DOCUMENTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON) | st.lists(st.dictionaries(KEYS, JSON)))


@given(st.binary(max_size=200) | DOCUMENTS.map(encoded), st.binary(max_size=200) | DOCUMENTS.map(encoded))
def test_nothing_raises_and_every_path_can_be_opened(state: bytes, config: bytes) -> None:
    """Whatever the documents hold, the path found is one that can be given to the kernel as bytes."""
    found = oci.sighting(oci.read_state(state), oci.read_config(config))
    if found.reference.kind is ReferenceKind.PATH:
        assert found.reference.path.startswith("/")
        assert b"\0" not in found.reference.path.encode("utf-8", "surrogateescape")
    for word in (found.reference.text, *found.argv, *found.content_injected):
        word.encode("utf-8", "surrogateescape")
