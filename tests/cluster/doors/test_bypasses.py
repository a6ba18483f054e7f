# SPDX-License-Identifier: Apache-2.0
"""The ways around a door that are known, each really taken: which door stops it, and which ones nothing stops.

Every bypass is first shown to work where only the SPANK plugin is there and the launch hides from it in a script.
Then each door stands alone. What no door stops is written down here and in docs/operations.md, not hoped for.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.guard import STARTER, guarded

from sifgate.doors.table import find

pytestmark = [pytest.mark.cluster, pytest.mark.engine]

IMAGE = "/tmp/bypass/kev.sif"
"""On a file system of the cluster's own: the guard marks whole file systems, and the host's is not to be marked."""
WORK = "/tmp/bypass/alice"
OWN = f"{WORK}/own"

NOTHING: frozenset[str] = frozenset()
SPANK, WRAPPER, RUNTIME, FILES = "spank", "wrapper", "guard runtime", "guard image"
SWAPPED = "image replaced while it is judged"
OVERLAY = "clean image, other content laid over it"
DOORS = (SPANK, WRAPPER, RUNTIME, FILES)


@dataclass(frozen=True)
class Bypass:
    """One way around; `launch` is a shell command that prints PAYLOAD where the image runs."""

    name: str
    launch: str
    stopped_by: frozenset[str] = NOTHING


def stopped(*doors: str) -> frozenset[str]:
    """Return the doors that stop a bypass, as a set."""
    return frozenset(doors)


# Everything that needs an own runtime, an unpacked image or a config of one's own; made once, without any door.
PREPARE = f"""\
set -e
mkdir -p {OWN}/bin {OWN}/lib/x86_64-linux-gnu {OWN}/lib/etc {OWN}/lib/var/lib/apptainer/mnt/session {OWN}/etc
cp /usr/bin/apptainer {OWN}/bin/apptainer && ln {OWN}/bin/apptainer {OWN}/bin/tool
cp -r /usr/lib/x86_64-linux-gnu/apptainer {OWN}/lib/x86_64-linux-gnu/
cp -r /etc/apptainer {OWN}/lib/etc/ && cp -r /etc/apptainer {OWN}/etc/
cd {WORK}
unsquashfs -q -n -no-xattrs -o 32768 -d unpacked {IMAGE} >/dev/null 2>&1 || [ -d unpacked/usr ]
mksquashfs unpacked repacked.sqfs -quiet -no-progress -noI -noD -noF -noX >/dev/null
mkdir -p layer/upper/usr/bin layer/work mounted bundle config hooks
printf '#!/bin/sh\\necho PAYLOAD\\n' > layer/upper/usr/bin/payload && chmod +x layer/upper/usr/bin/payload
# What the command line hands to the starter, with the paths of the installed one: a forged engine config.
starter={OWN}/lib/x86_64-linux-gnu/apptainer/bin/starter
mv $starter {OWN}/starter
printf '#!/bin/sh\\nprintf %%s "$ENGINE_CONFIG1" > {WORK}/engine.json\\n' > $starter && chmod +x $starter
{OWN}/bin/apptainer exec {IMAGE} echo PAYLOAD
sed -i 's#{OWN}/etc/apptainer/#/etc/apptainer/#; s#{OWN}/lib/#/usr/lib/#g' engine.json
mv {OWN}/starter $starter
cp -r {OWN} whole && cp /usr/bin/squashfuse_ll whole/lib/x86_64-linux-gnu/apptainer/bin/
cp {IMAGE} /home/alice/kev.sif && ln -s /images/clean/trixie.sif link.sif
cd bundle && runc spec --rootless
sed -i 's/"terminal": true/"terminal": false/; s#"sh"#"/bin/echo","PAYLOAD"#' config.json
sed -i 's#"path": "rootfs"#"path": "{WORK}/unpacked"#' config.json
"""

# Points a link at another image as soon as the first one is opened: after the question, before the start.
SWAP = """\
import ctypes, os, subprocess, sys
link, other, *command = sys.argv[1:]
clean = os.readlink(link)
def point(target):
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
libc.inotify_add_watch(watch, clean.encode(), 0x20)  # IN_OPEN
with subprocess.Popen(command) as launch:
    os.read(watch, 4096)
    point(other)
point(clean)
"""
LOOK = f"apptainer exec {WORK}/link.sif sh -c 'grep -q bullseye /etc/os-release && echo PAYLOAD'"

BYPASSES = (
    Bypass(
        "the ordinary way, for comparison",
        f"apptainer exec {IMAGE} echo PAYLOAD",
        stopped(*DOORS),
    ),
    Bypass(
        "own configuration",
        f"apptainer --config {OWN}/etc/apptainer/apptainer.conf exec {IMAGE} echo PAYLOAD",
        stopped(*DOORS),
    ),
    Bypass(
        "plugin directory hidden in a user namespace",
        f"unshare -rm sh -c 'mount -t tmpfs none {STARTER.rsplit('/', 2)[0]}/lib; apptainer exec {IMAGE} echo PAYLOAD'",
        stopped(*DOORS),
    ),
    Bypass(
        "repacked, so that its hash is new",
        f"apptainer exec {WORK}/repacked.sqfs echo PAYLOAD",
        stopped(*DOORS),
    ),
    Bypass(
        "starter called with a forged engine config",
        f'ENGINE_CONFIG_CHUNKS=1 ENGINE_CONFIG1="$(cat {WORK}/engine.json)" {STARTER}',
        stopped(RUNTIME, FILES),
    ),
    Bypass(
        "copied binaries, with the node's squashfuse",
        f"{OWN}/bin/apptainer exec {IMAGE} echo PAYLOAD",
        stopped(SPANK, RUNTIME, FILES),
    ),
    Bypass(
        "copied binaries, squashfuse too",
        f"{WORK}/whole/bin/apptainer exec {IMAGE} echo PAYLOAD",
        stopped(SPANK, FILES),
    ),
    Bypass(
        "the same, and the image on a file system that is not guarded",
        f"{WORK}/whole/bin/apptainer exec /home/alice/kev.sif echo PAYLOAD",
        stopped(SPANK),
    ),
    Bypass(
        SWAPPED,
        f"python3 {WORK}/swap.py {WORK}/link.sif {IMAGE} {LOOK}",
        stopped(RUNTIME, FILES),
    ),
    Bypass(
        "the command line copied under another name",
        f"{OWN}/bin/tool exec {IMAGE} echo PAYLOAD",
        stopped(RUNTIME, FILES),
    ),
    Bypass(
        "mounted with squashfuse, then chroot",
        f"squashfuse -o offset=32768 {IMAGE} {WORK}/mounted && unshare -r chroot {WORK}/mounted /bin/echo PAYLOAD;"
        f" fusermount3 -u {WORK}/mounted",
        stopped(FILES),
    ),
    Bypass(
        "unpacked, the directory run by the runtime",
        f"apptainer exec {WORK}/unpacked echo PAYLOAD",
        stopped(SPANK, WRAPPER, RUNTIME, FILES),
    ),
    Bypass(
        "unpacked, then chroot in a user namespace",
        f"unshare -r chroot {WORK}/unpacked /bin/echo PAYLOAD",
    ),
    Bypass(
        "runtime of one's own, nested in a clean image",
        f"apptainer exec -B {WORK} /images/clean/trixie.sif"
        f" sh -c '{OWN}/bin/apptainer exec {WORK}/unpacked echo PAYLOAD'",
    ),
    Bypass(
        OVERLAY,
        f"apptainer exec --overlay {WORK}/layer /images/clean/trixie.sif payload",
    ),
    Bypass(
        "runc with a bundle of one's own",
        f"runc --root {WORK}/runc run -b {WORK}/bundle own-$$",
        stopped(RUNTIME, FILES),
    ),
    Bypass(
        "podman with hooks and configuration of one's own",
        f"CONTAINERS_CONF=/dev/null podman --cgroup-manager=cgroupfs --hooks-dir {WORK}/hooks run --rm"
        f" --network=none --rootfs {WORK}/unpacked /bin/echo PAYLOAD;"
        " kill $(cat /tmp/storage-run-*/libpod/tmp/pause.pid);"
        " timeout 10 sh -c 'while pgrep -u alice conmon >/dev/null; do sleep 0.05; done'",
        stopped(RUNTIME, FILES),
    ),
)


def in_a_script(site: Cluster) -> dict[str, bool]:
    """Return for each bypass whether it ran, launched by a batch script whose words tell nothing."""
    lines = [f"cd {WORK}"]
    for number, bypass in enumerate(BYPASSES):
        lines.append(f"echo '== {number}'; ({bypass.launch}) </dev/null")
    done = site.run("alice", ["srun", "bash", "-s"], text="\n".join([*lines, "true"]), limit=120)
    parts = done.stdout.split("== ")[1:]
    assert len(parts) == len(BYPASSES), done.output
    return {bypass.name: "PAYLOAD" in part for bypass, part in zip(BYPASSES, parts, strict=True)}


def as_the_step(site: Cluster) -> dict[str, bool]:
    """Return for each bypass whether it ran, its command being the step's own."""
    ran = {}
    for bypass in BYPASSES:
        words = ["bash", "-c", bypass.launch]
        if not set(bypass.launch) & set("$;&'\""):
            words = shlex.split(bypass.launch)
        ran[bypass.name] = "PAYLOAD" in site.run("alice", ["srun", *words]).stdout
    return ran


@contextmanager
def wrapped(site: Cluster) -> Iterator[None]:
    """Have the wrapper in the place of apptainer, as `sifgate wrapper install` does it."""
    door, tree = find("wrapper"), site.tree
    door.install(tree, argparse.Namespace(prefix=None))
    try:
        yield
    finally:
        door.remove(tree)


@pytest.fixture(scope="module")
def prepared(site: Cluster) -> Iterator[Cluster]:
    """Return the site with all that the bypasses need in alice's directory."""
    find("wrapper").remove(site.tree)
    put = f"mkdir -p {WORK} && cp /images/kev/bullseye-kev.sif {IMAGE} && chown alice: {WORK}"
    site.run("root", ["sh", "-c", put]).check()
    site.run("alice", ["sh", "-c", f"cat > {WORK}/swap.py"], text=SWAP).check()
    site.run("alice", ["srun", "bash", "-s"], text=PREPARE, limit=120).check()
    yield site
    site.run("root", ["rm", "-rf", "/tmp/bypass", "/home/alice/kev.sif"]).check()


@pytest.fixture(scope="module")
def freely(prepared: Cluster) -> dict[str, bool]:
    """Return what runs in a script where nothing but the SPANK plugin is there."""
    return in_a_script(prepared)


@pytest.fixture(scope="module")
def as_steps(prepared: Cluster) -> dict[str, bool]:
    """Return what runs as the step's own command under the SPANK plugin."""
    return as_the_step(prepared)


@pytest.fixture(scope="module")
def with_wrapper(prepared: Cluster) -> dict[str, bool]:
    """Return what runs in a script with the wrapper in place."""
    with wrapped(prepared):
        return in_a_script(prepared)


@pytest.fixture(scope="module")
def with_guard(prepared: Cluster) -> dict[str, bool]:
    """Return what runs in a script with the guard at level `runtime`."""
    with guarded(prepared, "d1", "level runtime"):
        return in_a_script(prepared)


@pytest.fixture(scope="module")
def with_image_guard(prepared: Cluster) -> dict[str, bool]:
    """Return what runs in a script with the guard at level `image` on the file system of the images."""
    with guarded(prepared, "d1", "level image", "filesystem /tmp"):
        return in_a_script(prepared)


@pytest.mark.parametrize("bypass", BYPASSES, ids=lambda bypass: bypass.name)
def test_the_bypass_works(freely: dict[str, bool], bypass: Bypass) -> None:
    """Without a door that sees it the image runs: what the other tests show is the door's doing."""
    assert freely[bypass.name]


@pytest.mark.parametrize("bypass", BYPASSES, ids=lambda bypass: bypass.name)
def test_spank_sees_the_words_of_the_step(as_steps: dict[str, bool], bypass: Bypass) -> None:
    """The plugin stops what the step's own words tell, by whatever path the program is called."""
    assert as_steps[bypass.name] is (SPANK not in bypass.stopped_by)


@pytest.mark.parametrize("bypass", BYPASSES, ids=lambda bypass: bypass.name)
def test_the_wrapper_sees_who_uses_the_sites_runtime(with_wrapper: dict[str, bool], bypass: Bypass) -> None:
    """In scripts, through shells and in user namespaces; a runtime of one's own is not its business."""
    assert with_wrapper[bypass.name] is (WRAPPER not in bypass.stopped_by)


@pytest.mark.parametrize("bypass", BYPASSES, ids=lambda bypass: bypass.name)
def test_the_guard_sees_the_runtimes_files(with_guard: dict[str, bool], bypass: Bypass) -> None:
    """Level `runtime`: whoever calls the node's own runtimes, by whatever way; none that the user brought."""
    assert with_guard[bypass.name] is (RUNTIME not in bypass.stopped_by)


@pytest.mark.parametrize("bypass", BYPASSES, ids=lambda bypass: bypass.name)
def test_the_guard_sees_the_image(with_image_guard: dict[str, bool], bypass: Bypass) -> None:
    """Level `image`: whoever opens it, copied and home-built runtimes too; not what was unpacked before."""
    assert with_image_guard[bypass.name] is (FILES not in bypass.stopped_by)


def test_what_is_laid_over_an_image_is_recorded(prepared: Cluster) -> None:
    """No finding of the image speaks of it, so the launch's record does; a policy may refuse it (content_injected)."""
    launch = next(bypass.launch for bypass in BYPASSES if bypass.name == OVERLAY)
    prepared.run("alice", ["srun", *shlex.split(launch)]).check()
    assert gates.records(prepared.node_root("d1"))[-1]["content_injected"]


def test_a_wrapper_that_runs_what_was_judged_cannot_be_swapped(prepared: Cluster) -> None:
    """With /etc/sifgate/run-judged the runtime is given the descriptor that was judged, not the name."""
    switch = prepared.node_root("d1") / "etc/run-judged"
    launch = next(bypass.launch for bypass in BYPASSES if bypass.name == SWAPPED)
    with wrapped(prepared):
        switch.touch()
        try:
            done = prepared.run("alice", ["srun", "bash", "-s"], text=f"{launch}\necho the end")
        finally:
            switch.unlink()
    assert "PAYLOAD" not in done.stdout
    assert done.stdout.endswith("the end\n")
