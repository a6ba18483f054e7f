# SPDX-License-Identifier: Apache-2.0
"""One request to Clair and its whole answer, bounded in time and size; knows no endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import requests
import urllib3.exceptions

from sifgate.clair import token
from sifgate.errors import ClairUnavailable

LARGEST_ANSWER = 512 << 20
"""Bytes of a decoded answer: a report of 5,910 findings has 9 MB."""
_PIECE = 1 << 16
_OK_BELOW = 400


class Address(msgspec.Struct, frozen=True):
    """Where Clair is and how it is known."""

    url: str
    """Scheme, host and port, e.g. `https://127.0.0.1:6060`."""
    key: bytes = b""
    """Pre-shared key; empty: the site runs Clair without one."""
    certificates: str = ""
    """File with the only certificates that are believed; empty: the system's."""
    issuer: str = token.ISSUER


class Answer(msgspec.Struct, frozen=True):
    """Status, the headers that matter, and the body."""

    status: int
    etag: str
    body: bytes


class Broken(ClairUnavailable):
    """The connection ended, or time ran out, after the request had been sent."""

    code = "clair_broken"

    def __init__(self, message: str, *, late: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.late = late
        """Whether time ran out, rather than the connection."""


class Exchange:
    """Sends requests to one Clair; usable from several threads, one connection a request.

    Connections are not kept: one that was closed while idle looks exactly like a Clair that died of the request.
    """

    def __init__(
        self, address: Address, *, connect_seconds: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._address = address
        self._connect_seconds = connect_seconds
        self._clock = clock

    def send(self, method: str, path: str, *, seconds: float, body: bytes = b"", match: str = "") -> Answer:
        """Return the answer; raises ClairUnavailable if Clair was not reached, Broken if it went away."""
        deadline = time.monotonic() + seconds
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment must not see the key
            session.verify = self._address.certificates or True
            try:
                response = session.request(
                    method,
                    self._address.url.rstrip("/") + path,
                    data=body or None,
                    headers=self._headers(match, has_body=bool(body)),
                    timeout=(self._connect_seconds, seconds),
                    stream=True,
                    allow_redirects=False,
                )
                with response:
                    return Answer(
                        response.status_code, response.headers.get("ETag", ""), _read(response, deadline)
                    )
            except requests.RequestException as error:
                raise _classified(error) from error

    def _headers(self, match: str, *, has_body: bool) -> dict[str, str]:
        headers = {"Accept-Encoding": "gzip", "Connection": "close", "User-Agent": "sifgate"}
        if self._address.key:
            headers["Authorization"] = token.bearer(
                self._address.key, self._clock(), issuer=self._address.issuer
            )
        if has_body:
            headers["Content-Type"] = "application/json"
        if match:
            headers["If-None-Match"] = match
        return headers


def _read(response: requests.Response, deadline: float) -> bytes:
    """Return the decoded body; a body of an error answer that is cut short is no body (clair.md §1.2, 429)."""
    pieces, size = [], 0
    try:
        # read1 returns what has come; iter_content would wait for a whole piece, whatever the deadline
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise Broken(f"Clair's answer has more than {LARGEST_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise Broken("Clair's answer did not end in time", late=True)
    except urllib3.exceptions.HTTPError as error:
        if response.status_code < _OK_BELOW:
            late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise Broken(f"Clair's answer broke off: {error}", late=late) from error
        return b""
    return b"".join(pieces)


def _classified(error: requests.RequestException) -> ClairUnavailable:
    """Return our error: never reached, or reached and then lost."""
    if isinstance(error, requests.exceptions.SSLError):
        return ClairUnavailable(f"Clair is not who it should be: {error}", hint="check --clair-ca")
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.InvalidURL)):
        return ClairUnavailable(f"Clair cannot be reached: {error}")
    if isinstance(error, requests.Timeout):
        return Broken("Clair gave no answer in time", late=True)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return ClairUnavailable(f"Clair cannot be reached: {reason}")
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return Broken("Clair gave no answer in time", late=True)
    return Broken(f"the connection to Clair broke: {error}")
