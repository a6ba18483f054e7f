# SPDX-License-Identifier: Apache-2.0
"""Another local user gets nothing from any socket or port, and cannot pass for a part of the engine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.conftest import RunningEngine, user

from sifgate.agent.remote import Remote
from sifgate.client import Client
from sifgate.config import ServerSettings
from sifgate.engine import advisories, clair, keys, parts, report
from sifgate.errors import AgentUnreachable, ClairUnavailable, ServerUnreachable

pytestmark = [pytest.mark.engine, pytest.mark.root]
STRANGER = 61234
PATHS = (
    "/indexer/api/v1/index_state",
    "/indexer/api/v1/index_report",
    "/matcher/api/v1/internal/update_operation",
    "/openapi/v1",
    "/v1/status",
    "/v1/verdicts/" + "0" * 64,
    "/metrics",
    "/debug/pprof/heap",
    "/tracker/data/json",
    "/",
)
PROBE = """
import http.client, json, ssl, sys
context = ssl._create_unverified_context()
answers = {}
for path in sys.argv[2:]:
    for kind in (http.client.HTTPSConnection, http.client.HTTPConnection):
        try:
            options = {"context": context} if kind is http.client.HTTPSConnection else {}
            link = kind("127.0.0.1", int(sys.argv[1]), timeout=10, **options)
            link.request("GET", path)
            answer = link.getresponse()
            answers[kind.__name__ + path] = [answer.status, answer.read(2000).decode(errors="replace")]
        except OSError as error:
            answers[kind.__name__ + path] = [0, str(error)]
        except http.client.HTTPException as error:
            answers[kind.__name__ + path] = [0, str(error)]
print(json.dumps(answers))
"""


def _ports(engine: RunningEngine) -> dict[int, str]:
    """Return every TCP port on which a process of the engine listens, with its part."""
    told = report.alive(engine.layout.state_file)
    assert told is not None
    found = {}
    for name, part in told.parts.items():
        process = part.process.find() if part.process else None
        for member in [process, *process.children(recursive=True)] if process else []:
            for link in member.net_connections("inet"):
                if link.status == psutil.CONN_LISTEN:
                    assert link.laddr.ip == "127.0.0.1", f"{name} listens on {link.laddr}"
                    found[link.laddr.port] = name
    return found


def test_ports_answer_nothing_to_a_stranger(gate: RunningEngine) -> None:
    """Every port is on loopback, and another uid gets neither data nor profiles from it, only refusals."""
    ports = _ports(gate)
    assert sorted(ports.values()) == ["clair", "mirror", "server"]
    for port, name in ports.items():
        done = user([PROBE, str(port), *PATHS], STRANGER)
        assert done.returncode == 0, done.stderr
        for path, (status, body) in json.loads(done.stdout).items():
            assert status in {0, 400, 401, 404}, f"{name} answers {status} to {path}: {body}"
            assert "sifgate" not in body.lower() or status == 401, f"{name} {path}: {body}"


def test_database_lets_nobody_in(gate: RunningEngine) -> None:
    """Another uid cannot reach the socket; even in the directory it would be no role."""
    path = gate.layout.socket_directory / ".s.PGSQL.5432"
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    done = user([code], STRANGER)
    assert "PermissionError" in done.stderr
    group = gate.layout.socket_directory.stat().st_gid
    done = user(["import os; print(os.getgroups())"], STRANGER)
    assert str(group) not in done.stdout


def test_parts_keep_apart(gate: RunningEngine) -> None:
    """Each part has its own uid, only the agent is root, and roles follow the uid: Clair is not the server."""
    told = report.alive(gate.layout.state_file)
    assert told is not None
    uids = {
        name: psutil.Process(part.process.pid).uids().real
        for name, part in told.parts.items()
        if part.process
    }
    assert uids["agent"] == 0
    assert len({uids["database"], uids["clair"], uids["server"], 0}) == 4
    identities = (gate.layout.database / "pg_ident.conf").read_text()
    assert '"sifgate-clair" clair' in identities
    assert '"sifgate-clair" sifgate' not in identities
    assert '"sifgate-server" postgres' not in identities


def test_secrets_on_disk(gate: RunningEngine) -> None:
    """No file below state, run or log can be read by a stranger, except certificates, reports and feeds."""
    public = {gate.layout.certificates, gate.layout.feeds, gate.layout.program.parent, gate.places.run}
    for top in (gate.places.state, gate.places.run, gate.places.log):
        for file in top.rglob("*"):
            facts = file.lstat()
            if not stat.S_ISREG(facts.st_mode) or file.parent in public or _is_closed(file.parent, top):
                continue
            assert stat.S_IMODE(facts.st_mode) & 0o007 == 0, (
                f"{file} has mode {stat.S_IMODE(facts.st_mode):o}"
            )


def _is_closed(directory: Path, top: Path) -> bool:
    """Return whether strangers cannot enter a directory or one above it."""
    return any(not place.stat().st_mode & 0o007 for place in (directory, *directory.parents) if place != top)


def test_secrets_are_in_no_command_line(gate: RunningEngine) -> None:
    """What `ps` shows to everybody holds neither key nor token nor password."""
    secrets = [file.read_text(errors="replace").strip() for file in (gate.psk_file, gate.token_file)]
    secrets.append((gate.layout.secrets("mirror") / "password").read_text().strip())
    told = report.alive(gate.layout.state_file)
    assert told is not None
    for part in told.parts.values():
        words = " ".join(psutil.Process(part.process.pid).cmdline()) if part.process else ""
        assert not [secret for secret in secrets if secret in words]
    for file in (gate.layout.state_file, gate.layout.server_file):
        assert not [secret for secret in secrets if secret in file.read_text()]


@contextlib.contextmanager
def _impostor(engine: RunningEngine, directory: Path) -> Iterator[int]:
    """Run a listener of a stranger's that answers 200 to everything over TLS with a certificate of its own."""
    code = """
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"state": "fine"}')
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"""
    import subprocess

    # Even the key of another part of this engine (here Clair's host name and all) must not be good enough.
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(keys.certificate_file(engine.layout, "mirror")),
         str(keys.key_file(engine.layout, "mirror"))],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=directory,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


def test_impostor_is_not_believed(gate: RunningEngine, tmp_path: Path) -> None:
    """Who listens on a freed port, even with another part's key, is neither Clair nor the server."""
    with _impostor(gate, tmp_path) as port:
        assert not clair.is_ready(gate.layout, port)
        assert not parts._speaks_tls(port, keys.certificate_file(gate.layout, "server"))
        with pytest.raises(ClairUnavailable):
            advisories.operations(clair.address(gate.layout, f"https://127.0.0.1:{port}"))
        server = ServerSettings(
            url=f"https://127.0.0.1:{port}",
            certificate_file=keys.certificate_file(gate.layout, "server"),
            token_file=gate.token_file,
        )
        with pytest.raises(ServerUnreachable):
            Remote(server).verdict("0" * 64)


def test_each_client_believes_one_certificate(gate: RunningEngine) -> None:
    """The certificate of Clair opens no connection to the server, and the other way round."""
    told = report.alive(gate.layout.state_file)
    assert told is not None
    ports = {name: int(part.address.rpartition(":")[2]) for name, part in told.parts.items() if part.address}
    for name, port in ports.items():
        for other in ports:
            context = ssl.create_default_context(cafile=str(keys.certificate_file(gate.layout, other)))
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                if other == name:
                    context.wrap_socket(plain, server_hostname="127.0.0.1").close()
                else:
                    with pytest.raises(ssl.SSLCertVerificationError):
                        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_agent_answers_and_nobody_else_can(gate: RunningEngine) -> None:
    """The agent's socket stands in a directory that only root can write; without it there is an outage, no answer."""
    facts = gate.places.run.stat()
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (0, 0o755)
    done = user([f"open({str(gate.places.run / 'agent2.sock')!r}, 'w')"], STRANGER)
    assert "PermissionError" in done.stderr
    assert json.loads(Client(str(gate.places.run / "agent.sock")).query("status"))["enforces"] is True
    with pytest.raises(AgentUnreachable):
        Client(str(gate.places.run / "none.sock")).query("status")
    assert os.geteuid() == 0
