# SPDX-License-Identifier: Apache-2.0
"""sifgate-ask before a runtime (Slurm's oci.conf), and as a hook of Enroot."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.asking import NOBODY, NOTICE, Asking

pytestmark = pytest.mark.native
HOOK = Path(__file__).resolve().parents[2] / "hooks/enroot/50-sifgate.sh"
ALLOW: list[Step] = [("decide", "allow", {})]
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]


def test_the_runtime_gets_all_as_it_was(asking: Asking) -> None:
    """Standard input, environment, descriptors, signals and exit status are the runtime's own."""
    shows = "cat; echo $MARK; ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status; exit 7"
    plain = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "caller", "sh", "-c", shows],
        input=b"kept\n",
        env=asking.environment({"MARK": "here"}),
        capture_output=True,
        check=False,
    )
    with ScriptedAgent(asking.socket, ALLOW):
        done = asking.run(
            "run", "--rootfs", "/x", "--", "sh", "-c", shows, stdin=b"kept\n", env={"MARK": "here"}
        )
    assert (done.returncode, done.stdout, done.stderr) == (7, plain.stdout, b"")
    assert done.stdout.startswith(b"kept\nhere\n0 1 2 ")


def test_a_refusal_starts_nothing(asking: Asking) -> None:
    """The notice, exit 1, and no runtime."""
    with ScriptedAgent(asking.socket, BLOCK):
        done = asking.run("run", "--rootfs", "/x", "--", "touch", asking.place / "started")
    assert (done.returncode, done.stderr.decode()) == (1, f"{NOTICE}\n")
    assert not (asking.place / "started").exists()


@pytest.mark.parametrize(
    "bundle", ["/spool/oci-job1-0/task-0/", '/a "b"\\c\nd\x01', "/" + "\x02" * 4000, "/é"]
)
def test_a_bundle_is_asked_about_as_by_a_hook(asking: Asking, bundle: str) -> None:
    """The agent gets a state document whose bundle is the directory, whatever stands in its name."""
    with ScriptedAgent(asking.socket, ALLOW) as agent:
        done = asking.run("run", "--bundle", bundle, "--job", "5", "--step", "0", "--rank", "1", "--", "true")
    assert done.returncode == 0
    fields = {key: value.decode() for key, value in agent.asked[0].fields}
    assert (fields["door"], fields["job"], fields["step"], fields["rank"]) == ("oci-hook", "5", "0", "1")
    assert json.loads(fields["state"])["bundle"] == bundle


def test_a_root_file_system_is_asked_about_by_its_path(asking: Asking) -> None:
    """For a runtime that reads no bundle."""
    with ScriptedAgent(asking.socket, [("open", str(asking.place)), *ALLOW]) as agent:
        assert asking.run("run", "--rootfs", asking.place, "--", "true").returncode == 0
    assert agent.asked[0].first("path") == bytes(asking.place)
    assert agent.opened[0][0] == ""


@pytest.mark.parametrize(
    "words",
    [
        ["--rootfs", "/evil", "--rootfs", "/clean", "--", "true"],
        ["--bundle", "/evil", "--job", "1", "--bundle", "/clean", "--", "true"],
        ["--rootfs", "/x y", "z", "--", "true"],
        ["--rootfs"],
        ["--wrong", "x", "--", "true"],
        ["--rootfs", "/x"],
        ["--rootfs", "/x", "--"],
    ],
)
def test_words_that_do_not_fit_start_nothing(asking: Asking, words: list[str]) -> None:
    """Slurm does not quote a user's path: what it breaks into is not taken for options, and nobody is asked."""
    with ScriptedAgent(asking.socket, ALLOW) as agent:
        done = asking.run("run", *words)
    assert (done.returncode, agent.asked, done.stdout) == (2, [], b"")
    assert done.stderr.startswith(b"sifgate-ask: ")


def test_a_runtime_that_is_not_there_is_named(asking: Asking) -> None:
    """Exit 127, as by a shell."""
    with ScriptedAgent(asking.socket, ALLOW):
        done = asking.run("run", "--rootfs", "/x", "--", "no-such-runtime")
    assert (done.returncode, b"no-such-runtime: No such file" in done.stderr) == (127, True)


@pytest.mark.parametrize(
    ("variables", "name"),
    [({}, "pyxis_5.0"), ({"PYXIS_CONTAINER_IMAGE": "reg#a/b:1"}, "reg#a/b:1")],
)
def test_enroots_variables_are_what_is_asked_about(
    asking: Asking, variables: dict[str, str], name: str
) -> None:
    """The root directory, and what the user called the image where that is known."""
    rootfs = asking.place / "pyxis_5.0"
    rootfs.mkdir()
    env = {"ENROOT_ROOTFS": str(rootfs), "ENROOT_PID": "1", "SLURM_JOB_ID": "5", **variables}
    with ScriptedAgent(asking.socket, [("open", str(rootfs)), *BLOCK]) as agent:
        done = asking.run("enroot", env=env, uid=NOBODY)
    assert (done.returncode, done.stderr.decode(), agent.opened) == (1, f"{NOTICE}\n", [("", b"")])
    fields = {key: value.decode() for key, value in agent.asked[0].fields}
    assert {key: fields[key] for key in ("door", "path", "name", "job")} == {
        "door": "enroot-hook",
        "path": str(rootfs),
        "name": name,
        "job": "5",
    }


@pytest.mark.parametrize("rootfs", [None, "", "relative"])
def test_enroot_without_a_root_is_unresolved(asking: Asking, rootfs: str | None) -> None:
    """The policy says what becomes of it."""
    with ScriptedAgent(asking.socket, BLOCK) as agent:
        done = asking.run("enroot", env={} if rootfs is None else {"ENROOT_ROOTFS": rootfs})
    assert (done.returncode, agent.asked[0].first("truncated")) == (1, b"1")


def test_the_script_of_enroot_is_started_as_enroot_starts_hooks(asking: Asking) -> None:
    """As the user, in new user and mount namespaces, standard output dropped; anything but 0 ends the start.

    After the documentation of Enroot (hooks.d, `enroot start`): each executable *.sh with ENROOT_PID, ENROOT_ROOTFS,
    ENROOT_MOUNTS and ENROOT_ENVIRON in its environment, errors reported as `FILE exited with return code N`.
    """
    script = asking.place / "50-sifgate.sh"
    words = " ".join(f"'{word}'" for word in asking.words("enroot"))
    script.write_text(HOOK.read_text().replace("/usr/libexec/sifgate/sifgate-ask enroot", words))
    script.chmod(0o755)
    start = (
        'mount -t tmpfs tmpfs /mnt && for hook in "$1"/*.sh; do "$hook" >/dev/null || '
        '{ echo "$hook exited with return code $?" >&2; exit 1; }; done; echo started'
    )
    env = {
        "ENROOT_ROOTFS": "/usr",
        "ENROOT_PID": "1",
        "ENROOT_MOUNTS": "/dev/null",
        "ENROOT_ENVIRON": "/dev/null",
    }
    namespaces = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    namespaces += ["unshare", "--user", "--map-root-user", "--mount"]
    outcomes = []
    for steps in ([("open", "/usr"), *BLOCK], [("open", "/usr"), *ALLOW]):
        with ScriptedAgent(asking.socket, steps) as agent:
            done = subprocess.run(
                [*namespaces, "sh", "-c", start, "enroot", asking.place],
                env=asking.environment(env),
                capture_output=True,
                text=True,
                check=False,
            )
        assert b"bin\n" in agent.opened[0][1]
        outcomes.append((done.returncode, done.stdout, done.stderr))
    assert outcomes == [
        (1, "", f"{NOTICE}\n{script} exited with return code 1\n"),
        (0, "started\n", ""),
    ]
