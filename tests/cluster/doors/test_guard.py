# SPDX-License-Identifier: Apache-2.0
"""The guard on a node with real runtimes: what no wrapper and no hook sees is judged all the same.

It runs on the host with marks in the cluster only: the runtimes' files in the cluster's own overlay, and its /tmp.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.guard import STARTER, guarded
from testbed.cluster.harness import Completed

KEV, CLEAN = "/images/kev/bullseye-kev.sif", "/images/clean/trixie.sif"
UNSUPPORTED = "/images/unsupported/centos-7-runs.sif"
LAST = (
    "import json,os,sys; from sifgate.client import Client;"
    "fields = [('uid', str(os.getuid()).encode()), ('limit', b'1')];"
    "print(json.loads(Client(sys.argv[1]).query('audit', fields))['records'][0]['reference'], end='')"
)
"""What `sifgate explain --last` asks, for a user whose Python does not see the repository's settings."""
SPEC = 's/"terminal": true/"terminal": false/; s/"sh"/"echo","payload ran"/'

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.live, pytest.mark.engine]


@pytest.fixture(scope="module")
def guard(site: Cluster) -> Iterator[Path]:
    """Run the guard with both levels; return its log."""
    site.run("root", ["cp", KEV, CLEAN, "/tmp/"]).check()
    with guarded(site, "d1", "level image", "filesystem /tmp") as log:
        yield log
    site.run("root", ["rm", f"/tmp/{Path(KEV).name}", f"/tmp/{Path(CLEAN).name}"]).check()


@pytest.fixture(autouse=True)
def nothing_of_containers_left(site: Cluster, guard: Path) -> Iterator[None]:
    """Check that no mount and no zombie of a refused launch stays; nobody has to wait for that."""
    del guard
    yield
    script = "cat /proc/self/mounts | grep -c squashfuse; ps -eo stat= | grep -c Z"
    end = time.monotonic() + 5  # zombies of init after a refusal at squashfuse: up to 3 s
    while site.run("root", ["sh", "-c", script]).stdout.split() != ["0", "0"]:
        assert time.monotonic() < end
        time.sleep(0.1)


def _wait(condition: Any, log: Path, limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _apptainer(site: Cluster) -> str:
    """Return the runtime itself, whether or not another test has put the wrapper before it."""
    real = site.run("root", ["sh", "-c", "test -e /usr/bin/apptainer.real"]).returncode == 0
    return "/usr/bin/apptainer.real" if real else "/usr/bin/apptainer"


def _records(site: Cluster) -> list[dict[str, Any]]:
    return gates.records(site.node_root("d1"), "guard")


def _refused(done: Completed) -> bool:
    return done.returncode != 0 and "payload ran" not in done.output


def test_a_bare_launch_is_refused_without_any_wrapper(site: Cluster) -> None:
    """At the starter: one clean line of the runtime's, one decision, one record."""
    before = len(_records(site))
    done = site.run("alice", [_apptainer(site), "exec", KEV, "echo", "payload ran"])
    assert _refused(done)
    assert (done.returncode, "operation not permitted" in done.output) == (255, True)
    record = _records(site)[before:]
    assert [each["action"] for each in record] == ["block"]
    assert record[0]["uid"] == 2001


def test_a_clean_launch_passes_with_one_decision(site: Cluster) -> None:
    """Starter, witness and squashfuse ask about the same launch: one record."""
    before = len(_records(site))
    done = site.run("alice", [_apptainer(site), "exec", CLEAN, "sh", "-c", "echo payload ran; exit 7"])
    assert (done.returncode, done.stdout) == (7, "payload ran\n")
    assert len(_records(site)) == before + 1


def test_a_warned_launch_runs(site: Cluster) -> None:
    """An image that Clair knows nothing about, under a policy that warns."""
    before = len(_records(site))
    done = site.run("alice", [_apptainer(site), "exec", UNSUPPORTED, "echo", "payload ran"])
    assert (done.returncode, done.stdout) == (0, "payload ran\n")
    assert {each["action"] for each in _records(site)[before:]} == {"warn"}


@pytest.mark.parametrize("how", ["relative", "descriptor", "stdin", "symlinks"])
def test_the_image_is_what_the_process_means_by_it(site: Cluster, how: str) -> None:
    """A name below its cwd, one of its descriptors, a chain of links."""
    apptainer = _apptainer(site)
    links = f"ln -sf {KEV} a; ln -sf a b; ln -sf b c;"
    script = {
        "relative": f"cd /images/kev && {apptainer} exec ./bullseye-kev.sif echo payload ran",
        "descriptor": f"exec 9<{KEV}; {apptainer} exec /proc/self/fd/9 echo payload ran",
        "stdin": f"{apptainer} exec /dev/fd/0 echo payload ran < {KEV}",
        "symlinks": f"{links} {apptainer} exec ./c echo payload ran; e=$?; rm a b c; exit $e",
    }[how]
    before = len(_records(site))
    assert _refused(site.run("alice", ["sh", "-c", script]))
    assert "block" in {each["action"] for each in _records(site)[before:]}


def test_a_batch_script_is_stopped_and_the_node_stays_well(site: Cluster) -> None:
    """sbatch: the launch inside the script fails, the job ends, the node is idle (checked after every test)."""
    script = f"#!/bin/sh\n{_apptainer(site)} exec {KEV} echo payload ran\n"
    done = site.run("alice", ["sbatch", "--wait", "--output=/scratch/guard.out"], text=script, limit=60)
    output = site.scratch / "guard.out"
    assert _refused(done)
    assert "not permitted" in output.read_text()
    output.unlink()


def test_a_copied_starter_over_the_real_one_is_ended_by_the_witness(site: Cluster) -> None:
    """In a user namespace: ecl.toml says which image it runs, and it is killed."""
    script = (
        f"cp {STARTER} /scratch/starter && mount --bind /scratch/starter {STARTER} &&"
        f"{_apptainer(site)} exec {KEV} echo payload ran; e=$?; rm -f /scratch/starter; exit $e"
    )
    assert _refused(
        site.run("alice", ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    )


def test_with_the_witness_hidden_too_squashfuse_is_the_last_point(site: Cluster) -> None:
    """Both files covered by copies: the program that mounts the image is refused."""
    script = (
        f"cp {STARTER} /scratch/starter && cp /etc/apptainer/ecl.toml /scratch/ecl.toml &&"
        f"mount --bind /scratch/starter {STARTER} && mount --bind /scratch/ecl.toml /etc/apptainer/ecl.toml &&"
        f"{_apptainer(site)} exec {KEV} echo payload ran; e=$?; rm -f /scratch/starter /scratch/ecl.toml; exit $e"
    )
    assert _refused(
        site.run("alice", ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    )


@pytest.mark.parametrize("way", ["copied runtime", "chroot", "squashfuse", "squashfuse_ll", "python"])
def test_an_image_on_a_marked_file_system_is_judged_whoever_opens_it(site: Cluster, way: str) -> None:
    """Level image: a runtime of one's own, another root, a mount by hand, any reader that is not on the list."""
    image = "/tmp/bullseye-kev.sif"
    offset = _offset(site, image)
    copy = (
        f"cp {_apptainer(site)} /scratch/my-runtime; cp {STARTER} /scratch/my-starter;"
        f"mount --bind /scratch/my-starter {STARTER}; cp /etc/apptainer/ecl.toml /scratch/my-ecl;"
        "mount --bind /scratch/my-ecl /etc/apptainer/ecl.toml;"
    )
    script = {
        "copied runtime": f"{copy} /scratch/my-runtime exec {image} echo payload ran; e=$?; rm /scratch/my-*; exit $e",
        "chroot": f"mount --rbind / /mnt; chroot /mnt {_apptainer(site)} exec {image} echo payload ran",
        "squashfuse": f"squashfuse -o offset={offset} {image} /mnt && echo payload ran",
        "squashfuse_ll": f"squashfuse_ll -o offset={offset} {image} /mnt && echo payload ran",
        "python": f'python3 -c \'print(len(open("{image}", "rb").read(9)))\' && echo payload ran',
    }[way]
    before = len(_records(site))
    done = site.run("alice", ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    assert _refused(done)
    assert _records(site)[before]["action"] == "block", done.output


def _offset(site: Cluster, image: str) -> int:
    listing = site.run("alice", ["grep", "--text", "--byte-offset", "--only-matching", "hsqs", image]).check()
    return int(listing.stdout.split(":", 1)[0])


def test_an_image_may_be_copied_and_unpacked_and_a_clean_one_run(site: Cluster) -> None:
    """Programs of the list read it; the copy is judged where it is used."""
    image = "/tmp/bullseye-kev.sif"
    offset = _offset(site, image)
    listing = ["unsquashfs", "-no-progress", "-offset", str(offset), "-l", image, "etc/debian_version"]
    assert "debian_version" in site.run("alice", listing).check().stdout
    site.run("alice", ["cp", image, "/tmp/mine.sif"]).check()
    assert _refused(site.run("alice", [_apptainer(site), "exec", "/tmp/mine.sif", "echo", "payload ran"]))
    site.run("alice", [_apptainer(site), "exec", "/tmp/trixie.sif", "echo", "payload ran"]).check()
    site.run("alice", ["rm", "/tmp/mine.sif"]).check()


@pytest.mark.parametrize("user", ["root", "alice"])
@pytest.mark.parametrize("runtime", ["crun --cgroup-manager=disabled", "runc"])
def test_oci_runtimes_are_refused_by_their_bundle(site: Cluster, runtime: str, user: str) -> None:
    """Without a hook anywhere, also rootless; a clean tree runs, nothing is left of the refused container."""
    cgroup = (
        'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; install -d -o "$1" /tmp/guard-run'
    )
    become = 'export XDG_RUNTIME_DIR=/tmp/guard-run; runuser -u "$1" -- sh -c "$2"; e=$?; rm -r /tmp/guard-run; exit $e'
    rootless = "--rootless" if user != "root" else ""
    for tree, ran in (("kev-tree", False), ("clean-tree", True)):
        change = f'{SPEC}; s|"path": "rootfs"|"path": "/images/{tree}"|'
        script = (
            f"mkdir -p /tmp/guard/state && cd /tmp/guard && runc spec {rootless} &&"
            f"sed -i '{change}' config.json && cd / &&"
            f"{runtime} --root=/tmp/guard/state run --bundle /tmp/guard guard1; e=$?; ls /tmp/guard/state;"
            "rm -r /tmp/guard; exit $e"
        )
        done = site.run("root", ["unshare", "--mount", "sh", "-c", f"{cgroup}; {become}", "sh", user, script])
        assert ("payload ran" in done.output) == ran, done.output
        assert "guard1" not in done.stdout


def test_the_notice_and_its_record_reach_the_user(site: Cluster, gate_root: Path) -> None:
    """On his terminal, before the runtime's own line; `sifgate explain --last` has it in full."""
    words = [*site._enter("/home/alice"), "runuser", "-u", "alice", "--"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.fchown(0, 2001, -1)
        os.execvp(words[0], [*words, _apptainer(site), "exec", KEV, "true"])  # noqa: S606 - the child of pty.fork()
    shown = b""
    while b"operation not permitted" not in shown:
        shown += os.read(terminal, 4096)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"sifgate: launch refused" in shown
    assert shown.index(b"launch refused") < shown.index(b"not permitted")
    newest = _records(site)[-1]
    as_alice = ["setpriv", "--reuid=2001", "--regid=2001", "--clear-groups", "--", sys.executable]
    words = [*as_alice, "-c", LAST, str(gate_root / "run/agent.sock")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == newest["reference"]


def test_a_site_without_agent_runs_on(site: Cluster, guard: Path, gate_root: Path) -> None:
    """The socket away for a moment: the posture allows, the gap is in the log."""
    socket = gate_root / "run/agent.sock"
    socket.rename(gate_root / "run/away.sock")
    try:
        done = site.run("alice", [_apptainer(site), "exec", KEV, "echo", "payload ran"])
        assert (done.returncode, done.stdout) == (0, "payload ran\n")
        _wait(lambda: "was allowed without a decision" in guard.read_text(), guard)
    finally:
        (gate_root / "run/away.sock").rename(socket)
    assert _refused(site.run("alice", [_apptainer(site), "exec", KEV, "echo", "payload ran"]))
