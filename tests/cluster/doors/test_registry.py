# SPDX-License-Identifier: Apache-2.0
"""Images from a real registry on loopback, pulled by the real Apptainer for the wrapper, judged and run."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.wrapper import agent_everywhere, wrapped
from testbed.rootfs import obtain_tree

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.root]
REGISTRY = "127.0.0.1:5055"
CONFIG = "version: 0.1\nstorage: {filesystem: {rootdirectory: /scratch/registry}}\nhttp: {addr: %s}\n"
PLAIN = f"docker://{REGISTRY}/plain:1"
MOVING = f"docker://{REGISTRY}/moving:1"
REFUSABLE = f"oras://{REGISTRY}/kev:1"
DEBIAN = b'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\n'
"""Without dpkg's data this contradicts itself, which the policy refuses; an image without it is only warned about."""


def layer(release: bytes) -> bytes:
    """Return a layer with busybox and, if it is not empty, an os-release."""
    busybox = (obtain_tree("node") / "usr/bin/busybox").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in (("bin/busybox", busybox), ("etc/os-release", release)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            if content:
                archive.addfile(entry, io.BytesIO(content))
        for name in ("sh", "echo", "sleep", "true"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return packed.getvalue()


def lay_out(root: Path, release: bytes) -> None:
    """Write an OCI layout with one image of one layer."""
    blobs = root / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{name}", "size": len(content)}

    files = blob(layer(release), "layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [files["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [files],
    }
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json")]}
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def push(site: Cluster, layout: str, image: str) -> None:
    """Put an image of the scratch directory into the registry."""
    words = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:/scratch/{layout}", image]
    site.run("root", words).check()


def serve(site: Cluster, command: str, log: str) -> str:
    """Start a server of root in the cluster, with a log in the scratch directory; return its process id there."""
    line = f"setsid {command} >/scratch/{log} 2>&1 </dev/null & echo $!"
    return site.run("root", ["sh", "-c", line]).check().stdout.strip()


def await_text(path: Path, text: str, limit: float = 10) -> None:
    """Wait until a file holds a text."""
    end = time.monotonic() + limit
    while not (path.exists() and text in path.read_text(errors="replace")):
        assert time.monotonic() < end, f"no {text!r} in {path}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def registry(site: Cluster) -> Iterator[Cluster]:
    """Return the site with the wrapper in place, its agent everywhere, and a registry with three images."""
    for name, release in (("plain", b""), ("contradiction", DEBIAN)):
        lay_out(site.scratch / name, release)
    (site.scratch / "registry.yml").write_text(CONFIG % REGISTRY)
    (site.scratch / "registry").mkdir()
    serving = serve(site, "docker-registry serve /scratch/registry.yml", "registry.log")
    try:
        await_text(site.scratch / "registry.log", "listening on")
        push(site, "plain", PLAIN)
        sif = "/images/kev/bullseye-kev.sif"
        site.run("root", ["apptainer", "push", "--no-https", sif, REFUSABLE]).check()
        with wrapped(site), agent_everywhere(site, "d1"):
            yield site
    finally:
        site.run("root", ["kill", serving]).check()


@pytest.fixture(autouse=True)
def nothing_temporary(registry: Cluster) -> Iterator[None]:
    """Begin each test with an empty cache; see that it leaves nothing in /tmp."""
    registry.run("alice", ["rm", "-rf", ".apptainer"]).check()
    yield
    end = time.monotonic() + 3
    while (
        left := registry.run("root", ["sh", "-c", "ls -d /tmp/sifgate-* /tmp/sbuild-*"]).stdout
    ) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == ""


def test_what_is_pulled_is_judged_and_run(registry: Cluster, gate_root: Path) -> None:
    """With the user's flags, once; the record names what the user typed, and the next launch is warm."""
    words = ["apptainer", "exec", "--no-https", PLAIN, "echo", "PAYLOAD"]
    first, second = registry.run("alice", words), registry.run("alice", words)
    for done in (first, second):
        assert (done.returncode, done.stdout) == (0, "PAYLOAD\n")
    assert first.stderr.count("Creating SIF file") == 1
    assert (second.stderr.count("Creating SIF file"), second.stderr.count("Using cached SIF")) == (0, 1)
    assert 'state "unsupported"' in first.stderr
    records = [record for record in gates.records(gate_root, "wrapper") if record["image"] == PLAIN]
    assert [record["state"] for record in records] == ["unsupported", "unsupported"]


def test_it_runs_as_without_the_wrapper(registry: Cluster) -> None:
    """The container's variables are the same, its own name among them."""
    words = ["exec", "--no-https", PLAIN, "sh", "-c", "busybox env | busybox sort"]
    wrapped_run = registry.run("alice", ["apptainer", *words])
    bare = registry.run("alice", ["apptainer.real", *words])
    assert "oci-tmp" in bare.stdout
    assert wrapped_run.stdout.replace("apptainer.real", "apptainer") == bare.stdout.replace(
        "apptainer.real", "apptainer"
    )


def test_a_refused_image_from_a_registry_never_runs(registry: Cluster) -> None:
    """The notice names what the user typed; whatever the registry's kind, with or without the cache."""
    for more in ([], ["--disable-cache"]):
        done = registry.run(
            "alice", ["apptainer", "-q", "exec", "--no-https", *more, REFUSABLE, "echo", "PAYLOAD"]
        )
        assert (done.returncode, done.stdout) == (255, "")
        assert f"image  {REFUSABLE}" in done.stderr
        assert "2 known-exploited vulnerabilities" in done.stderr


def test_without_a_cache_it_runs_and_goes(registry: Cluster) -> None:
    """`--disable-cache`, a home that cannot be written, a program and an instance."""
    words = ["apptainer", "-q", "exec", "--disable-cache", "--no-https", PLAIN, "echo", "PAYLOAD"]
    assert registry.run("alice", words).stdout == "PAYLOAD\n"
    homeless = registry.run(
        "alice", ["apptainer", "-q", "exec", "--no-https", PLAIN, "echo", "PAYLOAD"], env={"HOME": "/"}
    )
    assert homeless.stdout == "PAYLOAD\n", homeless.stderr
    start = f"apptainer -q instance start --disable-cache --no-https {PLAIN} one"
    use = "apptainer -q exec instance://one echo PAYLOAD; apptainer -q instance stop one"
    done = registry.run("alice", ["bash", "-c", f"{start} && {use}"])
    assert done.stdout == "PAYLOAD\n", done.stderr


def test_a_tag_that_moved_is_seen_at_once(registry: Cluster) -> None:
    """The registry is asked each time, as the runtime does."""
    words = ["apptainer", "-q", "exec", "--no-https", MOVING, "echo", "PAYLOAD"]
    push(registry, "plain", MOVING)
    assert registry.run("alice", words).stdout == "PAYLOAD\n"
    push(registry, "contradiction", MOVING)
    done = registry.run("alice", words)
    assert (done.returncode, done.stdout) == (255, "")
    assert 'state "inconsistent"' in done.stderr


def test_launches_at_once_convert_once(registry: Cluster) -> None:
    """Four ranks of a node: one pull, four containers."""
    loop = f"for r in 0 1 2 3; do apptainer exec --no-https {PLAIN} echo PAYLOAD & done; wait"
    done = registry.run("alice", ["bash", "-c", loop])
    assert done.stdout == "PAYLOAD\n" * 4
    assert done.stderr.count("Creating SIF file") == 1


def test_a_layout_on_disk_is_judged_too(registry: Cluster) -> None:
    """`oci:DIR` is no registry, but no file either."""
    allowed = registry.run("alice", ["apptainer", "-q", "exec", "oci:/scratch/plain", "echo", "PAYLOAD"])
    refused = registry.run(
        "alice", ["apptainer", "-q", "exec", "oci:/scratch/contradiction", "echo", "PAYLOAD"]
    )
    assert (allowed.stdout, refused.stdout, refused.returncode) == ("PAYLOAD\n", "", 255)


def test_a_pull_that_fails_says_why(registry: Cluster) -> None:
    """The runtime's own words, and a record of what could not be judged; nothing runs."""
    missing = f"docker://{REGISTRY}/none:1"
    done = registry.run("alice", ["apptainer", "exec", "--no-https", missing, "true"])
    assert done.returncode == 255
    assert "manifest unknown" in done.stderr
    assert 'state "unresolved"' in done.stderr


def test_the_pull_counts_for_no_deadline(registry: Cluster) -> None:
    """A registry that is slower than an agent may be is waited for; who has enough of it ends the launch cleanly."""
    slow = (
        "import socket,time\ns=socket.create_server(('127.0.0.1',5056))\nprint('up',flush=True)\n"
        "while 1:\n c,_=s.accept()\n print('asked',flush=True)\n time.sleep(600)\n"
    )
    (registry.scratch / "slow.py").write_text(slow)
    server = serve(registry, "python3 /scratch/slow.py", "slow.log")
    await_text(registry.scratch / "slow.log", "up")
    launch = registry.start(
        "alice", ["apptainer", "exec", "--no-https", "docker://127.0.0.1:5056/x:1", "true"]
    )
    try:
        await_text(registry.scratch / "slow.log", "asked")
        with pytest.raises(subprocess.TimeoutExpired):
            launch.wait(4)  # silence counts after 2 s
        registry.run("root", ["pkill", "-INT", "-x", "apptainer"]).check()
        launch.communicate(timeout=5)
    finally:
        registry.run("root", ["kill", server]).check()
    assert launch.returncode in {-signal.SIGINT, 128 + signal.SIGINT}
    assert registry.strays() == []
