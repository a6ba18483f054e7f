# SPDX-License-Identifier: Apache-2.0
"""Launches through a real socket, with a real policy, cache and log, and a server that can be steered."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fakes.agent import POLICY, RunningAgent, digest_of, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate import wire
from sifgate.agent import memo
from sifgate.client import open_image
from sifgate.errors import Unscannable

Start = Callable[..., RunningAgent]


def test_second_launch_asks_nobody(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """A launch of a known image reads no image and makes no server call."""
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "allow"
    calls, runs = len(server.calls), agent.worker.runs
    assert agent.action(image) == "allow"
    assert (len(server.calls), agent.worker.runs) == (calls, runs)


@pytest.mark.root
def test_refusal_says_why_and_is_recorded(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """A refusal carries the notice, and its record holds everything to compute it again."""
    server.finding = bad_verdict
    image = tmp_path / "x.sif"
    image.write_bytes(b"bad")
    answer = agent.ask(image, job="42", step="0", node="n1", partition="main", account="lab")
    assert answer.text("action") == "block"
    assert "CVE-2025-48384" in answer.text("notice")
    assert answer.text("reference") in answer.text("notice")
    (record,) = agent.records()
    assert record.reference == answer.text("reference")
    assert (record.action, record.would_be, record.state, record.door) == ("block", "block", "known", "spank")
    assert (record.uid, record.job, record.partition, record.trusted) == (1000, 42, "main", True)
    assert record.fingerprint == digest_of(b"bad")
    assert record.verdict.startswith("sha256:")
    assert record.policy.startswith("sha256:")
    assert record.generation == "generation-1"
    assert record.reasons[0].rule == "kev-fixable"
    assert record.latency_ms > 0


def test_launch_without_runtime_leaves_no_record(agent: RunningAgent) -> None:
    """A step that starts no container is allowed at once, unrecorded."""
    assert (
        agent.client.ask([("door", b"spank"), ("uid", b"1"), ("arg", b"hostname")]).text("action") == "allow"
    )
    assert agent.records() == []


def test_argv_leads_to_the_image(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """The image is found in the words of the step, relative to its directory."""
    server.finding = bad_verdict
    (tmp_path / "x.sif").write_bytes(b"bad")
    words = [("arg", word) for word in (b"apptainer", b"exec", b"x.sif", b"true")]
    answer = agent.client.ask([("door", b"spank"), ("uid", b"1"), ("cwd", bytes(tmp_path)), *words])
    assert answer.text("action") == "block"
    assert agent.records()[0].argv == ("apptainer", "exec", "x.sif", "true")


def test_swapped_image_is_judged_anew(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """Another file under the same name is another image, whatever its size and times."""
    good = settled_file(tmp_path / "x.sif", b"good")
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    assert agent.action(good) == "allow"
    times = good.stat()
    other = tmp_path / "y.sif"
    other.write_bytes(b"evil")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(good)
    assert agent.action(good) == "block"


def test_rewrite_in_the_same_clock_tick_is_seen(
    agent: RunningAgent, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was changed a moment ago is read at every launch, since a second change could have the same times."""
    monkeypatch.setattr(memo, "YOUNG_LOCAL_NS", 2_000_000_000)
    image = tmp_path / "x.sif"
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    image.write_bytes(b"good")
    times = image.stat()
    assert agent.action(image) == "allow"
    image.write_bytes(b"evil")
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert agent.action(image) == "block"


def test_file_open_for_writing_is_not_remembered(agent: RunningAgent, tmp_path: Path) -> None:
    """Somebody who has the file open for writing could change it through an old mapping: it is read each time."""
    image = settled_file(tmp_path / "x.sif", b"x")
    with image.open("r+b"):
        agent.ask(image)
        agent.ask(image)
        assert agent.worker.runs == 2
    agent.ask(image)
    agent.ask(image)
    assert agent.worker.runs == 3


def test_image_that_changes_while_read_is_never_clean(agent: RunningAgent, tmp_path: Path) -> None:
    """An image that moves under the reader ends as malformed."""
    image = tmp_path / "x.sif"
    image.write_bytes(b"x")
    agent.worker.on_run = lambda: image.write_bytes(os.urandom(16))
    assert agent.action(image) == "block"
    assert agent.records()[0].unscannable == "malformed"


def test_unscannable_image_is_a_state(agent: RunningAgent, tmp_path: Path) -> None:
    """What the worker refuses is recorded with its cause, and a settled file is not tried again at once."""
    agent.worker.error = Unscannable("encrypted", "the partition is encrypted")
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "warn"
    assert agent.action(image) == "warn"
    assert agent.worker.runs == 1
    assert {record.unscannable for record in agent.records()} == {"encrypted"}


def test_directory_is_read_each_time(agent: RunningAgent, tmp_path: Path) -> None:
    """A sandbox directory has no identity that covers its files."""
    (tmp_path / "box").mkdir()
    agent.ask(tmp_path / "box")
    agent.ask(tmp_path / "box")
    assert agent.worker.runs == 2


def test_many_launches_share_one_reading(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """One extraction and one upload per image, however many ask."""
    agent.worker.held = True
    image = settled_file(tmp_path / "x.sif", b"x")
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(agent.action, image) for _ in range(20)]
        eventually(lambda: agent.agent.listener.open == 20)
        agent.worker.gate.set()
        assert {answer.result() for answer in answers} == {"allow"}
    assert agent.worker.runs == 1
    assert server.calls.count("PUT /v1/layers") == 1


def test_rejected_layer_is_a_state_of_the_image(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """A layer that the server will not have makes the image unscannable."""
    server.refuse_layers = True
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "block"
    assert agent.records()[0].unscannable == "malformed"


@pytest.mark.root
def test_scan_outlives_the_launch_that_gave_up(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """A launch that waited in vain passes as pending; the verdict that comes later is held against it and the next."""
    server.scan_seconds = 1.0
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    texts: list[str] = []
    fields = [("door", b"spank"), ("uid", b"1000"), ("path", bytes(image)), ("deadline_ms", b"600")]
    answer = agent.client.ask(fields, wait=texts.append)
    assert answer.text("action") == "log"
    assert any("x.sif" in text for text in texts)
    first = agent.records()[0]
    assert first.state == "pending"
    late = eventually(
        lambda: [record for record in agent.records() if record.outcome == "would_have_blocked"]
    )
    assert (late[0].of, late[0].would_be, late[0].state) == (first.id, "block", "known")
    assert agent.action(image) == "block"


@pytest.mark.root
def test_pending_passes_run_out(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """An image that stays unscanned passes only so often per user and path; questions use nothing up."""
    server.scan_seconds = 20.0
    image = settled_file(tmp_path / "x.sif", b"x")
    asked = [agent.action(image, door="cli", deadline_ms="50") for _ in range(4)]
    launched = [agent.action(image, deadline_ms="50") for _ in range(3)]
    assert asked == ["log"] * 4
    assert launched == ["log", "log", "block"]
    assert agent.action(image, uid=1001, deadline_ms="50") == "log"


def test_prescan_never_waits_and_starts_the_scan(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """The prolog's question is answered at once, and the launch that follows finds the answer."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    fields = [("door", b"prolog"), ("uid", b"1000"), ("path", bytes(image))]
    assert agent.client.ask(fields, verb="prescan").text("action") == "log"
    eventually(lambda: len(agent.agent.cache) == 1)
    assert agent.client.ask(fields, verb="prescan").text("action") == "block"
    assert {record.outcome for record in agent.records()} == {"asked"}


def test_worst_image_of_a_launch_decides(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """A multi-prog step with a good and a bad image is refused."""
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    (tmp_path / "good.sif").write_bytes(b"good")
    (tmp_path / "evil.sif").write_bytes(b"evil")
    text = b"0 apptainer exec good.sif true\n1 apptainer exec evil.sif true\n"
    fields = [
        ("door", b"spank"),
        ("uid", b"1"),
        ("cwd", bytes(tmp_path)),
        ("multiprog", b"1"),
        ("arg", b"f"),
        ("arg", text),
    ]
    assert agent.client.ask(fields).text("action") == "block"
    assert [record.action for record in agent.records()] == ["allow", "block"]


def test_truncated_launch_is_unresolved(agent: RunningAgent) -> None:
    """A launch that was too long to send is never clean."""
    answer = agent.client.ask([("door", b"spank"), ("uid", b"1"), ("truncated", b"1")])
    assert answer.text("action") == "warn"
    assert agent.records()[0].state == "unresolved"


def test_long_launch_travels_in_a_memfd(agent: RunningAgent, tmp_path: Path) -> None:
    """A megabyte of arguments is judged like any other launch, and recorded in little."""
    (tmp_path / "x.sif").write_bytes(b"x")
    words = [b"apptainer", b"exec", b"x.sif", b"echo", b"y" * 1_000_000]
    answer = agent.client.ask(
        [("door", b"spank"), ("uid", b"1"), ("cwd", bytes(tmp_path)), *(("arg", w) for w in words)]
    )
    assert answer.text("action") == "allow"
    assert agent.agent.log.path.stat().st_size < 5000


@pytest.mark.parametrize("kind", ["fifo", "device", "o_path", "writable", "none", "two"])
def test_wrong_descriptor_is_unresolved(agent: RunningAgent, tmp_path: Path, kind: str) -> None:
    """Anything but one read-only file or directory is `unresolved`: no way to slip past, no crash."""
    (tmp_path / "x").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    makers: dict[str, Callable[[], list[int]]] = {
        "fifo": lambda: [os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)],
        "device": lambda: [os.open("/dev/zero", os.O_RDONLY)],
        "o_path": lambda: [os.open(tmp_path / "x", os.O_PATH)],
        "writable": lambda: [os.open(tmp_path / "x", os.O_RDWR)],
        "none": list[int],
        "two": lambda: [os.open(tmp_path / "x", os.O_RDONLY), os.open("/etc/passwd", os.O_RDONLY)],
    }
    opened = makers[kind]()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(agent.agent.socket_path))
        wire.send(connection, wire.encode("ask", [("door", b"spank"), ("uid", b"1"), ("path", b"/x")]))
        assert wire.decode(wire.receive(connection)[0]).verb == "open"
        wire.send(connection, wire.encode("opened"), opened)
        decision = wire.decode(wire.receive(connection)[0])
    wire.close_all(opened)
    assert decision.text("action") == "warn"
    assert agent.records()[0].state == "unresolved"


def test_user_cannot_bring_about_an_error_by_his_path(agent: RunningAgent) -> None:
    """Paths of every kind end in a decision, never in an error that would be the shim's posture."""
    for path in ("/x\0y", "/" + "x" * 5000, "/proc/self/mem", "/dev/null", "/x\ny", "/\udcff"):
        words = [("door", b"spank"), ("uid", b"1"), ("path", path.encode("utf-8", "surrogateescape"))]
        assert agent.client.ask(words).text("action") in ("warn", "block")


def test_broken_policy_keeps_the_last_good_one(
    agent: RunningAgent, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """A reload that fails changes nothing and says so; one that works takes effect at once."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "block"
    write_policy(root, "mode: enforce\nruls: []\n")
    assert "ruls" in agent.query("reload")["problem"]
    assert agent.action(image) == "block"
    assert "ruls" in agent.query("status")["policy"]["problem"]
    write_policy(
        root,
        "schema: sifgate.policy/v1\nmode: audit\nrules:\n  - {id: all, when: {kev: true}, action: block}\n",
    )
    assert agent.query("reload")["problem"] == ""
    assert agent.action(image) == "log"
    assert agent.records()[-1].would_be == "block"


def test_policy_that_others_can_write_is_not_obeyed(start: Start, root: Path, tmp_path: Path) -> None:
    """A policy that anybody could have written is `policy_invalid`, and the launch goes by that posture."""
    (root / "etc" / "policy.yaml").chmod(0o666)
    agent = start()
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].reasons[0].rule == "cause:policy_invalid"


def test_posture_file_follows_the_policy(agent: RunningAgent, root: Path) -> None:
    """What shims obey without an agent is written from the policy, readable by all and writable by root."""
    posture = root / "etc" / "posture"
    assert "scan_wait_ms 5000" in posture.read_text(encoding="utf-8")
    assert posture.stat().st_mode & 0o777 == 0o644
    write_policy(
        root,
        POLICY.replace("scan_wait: 5s", "scan_wait: 7s"),
    )
    agent.query("reload")
    assert "scan_wait_ms 7000" in posture.read_text(encoding="utf-8")


def test_client_opens_what_it_is_told_with_its_own_rights(tmp_path: Path) -> None:
    """A relative path is taken from the launch's directory."""
    (tmp_path / "x").write_bytes(b"x")
    descriptor = open_image(b"x", bytes(tmp_path))
    assert os.pread(descriptor, 1, 0) == b"x"
    os.close(descriptor)


def test_words_beside_a_path_are_recorded(agent: RunningAgent, tmp_path: Path) -> None:
    """A guard that has found the image itself also says what was started with it."""
    (tmp_path / "x.sif").write_bytes(b"x")
    fields = [("door", b"guard"), ("uid", b"1000"), ("path", bytes(tmp_path / "x.sif"))]
    agent.client.ask([*fields, ("arg", b"squashfuse_ll"), ("arg", b"x.sif")])
    assert agent.records()[0].argv == ("squashfuse_ll", "x.sif")
