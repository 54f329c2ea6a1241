"""A connection on which mail can be sent: dialled, greeted, secured and logged in, or there is a `DeliveryError`."""

from __future__ import annotations

import select
import smtplib
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from notify.channels.email.smtp_replies import AUTHENTICATED, CHALLENGE, READY, Refused, Step, failure
from notify.channels.email.smtp_wire import QUIT, UNREADABLE, Offers
from notify.errors import Misconfigured

GOODBYE_SECONDS = 2.0
LARGEST_READ = 16384  # a TLS record: less would leave octets where no selector sees them


class Security(Enum):
    """When the conversation is encrypted."""

    IMPLICIT = auto()  # from the first octet (RFC 8314 §3.3)
    REQUIRED = auto()  # by STARTTLS, or there is no conversation (RFC 3207)
    WHEN_OFFERED = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Terms:
    """How to reach the server, and on what terms. Times are in seconds per socket operation."""

    host: str
    port: int
    greeting: str
    security: Security
    trust: Callable[[], ssl.SSLContext]
    connect_timeout: float
    timeout: float
    credentials: tuple[str, str] | None = field(repr=False)


class Line:
    """The socket of one connection. It never blocks; what goes wrong on it is an `OSError`."""

    def __init__(self, connected: socket.socket, offers: Offers) -> None:
        self.offers = offers
        self.carried = 0  # bodies begun on it
        self.kept_since: float | None = None  # when it was last put aside; None until then
        self._socket = connected
        connected.setblocking(False)

    def fileno(self) -> int:
        """The socket's file descriptor."""
        return self._socket.fileno()

    @property
    def encrypted(self) -> bool:
        """Whether a `send` that took nothing may have sent something all the same: TLS does not tell."""
        return isinstance(self._socket, ssl.SSLSocket)

    def send(self, octets: bytes | memoryview) -> int:
        """How many octets of these were taken; 0 while there is no room."""
        try:
            return self._socket.send(octets)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive(self) -> bytes:
        """What has come, if anything has. Raises `ConnectionError` after the end."""
        try:
            octets = self._socket.recv(LARGEST_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        if not octets:
            raise ConnectionResetError("the server closed the connection")
        return octets

    @property
    def silent(self) -> bool:
        """Whether the server neither said anything nor hung up since it was last listened to."""
        look = select.poll()  # unlike select(), it takes every file descriptor
        look.register(self._socket, select.POLLIN)
        return not look.poll(0)

    def close(self) -> None:
        """Hang up without a word."""
        self._socket.close()


def take_leave(lines: Iterable[Line]) -> None:
    """QUIT, and wait only briefly for the answers, on which nothing depends."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    leaving = list(lines)
    for line in leaving:
        with suppress(OSError):
            line.send(QUIT)
    for line in leaving:
        look = select.poll()
        look.register(line.fileno(), select.POLLIN)
        look.poll(max(0.0, deadline - time.monotonic()) * 1000)
        line.close()


def dial(terms: Terms) -> Line:
    """Connect, secure and authenticate. Raises `Transient`, `Throttled` or `Misconfigured`."""
    handshake = _Handshake(terms)
    try:
        return handshake.complete()
    except Exception as error:
        handshake.close()
        raise failure(handshake.step, error) from (None if isinstance(error, Refused) else error)
    except BaseException:
        handshake.close()
        raise


class _Handshake(smtplib.SMTP):
    """smtplib's framing, EHLO and STARTTLS; a limit of its own for connecting; TLS before the greeting."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(local_hostname=terms.greeting, timeout=terms.timeout)
        self.step = Step.CONNECT
        self._terms = terms
        self._host = terms.host  # the name that STARTTLS verifies

    def complete(self) -> Line:
        """From the first packet to the line that is ready for its first message."""
        terms = self._terms
        _expect(self.connect(terms.host, terms.port), (READY,))
        self.step = Step.HELO
        self.ehlo_or_helo_if_needed()
        if terms.security in (Security.REQUIRED, Security.WHEN_OFFERED):
            self._encrypt()
        if terms.credentials is not None:
            self._authenticate(*terms.credentials)
        self.step = Step.HELO
        return self._line()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = socket.create_connection((host, port), self._terms.connect_timeout)
        try:
            # A body's last segment must not wait for the acknowledgement of those before it (RFC 2920 §3.1).
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._terms.security is Security.IMPLICIT:
                line = self._terms.trust().wrap_socket(line, server_hostname=host)
        except BaseException:
            line.close()
            raise
        line.settimeout(timeout)
        return line

    def _encrypt(self) -> None:
        self.step = Step.STARTTLS
        if self.has_extn("starttls"):
            self.starttls(context=self._terms.trust())
            self.step = Step.HELO
            self.ehlo_or_helo_if_needed()
        elif self._terms.security is Security.REQUIRED:
            raise Misconfigured("starttls_absent", "the server does not offer STARTTLS, which tls= or a password needs")

    def _authenticate(self, user: str, password: str) -> None:
        """PLAIN (RFC 4616) or LOGIN, both in UTF-8."""
        offered = self.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            commands = ["AUTH PLAIN " + _base64(f"\0{user}\0{password}")]
        elif "LOGIN" in offered:
            commands = ["AUTH LOGIN", _base64(user), _base64(password)]
        else:
            raise Misconfigured("auth_unsupported", f"the server offers {', '.join(offered) or 'no AUTH'}")
        self.step = Step.AUTH
        code, text = CHALLENGE, b""
        for command in commands:
            _expect((code, text), (CHALLENGE,))
            code, text = self.docmd(command)
            for secret in filter(None, (command.split(" ")[-1], user, password)):
                text = text.replace(secret.encode(), b"***")  # some servers quote what they refuse
        _expect((code, text), (AUTHENTICATED,))

    def _line(self) -> Line:
        """The socket, for our own reading. Raises `Refused` when octets came that nobody asked for."""
        assert isinstance(self.sock, socket.socket)
        self.sock.settimeout(0)
        with suppress(OSError):  # nothing is there, as it should be
            if self.file and (unasked := self.file.peek(1)):
                raise Refused(UNREADABLE, unasked.strip())
        size = self.esmtp_features.get("size")
        offers = Offers(
            size=None if size is None else int(size) if size.isdecimal() else 0,
            eight_bit=self.has_extn("8bitmime"),
            smtputf8=self.has_extn("smtputf8"),
            pipelining=self.has_extn("pipelining"),
        )
        line, self.sock = Line(self.sock, offers), None
        if self.file:
            self.file.close()
        return line


def _expect(reply: tuple[int, bytes], wanted: Container[int]) -> None:
    if reply[0] not in wanted:
        raise Refused(*reply)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
