# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime specification's state and `config.json` → the root file system that a container starts from; pure.

The state document (what a hook reads on stdin) names no image: it has the bundle's directory, and with crun the root
file system itself. Where that is not said, it stands in the bundle's `config.json`, which the caller reads. Both are
the words of whoever made the bundle, hostile until shown otherwise. What cannot be read is `UNKNOWN`, never "no
launch".
"""

from __future__ import annotations

import json
import posixpath
from typing import Any

import msgspec

from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.origin.injection import over_system
from sifgate.origin.reference import unknown
from sifgate.origin.sighting import Sighting

RUNTIME = "oci"
STATE_LIMIT = 256 << 10
"""Bytes of a state document (docs/protocol.md §1)."""
CONFIG_LIMIT = 1 << 20
"""Bytes of a `config.json`; Podman writes some 20 KB."""
MAX_PATH = 4095
"""Bytes of a path that open(2) takes."""
MAX_NAME = 256
MAX_ARGUMENTS = 4096
MAX_MOUNTS = 4096

_NAMES = (
    "io.kubernetes.cri-o.ImageName",
    "io.kubernetes.cri.image-name",
    "org.opencontainers.image.ref.name",
)
"""Annotations in which engines say what the image was called; Podman says it in none."""
_FROM_THE_ENGINE = frozenset(
    f"/etc/{name}" for name in ("group", "hostname", "hosts", "localtime", "mtab", "passwd", "resolv.conf")
)
"""Files that engines put over the image's in every container."""


class State(msgspec.Struct, frozen=True):
    """What the state document says."""

    id: str = ""
    bundle: str = ""
    """Absolute."""
    root: str = ""
    """Absolute; empty where the runtime does not tell (runc)."""
    name: str = ""
    """What an engine's annotation calls the image."""

    @property
    def config(self) -> str:
        """Path of the bundle's `config.json`."""
        return f"{self.bundle.rstrip('/')}/config.json"


class Config(msgspec.Struct, frozen=True):
    """What `config.json` says."""

    root: str = ""
    """As written: relative to the bundle, or absolute."""
    arguments: tuple[str, ...] = ()
    injected: tuple[str, ...] = ()
    """Bind mounts over places of programs and libraries, as `--mount` would say them."""


def read_state(data: bytes) -> State | None:
    """Return the state that a runtime gave its hook; None where it cannot be understood."""
    found = _object(data, STATE_LIMIT)
    bundle = _path(found.get("bundle"))
    root = _path(found.get("root"))
    if not bundle.startswith("/"):
        return None
    annotations = found.get("annotations")
    notes = annotations if isinstance(annotations, dict) else {}
    name = next((text for key in _NAMES if (text := _text(notes.get(key)))), "")
    return State(
        id=_text(found.get("id")),
        bundle=bundle,
        root=root if root.startswith("/") else "",
        name=name[:MAX_NAME],
    )


def read_config(data: bytes) -> Config | None:
    """Return what a `config.json` says; None where it cannot be understood."""
    found = _object(data, CONFIG_LIMIT)
    root = found.get("root")
    path = _path(root.get("path")) if isinstance(root, dict) else ""
    if not path:
        return None
    process = found.get("process")
    words = process.get("args") if isinstance(process, dict) else None
    arguments = tuple(map(_text, words[:MAX_ARGUMENTS])) if isinstance(words, list) else ()
    mounts = found.get("mounts")
    return Config(path, arguments, _injected(mounts if isinstance(mounts, list) else []))


def sighting(state: State | None, config: Config | None) -> Sighting:
    """Return the start of the container; its root file system is the runtime's word before the bundle's."""
    if state is None:
        return Sighting(unknown("(an OCI state that cannot be understood)"), runtime=RUNTIME, verb="run")
    root = state.root
    if not root and config is not None:
        root = posixpath.join(state.bundle, config.root)
    reference = unknown(state.bundle)
    if root:
        reference = ImageReference(state.name or root, ReferenceKind.PATH, root)
    return Sighting(
        reference=reference,
        argv=config.arguments if config else (),
        content_injected=config.injected if config else (),
        runtime=RUNTIME,
        verb="run",
    )


def _object(data: bytes, limit: int) -> dict[str, Any]:
    """Return the JSON object that `data` is, foreign bytes as surrogate escapes; an empty one for anything else."""
    if len(data) > limit:
        return {}
    try:
        found = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    """Return a string that can be given back as bytes; empty for anything else."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, written as \\ud800
        return ""
    return value


def _path(value: object) -> str:
    text = _text(value)
    return "" if "\0" in text or len(text.encode("utf-8", "surrogateescape")) > MAX_PATH else text


def _injected(mounts: list[Any]) -> tuple[str, ...]:
    """Return the mounts that put other content over the image's programs and libraries."""
    found = []
    for mount in mounts[:MAX_MOUNTS]:
        if not isinstance(mount, dict):
            continue
        options = mount.get("options")
        kinds = {_text(mount.get("type")), *(map(_text, options) if isinstance(options, list) else ())}
        destination = _text(mount.get("destination"))
        if kinds.isdisjoint({"bind", "rbind", "overlay"}) or destination in _FROM_THE_ENGINE:
            continue
        if over_system(destination):
            found.append(f"--mount {_text(mount.get('source'))}:{destination}")
    if len(mounts) > MAX_MOUNTS:
        found.append(f"--mount (more than {MAX_MOUNTS})")
    return tuple(found)
