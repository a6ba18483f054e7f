# SPDX-License-Identifier: Apache-2.0
"""Slurm prolog: has the image that a job declared looked up, and scanned if it is new, before the first step starts.

A non-zero prolog drains the node and requeues the job, so nothing here decides by its exit status: the launcher ends
with 0 whatever this does. With `prolog_refuse` in the policy, one node of the job cancels it by Slurm's own means.

Standard library only, and little of it (Python ≥ 3.9): started once per job and node. What the job declared comes from
the user; it is decoded within bounds and handed on as words. Only a child with the user's ids opens what it names.
"""

from __future__ import annotations

import binascii
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import _socket
import struct

from sifgate.client import Client
from sifgate.errors import SifgateError

OPEN_LIMIT = 3.0
"""Seconds that opening the image may take; a dead file server is not waited for."""
COMMAND_LIMIT = 10
"""Seconds that one Slurm command may take."""
TEXT_LIMIT = 65_536
OPTION = "SPANK__SLURM_SPANK_OPTION_"
FORWARDED = (OPTION + "pyxis_", OPTION + "singularity_exec_")
JOB_FIELDS = (
    ("job", "SLURM_JOB_ID"),
    ("uid", "SLURM_JOB_UID"),
    ("gid", "SLURM_JOB_GID"),
    ("nodes", "SLURM_JOB_NUM_NODES"),
    ("node", "SLURMD_NODENAME"),
    ("partition", "SLURM_JOB_PARTITION"),
    ("account", "SLURM_JOB_ACCOUNT"),
    ("qos", "SLURM_JOB_QOS"),
    ("reservation", "SLURM_JOB_RESERVATION"),
)
"""From slurmd, so they can be believed."""


def main(socket: str, posture: str, wait_ms: int) -> None:
    """Tell the agent of the job and its image; cancel the job where the policy wants that from the prolog.

    A job without an image is told of too: the agent believes a job's partition and account only from here.
    """
    fields = [(key, os.environb[name.encode()]) for key, name in JOB_FIELDS if name in os.environ]
    words = declared(os.environ)
    verb = "ask" if wait_ms else "prescan"
    fields += [("door", b"prolog"), ("deadline_ms", b"%d" % (wait_ms or 1000)), *words]
    answer = Client(socket).ask(fields, verb=verb, deadline=wait_ms / 1000 + 3.0, opener=open_as_user)
    if answer.text("action") == "block" and refuses(posture) and is_first_node(os.environ):
        cancel(os.environ["SLURM_JOB_ID"], answer.text("notice"))


def declared(environment: os._Environ[str]) -> list[tuple[str, bytes]]:
    """Return what the job declared as fields of a message: its command line, its container options; empty: nothing."""
    fields: list[tuple[str, bytes]] = []
    for name, value in environment.items():
        if name.startswith(FORWARDED) and len(value) < TEXT_LIMIT:
            fields.append(("env", os.fsencode(f"{name}={value}")))
    line = decoded(environment.get("SPANK_SIFGATE_ARGV", ""))
    fields += [("arg", word) for word in line.split(b"\0")[:-1]]
    cwd = decoded(environment.get("SPANK_SIFGATE_CWD", "")) or os.fsencode(
        environment.get("SLURM_JOB_WORK_DIR", "")
    )
    if fields and cwd.startswith(b"/"):
        fields.append(("cwd", cwd))
    return fields


def decoded(text: str) -> bytes:
    """Return the bytes of base64 text; nothing for text that is none, or too long."""
    if len(text) > TEXT_LIMIT:
        return b""
    try:
        return binascii.a2b_base64(text.encode("ascii"))
    except (ValueError, UnicodeError):
        return b""


def open_as_user(path: bytes, cwd: bytes) -> int:
    """Return a descriptor of the image, opened by a child that has the job's ids; raises OSError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            _open_and_send(theirs, path, cwd)
        finally:
            os._exit(0)
    theirs.close()
    try:
        ours.settimeout(OPEN_LIMIT)
        data, ancillary, _, _ = ours.recvmsg(16, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    finally:
        ours.close()
        os.kill(child, 9)
        os.waitpid(child, os.WNOHANG)  # a child in the hands of a dead file server is not waited for
    for _level, _kind, payload in ancillary:
        return int(struct.unpack("i", payload[:4])[0])
    number = int(data or b"5")
    raise OSError(number, os.strerror(number))


def _open_and_send(link: _socket.socket, path: bytes, cwd: bytes) -> None:
    uid, gid = int(os.environ["SLURM_JOB_UID"]), int(os.environ["SLURM_JOB_GID"])
    try:
        if os.geteuid() == 0:
            os.initgroups(os.environ["SLURM_JOB_USER"], gid)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        image = os.open(
            os.path.join(cwd or b"/", path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        )
    except (OSError, ValueError, KeyError) as error:
        link.send(b"%d" % (getattr(error, "errno", None) or 22))
        return
    link.sendmsg([b"0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", image))])


def refuses(path: str) -> bool:
    """Return whether the policy wants refusals from the prolog too; never for a file that others could write."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            safe = status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022
            return safe and b"\nprolog_refuse yes\n" in file.read(4096)
    except OSError:
        return False


def is_first_node(environment: os._Environ[str]) -> bool:
    """Return whether this node is the job's first: one node cancels, not all of them."""
    listed = environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST", "")
    return first_node(listed) == environment.get("SLURMD_NODENAME", "?")


def first_node(listed: str) -> str:
    """Return the first name of Slurm's host list: "n[01-03,7],m1" → "n01"."""
    head, bracket, rest = listed.partition("[")
    if not bracket or "," in head:
        return head.partition(",")[0]
    inside, _, tail = rest.partition("]")
    name = head + inside.partition(",")[0].partition("-")[0]
    return name + first_node(tail) if tail and not tail.startswith(",") else name


def cancel(job: str, notice: str) -> None:
    """Tell the user and accounting why, then end the job; Slurm keeps AdminComment."""
    line = printable(notice.partition("\n")[0]) or "sifgate: launch refused"
    for command in (
        ["scontrol", "notify", job, line],
        ["scontrol", "update", f"jobid={job}", f"admincomment={line}"],
        ["scancel", job],
    ):
        run(command)


def printable(text: str) -> str:
    """Return text as one safe line: Slurm passes it to terminals and databases."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:400]


def run(command: list[str]) -> None:
    """Run a Slurm command for at most COMMAND_LIMIT seconds; its failure is logged, nothing else."""
    environment = {name: os.environ[name] for name in ("PATH", "SLURM_CONF") if name in os.environ}
    words = ["timeout", "-k", "1", str(COMMAND_LIMIT), *command]
    status = os.waitpid(os.posix_spawnp(words[0], words, environment), 0)[1]
    if status:
        log(f"{' '.join(command[:2])}: status {status}")


def log(text: str) -> None:
    """Write one line to syslog."""
    import syslog

    syslog.openlog("sifgate-prolog", 0, syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_WARNING, printable(f"job {os.environ.get('SLURM_JOB_ID', '?')}: {text}"))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except (SifgateError, OSError, ValueError, KeyError, IndexError) as problem:
        log(f"image not looked up: {problem}")
