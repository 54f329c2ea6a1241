"""Whether a mailbox can be opened, and a listener answers. Nothing is read, marked or brought."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509

from notify.app import App
from notify.channels.email.greeting import NoMailServer, greet
from notify.errors import InvalidSettings, Unreachable, UnreachableMailbox
from notify.feedback.mailboxes.certificate import certificate_of
from notify.feedback.mailboxes.imap import opened, trusted
from notify.feedback.mailboxes.problems import failed
from notify.feedback.mailboxes.tokens import NoToken
from notify.feedback.mailboxes.url import ImapMailbox, Listening
from notify.store import mailboxes

SECONDS = 5.0
LATELY = timedelta(seconds=90)
"""A listener says every minute that it is there."""
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, and where to ask
START = "notify bounces listen"


def probe(box: ImapMailbox) -> int:
    """How many mails lie in the folder. Raises `UnreachableMailbox`."""
    with opened(box) as session:
        return session.select(read_only=True).mails


def look_at_files(place: ImapMailbox | Listening) -> None:
    """Read the files that its URL names, and ask nobody. Raises `InvalidSettings` for one that cannot be used."""
    if isinstance(place, Listening):
        certificate_of(place)
        return
    try:
        if place.ca is not None:
            trusted(place)
        if place.tokens is not None:
            place.tokens.look()
    except NoToken as error:
        raise InvalidSettings(f"NOTIFY_MAILBOXES: {failed(place, error.problem, error.step)}") from None
    except UnreachableMailbox as error:
        raise InvalidSettings(f"NOTIFY_MAILBOXES: {error}") from None


def answers(app: App, place: Listening) -> str:
    """What a listener says of itself, in words: whether it takes mail, and by TLS if it is to.

    Raises `Unreachable`, and `InvalidSettings` when its certificate cannot be read from here: without that it could not
    be started again.
    """
    look_at_files(place)
    try:
        return _asked(place)
    except (ConnectionRefusedError, socket.gaierror):
        said = _said_lately(app, place)
        if said is None:
            raise Unreachable(f"nobody answers on its port\nNext: start {START}, or look at its log") from None
        return said
    except ssl.SSLError as error:
        step = "look at the files of ?cert= and ?key="
        raise Unreachable(f"STARTTLS fails: {error.reason or 'TLS failed'}\nNext: {step}") from None
    except (NoMailServer, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no answer of a mail server in time"
        raise Unreachable(f"{why}\nNext: look at what listens there, and at the log of {START}") from None


def _said_lately(app: App, place: Listening) -> str | None:
    with app.store.read() as connection:
        standing = mailboxes.listing(connection).get(place.name)
    if standing is None or standing.scanned_at is None or app.clock.now() - standing.scanned_at > LATELY:
        return None
    return "does not answer from here, and said within the last minute that it listens"


def _asked(place: Listening) -> str:
    host, lmtp = ANYWHERE.get(place.host, place.host), place.scheme == "lmtp"
    found = greet(host, place.port, lmtp=lmtp, secure=place.cert is not None, seconds=SECONDS)
    if found.busy:
        return "answers, and all its connections are taken just now"
    if place.cert is None:
        return "answers"
    if found.certificate is None:
        raise Unreachable(f"offers no STARTTLS, though ?cert= is set\nNext: start {START} anew")
    return f"answers, and by STARTTLS; its certificate is good until {_good_until(found.certificate):%Y-%m-%d}"


def _good_until(octets: bytes) -> datetime:
    """When a certificate ends. Raises `Unreachable` when it has, or is not good yet."""
    certificate = x509.load_der_x509_certificate(octets)
    begin, end, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC)
    if not begin <= now <= end:
        when = f"ended on {end:%Y-%m-%d}" if now > end else f"begins on {begin:%Y-%m-%d}"
        raise Unreachable(f"its certificate {when}\nNext: renew the file of ?cert=")
    return end
