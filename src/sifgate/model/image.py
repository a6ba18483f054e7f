# SPDX-License-Identifier: Apache-2.0
"""What is known of an image before any scanner has seen it."""

from __future__ import annotations

from enum import Enum

import msgspec


class ReferenceKind(str, Enum):
    """How the user named the image; the content decides the format, never the name."""

    PATH = "path"
    """A local file or directory."""
    TRANSPORT = "transport"
    """`docker://…`, `oras://…`, `oci:dir:tag`: the runtime would fetch or convert it."""
    INSTANCE = "instance"
    """`instance://name`: a container that was judged when it started."""
    UNKNOWN = "unknown"
    """A runtime is started, but the words cannot be understood; never clean."""


class ImageReference(msgspec.Struct, frozen=True):
    """What the user named, as typed."""

    text: str
    """The words of the user; bytes that are not UTF-8 as surrogate escapes."""
    kind: ReferenceKind
    path: str = ""
    """For `PATH`: absolute, symlinks not resolved."""


class OsRelease(msgspec.Struct, frozen=True):
    """The distribution as the image states it (`etc/os-release`, else `usr/lib/os-release`)."""

    id: str = ""
    version_id: str = ""
    codename: str = ""
    pretty_name: str = ""


class CoverageFacts(msgspec.Struct, frozen=True):
    """What the extraction saw beside the slim layer; canonical, so that equal images give equal bytes.

    Part of the fingerprint: two images with the same packages but different contradictions differ.
    """

    os_release: OsRelease = OsRelease()
    managers: tuple[str, ...] = ()
    """Package managers whose data were found, sorted: `apk`, `dpkg`, `go`, `java`, `python`, `rpm`, `ruby`."""
    contradictions: tuple[str, ...] = ()
    """Package data that contradict the image, sorted, each `code: detail`."""
    omitted: tuple[str, ...] = ()
    """Entries left out because they could break a scanner, sorted, each `code: path`."""


class Extraction(msgspec.Struct, frozen=True):
    """The result of reading one image."""

    fingerprint: str
    """64 lower-case hex digits."""
    slim_version: int
    layer_digest: str
    """`sha256:` and 64 hex digits, over the bytes of the slim layer."""
    layer_size: int
    facts: CoverageFacts
    image_format: str = ""
    """`sif`, `squashfs`, `directory`, as found by content."""
    bytes_read: int = 0
    """Bytes of the image that were read, for progress and the bench."""


class ImageFacts(msgspec.Struct, frozen=True):
    """What is known of one image file beside its package set: no part of the fingerprint; read only where asked for.

    Exceptions and trust bind to these, never to a fingerprint (design §2).
    """

    owner: str = ""
    """User name of the file's owner, the number as text where it has no name; empty: not known."""
    created: str = ""
    """ISO time at which the image says that it was built (SIF header): its owner's word, never more."""
    digest: str = ""
    """`sha256:…` over the whole file; read only if the policy or an exception names digests."""
    signers: tuple[str, ...] | None = None
    """Fingerprints (40 or 64 upper-case hex digits) of site keys with a valid signature over all objects, sorted.

    None: not looked at, or the key ring cannot be used; `()`: no valid signature of a site key.
    """
