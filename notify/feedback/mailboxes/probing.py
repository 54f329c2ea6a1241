"""Whether a mailbox can be opened, and a listener answers. Nothing is read, marked or brought."""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509

from notify.app import App
from notify.errors import Unreachable
from notify.feedback.mailboxes.imap import opened
from notify.feedback.mailboxes.url import ImapMailbox, Listening
from notify.store import mailboxes

SECONDS = 5.0
LATELY = timedelta(seconds=90)
"""A listener says every minute that it is there."""
LONGEST_ANSWER = 100  # lines
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, and where to ask
START = "notify bounces listen"


def probe(box: ImapMailbox) -> int:
    """How many mails lie in the folder. Raises `UnreachableMailbox`."""
    with opened(box) as session:
        return session.select(read_only=True).mails


def answers(app: App, place: Listening) -> str:
    """What a listener says of itself, in words: whether it takes mail, and by TLS if it is to. Raises `Unreachable`."""
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
    except (OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no answer of a mail server in time"
        raise Unreachable(f"{why}\nNext: look at what listens there, and at the log of {START}") from None


def _said_lately(app: App, place: Listening) -> str | None:
    with app.store.read() as connection:
        standing = mailboxes.listing(connection).get(place.name)
    if standing is None or standing.scanned_at is None or app.clock.now() - standing.scanned_at > LATELY:
        return None
    return "does not answer from here, and said within the last minute that it listens"


def _asked(place: Listening) -> str:
    with socket.create_connection((ANYWHERE.get(place.host, place.host), place.port), SECONDS) as line:
        greeting = _answer(line)
        if greeting.startswith("421"):
            return "answers, and all its connections are taken just now"
        able = _answer(line, "LHLO" if place.scheme == "lmtp" else "EHLO", "localhost")
        if not (greeting.startswith("220") and able.startswith("250")):
            raise ValueError(greeting)
        if place.cert is None:
            _answer(line, "QUIT")
            return "answers"
        if not re.search(r"^250[ -]STARTTLS\s*$", able, re.MULTILINE):
            raise Unreachable(f"offers no STARTTLS, though ?cert= is set\nNext: start {START} anew")
        if not _answer(line, "STARTTLS").startswith("220"):
            raise ValueError("STARTTLS")
        return f"answers, and by STARTTLS; its certificate is good until {_secured(line):%Y-%m-%d}"


def _secured(line: socket.socket) -> datetime:
    """When the certificate ends with which TLS begins. Raises `Unreachable` when it has, or is not good yet."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is for, its senders decide
    with context.wrap_socket(line) as secured:
        certificate = x509.load_der_x509_certificate(secured.getpeercert(True) or b"")
    begin, end, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC)
    if not begin <= now <= end:
        when = f"ended on {end:%Y-%m-%d}" if now > end else f"begins on {begin:%Y-%m-%d}"
        raise Unreachable(f"its certificate {when}\nNext: renew the file of ?cert=")
    return end


def _answer(line: socket.socket, *words: str) -> str:
    """What is answered to a command, or said first (RFC 5321 §4.2.1). Raises `EOFError` and `OSError`."""
    if words:
        line.sendall(" ".join(words).encode("ascii") + b"\r\n")
    said = bytearray()
    for _ in range(LONGEST_ANSWER):
        said += _line(line)
        if re.fullmatch(rb"[0-9]{3}(?: .*)?", said.splitlines()[-1], re.DOTALL):
            return said.decode("utf-8", "replace")
    raise EOFError


def _line(line: socket.socket) -> bytes:
    """One line; octet by octet, for what follows it may be TLS."""
    said = bytearray()
    while not said.endswith(b"\n"):
        octet = line.recv(1)
        if not octet or len(said) > 4096:  # noqa: PLR2004 - RFC 5321 §4.5.3.1.5 has 512
            raise EOFError
        said += octet
    return bytes(said)
