# SPDX-License-Identifier: Apache-2.0
"""Where sifgate keeps its files, and the settings in `sifgate.yaml`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sifgate.yamlnode import Node


class Places(msgspec.Struct, frozen=True):
    """The five directories of docs/protocol.md §3."""

    etc: Path
    run: Path
    state: Path
    log: Path
    cache: Path

    @classmethod
    def under(cls, root: Path) -> Places:
        """Return the places below one directory (`--root DIR`)."""
        return cls(
            etc=root / "etc", run=root / "run", state=root / "state", log=root / "log", cache=root / "cache"
        )

    @classmethod
    def of_system(cls) -> Places:
        """Return the places of an installation that root runs."""
        return cls(
            etc=Path("/etc/sifgate"),
            run=Path("/run/sifgate"),
            state=Path("/var/lib/sifgate"),
            log=Path("/var/log/sifgate"),
            cache=Path("/var/cache/sifgate"),
        )

    @classmethod
    def of_user(cls, environment: dict[str, str], home: Path) -> Places:
        """Return the XDG places of a user (base directory specification 0.8: relative values are ignored)."""

        def base(name: str, default: Path) -> Path:
            value = environment.get(name, "")
            return Path(value) if value.startswith("/") else default

        state = base("XDG_STATE_HOME", home / ".local/state") / "sifgate"
        runtime = base("XDG_RUNTIME_DIR", state / "run")
        return cls(
            etc=base("XDG_CONFIG_HOME", home / ".config") / "sifgate",
            run=runtime / "sifgate" if runtime != state / "run" else runtime,
            state=state,
            log=state / "log",
            cache=base("XDG_CACHE_HOME", home / ".cache") / "sifgate",
        )

    @classmethod
    def here(cls, root: str = "") -> Places:
        """Return the places for this process: `root` if given, the system's for uid 0, else the user's."""
        if root:
            return cls.under(Path(root).resolve())
        if os.geteuid() == 0:
            return cls.of_system()
        return cls.of_user(dict(os.environ), Path.home())


class ServerSettings(msgspec.Struct, frozen=True):
    """Where the server is and how agent and server know each other."""

    url: str = ""
    """Empty: `<run>/server.json`, which the embedded engine writes, is read instead."""
    certificate_file: Path = Path()
    """PEM of the server's certificate, or of the one authority that may sign it: nothing else is believed."""
    token_file: Path = Path()
    """The node's token, one line; readable by the agent only."""


class Shares(msgspec.Struct, frozen=True):
    """What one user may cost the node and the site; checked before work starts."""

    asks_per_second: int = 500
    """Asks of a peer that is not root; past them the agent answers later, not less."""
    connections: int = 256
    """Open conversations of a peer that is not root."""
    cold_scans: int = 2
    """Images of one user read at the same time; others wait their turn."""
    new_images_per_hour: int = 60
    """Images of one user that this node had never seen."""
    upload_bytes_per_hour: int = 2 << 30
    """Bytes of slim layers sent for one user."""


class AgentSettings(msgspec.Struct, frozen=True):
    """The node's daemon."""

    worker_uid: int = -1
    """User id of the sandboxed worker; -1: when root `sifgate-scan` or one of nobody, else the agent's."""
    workers: int = 2
    """Images read at the same time."""
    file_systems: tuple[str, ...] = (
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        "tmpfs",
        "zfs",
        "overlay",
        "squashfs",
        "erofs",
    )
    """Local file systems whose file identities are believed; never FUSE, whatever stands here."""
    network_file_systems: tuple[str, ...] = ("nfs", "lustre", "beegfs", "gpfs", "ceph")
    """File systems whose files are known by mount source and file handle."""
    unleased_life: float = 300.0
    """Seconds that a file's identity is believed where no read lease could be had while it was read."""
    refresh_after: float = 900.0
    """Seconds after which a verdict in use is asked for again, behind the launch's back."""
    stale_after: float = 7 * 86_400.0
    """Seconds without a word from the server after which a verdict is `stale`."""
    cache_bytes: int = 512 << 20
    """Bytes of verdicts kept on the node's disk."""
    connections: int = 8192
    """Open conversations in all."""
    deadline: float = 600.0
    """Seconds that a conversation of the command line may last; a launch waits the policy's `scan_wait`."""
    judged_when_pulled: bool = False
    """Whether the doors of Slurm leave `docker://…` and the like to the wrapper (or Enroot's hook), which judges what
    was pulled; without it they are `unresolved` there."""
    squeue: Path = Path("/usr/bin/squeue")
    """Tells partition, account, QOS and reservation of a job that no prolog has told of; run only if nobody but root
    could have written it."""
    shares: Shares = Shares()


class AuditSettings(msgspec.Struct, frozen=True):
    """The audit log and its way to the server."""

    group: str = ""
    """Members may read all records; empty: root only."""
    ship: bool = True
    """Send records to the server."""
    batch: int = 200
    """Records of one request."""
    spool_bytes: int = 256 << 20
    """Bytes of records that may wait for the server; past them the oldest stay on the node only, counted."""
    pseudonymise: tuple[str, ...] = ()
    """Fields that leave the node under pseudonyms (`sifgate.audit.pseudonym.FIELDS`)."""
    pseudonym_key: Path = Path("/etc/sifgate/pseudonym.key")
    """The site's key of pseudonyms, 32 bytes or more, readable by root only; the same on all nodes."""
    forward: tuple[str, ...] = ()
    """Where each record goes as it is written, beside the log: `syslog`, `journald`."""


class Settings(msgspec.Struct, frozen=True):
    """`sifgate.yaml`."""

    server: ServerSettings = ServerSettings()
    agent: AgentSettings = AgentSettings()
    audit: AuditSettings = AuditSettings()
    engine: dict[str, Any] = {}
    """The section of the embedded engine, as written; `sifgate.engine` knows its keys."""


PSEUDONYMS = (
    "user", "uid", "gid", "groups", "account", "image", "path", "name", "cwd", "argv", "content_injected",
    "user_reason", "claimed",
)  # fmt: skip
"""Fields of a record that can be pseudonymised."""
FORWARD = ("syslog", "journald")
_YEAR = timedelta(days=365)
_Reader = Callable[["Node"], Any]


def _whole(minimum: int, maximum: int) -> _Reader:
    return lambda node: node.integer(minimum=minimum, maximum=maximum)


def _seconds(minimum: float = 0.0) -> _Reader:
    return lambda node: node.duration(minimum=timedelta(seconds=minimum), maximum=_YEAR).total_seconds()


def _words(node: Node) -> tuple[str, ...]:
    return tuple(item.text(maximum=32) for item in node.sequence(maximum=64))


def _among(words: tuple[str, ...]) -> _Reader:
    def read(node: Node) -> tuple[str, ...]:
        return tuple(item.choice(words) for item in node.sequence(maximum=64))

    return read


def _file(node: Node) -> Path:
    path = Path(node.text(maximum=4095))
    if not path.is_absolute():
        raise node.error("a path must be absolute", hint="begin it with /")
    return path


def _url(node: Node) -> str:
    url = node.text()
    if not url.startswith("https://"):
        raise node.expected("a URL that begins with https://")
    return url.rstrip("/")


def _yes(node: Node) -> bool:
    return node.boolean()


def _name(node: Node) -> str:
    return node.text(maximum=256)


def _section(kind: type[msgspec.Struct], readers: dict[str, _Reader]) -> _Reader:
    def read(node: Node) -> msgspec.Struct:
        found = node.mapping(keys=readers)
        return kind(**{key: readers[key](value) for key, value in found.items()})

    return read


_SHARES = _section(
    Shares,
    {
        "asks_per_second": _whole(1, 100_000),
        "connections": _whole(1, 4096),
        "cold_scans": _whole(1, 64),
        "new_images_per_hour": _whole(1, 1_000_000),
        "upload_bytes_per_hour": _whole(1 << 20, 1 << 44),
    },
)
_SECTIONS: dict[str, _Reader] = {
    "server": _section(ServerSettings, {"url": _url, "certificate_file": _file, "token_file": _file}),
    "agent": _section(
        AgentSettings,
        {
            "worker_uid": _whole(-1, 2**32 - 2),
            "workers": _whole(1, 64),
            "file_systems": _words,
            "network_file_systems": _words,
            "unleased_life": _seconds(),
            "refresh_after": _seconds(1),
            "stale_after": _seconds(60),
            "cache_bytes": _whole(1 << 20, 1 << 40),
            "connections": _whole(16, 65_536),
            "deadline": _seconds(1),
            "judged_when_pulled": _yes,
            "squeue": _file,
            "shares": _SHARES,
        },
    ),
    "audit": _section(
        AuditSettings,
        {
            "group": _name,
            "ship": _yes,
            "batch": _whole(1, 1000),
            "spool_bytes": _whole(1 << 20, 1 << 40),
            "pseudonymise": _among(PSEUDONYMS),
            "pseudonym_key": _file,
            "forward": _among(FORWARD),
        },
    ),
    "engine": lambda node: {key: value.plain() for key, value in node.mapping().items()},
}


def load_settings(path: Path) -> Settings:
    """Return the settings in `path`; the defaults where there is no such file.

    Raises ConfigError with file, line and column. Does not check who could have written it: `fsguard` does.
    """
    from sifgate import yamlfile  # late: Places are used where no settings are

    if not path.exists():
        return Settings()
    fields = yamlfile.load(path).mapping(keys=_SECTIONS)
    return Settings(**{key: _SECTIONS[key](node) for key, node in fields.items()})


def server_from_engine(run: Path) -> ServerSettings:
    """Return the server that the embedded engine announces in `<run>/server.json`; empty settings where there is none.

    Raises ConfigError where the file holds something else.
    """
    from sifgate.errors import ConfigError

    path = run / "server.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ServerSettings()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=ServerSettings, dec_hook=lambda kind, value: kind(value))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="`sifgate down` and `sifgate up` write it anew") from error
