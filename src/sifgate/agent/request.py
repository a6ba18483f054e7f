# SPDX-License-Identifier: Apache-2.0
"""An `ask` message and its peer → launches; what a peer only claims is kept apart from what counts."""

from __future__ import annotations

import os.path
from functools import lru_cache

import msgspec

from sifgate.agent.peer import Names, Peer
from sifgate.errors import ProtocolError
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.origin.sighting import RawLaunch, Sighting
from sifgate.origin.slurm import sightings
from sifgate.wire import Message

_JOB_TEXTS = ("node", "partition", "account", "qos", "reservation")
_CLAIMS = ("uid", "gid", "job", "step", "nodes", *_JOB_TEXTS)
_REASON_LIMIT = 1024
_NAME_LIMIT = 256
_DOORS = {door.value: door for door in Door}
OWN_DOORS = frozenset({Door.WRAPPER, Door.APPTAINER_PLUGIN, Door.OCI_HOOK, Door.ENROOT_HOOK, Door.SUBMIT})
"""Doors whose shims run as the user; he may name them, since none of them binds him (docs/decisions/doors.md)."""
_OWN_PATHS = frozenset({Door.WRAPPER, Door.APPTAINER_PLUGIN, Door.GUARD})
"""Doors whose shim is the process that is launched, or opens in its place."""
_HOOKS = frozenset({Door.OCI_HOOK, Door.ENROOT_HOOK})
"""Doors at which a container starts in any case, whatever is or is not told of it."""
QUICK_BYTES = 4096
"""Bytes of a message that is parsed in the loop, in a few milliseconds at worst; a longer one elsewhere."""
_REMEMBERED_WORDS = 100
"""Words of a quick launch whose parse is worth remembering; longer ones are rare and would fill the memory."""


class Asker(msgspec.Struct, frozen=True):
    """Who asks, for whom, through which door; the same for all launches of one message."""

    door: Door
    requester: Requester
    job: JobFacts
    claimed: dict[str, str]


def uid_of(message: Message, peer: Peer) -> int:
    """Return the user that the launch is for; raises ProtocolError for a number that is none."""
    return peer.uid or _bounded(message, "uid", 0, 2**32 - 2)


def pid_of(message: Message, peer: Peer) -> int:
    """Return the process that the launch is of: the peer, or the one that root names (guard)."""
    return peer.pid if peer.uid else _bounded(message, "pid", 0, 2**31 - 1) or peer.pid


def asker_of(message: Message, peer: Peer, names: Names, cgroup_job: JobFacts) -> Asker:
    """Return who asks. `cgroup_job` counts where root names no job itself; raises ProtocolError for bad numbers."""
    if peer.uid:
        requester = Requester(peer.uid, peer.gid, names.user, names.groups)
        claimed = {key: message.text(key)[:_NAME_LIMIT] for key in _CLAIMS if message.first(key)}
        named = _DOORS.get(message.text("door"))
        if named in OWN_DOORS:
            return Asker(named, requester, cgroup_job, claimed)
        if message.first("door"):
            claimed = {"door": message.text("door")[:_NAME_LIMIT], **claimed}
        return Asker(Door.CLI, requester, cgroup_job, claimed)
    uid = uid_of(message, peer)
    requester = Requester(
        uid, _bounded(message, "gid", -1, 2**32 - 2), names.user, names.groups, trusted=True
    )
    door = _DOORS.get(message.text("door", "cli"))
    if door is None:
        raise ProtocolError(f"unknown door {message.text('door')!r}")
    return Asker(door, requester, _job(message) or cgroup_job, {})


def _job(message: Message) -> JobFacts | None:
    if not message.first("job"):
        return None
    node, partition, account, qos, reservation = (message.text(key)[:_NAME_LIMIT] for key in _JOB_TEXTS)
    return JobFacts(
        job_id=_bounded(message, "job", 0, 2**32),
        step_id=_bounded(message, "step", -1, 2**32),
        node=node,
        nodes=_bounded(message, "nodes", 1, 2**24),
        partition=partition,
        account=account,
        qos=qos,
        reservation=reservation,
    )


def _bounded(message: Message, key: str, least: int, most: int) -> int:
    value = message.number(key, least)
    if not least <= value <= most:
        raise ProtocolError(f"field {key}: {value} is not between {least} and {most}")
    return value


def launches_of(message: Message, asker: Asker) -> tuple[LaunchEvent, ...]:
    """Return the launches that a message tells of; none where no known runtime is started. Pure; may take seconds."""
    cwd = message.text("cwd")
    return tuple(
        launch_of(message, asker, sighting)
        for sighting in _seen(message, cwd, own_paths=asker.door in _OWN_PATHS, hook=asker.door in _HOOKS)
        if not (asker.door is Door.SUBMIT and _is_idle_guess(sighting))
    )


def _is_idle_guess(sighting: Sighting) -> bool:
    """Return whether a script may start something that only its run can tell: no ground to refuse a submission."""
    return sighting.guess and sighting.reference.kind is ReferenceKind.UNKNOWN


def launch_of(message: Message, asker: Asker, sighting: Sighting) -> LaunchEvent:
    """Return the launch that was seen in a message."""
    return LaunchEvent(
        door=asker.door,
        requester=asker.requester,
        reference=sighting.reference,
        job=asker.job,
        cwd=message.text("cwd"),
        argv=sighting.argv,
        content_injected=sighting.content_injected,
        reason=message.text("reason")[:_REASON_LIMIT],
        name=message.text("name")[:_NAME_LIMIT],
        word=sighting.word,
        claimed=asker.claimed,
    )


def _seen(message: Message, cwd: str, *, own_paths: bool, hook: bool) -> tuple[Sighting, ...]:
    if message.first("truncated"):
        reference = ImageReference("(a launch too long to send)", ReferenceKind.UNKNOWN)
        return (Sighting(reference),)
    path = message.first("path")
    if not path and hook:
        return (Sighting(ImageReference("(a container of which nothing is told)", ReferenceKind.UNKNOWN)),)
    if path:
        given = message.every("arg") if message.first("arg") else []
        argv = tuple(word.decode("utf-8", "surrogateescape") for word in given)
        return (Sighting(_named(path, cwd), argv),)
    words = tuple([field for field in message.fields if field[0] in _RAW])
    if len(words) > _REMEMBERED_WORDS or message.size > QUICK_BYTES:
        return _parse(words, own_paths)
    return _remembered(words, own_paths)


_RAW = frozenset({"arg", "env", "cwd", "multiprog", "script"})


def _parse(words: tuple[tuple[str, bytes], ...], own_paths: bool) -> tuple[Sighting, ...]:  # noqa: FBT001 - lru_cache keys it by place
    message = Message("ask", words)
    environment = (value.decode("utf-8", "surrogateescape").partition("=") for value in message.every("env"))
    return sightings(
        RawLaunch(
            argv=tuple(value.decode("utf-8", "surrogateescape") for value in message.every("arg")),
            env={name: value for name, _, value in environment},
            cwd=message.text("cwd"),
            multiprog=message.first("multiprog") == b"1",
            script=message.text("script"),
            own_paths=own_paths,
        )
    )


_remembered = lru_cache(maxsize=2048)(_parse)


def _named(path: bytes, cwd: str) -> ImageReference:
    text = path.decode("utf-8", "surrogateescape")
    if not text.startswith("/") and not cwd.startswith("/"):
        return ImageReference(text, ReferenceKind.UNKNOWN)
    return ImageReference(text, ReferenceKind.PATH, os.path.join(cwd, text))  # noqa: PTH118 - bytes as the user typed them; Path would drop `./` and `//`
