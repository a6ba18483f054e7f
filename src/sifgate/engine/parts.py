# SPDX-License-Identifier: Apache-2.0
"""The parts that the supervisor runs, in the order of their start: database, mirror, clair, server, agent."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from sifgate.engine import clair, keys, postgres
from sifgate.engine.accounts import Account, Accounts
from sifgate.engine.clairbuild import CLAIR_VERSION
from sifgate.engine.layout import Layout
from sifgate.engine.settings import EngineSettings

NAMES = ("database", "mirror", "clair", "server", "agent")
MARK = "SIFGATE_ENGINE"
"""In the environment of every part: the `run` directory of its engine, by which `down` finds what is left of it."""
_MB = 1 << 20


class Engine(msgspec.Struct, frozen=True):
    """Everything that does not change while the engine runs."""

    layout: Layout
    accounts: Accounts
    settings: EngineSettings
    without: frozenset[str] = frozenset()
    directories: tuple[Path, ...] = ()
    """Further advisories beside the shipped ones."""
    root: str = ""
    """What `--root` said, for the agent."""

    def names(self) -> tuple[str, ...]:
        """Return the parts that are to run: not those left out, nor those that the site brings itself."""
        theirs = set()
        if self.settings.database.dsn:
            theirs.add("database")
        if self.settings.clair.url:
            theirs |= {"mirror", "clair"}
        if self.settings.advisories.source != "builtin":
            theirs.add("mirror")
        return tuple(name for name in NAMES if name not in theirs | self.without)


class Part(msgspec.Struct, frozen=True):
    """One process to be kept running."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    account: Account
    is_ready: Callable[[], bool]
    patience: float = 60.0
    """Seconds from start to readiness."""
    after: Callable[[], None] | None = None
    """Done each time it has become ready."""
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)
    data_limit: int = 0
    """Bytes of private memory (RLIMIT_DATA); 0: no limit."""


def part(engine: Engine, name: str, ports: dict[str, int]) -> Part:
    """Return a part ready to be started on these ports; writes its configuration."""
    return _BUILDERS[name](engine, ports)


def _python(engine: Engine, module: str, *arguments: str | Path) -> tuple[str, ...]:
    del engine
    return (sys.executable, "-I", "-m", module, *map(str, arguments))


def _plain_environment(engine: Engine) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(engine.layout.places.state)}


def _database(engine: Engine, ports: dict[str, int]) -> Part:
    del ports
    layout = engine.layout
    postgres.initialise(layout, engine.accounts.db)
    postgres.configure(layout, engine.accounts)
    return Part(
        "database", tuple(postgres.server_command(layout)), postgres.environment(), engine.accounts.db,
        is_ready=lambda: postgres.is_ready(layout), after=lambda: postgres.populate(layout),
        stop_signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
    )  # fmt: skip


def _mirror(engine: Engine, ports: dict[str, int]) -> Part:
    layout, port = engine.layout, ports["mirror"]
    more = [word for directory in engine.directories for word in ("--directory", directory)]
    command = _python(
        engine, "sifgate.engine.mirror", "--port", str(port), "--tls-cert", keys.certificate_file(layout, "mirror"),
        "--tls-key", keys.key_file(layout, "mirror"), "--password-file", layout.secrets("mirror") / "password", *more,
    )  # fmt: skip
    return Part(
        "mirror", command, _plain_environment(engine), engine.accounts.clair,
        is_ready=lambda: _speaks_tls(port, keys.certificate_file(layout, "mirror")),
    )  # fmt: skip


def _clair(engine: Engine, ports: dict[str, int]) -> Part:
    layout, port = engine.layout, ports["clair"]
    clair.configure(
        layout, engine.settings, engine.accounts.clair, port=port, mirror_url=mirror_url(engine, ports),
        directories=engine.directories,
    )  # fmt: skip
    return Part(
        "clair", (str(layout.program),), clair.environment(layout, engine.settings), engine.accounts.clair,
        is_ready=lambda: clair.is_ready(layout, port), patience=120.0,
        data_limit=engine.settings.clair.memory_mb * _MB,
    )  # fmt: skip


def _server(engine: Engine, ports: dict[str, int]) -> Part:
    layout, port = engine.layout, ports["server"]
    theirs = engine.settings.clair
    secrets = layout.secrets("server")
    version = () if theirs.url else ("--clair-version", CLAIR_VERSION)
    certificate = keys.certificate_file(layout, "server")
    command = _python(
        engine, "sifgate.server.main", "--listen", f"127.0.0.1:{port}", "--database", server_dsn(engine),
        "--clair", clair_url(engine, ports), "--clair-psk-file", theirs.psk_file if theirs.url else secrets / "psk",
        "--clair-ca", _clair_trust(engine), *version,
        "--tls-cert", certificate, "--tls-key", keys.key_file(layout, "server"),
        "--tokens-file", secrets / "tokens", "--manifest-key-file", secrets / "manifest.key",
        "--heads-key-file", secrets / "heads.key",
        "--state", layout.server, "--feeds", layout.feeds, *_package_support(engine),
    )  # fmt: skip
    return Part(
        "server", command, _plain_environment(engine), engine.accounts.server,
        is_ready=lambda: _speaks_tls(port, certificate), after=lambda: _announce(engine, port),
    )  # fmt: skip


def _package_support(engine: Engine) -> tuple[str, ...]:
    directory = engine.settings.package_support
    return ("--package-support", directory) if directory else ()


def _agent(engine: Engine, ports: dict[str, int]) -> Part:
    del ports
    root = ("--root", engine.root) if engine.root else ()
    socket_path = engine.layout.places.run / "agent.sock"
    return Part(
        "agent", _python(engine, "sifgate.agent.main", *root), _agent_environment(engine), engine.accounts.agent,
        is_ready=lambda: _listens(socket_path),
    )  # fmt: skip


_BUILDERS = {"database": _database, "mirror": _mirror, "clair": _clair, "server": _server, "agent": _agent}


def _agent_environment(engine: Engine) -> dict[str, str]:
    """Return the agent's environment: it finds its places by XDG variables when it runs as a user."""
    import os

    names = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    kept = (
        {} if engine.accounts.separate else {name: os.environ[name] for name in names if name in os.environ}
    )
    return _plain_environment(engine) | kept


def mirror_url(engine: Engine, ports: dict[str, int]) -> str:
    """Return the URL of our mirror with its password, for Clair's eyes only; empty where there is none."""
    if "mirror" not in engine.names():
        return ""
    from sifgate.engine.mirror import USER

    password = (engine.layout.secrets("mirror") / "password").read_text().strip()
    return f"https://{USER}:{password}@127.0.0.1:{ports['mirror']}/"


def clair_url(engine: Engine, ports: dict[str, int]) -> str:
    """Return the URL of the site's Clair, else of ours."""
    return engine.settings.clair.url or f"https://127.0.0.1:{ports['clair']}"


def server_dsn(engine: Engine) -> str:
    """Return the connection string of the server's database."""
    return engine.settings.database.dsn or postgres.connection(engine.layout, "sifgate", "sifgate")


def _clair_trust(engine: Engine) -> Path | str:
    theirs = engine.settings.clair
    if not theirs.url:
        return keys.certificate_file(engine.layout, "clair")
    return theirs.ca_file or engine.layout.certificates / "roots.pem"


def _announce(engine: Engine, port: int) -> None:
    """Tell the agent where the server is."""
    content = {
        "url": f"https://127.0.0.1:{port}",
        "certificate_file": str(keys.certificate_file(engine.layout, "server")),
        "token_file": str(engine.layout.secrets("agent") / "token"),
    }
    keys.write(engine.layout.server_file, msgspec.json.encode(content), engine.accounts.agent, mode=0o644)


def _speaks_tls(port: int, certificate: Path) -> bool:
    """Return whether who listens on the port holds the key of exactly this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            return True
    except OSError:
        return False


def _listens(path: Path) -> bool:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        link.settimeout(5)
        link.connect(str(path))
    except OSError:
        return False
    finally:
        link.close()
    return True
