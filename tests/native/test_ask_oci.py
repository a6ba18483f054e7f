# SPDX-License-Identifier: Apache-2.0
"""sifgate-ask as a hook of OCI runtimes: what it sends, what it obeys, and where its text can be read."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.asking import FIRST_LINE, NOBODY, NOTICE, Asking

pytestmark = pytest.mark.native
STATE = b'{"ociVersion":"1.0.2","id":"x","status":"creating","bundle":"/b"}'
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]
WARN: list[Step] = [("decide", "warn", {"notice": NOTICE})]


def _log_line(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(("action", "status"), [("allow", 0), ("log", 0), ("warn", 0), ("block", 1)])
def test_the_decision_is_the_exit_status(asking: Asking, action: str, status: int) -> None:
    """Only a refusal ends the start, and the state arrives byte for byte."""
    with ScriptedAgent(asking.socket, [("decide", action, {})]) as agent:
        assert asking.run("oci", stdin=STATE).returncode == status
    fields = dict(agent.asked[0].fields)
    assert (agent.asked[0].verb, fields["door"], fields["state"]) == ("ask", b"oci-hook", STATE)


@pytest.mark.parametrize("state", [b"", b"\0\xff not JSON", b"[" * 100_000, b"{" + b" " * 262_142 + b"}"])
def test_a_state_is_forwarded_whatever_it_holds(asking: Asking, state: bytes) -> None:
    """Nothing is parsed here: the agent calls an image unresolved."""
    with ScriptedAgent(asking.socket, BLOCK) as agent:
        assert asking.run("oci", stdin=state).returncode == 1
    assert agent.asked[0].first("state") == state


def test_a_state_without_end_is_unresolved(asking: Asking) -> None:
    """10 MB of state, and one that never ends, are sent as `truncated`, within bounded time and memory."""
    os.mkfifo(asking.place / "fifo")
    with ScriptedAgent(asking.socket, BLOCK) as agent:
        assert asking.run("oci", stdin=b"x" * 10_000_000).returncode == 1
        silent = asking.run("oci", before=["sh", "-c", f'"$@" <>{asking.place}/fifo', "sh"])
        closed = asking.run("oci", before=["sh", "-c", '"$@" <&-', "sh"])
    assert (silent.returncode, closed.returncode) == (1, 1)
    assert [ask.first("truncated") for ask in agent.asked] == [b"1"] * 3
    assert not any(ask.first("state") for ask in agent.asked)


def test_a_refusal_is_read_under_crun(asking: Asking) -> None:
    """Where the hook's own text is dropped, it reaches the runtime's standard error, before the runtime's own."""
    with ScriptedAgent(asking.socket, BLOCK):
        spoken = asking.hook(own="/dev/null")
    assert (spoken.status, spoken.runtime) == (1, f"{NOTICE}\nthe runtime ends\n")


def test_a_refusal_is_read_under_runc(asking: Asking) -> None:
    """The runtime quotes its hook in one line, so it gets one, and the notice goes to where the runtime writes."""
    with ScriptedAgent(asking.socket, BLOCK):
        spoken = asking.hook()
    assert (spoken.own, spoken.runtime) == (f"{FIRST_LINE}\n", f"{NOTICE}\nthe runtime ends\n")


def test_a_file_keeps_what_both_say(asking: Asking) -> None:
    """The runtime's descriptor is used with its position: nothing overwrites the notice in a job's output file."""
    target = asking.place / "job.err"
    with ScriptedAgent(asking.socket, WARN):
        asking.hook(redirect=f"exec 2>'{target}'; echo before >&2;")
    assert target.read_text() == f"before\n{NOTICE}\nthe runtime ends\n"


def test_what_the_runtime_may_only_read_is_never_written(asking: Asking) -> None:
    """A runtime of root may have inherited a descriptor that a user could only read."""
    target = asking.place / "secret"
    target.write_text("kept")
    with ScriptedAgent(asking.socket, BLOCK):
        spoken = asking.hook(redirect=f"exec 2<'{target}';")
    assert (spoken.status, target.read_text(), spoken.own) == (1, "kept", f"{NOTICE}\n")


def test_a_full_pipe_holds_nobody(asking: Asking) -> None:
    """A runtime whose standard error nobody reads does not keep the hook."""
    fifo = asking.place / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(end, b"x" * 65_536)
    with ScriptedAgent(asking.socket, BLOCK):
        spoken = asking.hook(redirect=f"exec 3>&2 2<>'{fifo}';", silent=True)
    os.close(end)
    assert (spoken.status, spoken.own) == (1, f"{NOTICE}\n")


def test_podmans_log_gets_a_line_of_json(asking: Asking) -> None:
    """The file after `--log` in the runtime's command line holds the notice beside the runtime's own message."""
    log = asking.place / "oci-log"
    log.touch()
    with ScriptedAgent(asking.socket, [("decide", "block", {"notice": 'a "b"\\\n\x1b[31m é'})]):
        spoken = asking.hook(runtime_words=["--log-format=json", "--log", log])
    assert _log_line(log) == {"level": "error", "msg": 'a "b"\\\n\x1b[31m é'}
    assert spoken.runtime.startswith('a "b"\\\n?[31m é\n')


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "relative", "foreign", "huge", "directory"])
def test_no_other_file_is_taken_for_the_log(asking: Asking, kind: str) -> None:
    """A command line may name anything: only a plain small file of who runs the hook is appended to."""
    log, other = asking.place / "oci-log", asking.place / "other"
    other.touch()
    if kind == "link":
        log.symlink_to(other)
    elif kind == "hard link":
        log.hardlink_to(other)
    elif kind == "fifo":
        os.mkfifo(log)
    elif kind == "directory":
        log.mkdir()
    else:
        log.touch()
        if kind == "foreign":
            os.chown(log, NOBODY, NOBODY)
        if kind == "huge":
            os.truncate(log, 2 << 20)
    before = log.stat().st_size
    with ScriptedAgent(asking.socket, BLOCK):
        spoken = asking.hook(runtime_words=["--log", log.name if kind == "relative" else log])
    assert (spoken.status, log.stat().st_size, other.stat().st_size) == (1, before, 0)


def test_a_warning_waits_for_the_containers_start(asking: Asking) -> None:
    """Under an engine it is kept in the bundle at the creation, said once at the start, and gone."""
    log = asking.place / "oci-log"
    log.touch()
    with ScriptedAgent(asking.socket, [("wait", "sifgate: being scanned"), *WARN]):
        created = asking.hook(runtime_words=["--log", log])
    assert (created.status, created.own, created.runtime) == (0, "", "the runtime ends\n")
    started = asking.hook("notice", runtime_words=["start"])
    assert (started.status, started.runtime) == (0, f"{NOTICE}\nthe runtime ends\n")
    again = asking.hook("notice", runtime_words=["start"])
    assert (again.status, again.runtime, log.read_text()) == (0, "the runtime ends\n", "")


def test_what_lies_under_the_notices_name_is_not_followed(asking: Asking) -> None:
    """A link in the bundle is replaced when a warning is kept, and not read when one is said."""
    target = asking.place / "target"
    target.write_text("kept")
    kept = asking.place / "sifgate.notice"
    kept.symlink_to(target)
    assert asking.hook("notice").runtime == "the runtime ends\n"
    with ScriptedAgent(asking.socket, WARN):
        asking.hook(runtime_words=["--log", "/nowhere"])
    assert (target.read_text(), kept.read_text(), kept.is_symlink()) == ("kept", NOTICE, False)
    kept.unlink()
    os.mkfifo(kept)
    assert asking.hook("notice").runtime == "the runtime ends\n"


def test_progress_is_one_line(asking: Asking) -> None:
    """A launch that waits for its scan says so once."""
    script: list[Step] = [("wait", "sifgate: being scanned"), ("wait", "still"), ("decide", "allow", {})]
    with ScriptedAgent(asking.socket, script):
        assert asking.hook().runtime == "sifgate: being scanned\nthe runtime ends\n"


@pytest.mark.parametrize("variable", ["SLURM_PROCID", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"])
def test_other_ranks_are_short(asking: Asking, variable: str) -> None:
    """Rank 0 says it all: another says one line where it refuses, and nothing where it warns."""
    with ScriptedAgent(asking.socket, BLOCK) as agent:
        assert asking.run("oci", stdin=STATE, env={variable: "3"}).stderr.decode() == f"{FIRST_LINE}\n"
    assert agent.asked[0].first("rank") == b"3"
    with ScriptedAgent(asking.socket, WARN):
        assert asking.run("oci", stdin=STATE, env={variable: "3"}).stderr == b""
        assert asking.run("oci", stdin=STATE, env={variable: "0"}).stderr.decode() == f"{NOTICE}\n"


def test_a_warning_that_was_shown_is_quiet(asking: Asking) -> None:
    """The agent says that the user read this warning in this job already; a refusal is said anyway."""
    with ScriptedAgent(asking.socket, [("decide", "warn", {"notice": NOTICE, "quiet": "1"})]):
        assert asking.run("oci", stdin=STATE).stderr == b""
    with ScriptedAgent(asking.socket, [("decide", "block", {"notice": NOTICE, "quiet": "1"})]):
        assert asking.run("oci", stdin=STATE).stderr.decode() == f"{NOTICE}\n"


def test_the_job_of_a_user_is_claimed_and_roots_is_not(asking: Asking) -> None:
    """The agent believes root: what stands in an environment that a user may have filled is not sent by root."""
    with ScriptedAgent(asking.socket, [("decide", "allow", {})]) as agent:
        asking.run("oci", stdin=STATE, env={"SLURM_JOB_ID": "77"}, uid=NOBODY)
        asking.run("oci", stdin=STATE, env={"SLURM_JOB_ID": "77"})
        asking.run("oci", stdin=STATE, env={"SLURM_JOB_ID": "-1 77"}, uid=NOBODY)
    assert [ask.first("job") for ask in agent.asked] == [b"77", b"", b""]


def test_files_are_opened_with_the_users_ids(asking: Asking) -> None:
    """What the agent asks for is opened by the hook, so the user gets no file read that he could not read."""
    secret = asking.place / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    script: list[Step] = [("open", str(secret)), ("open", str(asking.place)), ("decide", "allow", {})]
    with ScriptedAgent(asking.socket, script) as agent:
        assert asking.run("oci", stdin=STATE, uid=NOBODY).returncode == 0
    assert agent.opened[0] == ("13", b"")
    assert b"secret\n" in agent.opened[1][1]
