# SPDX-License-Identifier: Apache-2.0
"""The server as the agent sees it: verdicts, layers, steps, records, over HTTPS with a pinned certificate and a token.

An answer is believed only if the certificate is the one in the settings, the verdict's digest is its ETag and the
fingerprint is the one asked for. Everything else is `server_unreachable`; only a server that says so itself makes it
`clair_unavailable`. Blocks; never called from the loop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import requests
import stamina

from sifgate.agent.cache import VERDICT_LIMIT, decode_verdict, digest_of
from sifgate.config import ServerSettings
from sifgate.errors import ClairUnavailable, HeadRefused, ServerUnreachable
from sifgate.model.decision import Decision
from sifgate.model.head import Countersigned, Head
from sifgate.model.image import Extraction
from sifgate.model.verdict import Verdict

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 15.0
WAIT_LIMIT = 30.0
"""Seconds that one request may wait for a scan (docs/protocol.md §2)."""
SMALL_LIMIT = 4 << 20
LAYER_TYPE = "application/vnd.sifgate.layer.v1"
_CHUNK = 1 << 20


class Unchanged(msgspec.Struct, frozen=True):
    """The server's newest verdict is the one that the caller has."""


class Scanning(msgspec.Struct, frozen=True):
    """The server has the layer and is not done yet."""


class Missing(msgspec.Struct, frozen=True):
    """The server does not know the fingerprint: it wants the layer."""


class Fetched(msgspec.Struct, frozen=True):
    """A verdict, believed."""

    verdict: Verdict
    body: bytes
    digest: str


class Rejected(msgspec.Struct, frozen=True):
    """The server will not have this layer, for good."""

    code: str
    message: str


class _Busy(Exception):
    """The server is there and asks for a pause."""


_RETRIES = stamina.RetryingCaller(attempts=3, timeout=10.0, wait_initial=0.05, wait_max=1.0)
_PATIENT = _RETRIES.on((requests.ConnectionError, _Busy))


class Remote:
    """The server behind one URL."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.reachable: bool | None = None
        """Whether the last request was answered; None before the first."""
        self.calls = 0
        """Requests that a launch caused; shipping and status are not counted."""
        self._local = threading.local()

    def verdict(
        self, fingerprint: str, *, wait: float = 0.0, have: str = ""
    ) -> Fetched | Unchanged | Scanning | Missing:
        """Return what the server knows of a fingerprint, waiting up to `wait` seconds for a scan that runs.

        `have` is the digest of the verdict that the caller holds. Raises ServerUnreachable, ClairUnavailable.
        """
        self.calls += 1
        seconds = min(wait, WAIT_LIMIT)
        headers = {"If-None-Match": f'"{have}"'} if have else {}
        response, body = self._ask(
            "GET",
            f"/v1/verdicts/{fingerprint}",
            params={"wait": f"{seconds:g}"} if seconds else {},
            headers=headers,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT + seconds),
            limit=VERDICT_LIMIT,
        )
        match response.status_code:
            case 200:
                return _believe(fingerprint, response, body, have)
            case 304 if have:
                return Unchanged()
            case 202:
                return Scanning()
            case 404:
                return Missing()
        raise _complaint(response, body)

    def upload(self, extraction: Extraction, layer: int) -> Rejected | None:
        """Send a slim layer; None: accepted. Raises ServerUnreachable, ClairUnavailable."""
        self.calls += 1
        head = msgspec.json.encode(
            {
                "slim_version": extraction.slim_version,
                "layer_digest": extraction.layer_digest,
                "layer_size": extraction.layer_size,
                "facts": extraction.facts,
            }
        )
        envelope = _Envelope(head, layer, extraction.layer_size)
        response, body = self._ask(
            "PUT",
            f"/v1/layers/{extraction.fingerprint}",
            data=envelope,
            headers={"Content-Type": LAYER_TYPE},
            timeout=(CONNECT_TIMEOUT, 120.0),
        )
        if response.status_code in (200, 202):
            return None
        if response.status_code in (400, 413):
            found = _error_of(body)
            return Rejected(found.get("code", "layer_rejected"), found.get("message", response.reason))
        raise _complaint(response, body)

    def keep_first(self, job: int, step: int, fingerprint: str, decision: Decision) -> Decision:
        """Return the decision kept first for this step, image and policy. Raises ServerUnreachable."""
        self.calls += 1
        content = {
            "job": job,
            "step": step,
            "fingerprint": fingerprint,
            "policy_digest": decision.policy_digest,
            "decision": decision,
        }
        response, body = self._ask(
            "POST",
            "/v1/steps",
            data=msgspec.json.encode(content),
            headers=_JSON,
            timeout=(CONNECT_TIMEOUT, 5.0),
        )
        if response.status_code != requests.codes.ok:
            raise _complaint(response, body)
        try:
            kept = msgspec.json.decode(body)
            return msgspec.convert(kept.get("decision", kept), Decision)
        except (msgspec.DecodeError, msgspec.ValidationError, AttributeError) as error:
            raise ServerUnreachable(f"{self.settings.url}: step answer is not a decision: {error}") from error

    def ship(self, lines: list[bytes]) -> int:
        """Send audit records (JSON lines); return how many the server says it stored. Raises ServerUnreachable."""
        content = b'{"records":[' + b",".join(line.strip() for line in lines) + b"]}"
        response, body = self._ask("POST", "/v1/launches", data=content, headers=_JSON)
        if response.status_code != requests.codes.ok:
            raise _complaint(response, body)
        return int(_error_of(body).get("stored", 0))

    def send_head(self, head: Head) -> Countersigned:
        """Return the server's countersignature under a head. Raises ServerUnreachable, HeadRefused."""
        response, body = self._ask("POST", "/v1/heads", data=msgspec.json.encode(head), headers=_JSON)
        if response.status_code == requests.codes.conflict:
            raise HeadRefused(
                str(_error_of(body).get("message", ""))[:200] or "it contradicts an earlier one"
            )
        if response.status_code != requests.codes.ok:
            raise _complaint(response, body)
        try:
            answer = msgspec.json.decode(body, type=Countersigned)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServerUnreachable(f"{self.settings.url}: no countersignature: {error}") from error
        if (answer.chain, answer.seq, answer.head) != (head.chain, head.seq, head.head):
            raise ServerUnreachable(f"{self.settings.url}: the countersignature is of another head")
        return answer

    def put_policy(self, digest: str, sources: bytes) -> str:
        """Have the server keep the sources of a policy; return why it never will, empty: it does.

        Raises ServerUnreachable.
        """
        response, body = self._ask("PUT", f"/v1/policies/{digest}", data=sources, headers=_JSON)
        if response.status_code in (400, 413):
            return str(_error_of(body).get("message", ""))[:200] or str(response.reason)
        if response.status_code not in (200, 201):
            raise _complaint(response, body)
        return ""

    def status(self) -> dict[str, Any]:
        """Return the server's own status. Raises ServerUnreachable."""
        response, body = self._ask("GET", "/v1/status")
        if response.status_code != requests.codes.ok:
            raise _complaint(response, body)
        return _error_of(body)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
        limit: int = SMALL_LIMIT,
    ) -> tuple[requests.Response, bytes]:
        """Make one request, tried again where the server was away or busy; bounded, with jitter."""
        if not self.settings.url:
            raise ServerUnreachable(
                "no server is named", hint="set server.url in sifgate.yaml, or run `sifgate up`"
            )
        options = {"params": params, "data": data, "headers": headers or {}, "timeout": timeout}
        try:
            answer = _PATIENT(self._once, method, path, limit, options)
        except (requests.RequestException, _Busy, OSError) as error:
            self.reachable = False
            raise ServerUnreachable(
                f"{self.settings.url}: {_short(error)}", hint="is the server up?"
            ) from error
        self.reachable = True
        return answer

    def _once(
        self, method: str, path: str, limit: int, options: dict[str, Any]
    ) -> tuple[requests.Response, bytes]:
        if isinstance(options["data"], _Envelope):
            options["data"].rewind()
        options["headers"] = {**options["headers"], "Authorization": f"Bearer {self._token()}"}
        url = self.settings.url + path
        with self._session().request(method, url, allow_redirects=False, stream=True, **options) as response:
            body = _bounded(response, limit)
        if response.status_code == requests.codes.too_many_requests:
            raise _Busy("busy (429)")
        return response, body

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no proxy or .netrc of the environment between agent and server
            session.verify = str(self.settings.certificate_file)
            self._local.session = session
        return session

    def _token(self) -> str:
        return self.settings.token_file.read_text(encoding="ascii", errors="strict").strip()


class _Envelope:
    """Upload body: length of the head, head, layer; requests reads it in chunks and takes its length from `__len__`."""

    def __init__(self, head: bytes, layer: int, size: int) -> None:
        self._head = len(head).to_bytes(8, "big") + head
        self._layer = layer
        self._size = size
        self._at = 0

    def __len__(self) -> int:
        return len(self._head) + self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk

    def rewind(self) -> None:
        """Begin anew, for another try."""
        self._at = 0

    def read(self, size: int = _CHUNK) -> bytes:
        """Return the next bytes; empty at the end."""
        if self._at < len(self._head):
            chunk = self._head[self._at :]
        else:
            offset = self._at - len(self._head)
            chunk = os.pread(self._layer, min(max(size, 1), self._size - offset), offset)
        self._at += len(chunk)
        return chunk


_JSON = {"Content-Type": "application/json"}


def _bounded(response: requests.Response, limit: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise requests.exceptions.InvalidHeader(f"answer longer than {limit} bytes")
    return bytes(body)


def _believe(fingerprint: str, response: requests.Response, body: bytes, have: str) -> Fetched | Unchanged:
    digest = digest_of(body)
    if response.headers.get("ETag", "").strip().removeprefix("W/").strip('"') != digest:
        raise ServerUnreachable("the verdict's bytes are not those that its ETag names")
    if digest == have:
        return Unchanged()
    try:
        verdict = decode_verdict(body)
    except msgspec.DecodeError as error:
        raise ServerUnreachable(f"the answer is not a verdict: {error}") from error
    if verdict.fingerprint != fingerprint:
        raise ServerUnreachable("the verdict is about another fingerprint")
    return Fetched(verdict, body, digest)


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _complaint(response: requests.Response, body: bytes) -> Exception:
    found = _error_of(body)
    message = str(found.get("message", ""))[:200] or str(response.reason)
    if (
        response.status_code == requests.codes.service_unavailable
        and found.get("code") == "clair_unavailable"
    ):
        return ClairUnavailable(message)
    if response.status_code == requests.codes.unauthorized:
        return ServerUnreachable("the server refuses this node's token (401)", hint="renew server.token_file")
    return ServerUnreachable(f"server answered {response.status_code}: {message}")


def _short(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"  # noqa: PLR2004 - one line of a message


def check_files(settings: ServerSettings) -> None:
    """Raise ConfigError (UnsafeFile) where somebody else could have written the certificate or the token."""
    from sifgate import fsguard

    for path in (settings.certificate_file, settings.token_file):
        if path != Path():
            fsguard.check(path, owner_uid=os.geteuid())
