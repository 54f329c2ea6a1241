"""SMTP hand-over: each message is accepted, refused, or in doubt, and the error says which (RFC 5321).

`smtp://user:password@host:587?tls=starttls&timeout=30` and `smtps://host:465?connections=8`. Certificates are always
verified.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from notify.channels.email.smtp_line import Line, Security, Terms, dial, take_leave
from notify.channels.email.smtp_pool import Pool
from notify.channels.email.smtp_traffic import Traffic
from notify.channels.provider import Envelope, Outcome, Watch
from notify.channels.url import ProviderUrl, at_least_one, existing_file, host_name, is_loopback, one_of, seconds
from notify.model import Channel

SMTP_PORT, SMTPS_PORT = 25, 465


@dataclass(frozen=True)
class Smtp:
    """One SMTP server.

    `tls` of smtp:// is `auto` (STARTTLS when the server offers it; required when a password is to be sent to
    another machine), `starttls` (required) or `none`. `timeout` and `connect_timeout` are seconds per socket
    operation; `ca` is a file of certificates to trust instead of the system's; `helo` is our own name.
    `connections` bounds the open connections of this process to the server, all threads together; after `messages`
    messages a connection is closed.
    """

    name: ClassVar[str] = "smtp"
    channel: ClassVar[Channel] = Channel.EMAIL

    host: str
    port: int
    tls: str = "auto"
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    timeout: float = 30.0
    connect_timeout: float = 10.0
    ca: Path | None = None
    helo: str | None = None
    connections: int = 128
    messages: int = 1000
    pool: Pool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the pool that all threads of this process share."""
        pool = Pool(lambda: dial(self.terms()), connections=self.connections, messages=self.messages)
        object.__setattr__(self, "pool", pool)  # the one attribute of a frozen dataclass that is not given

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`smtp://` (port 25 unless given) or `smtps://` (465). Raises `InvalidProvider`."""
        if not url.host:
            raise url.wrong("host", "is missing")
        if url.path.strip("/"):
            raise url.wrong("path", "is not expected; percent-encode a '/' in the password as %2F")
        if (url.user is None) is not (url.password is None):
            raise url.wrong("password", "user and password are given together, user:password@host, or not at all")
        known = {
            "timeout": seconds,
            "connect_timeout": seconds,
            "ca": existing_file,
            "helo": host_name,
            "connections": at_least_one,
            "messages": at_least_one,
        }
        credentials = (url.user, url.password) if url.user is not None and url.password is not None else None
        if url.scheme == "smtps":
            smtp = cls(url.host, url.port or SMTPS_PORT, "implicit", credentials, **url.options(known))
        else:
            options = url.options({**known, "tls": one_of("auto", "starttls", "none")})
            smtp = cls(url.host, url.port or SMTP_PORT, credentials=credentials, **options)
        if smtp.ca is not None:
            try:
                _ = smtp.trust
            except (OSError, ValueError):
                raise url.wrong("option 'ca'", "names a file that holds no certificates in PEM form") from None
        return smtp

    @contextmanager
    def open(self) -> Iterator[SmtpConnection]:
        """Borrow a line, or connect, secure and authenticate. Raises `Transient`, `Throttled` or `Misconfigured`."""
        connection = SmtpConnection(self)
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Take leave of the server on every line that is kept."""
        self.pool.close()

    def check(self) -> None:
        """Connect, greet, log in and take leave, beside the pool. Raises `Transient` or `Misconfigured`."""
        take_leave([dial(self.terms())])

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Whom to trust, read once: certificate and host name are always verified."""
        return ssl.create_default_context(cafile=self.ca)

    @cached_property
    def greeting(self) -> str:
        """The name we give: `helo`, or this machine's full name, or its address (RFC 5321 §4.1.3)."""
        if self.helo:
            return self.helo
        name = socket.getfqdn()
        return name if "." in name and name.isascii() else "[127.0.0.1]"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @property
    def security(self) -> Security:
        """What `tls` demands of a connection to this host."""
        if self.tls == "auto":
            guarded = self.credentials is not None and not is_loopback(self.host)
            return Security.REQUIRED if guarded else Security.WHEN_OFFERED
        return {"implicit": Security.IMPLICIT, "starttls": Security.REQUIRED, "none": Security.NONE}[self.tls]

    def terms(self) -> Terms:
        """How to dial; reads the greeting and the certificates when they are first needed."""
        return Terms(
            host=self.host,
            port=self.port,
            greeting=self.greeting,
            security=self.security,
            trust=lambda: self.trust,
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
            credentials=self.credentials,
        )


class SmtpConnection:
    """A line from the pool to begin with; a batch takes more from there when they are of use."""

    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp
        self._line: Line | None = smtp.pool.borrow()

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        """Hand over on as many lines as are sensible; see `Connection`."""
        first, self._line = self._line, None
        yield from Traffic(self._smtp.pool, self._smtp.timeout, envelopes, watch).run(first)

    def close(self) -> None:
        """Give back a line that was not used."""
        if self._line is not None:
            self._smtp.pool.give_back(self._line, sound=True)
            self._line = None
