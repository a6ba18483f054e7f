# SPDX-License-Identifier: Apache-2.0
"""The site's server as the command line asks it: records, verdicts, policies and heads of all nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import requests

from sifgate.audit.record import AuditRecord
from sifgate.config import Places, ServerSettings, load_settings, server_from_engine
from sifgate.errors import ConfigError, ServerUnreachable
from sifgate.model.head import Countersigned

T = TypeVar("T")
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
EXPORT_TIMEOUT = 600.0
"""Seconds until the first line of an export: the server sorts before it sends."""
PAGE = 1000
_LONGEST_LINE = 1 << 20
_CHUNK = 1 << 18
_OK, _UNKNOWN, _BAD = 200, 404, 400


class Page(msgspec.Struct, frozen=True):
    """One answer of `GET /v1/launches`."""

    records: list[AuditRecord]
    cursor: str = ""
    """Where the next page begins; empty: this was the last."""


class HeadKey(msgspec.Struct, frozen=True):
    """A public key that the server signs heads with."""

    key: str
    """Its id."""
    public: str
    """Base64 of 32 bytes."""


class SiteHeads(msgspec.Struct, frozen=True):
    """What the server knows of one node's chains, or of all."""

    heads: list[Countersigned]
    """Oldest first."""
    refused: list[dict[str, Any]] = []
    """Heads that contradicted earlier ones."""


class Site:
    """The server at one URL, asked with one token (of role `viewer` or `admin`)."""

    def __init__(self, settings: ServerSettings, token: str = "") -> None:
        """Without `token` that of `settings.token_file` is used; raises ConfigError where there is neither."""
        if not settings.url:
            raise ConfigError(
                "no server is named", hint="set server.url in sifgate.yaml, or run `sifgate up`"
            )
        self._url = settings.url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy or .netrc of the environment in between
        self._session.verify = str(settings.certificate_file)
        self._session.headers["Authorization"] = f"Bearer {token or _token(settings)}"

    def launches(self, filters: Mapping[str, str], *, limit: int = 100) -> Iterator[AuditRecord]:
        """Yield at most `limit` matching records, newest first, fetched page by page.

        Filters are the parameters of `GET /v1/launches`; empty ones are left out. Raises ServerUnreachable; ConfigError
        for a filter that the server does not understand.
        """
        given = {name: value for name, value in filters.items() if value}
        cursor = ""
        while limit > 0:
            parameters = {**given, "limit": str(min(limit, PAGE)), **({"cursor": cursor} if cursor else {})}
            page = _decoded(self._got("/v1/launches", parameters), Page)
            yield from page.records
            limit -= len(page.records)
            cursor = page.cursor
            if not cursor:
                return

    def export(
        self, since: str = "", until: str = "", *, order: str = "verdict"
    ) -> Generator[bytes, None, None]:
        """Yield records as lines without newline, ordered by verdict digest (`verdict`) or by `time`.

        Raises ServerUnreachable, also where the stream was cut short.
        """
        parameters = {"order": order} | {
            name: value for name, value in (("since", since), ("until", until)) if value
        }
        rest = b""
        try:
            with self._session.get(
                f"{self._url}/v1/launches/export",
                params=parameters,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, EXPORT_TIMEOUT),
            ) as response:
                _check(response)
                for chunk in response.iter_content(_CHUNK):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from lines
                    if len(rest) > _LONGEST_LINE:
                        raise ServerUnreachable(
                            f"{self._url}: a line of the export is longer than any record"
                        )
        except requests.RequestException as error:
            raise ServerUnreachable(f"{self._url}: the export was cut short: {_short(error)}") from error
        if rest:
            raise ServerUnreachable(f"{self._url}: the export ends in the middle of a line")

    def verdict(self, digest: str) -> bytes | None:
        """Return the canonical bytes of a verdict, checked against `digest`; None where the server has none."""
        body = self._found(f"/v1/verdicts/by-digest/{digest}")
        if body is not None and f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            raise ServerUnreachable(f"{self._url}: the bytes of verdict {digest} are not those that it names")
        return body

    def policy(self, digest: str) -> bytes | None:
        """Return the sources of a policy (JSON of `PolicySources`); None where the server has none.

        What they are worth shows when they are loaded: the digest of that policy must be `digest`.
        """
        return self._found(f"/v1/policies/{digest}")

    def heads(self, node: str = "") -> SiteHeads:
        """Return the countersigned heads of a node (empty: of all), and those that were refused."""
        return _decoded(self._got("/v1/heads", {"node": node} if node else {}), SiteHeads)

    def head_keys(self) -> list[HeadKey]:
        """Return the server's public keys, the one in use first."""
        return _decoded(self._got("/v1/heads/key", {}), list[HeadKey])

    def _found(self, path: str) -> bytes | None:
        try:
            return self._got(path, {})
        except _Unknown:
            return None

    def _got(self, path: str, parameters: Mapping[str, str]) -> bytes:
        try:
            response = self._session.get(
                self._url + path,
                params=dict(parameters),
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            )
        except requests.RequestException as error:
            raise ServerUnreachable(f"{self._url}: {_short(error)}", hint="is the server up?") from error
        _check(response)
        return response.content


def site_of(places: Places) -> Site:
    """Return the server of the settings, else that of the embedded engine; raises ConfigError where there is none."""
    named = load_settings(places.etc / "sifgate.yaml").server
    return Site(named if named.url else server_from_engine(places.run))


class _Unknown(ServerUnreachable):
    """The server has nothing of that name."""


def _token(settings: ServerSettings) -> str:
    try:
        return settings.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{settings.token_file}: the token cannot be read: {error}",
            hint="run as root, or name a token of role viewer",
        ) from error


def _check(response: requests.Response) -> None:
    """Raise what an answer other than 200 means."""
    if response.status_code == _OK:
        return
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, requests.RequestException):
        found = {}
    message = str(found.get("message", ""))[:300] if isinstance(found, dict) else ""
    message = message or str(response.reason)
    if response.status_code == _UNKNOWN:
        raise _Unknown(message)
    if response.status_code == _BAD:
        raise ConfigError(f"the server does not take this: {message}")
    if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
        raise ServerUnreachable(
            f"the server refuses this token: {message}", hint="use one of role viewer or admin"
        )
    raise ServerUnreachable(f"the server answered {response.status_code}: {message}")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise ServerUnreachable(f"the server's answer is not what was asked for: {error}") from error


def _short(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"  # noqa: PLR2004 - one line of a message
