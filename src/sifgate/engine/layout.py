# SPDX-License-Identifier: Apache-2.0
"""The engine's files: where each part keeps what, owned by whom, with which mode.

::

    state/                  0755 root      (as a user: 0700, everything his own)
    ├── bin/clair           0755 root      the checked copy that Clair's uid can reach
    ├── certificates/       0755 root      public: clair.crt mirror.crt server.crt roots.pem
    ├── feeds/              0755 root      KEV, EPSS and end-of-life dates for the server
    ├── secrets/PART/       0700 PART      keys that only this part reads, 0600 each
    ├── postgres/           0700 db        data/ and its configuration
    ├── clair/              0700 clair     clair.json, tmp/
    └── server/             0700 server
    run/                    0755 root      engine.json server.json agent.sock
    └── postgres/           0750 db:db     the socket; its clients hold the group
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sifgate import fsguard
from sifgate.config import Places
from sifgate.engine.accounts import Account, Accounts
from sifgate.errors import EngineError

PORT_NAME = 5432
"""PostgreSQL names its socket after a port, though it listens on none."""
_LONGEST_SOCKET = 107  # sun_path has 108 bytes with its NUL (unix(7))


class Layout(msgspec.Struct, frozen=True):
    """Paths of the engine for one set of places."""

    places: Places

    @property
    def database(self) -> Path:
        """PostgreSQL's own directory."""
        return self.places.state / "postgres"

    @property
    def socket_directory(self) -> Path:
        """Where PostgreSQL's socket is: the `host` of every connection string."""
        return self.places.run / "postgres"

    @property
    def clair(self) -> Path:
        """Clair's own directory."""
        return self.places.state / "clair"

    @property
    def server(self) -> Path:
        """The server's own directory."""
        return self.places.state / "server"

    @property
    def feeds(self) -> Path:
        """Feeds that the server reads."""
        return self.places.state / "feeds"

    @property
    def certificates(self) -> Path:
        """Public halves of the certificates."""
        return self.places.state / "certificates"

    @property
    def program(self) -> Path:
        """The copy of Clair that is run."""
        return self.places.state / "bin" / "clair"

    @property
    def state_file(self) -> Path:
        """What the supervisor says about its parts."""
        return self.places.run / "engine.json"

    @property
    def server_file(self) -> Path:
        """Where the agent finds the server."""
        return self.places.run / "server.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.places.run / "engine.lock"

    def secrets(self, part: str) -> Path:
        """Return the directory of the keys of one part."""
        return self.places.state / "secrets" / part

    def log(self, part: str) -> Path:
        """Return the log file of one part."""
        return self.places.log / f"{part}.log"


def prepare(layout: Layout, accounts: Accounts) -> None:
    """Make the directories with their owners and modes, or raise: `UnsafeFile`, `EngineError` for a path too long."""
    _check_socket_paths(layout)
    places = layout.places
    shared = 0o755 if accounts.separate else 0o700
    for place in (places.etc, places.run, places.state, places.log):
        _directory(place, accounts.agent, shared)
        fsguard.check(place, owner_uid=os.geteuid())
    for place in (layout.certificates, layout.feeds, layout.program.parent, places.state / "secrets"):
        _directory(place, accounts.agent, shared)
    for place, owner in (
        (layout.database, accounts.db),
        (layout.clair, accounts.clair),
        (layout.clair / "tmp", accounts.clair),
        (layout.server, accounts.server),
        (layout.secrets("agent"), accounts.agent),
        (layout.secrets("clair"), accounts.clair),
        (layout.secrets("mirror"), accounts.clair),
        (layout.secrets("server"), accounts.server),
    ):
        _directory(place, owner, 0o700)
    _directory(layout.socket_directory, accounts.db, 0o750 if accounts.separate else 0o700)
    _check_reachable(places.state, accounts)


def _directory(place: Path, owner: Account, mode: int) -> None:
    """Make a directory, or bring owner and mode of an existing one in order; refuse anything else of that name."""
    try:
        place.mkdir(mode=mode, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as error:
        raise EngineError(f"{place}: not a directory", hint=f"remove it: rm {place}") from error
    except OSError as error:
        raise EngineError(
            f"{place}: {error.strerror}", hint="choose another place with --root DIR"
        ) from error
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _check_socket_paths(layout: Layout) -> None:
    for socket in (layout.socket_directory / f".s.PGSQL.{PORT_NAME}", layout.places.run / "agent.sock"):
        length = len(os.fsencode(socket))
        if length > _LONGEST_SOCKET:
            raise EngineError(
                f"{socket}: {length} bytes, but the path of a unix socket has at most {_LONGEST_SOCKET}",
                hint="choose a shorter place: --root DIR, or XDG_RUNTIME_DIR",
            )


def _check_reachable(place: Path, accounts: Accounts) -> None:
    """Raise if the parts' uids could not even enter the directories above their own."""
    if not accounts.separate:
        return
    for parent in (place, *place.parents):
        if not parent.stat().st_mode & 0o001:
            raise EngineError(
                f"{parent}: the parts of the engine run as users of their own and cannot enter it",
                hint=f"chmod o+x {parent}, or choose another place with --root DIR",
            )
