# SPDX-License-Identifier: Apache-2.0
"""`python -m sifgate.server.main`: one server process; ends on SIGTERM, requests first."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import structlog
import uvicorn

from sifgate.errors import ConfigError, SifgateError
from sifgate.server.app import application
from sifgate.server.settings import Settings, parse
from sifgate.server.waiting import Bells
from sifgate.server.wiring import wire

_GRACE_SECONDS = 10
_LARGEST_HEADERS = 32 << 10
_MOST_CONNECTIONS = 4096


def main(arguments: list[str]) -> int:
    """Serve until told to end; returns 0; 2 for settings that cannot be used, 3 for a part that is not reached."""
    _log_to_stderr()
    try:
        settings = parse(arguments)
        return _serve(settings)
    except ConfigError as error:
        return _complain(error, 2)
    except SifgateError as error:
        return _complain(error, 3)


def _serve(settings: Settings) -> int:
    with _listening(settings) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"https://{host}:{port}"
        server = wire(settings, address)
        try:
            front = _Front(
                _front_settings(settings, application(server.services)), address, server.services.bells
            )
            server.start()
            for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn ends on them, then raises them again
                signal.signal(number, lambda *_: None)
            front.run(sockets=[listener])
        finally:
            server.end()
    return 0


class _Front(uvicorn.Server):
    """uvicorn that says when it is ready, and lets nobody wait when it ends."""

    def __init__(self, config: uvicorn.Config, address: str, bells: Bells) -> None:
        super().__init__(config)
        self._address = address
        self._bells = bells

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"sifgate server listening on {self._address}", flush=True)  # noqa: T201  # the engine waits for this line

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._bells.close()
        await super().shutdown(sockets)


def _front_settings(settings: Settings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # FastAPI's own type, hidden to keep imports one way
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=str(settings.tls_key),
        access_log=False,
        log_config=None,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=_LARGEST_HEADERS,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _listening(settings: Settings) -> socket.socket:
    """Return the bound socket: bound first, so that the address that Clair is told is the true one."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"--listen {settings.host}:{settings.port}: {error.strerror}") from error
    return listener


def _log_to_stderr() -> None:
    """Send operations log and libraries' warnings to stderr, one JSON object a line."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format='{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}',
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _complain(error: SifgateError, status: int) -> int:
    print(f"sifgate server: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)  # noqa: T201  # before any log reader looks
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
