# SPDX-License-Identifier: Apache-2.0
"""Root's own Podman storage: when it vouches for a container's image, and when the container is read all the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent
from tests.fakes.shim import NOBODY, Ask, shim

from sifgate.agent.podman import Vouched, vouched
from sifgate.origin.oci import State

pytestmark = pytest.mark.root
IMAGE = "4e" * 32
LAYER = "87" * 32


class Storage:
    """A graphroot as Podman lays it out; `merged` is a plain directory here."""

    def __init__(self, graphroot: Path, volatile: bool = True) -> None:  # noqa: FBT001, FBT002 - which list it is in
        self.graphroot = graphroot
        self.list = (
            graphroot / "overlay-containers" / ("volatile-containers.json" if volatile else "containers.json")
        )
        self.entries: list[dict[str, object]] = []
        self.list.parent.mkdir(parents=True, mode=0o700)

    def container(self, identifier: str = "78" * 32, layer: str = LAYER) -> State:
        """Create a container of the image; return its state as a runtime tells it."""
        metadata = {"image-name": "localhost/demo:1", "image-id": IMAGE, "name": "laughing"}
        self.entries.append(
            {"id": identifier, "image": IMAGE, "layer": layer, "metadata": json.dumps(metadata), "flags": {}}
        )
        self.list.write_text(json.dumps(self.entries), encoding="utf-8")
        self.list.chmod(0o600)
        bundle = self.list.parent / identifier / "userdata"
        bundle.mkdir(parents=True)
        own = self.graphroot / "overlay" / layer
        for name in ("merged", "diff/run", "diff/etc"):
            (own / name).mkdir(parents=True)
        (own / "diff/run/.containerenv").touch()
        (own / "diff/etc/hosts").touch()
        (own / "diff/etc/mtab").symlink_to("/proc/mounts")
        (bundle / "config.json").write_text(
            json.dumps({"root": {"path": str(own / "merged")}}), encoding="utf-8"
        )
        return State(id=identifier, bundle=str(bundle))


@pytest.fixture
def storage(root: Path) -> Storage:
    """An empty storage."""
    return Storage(root / "storage")


def diff(storage: Storage) -> Path:
    """Return the container's own layer."""
    return storage.graphroot / "overlay" / LAYER / "diff"


@pytest.mark.parametrize("volatile", [True, False])
def test_roots_storage_vouches_for_the_image(root: Path, volatile: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """A container that has nothing of its own but mount points is its image, also with `--rm`."""
    storage = Storage(root / "other", volatile)
    merged = storage.graphroot / "overlay" / LAYER / "merged"
    found = vouched(storage.container())
    assert found == Vouched(
        ("podman", str(storage.graphroot), IMAGE),
        merged.stat().st_dev,
        merged.stat().st_ino,
        "localhost/demo:1",
    )


def test_other_list_need_not_be_there_nor_empty(storage: Storage) -> None:
    """Podman makes a list with its first container; a container may stand in either."""
    state = storage.container()
    other = storage.list.with_name("containers.json")
    other.write_text('[{"id": "kept", "image": "", "layer": "", "metadata": "{}"}]', encoding="utf-8")
    other.chmod(0o600)
    assert vouched(state) is not None


def test_empty_place_for_a_mount_changes_nothing(storage: Storage) -> None:
    """Podman makes empty places for volumes where the image has none."""
    state = storage.container()
    (diff(storage) / "scratch/data").mkdir(parents=True)
    (diff(storage) / "scratch/file").touch()
    assert vouched(state) is not None


def _package(own: Path) -> None:
    (own / "usr").mkdir()
    (own / "usr/tool").write_bytes(b"x")


def _emptied(own: Path) -> None:
    (own / "var/lib/dpkg").mkdir(parents=True)
    (own / "var/lib/dpkg/status").touch()


def _many(own: Path) -> None:
    for number in range(300):
        (own / f"d{number}").mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file": lambda own: (own / "scratch").write_bytes(b"x"),
    "a package": _package,
    "an emptied list of packages": _emptied,
    "a whiteout": lambda own: os.mknod(own / "run/gone", 0o020600, 0),
    "a link": lambda own: (own / "opt").symlink_to("/tmp"),
    "a hosts file with text": lambda own: (own / "etc/hosts").write_bytes(b"127.0.0.1"),
    "an opaque directory": lambda own: os.setxattr(own / "run", "trusted.overlay.opaque", b"y"),
    "a great many": _many,
}


@pytest.mark.parametrize("change", CHANGES)
def test_container_with_content_of_its_own_is_read(storage: Storage, change: str) -> None:
    """What a container added, hid or emptied since it was made is not the image's."""
    state = storage.container()
    try:
        CHANGES[change](diff(storage))
    except OSError as error:
        pytest.skip(f"this file system cannot hold it: {error}")
    assert vouched(state) is None


def _others_write(storage: Storage) -> None:
    storage.list.chmod(0o666)


def _foreign(storage: Storage) -> None:
    os.chown(storage.graphroot, NOBODY, NOBODY)


def _torn(storage: Storage) -> None:
    storage.list.write_text('[{"id": ', encoding="utf-8")


def _nobody(storage: Storage) -> None:
    storage.list.write_text("[]", encoding="utf-8")


def _climbing(storage: Storage) -> None:
    storage.list.write_text(storage.list.read_text().replace(LAYER, "../../x"), encoding="utf-8")


@pytest.mark.parametrize("fault", [_others_write, _foreign, _torn, _nobody, _climbing])
def test_storage_that_cannot_vouch_says_nothing(storage: Storage, fault: Callable[[Storage], None]) -> None:
    """Lists that others can write, that are torn, or do not know the container: the directory is read."""
    state = storage.container()
    fault(storage)
    assert vouched(state) is None


@pytest.mark.parametrize("bundle", ["/tmp/b", "/x/overlay-containers/no/userdata", "/"])
def test_bundle_of_another_engine_is_read(bundle: str) -> None:
    """Only Podman's own places are looked into."""
    assert vouched(State(id="78" * 32, bundle=bundle)) is None


def asks(state: State) -> Ask:
    """Return a hook's question about a container."""
    text = json.dumps({"ociVersion": "1.0", "id": state.id, "bundle": state.bundle})
    return Ask(door="oci-hook", uid="0", state=text)


def test_second_container_of_an_image_is_not_read(agent: RunningAgent, storage: Storage) -> None:
    """Root's second container of one image starts from memory; the record has the image's name."""
    for state in (storage.container(), storage.container("79" * 32, "88" * 32)):
        (answer,) = shim(agent.agent.socket_path, asks(state), uid=0)
        assert answer["action"] == "allow"
    assert agent.worker.runs == 1
    assert [record.name for record in agent.records()] == ["localhost/demo:1"] * 2


def test_users_word_about_roots_storage_is_not_asked(agent: RunningAgent, storage: Storage) -> None:
    """A user's hook that names root's storage has the directory read that it opened."""
    storage.graphroot.chmod(0o755)
    for path in storage.graphroot.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    state = storage.container()
    for _ in range(2):
        shim(agent.agent.socket_path, asks(state))
    assert agent.worker.runs == 2


def test_another_directory_than_the_vouched_one_is_read(agent: RunningAgent, storage: Storage) -> None:
    """What the shim opened must be the container's own root directory."""
    state = storage.container()
    other = storage.graphroot / "other"
    other.mkdir()
    (Path(state.bundle) / "config.json").write_text(
        json.dumps({"root": {"path": str(other)}}), encoding="utf-8"
    )
    for _ in range(2):
        shim(agent.agent.socket_path, asks(state), uid=0)
    assert agent.worker.runs == 2
