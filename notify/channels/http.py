"""One way to ask an HTTP API: whatever happens is an answer, or exactly one of the five delivery errors.

A request whose body was not begun was not accepted: `Transient`. From its first octet on, silence is `Uncertain`, also
where the API has idempotency keys: then the next try, under the same key, is safe. A status means what RFC 9110 §15
says. Keys are masked wherever an answer or an error is repeated.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, TypeGuard

import httpx2

from notify.channels.url import ProviderUrl, Read, at_least_one, http_endpoint, seconds
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain

OPTIONS: Mapping[str, Read] = MappingProxyType(
    {"endpoint": http_endpoint, "timeout": seconds, "connect_timeout": seconds, "connections": at_least_one}
)
"""What every URL of an HTTP API may say behind `?`; the values are arguments of `Api`."""

KEEP_SECONDS = 20.0  # a connection that nobody uses is closed; well before servers close theirs
LARGEST_ANSWER = 65536  # octets; what comes after them is not read
LONGEST_RESPONSE = 500  # characters of an answer that are repeated
SHORTEST_WAIT, USUAL_WAIT, LONGEST_WAIT = 1.0, 10.0, 900.0  # seconds

FORWARDED = frozenset({502, 504, 520, 524})
"""A gateway passed the request on, and got no proper answer to it: RFC 9110 §15.6.3 and §15.6.5, and Cloudflare's."""

MISTAKES: Mapping[int, str] = MappingProxyType(
    {
        401: "credentials_refused",
        402: "credit_exhausted",
        403: "credentials_refused",
        **dict.fromkeys((404, 405, 406, 415, 421), "endpoint_wrong"),
    }
)
"""What no message can pass before an operator mends it."""

_REQUEST_TIMEOUT, _TOO_LARGE, _THROTTLED, _UNAVAILABLE = 408, 413, 429, 503


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said: its status, its headers and at most `LARGEST_ANSWER` octets of its text, keys masked."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def said(self) -> str:
        """Status and text as they may be repeated: short, and without NUL, which PostgreSQL does not take."""
        return f"{self.status} {self.text[:LONGEST_RESPONSE]}".replace("\0", "\ufffd").strip()

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON object that the text is; empty when it is none."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class _Kept:
    """The client of one `Api`, made when it is first needed, for that reads the system's certificates."""

    def __init__(self) -> None:
        self.heard = -math.inf  # when the API last answered, by time.monotonic()
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None

    def client(self, api: Api) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx2.Client(
                    auth=api.login,
                    headers={"Accept": "application/json", "User-Agent": "notify", **api.headers},
                    timeout=httpx2.Timeout(api.timeout, connect=api.connect_timeout),
                    limits=httpx2.Limits(
                        max_connections=api.connections,
                        max_keepalive_connections=api.connections,
                        keepalive_expiry=KEEP_SECONDS,
                    ),
                    trust_env=api.endpoint.startswith("https:"),  # a proxy is not for this machine
                )
            return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None
                self.heard = -math.inf


@dataclass(frozen=True)
class Api:
    """An HTTP API behind one pool of kept connections, for all threads of the process.

    `endpoint` is what every path is added to. `secret`, if any, is masked in answers; `headers` and `login` (Basic)
    carry it. `timeout` and `connect_timeout` are seconds per socket operation; `connections` bounds the open
    connections of this process.
    """

    endpoint: str
    secret: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    timeout: float = 30.0
    connect_timeout: float = 10.0
    connections: int = 8
    _kept: _Kept = field(default_factory=_Kept, init=False, repr=False, compare=False)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """A block in which it was reached not long ago. Raises `Transient` when nobody answers.

        What is asked carries no message and its answer does not matter; the connection is kept for what follows.
        """
        if time.monotonic() - self._kept.heard >= KEEP_SECONDS:
            self._call("HEAD", "")
        yield

    def post(self, path: str, **content: Any) -> Answer:
        """Post what `content` holds, as `httpx2.Client.request` takes it. Raises `Transient` or `Uncertain`."""
        return self._call("POST", path, **content)

    def get(self, path: str) -> Answer:
        """Ask for what can be asked for without consequences. Raises what stands in the way, never `Uncertain`."""
        answer = self._call("GET", path)
        if answer.status // 100 != 2:  # noqa: PLR2004 - the class of the status, RFC 9110 §15
            raise without_consequences(refusal(answer))
        return answer

    def close(self) -> None:
        """Close every connection that is kept."""
        self._kept.close()

    def _call(self, method: str, path: str, **content: Any) -> Answer:
        begun = False

        def note(event: str, _facts: Mapping[str, Any]) -> None:
            nonlocal begun
            begun = begun or event.endswith(".send_request_body.started")

        try:
            client = self._kept.client(self)
            with client.stream(method, self.endpoint + path, extensions={"trace": note}, **content) as response:
                octets = _read(response)
        except Exception as error:
            # The error's own text and context may repeat what was sent.
            raise failure(error, begun=begun and method == "POST", secret=self.secret) from None
        self._kept.heard = time.monotonic()
        text = octets.decode("utf-8", "replace")
        return Answer(response.status_code, response.headers, text.replace(self.secret, "***") if self.secret else text)


def key_of(url: ProviderUrl) -> str:
    """The key of `scheme://KEY`. Raises `InvalidProvider`."""
    key = url.password or ""
    if url.path.strip("/"):
        raise url.wrong("path", "is not expected; percent-encode a '/' in the key as %2F")
    if not readable(key) or "@" in key:
        raise url.wrong("key", f"is missing or unreadable; write {url.scheme}://KEY, percent-encoded")
    return key


def readable(key: str | None) -> TypeGuard[str]:
    """Whether it can be a key: something, and fit for a header."""
    return bool(key) and key is not None and key.isascii() and key.isprintable() and " " not in key


def failure(error: Exception, *, begun: bool, secret: str = "") -> DeliveryError:
    """The meaning of an exception, of whatever class, in place of an answer; `begun`: octets of a body were written."""
    if isinstance(error, DeliveryError):
        return error
    reason, told = _reason(error), str(error)[:LONGEST_RESPONSE]
    if secret:
        told = told.replace(secret, "***")
    if begun:
        return Uncertain(reason, told, line_lost=True)
    if isinstance(error, httpx2.PoolTimeout):  # slow is not out of reach: nothing is known against the provider
        return Transient(reason, told, scope="message")
    return Transient(reason, told, line_lost=True)


def refusal(answer: Answer, *, reason: str | None = None) -> DeliveryError:
    """The meaning of an answer that is not acceptance. `reason` is the API's own word for it, where it has one."""
    status, said = answer.status, answer.said
    if status == _THROTTLED or (status == _UNAVAILABLE and "retry-after" in answer.headers):
        return Throttled(reason or "throttled", said, retry_after=wait(answer.headers))
    if status in MISTAKES or status // 100 == 3:  # noqa: PLR2004 - a redirection
        return Misconfigured(reason or MISTAKES.get(status, "endpoint_wrong"), said)
    if status in FORWARDED or status // 100 < 4:  # noqa: PLR2004 - neither refused nor properly accepted
        return Uncertain("gateway_failed" if status in FORWARDED else "answer_unintelligible", said)
    if status == _REQUEST_TIMEOUT or status // 100 >= 5:  # noqa: PLR2004
        return Transient(reason or "provider_failed", said)
    return Rejected(reason or ("too_large" if status == _TOO_LARGE else "message_refused"), said)


def without_consequences(error: DeliveryError) -> DeliveryError:
    """The meaning of an error where nothing was handed over: there is nothing to be in doubt about."""
    return Transient(error.reason, error.response) if isinstance(error, Uncertain) else error


def wait(headers: Mapping[str, str]) -> float:
    """How many seconds Retry-After asks for (RFC 9110 §10.2.3), within bounds; `USUAL_WAIT` when it says nothing."""
    text = headers.get("retry-after", "").strip()
    asked = USUAL_WAIT
    with suppress(ValueError):
        asked = _until(text, headers.get("date", "")) if "," in text else float(text)
    return min(max(asked, SHORTEST_WAIT), LONGEST_WAIT) if not math.isnan(asked) else USUAL_WAIT


def _until(then: str, now: str) -> float:
    """Seconds between two HTTP dates; without the second, from our own clock, which may be wrong."""
    moment = datetime.now(UTC)
    with suppress(ValueError):
        moment = _moment(now)
    return (_moment(then) - moment).total_seconds()


def _moment(text: str) -> datetime:
    found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read(response: httpx2.Response) -> bytes:
    """What can be read of the answer's text: the status stands, whatever becomes of the rest."""
    octets = bytearray()
    with suppress(httpx2.HTTPError):
        for piece in response.iter_bytes():
            octets += piece
            if len(octets) >= LARGEST_ANSWER:
                break
    return bytes(octets[:LARGEST_ANSWER])


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls_failed"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError | httpx2.ProxyError):
        return "unreachable"
    if isinstance(error, httpx2.PoolTimeout):
        return "connections_in_use"
    if isinstance(error, httpx2.TimeoutException):
        return "answer_timeout"
    lost = isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError | ConnectionError)
    return "disconnected" if lost else "request_failed"
