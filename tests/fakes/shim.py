# SPDX-License-Identifier: Apache-2.0
"""Shims as processes of their own, under any uid: several asks of one process, one after the other."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = 65_534

_SHIM = """
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from sifgate import wire
plan = json.loads(sys.argv[3])
if plan["uid"]:
    os.setgroups([])
    os.setresgid(plan["uid"], plan["uid"], plan["uid"])
    os.setresuid(plan["uid"], plan["uid"], plan["uid"])
if plan["session"]:
    os.setsid()

def turn(connection, message, ask, heard):
    heard.append([message.verb, [(key, value.decode()) for key, value in message.fields]])
    if message.verb == "open" or (message.verb == "pull" and ask.get("pull")):
        path = os.path.join(message.text("cwd"), ask.get("pull") or message.text("path"))
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            wire.send(connection, wire.encode("opened", [("errno", b"%d" % error.errno)]))
        else:
            wire.send(connection, wire.encode("opened"), (descriptor,))
            os.close(descriptor)
    elif message.verb == "pull":
        wire.send(connection, wire.encode("opened", [("errno", b"5"), ("text", b"no such tag")]))

def one(ask):
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(20)
        connection.connect(sys.argv[2])
        words = [(key, value.encode("utf-8", "surrogateescape")) for key, value in ask["words"]]
        wire.send(connection, wire.encode(ask["verb"], words))
        while not heard or heard[-1][0] not in ("decision", "error", "answer"):
            data, _ = wire.receive(connection)
            turn(connection, wire.decode(data), ask, heard)
    return heard

print(json.dumps([one(ask) for ask in plan["asks"]]), flush=True)
sys.stdin.read()
"""


class Ask:
    """One question of a shim, and what it does when it is told to open or pull."""

    def __init__(self, verb: str = "ask", *, arg: tuple[str, ...] = (), pull: str = "", **words: str) -> None:
        self.plan: dict[str, Any] = {
            "verb": verb,
            "words": [*words.items(), *(("arg", word) for word in arg)],
            "pull": pull,
        }


class Answer:
    """All turns of the agent in one conversation."""

    def __init__(self, turns: list[tuple[str, list[tuple[str, str]]]]) -> None:
        self.turns = [(verb, dict(fields)) for verb, fields in turns]
        self.verb, self.fields = self.turns[-1]

    def __getitem__(self, key: str) -> str:
        return self.fields.get(key, "")

    @property
    def verbs(self) -> list[str]:
        """Return the verbs of all turns but signs of life."""
        return [verb for verb, _ in self.turns if verb != "wait"]


def shim(socket_path: Path, *asks: Ask, uid: int = NOBODY, session: bool = False) -> list[Answer]:
    """Return what one process of `uid` is answered to its asks, in a session of its own if `session`."""
    with held_shim(socket_path, *asks, uid=uid, session=session) as (_, answers):
        return answers


@contextlib.contextmanager
def held_shim(
    socket_path: Path, *asks: Ask, uid: int = NOBODY, session: bool = False
) -> Iterator[tuple[int, list[Answer]]]:
    """Yield pid and answers of a process that stays for a while after it has asked."""
    plan = {"uid": uid, "session": session, "asks": [ask.plan for ask in asks]}
    command = [sys.executable, "-I", "-c", _SHIM, str(SOURCE), str(socket_path), json.dumps(plan)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.pid, [Answer(turns) for turns in json.loads(process.stdout.readline())]
        finally:
            process.stdin.close()
