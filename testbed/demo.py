# SPDX-License-Identifier: Apache-2.0
"""The main job, told in a dozen lines: `make demo`.

As root: a real Slurm node, a real Clair, three images, five answers at three doors. Otherwise the same without the
Slurm node, with a small committed image; it says so. Whatever it starts it ends; what was built stays in the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sifgate.doors.table import find
from sifgate.policy.preset import preset
from testbed.cache import cache_root
from testbed.cluster import Cluster, install
from testbed.cluster.gate import records
from testbed.cluster.guard import guarded
from testbed.errors import TestbedError
from testbed.images import SMALL, obtain_image
from testbed.prepare import prepare

SIFGATE = Path(sys.executable).with_name("sifgate")
POLICY = Path(__file__).resolve().parents[1] / "etc/sifgate/examples/enforcing.yaml"
IMAGES = {"kev": "bullseye-kev.sif", "clean": "trixie.sif", "unsupported": "centos-7-runs.sif"}
TEMPORARY = "/tmp/sci.sif"  # noqa: S108 - in the cluster, whose /tmp is a file system of its own
COPY = f"cp /usr/bin/apptainer mine && ./mine exec {TEMPORARY} echo the container runs"
REFUSED = 1
RUNS = "the container runs"
EXCEPTIONS = "exceptions: {directory: exceptions.d, max_days: 90}\n"
EXCEPT = (
    "--vulnerability", "CVE-2025-48384", "--vulnerability", "CVE-2025-27363", "--days", "30",
    "--reason", "the analysis of project 7 ends this month", "--author", "alice", "--approved-by", "bob",
)  # fmt: skip
NOTICE = re.compile(r"^sifgate: (warning|launch refused)", re.MULTILINE)


def main() -> int:
    """Tell the story; 0 when every answer was the expected one, 1 otherwise."""
    story = Story()
    try:
        return tell_as_root(story) if os.geteuid() == 0 else tell_as_user(story)
    except TestbedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


class Story:
    """Numbered lines on stdout, with the time since the start, and the count of answers that were not expected."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._number = 0
        self.wrong = 0

    def line(self, text: str) -> None:
        """Print the next line of the story."""
        self._number += 1
        print(f"{self._number:2}. [{time.monotonic() - self._began:5.1f} s] {text}", flush=True)

    def shown(self, text: str) -> None:
        """Print what a user of the system would see, indented."""
        for row in text.rstrip().splitlines():
            print(f"      | {row}", flush=True)

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Count and say an answer that was not the expected one."""
        if not holds:
            self.wrong += 1
            print(f"      UNEXPECTED: {otherwise}", flush=True)

    def end(self) -> int:
        """Print the last line; return the exit code."""
        self.line(
            "done: every answer as expected"
            if not self.wrong
            else f"done: {self.wrong} answers were NOT as expected"
        )
        return 1 if self.wrong else 0


def tell_as_root(story: Story) -> int:
    """The whole main job, with Slurm and Apptainer."""
    story.line("what is needed: Clair, a Slurm node, three images (made once, kept in the cache)")
    if problems := prepare("demo"):
        raise TestbedError("not all that is needed can be made here: " + "; ".join(problems))
    images = {role: obtain_image(name) for role, name in IMAGES.items()}
    nodes = Cluster(
        nodes=("n1",),
        plugstack="required sifgate.so\n",
        prepare=[install.plugin, install.programs],
        binds={role: path.parent for role, path in images.items()},
    )
    with ExitStack() as stack:
        cluster = stack.enter_context(nodes)
        story.line(
            f"Slurm and Apptainer are up: {cluster.run('root', ['sinfo', '-h', '-o', 'node %N is %T']).stdout.strip()}"
        )
        root = cluster.node_root("n1")
        stack.enter_context(engine(story, root))
        scan_cold(story, root, images["kev"])
        first_launches(story, cluster)
        batch_script(story, cluster)
        copied_runtime(story, cluster)
        another_policy(story, root)
        excepted(story, root)
        done = cluster.run(
            "alice", ["srun", "apptainer", "exec", f"/images/kev/{IMAGES['kev']}", "echo", RUNS]
        )
        story.shown(
            f"$ srun apptainer exec /images/kev/{IMAGES['kev']} echo {RUNS}\n{done.stderr}{done.stdout}"
        )
        story.expect((done.returncode, RUNS in done.stdout) == (0, True), "the excepted image did not run")
        story.expect(set(cluster.nodes().values()) == {"idle"}, f"nodes {cluster.nodes()}")
        story.line(f"the node after all that: {cluster.nodes()['n1']}; the audit log says:")
        story.shown(sifgate(root, "audit", "tail").stdout)
    return story.end()


def tell_as_user(story: Story) -> int:
    """All but the Slurm node, with the committed image: no ordinary user can have a Slurm in namespaces."""
    story.line(
        "not root: no Slurm node, nothing is enforced; the same agent, server and Clair judge a small committed image"
    )
    with tempfile.TemporaryDirectory(prefix="sifgate-demo-") as work, engine(story, Path(work)):
        scan_cold(story, Path(work), SMALL)
        answer = sifgate(Path(work), "check", str(SMALL))
        story.line(f"`sifgate check` of it ends with {answer.returncode} (1 = refused):")
        story.shown(answer.stdout + answer.stderr)
        story.expect(
            answer.returncode == REFUSED, "the image with known-exploited vulnerabilities was not refused"
        )
        another_policy(story, Path(work))
        excepted(story, Path(work))
        story.expect(sifgate(Path(work), "check", str(SMALL)).returncode == 0, "the exception does not count")
        story.line("the audit log says:")
        story.shown(sifgate(Path(work), "audit", "tail").stdout)
    return story.end()


@contextmanager
def engine(story: Story, root: Path) -> Iterator[None]:
    """PostgreSQL, Clair, server and agent, up below `root`, with the enforcing policy."""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/exceptions.d").mkdir(mode=0o755, exist_ok=True)
    text = POLICY.read_text(encoding="utf-8")
    (root / "etc/policy.yaml").write_text(f"{text}\n{EXCEPTIONS}", encoding="utf-8")
    try:
        up = subprocess.run(
            [SIFGATE, "--root", root, "up", "--cache", cache_root()], stdout=subprocess.DEVNULL, check=False
        )
        if up.returncode != 0:
            raise TestbedError("`sifgate up` failed; its complaint stands above")
        story.line(f"engine up: {parts(root)}")
        yield
    finally:
        sifgate(root, "down")


def parts(root: Path) -> str:
    """Return one line about versions, advisories and their age."""
    status: dict[str, Any] = json.loads(sifgate(root, "status", "--format", "json").stdout)
    versions = ", ".join(part["version"] for part in status["parts"] if part["name"] in {"database", "clair"})
    rows = [
        f"{each['count']:,} of {each['updater']} {each['age_days']:.0f} days old"
        for each in status["advisories"]
    ]
    return f"{versions}; advisories: {', '.join(rows)}"


def scan_cold(story: Story, root: Path, image: Path) -> None:
    """Scan an image that nobody has seen, and say how long it took."""
    began = time.monotonic()
    done = sifgate(root, "scan", str(image), "--format", "json")
    seconds = time.monotonic() - began
    report: dict[str, Any] = json.loads(done.stdout)
    findings = report["findings"]
    exploited = sorted({finding["vulnerability"] for finding in findings if finding["kev"]})
    names = {finding["vulnerability"] for finding in findings}
    story.line(
        f"{image.name} ({image.stat().st_size / 1e6:.1f} MB) scanned cold in {seconds:.1f} s: {len(names)} "
        f"vulnerabilities, known to be exploited: {', '.join(exploited) or 'none'}"
    )
    story.expect(bool(exploited), "no known-exploited vulnerability was found")


def first_launches(story: Story, cluster: Cluster) -> None:
    """Launch each image as a user would; one is refused, one runs, one is warned about and runs."""
    for role, sentence, wanted in (
        ("kev", "known-exploited vulnerabilities", (REFUSED, False, True)),
        ("clean", "a clean image", (0, True, False)),
        ("unsupported", "a distribution that the scanner does not know", (0, True, True)),
    ):
        argv = ["srun", "apptainer", "exec", f"/images/{role}/{IMAGES[role]}", "echo", "the container runs"]
        done = cluster.run("alice", argv)
        outcome = (
            done.returncode,
            "the container runs" in done.stdout,
            NOTICE.search(done.stderr) is not None,
        )
        verb = "run" if outcome[1] else "refused"
        verb = "warned and run" if verb == "run" and "sifgate: warning" in done.stderr else verb
        story.line(f"{sentence}: {verb}")
        story.shown(f"$ {' '.join(argv)}\n{done.stderr}{done.stdout}")
        story.expect(outcome == wanted, f"exit, ran, notice = {outcome}, wanted {wanted}")


def batch_script(story: Story, cluster: Cluster) -> None:
    """Launch from a batch script, whose words no plugin of Slurm sees: the wrapper in apptainer's place does."""
    door = find("wrapper")
    door.install(cluster.tree, argparse.Namespace(prefix=None))
    script = f"#!/bin/sh\ncd /scratch; apptainer exec /images/kev/{IMAGES['kev']} echo the container runs\n"
    try:
        cluster.run("alice", ["sbatch", "--wait", "-o", "/scratch/job.out"], text=script)
    finally:
        door.remove(cluster.tree)
    said = (cluster.scratch / "job.out").read_text()
    stopped = "the container runs" not in said and NOTICE.search(said) is not None
    story.line(f"the first image again, in a batch script: {'refused by the wrapper' if stopped else 'run'}")
    story.shown(f"$ sbatch <<'EOF'\n{script}EOF\n{said}")
    story.expect(stopped, "the wrapper did not stop the launch")


def copied_runtime(story: Story, cluster: Cluster) -> None:
    """Launch with a copy of the runtime, which no wrapper sees: the kernel shows the open of the image to the guard."""
    cluster.run("root", ["cp", f"/images/kev/{IMAGES['kev']}", TEMPORARY]).check()
    with guarded(cluster, "n1", "level image", f"filesystem {Path(TEMPORARY).parent}"):
        done = cluster.run("alice", ["sh", "-c", COPY])
    stopped = done.returncode != 0 and "the container runs" not in done.stdout
    verb = "refused by the guard" if stopped else "run"
    seen = records(cluster.node_root("n1"), "guard")
    page = sifgate(cluster.node_root("n1"), "explain", seen[-1]["id"]).stdout.splitlines() if seen else []
    explained = "\n".join(line for line in page if line.split()[0] in {"decision", "when", "image", "why"})
    story.line(f"and by a copy of the runtime: {verb}; what he asks then, `sifgate explain --last`, shows:")
    story.shown(f"$ {COPY}\n{done.stderr}{done.stdout}{explained}")
    story.expect(stopped, "the guard did not stop the launch")


def another_policy(story: Story, root: Path) -> None:
    """Ask what a stricter policy would have made of everything that was launched so far."""
    strict = root / "strict.yaml"
    strict.write_text(preset("strict"), encoding="utf-8")
    done = sifgate(root, "policy", "simulate", str(strict), "--enforce", "--since", "1d")
    story.line("`sifgate policy simulate` over these launches: what the preset `strict` would have done")
    story.shown(done.stdout + done.stderr)
    story.expect(done.returncode in {0, REFUSED} and "launches" in done.stdout, "the simulation failed")


def excepted(story: Story, root: Path) -> None:
    """Except the two vulnerabilities for a month, with a reason; the agent reads it, and it is listed."""
    done = sifgate(root, "exceptions", "add", "SEC-7", *EXCEPT)
    sifgate(root, "reload")
    story.line(f"an exception, narrow and dated: {shlex.join(EXCEPT)}")
    story.shown(done.stdout + done.stderr + sifgate(root, "exceptions", "list").stdout)
    story.expect(done.returncode == 0, "the exception was not written")


def sifgate(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on the installation below `root`."""
    arguments: Sequence[str | Path] = [SIFGATE, "--root", root, *words]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
