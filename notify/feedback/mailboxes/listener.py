"""Takes mail for our own return path by SMTP (RFC 5321) or LMTP (RFC 2033): 250 only once it is stored, no relaying.

A mail has one recipient here, for each tells of one of our messages; further ones are told to come by themselves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parseaddr

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from notify.app import App
from notify.channels.email import verp
from notify.errors import NotifyError, Unreachable
from notify.feedback.incoming import Mail, take
from notify.feedback.mailboxes.certificate import certificate_of
from notify.feedback.mailboxes.conversation import Lmtp, Smtp
from notify.feedback.mailboxes.imap import FIRST_MEGABYTE
from notify.feedback.mailboxes.url import Listening
from notify.feedback.stored_together import Full, Gathering
from notify.model import fold
from notify.settings import Settings
from notify.store import mailboxes
from notify.telemetry import emit

SIGN_OF_LIFE_SECONDS = 60.0
SHUT_TOO_LONG = timedelta(minutes=3)
LEAVING_SECONDS = 10.0
TLS_LEAVE_SECONDS = 1.0
BUSY = b"421 4.3.2 Too many connections, come again later\r\n"
LATER = "451 4.3.0 Cannot be stored just now, come again later"


async def serve(app: App, places: Sequence[Listening], stop: asyncio.Event) -> None:
    """Listen on these until `stop` is set; what is being stored then is answered first.

    Raises `InvalidSettings` when the certificate of one cannot be used, before any is listened on; `Unreachable` when
    one cannot be listened on, or when the database is away at the beginning.
    """
    doors = [Door(app, one) for one in places]
    try:
        for door in doors:
            await door.open()
        living = asyncio.create_task(_live(app, doors))
        await stop.wait()
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living
    finally:
        await asyncio.gather(*(door.close() for door in doors))


async def _live(app: App, doors: Sequence[Door]) -> None:
    """Say that these are listened on: who has been silent for long is an alert, and so is who takes nobody."""
    while True:
        try:
            await asyncio.to_thread(_note, app, doors)
        except NotifyError as error:
            for one in doors:
                emit("listener.refused", listener=one.name, error=str(error).partition("\n")[0])
        await asyncio.sleep(SIGN_OF_LIFE_SECONDS)


def _note(app: App, doors: Sequence[Door]) -> None:
    now = app.clock.now()
    with app.store.begin() as connection:
        for one in doors:
            mailboxes.begin(connection, one.name, now)
            mailboxes.succeed(connection, one.name, now)
            problem = one.problem(now)
            if problem is not None:
                mailboxes.fail(connection, one.name, problem)


class Door:
    """One address that is listened on; who speaks here is served by aiosmtpd, which calls the `handle_` methods.

    Raises `InvalidSettings` when its certificate cannot be used.
    """

    def __init__(self, app: App, place: Listening) -> None:
        self._app = app
        self._place = place
        self._ours = recipients(app.settings)
        self._present: dict[SMTP, str] = {}  # with whose each is
        self._gathering = Gathering[Mail](
            self._store, lambda one: len(one.octets or b""), place.connections * FIRST_MEGABYTE
        )
        self._certificate = certificate_of(place)
        self._server: asyncio.Server | None = None
        self._shut_since: datetime | None = None
        self.name = place.name

    def problem(self, now: datetime) -> str | None:
        """What is wrong with it, in words: all its lines are held, and for long nobody has come in or left."""
        since = self._shut_since
        if since is None or now - since < SHUT_TOO_LONG:
            return None
        return f"whoever came since {since:%H:%M} UTC was turned away, for too many connections are held"

    async def open(self) -> None:
        """Begin to listen. Raises `Unreachable`."""
        await asyncio.to_thread(_note, self._app, [self])
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Gate(self), self._place.host, self._place.port)
        except OSError as error:
            raise Unreachable(
                f"cannot listen on {self._place.name}: {error.strerror or error}\n"
                "Next: stop what listens there, or name another address in NOTIFY_MAILBOXES"
            ) from None
        emit("listener.started", listener=self._place.name)

    async def close(self) -> None:
        """Listen no longer, answer for what is being stored, and hang up."""
        if self._server is None:
            return
        self._server.close()
        await self._gathering.settled(LEAVING_SECONDS)
        await asyncio.sleep(0)  # the answers go out
        await self._hang_up()
        emit("listener.stopped", listener=self._place.name)

    async def _hang_up(self) -> None:
        """Close every connection; who does not take leave of TLS in time is cut off."""
        for way in ("close", "abort"):
            for one in list(self._present):
                if one.transport is not None:
                    getattr(one.transport, way)()
            with suppress(TimeoutError):
                async with asyncio.timeout(TLS_LEAVE_SECONDS):
                    while self._present:
                        await asyncio.sleep(TLS_LEAVE_SECONDS / 100)

    def admit(self, host: str) -> SMTP | None:
        """What serves a connection from there; None when there are too many."""
        everywhere = len(self._present) >= self._place.connections
        if everywhere or list(self._present.values()).count(host) >= self._place.of_one_host:
            error = "too many connections" if everywhere else "too many connections of one host"
            emit("listener.refused", listener=self._place.name, error=error)
            self._shut_since = self._shut_since or self._app.clock.now()
            return None
        kind = Lmtp if self._place.scheme == "lmtp" else Smtp
        made = kind(
            self,
            data_size_limit=self._place.size,
            enable_SMTPUTF8=True,
            hostname=socket.getfqdn(),
            ident="notify",
            timeout=self._place.timeout,
            tls_context=self._certificate.context() if self._certificate else None,
            loop=asyncio.get_running_loop(),
        )
        self._present[made] = host
        self._shut_since = None
        return made

    def left(self, one: SMTP) -> None:
        """A connection has ended."""
        self._present.pop(one, None)
        self._shut_since = None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called for each sender."""
        if self._place.require_tls and session.ssl is None:
            return "530 5.7.0 Must issue a STARTTLS command first"  # RFC 3207 §4
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Called for each recipient."""
        if not self._ours.fullmatch(fold(address)):
            return "550 5.7.1 Nobody here by that name, and nothing is relayed"
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def bring(self, recipient: str, octets: bytes, size: int) -> str:
        """Called for each mail, with its first megabyte and the octets of the whole; returns the answer."""
        if size > self._place.size:
            return f"552 5.3.4 More than {self._place.size} octets"
        mail = Mail(octets, size, self._app.clock.now(), envelope_to=recipient)
        try:
            await self._gathering.add(mail)  # who hangs up meanwhile comes again: it is known by then
        except (NotifyError, Full) as error:
            why = str(error).partition("\n")[0]
        except Exception as error:
            why = type(error).__name__
        else:
            return "250 2.0.0 Stored"
        emit("listener.refused", listener=self._place.name, error=why)
        return LATER

    async def handle_exception(self, error: Exception) -> str:
        """Called for what nobody expected: one line says it, and nothing is refused for good."""
        if isinstance(error, TLSSetupException):
            why = getattr(error.__cause__, "reason", None) or "no handshake"
            emit("listener.tls_failed", listener=self._place.name, error=why)
        else:
            emit("listener.refused", listener=self._place.name, error=type(error).__name__)
        return LATER

    def _store(self, mails: Sequence[Mail]) -> None:
        """Store these at once; whatever goes wrong, all are to be brought again, and those that are known by then."""
        take(self._app, self._place.name, mails)


def recipients(settings: Settings) -> re.Pattern[str]:
    """Who is written to here, as folded addresses: the return path, also with a tag (RFC 5233), From and Reply-To."""
    written = (settings.bounce_address, settings.email_from, settings.email_reply_to)
    return re.compile("|".join(sorted({verp.form(parseaddr(one)[1]) for one in written if one})))


class _Gate(asyncio.Protocol):
    """Looks at who comes: served, or told to come again."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        served = self._door.admit(_host(transport.get_extra_info("peername")))
        if served is None:
            transport.write(BUSY)
            transport.close()
            return
        transport.set_protocol(served)
        served.connection_made(transport)


def _host(peer: tuple[str, int] | None) -> str:
    """Whose a connection is: its address, of IPv6 the network that one host has to itself (RFC 4291 §2.5.1)."""
    if peer is None:  # gone already
        return ""
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
