"""One SMTP connection, from greeting to QUIT: whatever goes wrong is raised as a `DeliveryError`.

Where the answer to a command cannot be known the connection is closed: no reply is ever taken for another's.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from notify.channels.email.address import ascii_form, needs_smtputf8
from notify.channels.email.smtp_replies import Refused, Step, failure, receipt
from notify.channels.provider import Envelope, Receipt
from notify.errors import InvalidAddress, Misconfigured, Rejected

GOODBYE_SECONDS = 2.0
COMPLETED = range(200, 300)
READY, AUTHENTICATED, CHALLENGE, GO_AHEAD = 220, 235, 334, 354

_UNSAFE = re.compile(r"[\0-\x20\x7f<>]")


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


class _Line(smtplib.SMTP):
    """smtplib's framing, EHLO and STARTTLS; a limit of its own for connecting; TLS before the greeting."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(local_hostname=terms.greeting, timeout=terms.timeout)
        self.command_encoding = "utf-8"  # for addresses under SMTPUTF8 (RFC 6531 §3.3)
        self._terms = terms
        self._host = terms.host  # the name that STARTTLS verifies

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = socket.create_connection((host, port), self._terms.connect_timeout)
        try:
            if self._terms.security is Security.IMPLICIT:
                line = self._terms.trust().wrap_socket(line, server_hostname=host)
        except BaseException:
            line.close()
            raise
        line.settimeout(timeout)
        return line


class Dialogue:
    """Commands and their replies, in order."""

    def __init__(self, terms: Terms) -> None:
        """Connect, secure and authenticate. Raises `Transient` or `Misconfigured`."""
        self._line = _Line(terms)
        self._step = Step.CONNECT
        with self._judged():
            self._greet(terms)
            if terms.security is Security.REQUIRED or terms.security is Security.WHEN_OFFERED:
                self._encrypt(terms)
            if terms.credentials is not None:
                self._authenticate(*terms.credentials)

    @property
    def over(self) -> bool:
        """Whether the connection is closed."""
        return self._line.sock is None

    def deliver(self, envelope: Envelope) -> Receipt:
        """Hand over one message. Raises a `DeliveryError`; unless then `over`, the next message can follow."""
        sender = _mailbox(envelope.sender, Rejected("sender_invalid"))
        recipient = _mailbox(envelope.recipient, Rejected("recipient_invalid", scope="address"))
        parameters = self._parameters(envelope)
        with self._judged():
            self._ask(Step.MAIL, f"MAIL FROM:<{sender}>{parameters}", COMPLETED)
            self._ask(Step.RCPT, f"RCPT TO:<{recipient}>", COMPLETED)
            self._ask(Step.DATA, "DATA", (GO_AHEAD,))
            self._line.send(_transparent(envelope.content))
            self._step = Step.BODY
            return receipt(*self._expect(self._line.getreply(), COMPLETED))

    def quit(self) -> None:
        """Take leave, and wait only briefly for the answer, on which nothing depends."""
        if self._line.sock is not None:
            self._line.sock.settimeout(GOODBYE_SECONDS)
            with suppress(OSError):
                self._line.docmd("QUIT")
            self._line.close()

    def _greet(self, terms: Terms) -> None:
        self._expect(self._line.connect(terms.host, terms.port), (READY,))
        self._step = Step.HELO
        self._line.ehlo_or_helo_if_needed()

    def _encrypt(self, terms: Terms) -> None:
        self._step = Step.STARTTLS
        if self._line.has_extn("starttls"):
            self._line.starttls(context=terms.trust())
            self._step = Step.HELO
            self._line.ehlo_or_helo_if_needed()
        elif terms.security is Security.REQUIRED:
            raise Misconfigured("starttls_absent", "the server does not offer STARTTLS, which tls= or a password needs")

    def _authenticate(self, user: str, password: str) -> None:
        """PLAIN (RFC 4616) or LOGIN, both in UTF-8."""
        offered = self._line.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            commands = ["AUTH PLAIN " + _base64(f"\0{user}\0{password}")]
        elif "LOGIN" in offered:
            commands = ["AUTH LOGIN", _base64(user), _base64(password)]
        else:
            raise Misconfigured("auth_unsupported", f"the server offers {', '.join(offered) or 'no AUTH'}")
        self._step = Step.AUTH
        code, text = CHALLENGE, b""
        for command in commands:
            self._expect((code, text), (CHALLENGE,))
            code, text = self._line.docmd(command)
            for secret in filter(None, (command.split(" ")[-1], user, password)):
                text = text.replace(secret.encode(), b"***")  # some servers quote what they refuse
        self._expect((code, text), (AUTHENTICATED,))

    def _parameters(self, envelope: Envelope) -> str:
        """What MAIL must announce of this message; raises `Rejected` when the server cannot take it."""
        content, line = envelope.content, self._line
        parameters = ""
        if line.has_extn("size"):
            limit = line.esmtp_features["size"]
            if limit.isdecimal() and 0 < int(limit) < len(content):  # RFC 1870 §4: 0 is no limit
                raise Rejected("too_large", f"{len(content)} octets; the server takes {limit}")
            parameters += f" SIZE={len(content)}"
        if needs_smtputf8(envelope.recipient) and not line.has_extn("smtputf8"):
            raise Rejected("smtputf8_unsupported", scope="address")
        eight_bit = not content.isascii()
        if eight_bit and not line.has_extn("8bitmime"):
            raise Rejected("8bitmime_unsupported")
        if eight_bit:
            parameters += " BODY=8BITMIME"
        if _needs_smtputf8(envelope):
            if not line.has_extn("smtputf8"):
                raise Rejected("smtputf8_unsupported")
            parameters += " SMTPUTF8"
        return parameters

    def _ask(self, step: Step, command: str, wanted: Container[int]) -> None:
        self._step = step
        self._expect(self._line.docmd(command), wanted)

    def _expect(self, reply: tuple[int, bytes], wanted: Container[int]) -> tuple[int, bytes]:
        if reply[0] not in wanted:
            raise Refused(*reply)
        return reply

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Leave the connection closed or ready for the next message, and say what happened as a `DeliveryError`."""
        try:
            yield
        except Refused as refused:
            self._recover(refused)
            raise failure(self._step, refused) from None
        except Exception as error:
            self._line.close()
            raise failure(self._step, error) from error
        except BaseException:
            self._line.close()
            raise

    def _recover(self, refused: Refused) -> None:
        if refused.out_of_step or self._step not in (Step.MAIL, Step.RCPT, Step.DATA, Step.BODY):
            self._line.close()
        elif self._step is not Step.BODY:  # after the body the server has forgotten the transaction by itself
            with suppress(OSError):
                if self._line.docmd("RSET")[0] in COMPLETED:
                    return
            self._line.close()


def _mailbox(address: str, otherwise: Rejected) -> str:
    """The address as it stands between angle brackets; empty is the null return path."""
    try:
        address = ascii_form(address)
    except InvalidAddress:
        raise otherwise from None
    if _UNSAFE.search(address):
        raise otherwise
    return address


def _needs_smtputf8(envelope: Envelope) -> bool:
    if needs_smtputf8(envelope.recipient) or needs_smtputf8(envelope.sender):
        return True
    return not envelope.content.isascii() and not envelope.content.partition(b"\r\n\r\n")[0].isascii()


def _transparent(content: bytes) -> bytes:
    """The body as it is transmitted, its end included (RFC 5321 §4.5.2)."""
    stuffed = content.replace(b"\n.", b"\n..")
    return b"%b%b%b.\r\n" % (
        b"." if content.startswith(b".") else b"",
        stuffed,
        b"" if content.endswith(b"\r\n") else b"\r\n",
    )


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
