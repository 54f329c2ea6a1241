"""What a server's refusal, or its silence, means: exactly one of the five delivery errors, whatever happened.

A reply code means what RFC 5321 §4.2 and RFC 3463 say at the step where it came. The reasons name the step and
what happened there; addresses and secrets stay out of them.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from enum import StrEnum

from notify.channels.provider import Receipt
from notify.errors import DeliveryError, Misconfigured, Rejected, Transient, Uncertain

COMPLETED = range(200, 300)
READY, AUTHENTICATED, CHALLENGE, GO_AHEAD, CLOSING = 220, 235, 334, 354, 421
AUTHENTICATION_REQUIRED = 530  # RFC 4954 §6; RFC 3207 §4 uses it for "STARTTLS first"


class Step(StrEnum):
    """Where in the conversation something happened; reasons begin with it."""

    CONNECT = "connection"
    HELO = "helo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "sender"
    RCPT = "recipient"
    DATA = "data"  # up to and including the writing of the body
    BODY = "body"  # the final dot is written, its answer awaited
    RESET = "reset"  # RSET, after a refusal
    EMPTY = "empty"  # the lone dot, after a refusal that came too late to keep the server from waiting for a body


HANDSHAKE = frozenset({Step.CONNECT, Step.HELO, Step.STARTTLS, Step.AUTH})


class Refused(Exception):
    """A reply other than the one that lets the conversation go on."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.text = text

    @property
    def out_of_step(self) -> bool:
        """Whether nothing more can be said on this connection: it is closing, or this was no proper refusal."""
        return self.code == CLOSING or self.code // 100 not in (4, 5)


_ENHANCED = re.compile(r"(?:[245])\.(\d{1,3})\.(\d{1,3})\b")
_QUEUE_ID = re.compile(
    r"\bqueued as[ :]*<?(?P<as>[\w.+@-]+)|\bid=(?P<id>[\w.+@-]+)|\b(?P<before>\w{8,}) Message accepted", re.IGNORECASE
)

ABOUT_THE_ADDRESS = {
    "1.1": "mailbox_unknown",
    "1.2": "domain_unknown",
    "1.3": "address_invalid",
    "1.6": "mailbox_moved",
    "1.10": "domain_accepts_no_mail",
    "2.1": "mailbox_disabled",
}
ABOUT_THE_MESSAGE = {
    "1.7": "sender_rejected",
    "1.8": "sender_rejected",
    "2.2": "mailbox_full",
    "2.3": "too_large",
    "3.4": "too_large",
}
"""RFC 3463 §3 and RFC 7505 §4 by subject and detail; `ABOUT_THE_ADDRESS` says that the address is dead."""

OUR_SIDE = ("3.", "5.", "6.", "7.")
"""Subjects that are about systems, protocol, content and policy: they never condemn an address."""

PROTOCOL_ERRORS = frozenset({500, 502, 503, 504, 552})
"""Codes that, with no better word beside them, are about the conversation or about space (RFC 5321 §4.2.3)."""


def said(code: int, text: bytes) -> str:
    """The reply as it was given: code and text."""
    return f"{code} {text.decode('utf-8', 'replace')}".replace("\0", "\ufffd").strip()  # PostgreSQL takes no NUL


def receipt(code: int, text: bytes) -> Receipt:
    """The server's final word, with its queue id where one of the common forms names it."""
    response = said(code, text)
    found = _QUEUE_ID.search(response)
    return Receipt(response, next(filter(None, found.groups())).rstrip(".") if found else None)


def refusal(step: Step, code: int, text: bytes) -> DeliveryError:
    """The meaning of a reply that refuses."""
    response = said(code, text)
    permanent = code // 100 == 5  # noqa: PLR2004 - the class of the code, RFC 5321 §4.2.1
    if code // 100 == 4:  # noqa: PLR2004
        return Transient(f"{step}_deferred", response, line_lost=code == CLOSING or step in HANDSHAKE)
    if not permanent:
        return (Uncertain if step is Step.BODY else Transient)(f"{step}_unintelligible", response, line_lost=True)
    if step in (Step.STARTTLS, Step.AUTH) or code == AUTHENTICATION_REQUIRED:
        return Misconfigured(f"{step}_refused", response)
    if step in (Step.CONNECT, Step.HELO):
        return Transient(f"{step}_refused", response, line_lost=True)
    return _rejection(step, code, response)


def failure(step: Step, error: Exception) -> DeliveryError:
    """The meaning of an exception, of whatever class, that came up at `step`."""
    if isinstance(error, DeliveryError):
        return error
    if isinstance(error, Refused):
        return refusal(step, error.code, error.text)
    if isinstance(error, smtplib.SMTPResponseException) and step in HANDSHAKE:
        text = error.smtp_error
        return refusal(step, error.smtp_code, text if isinstance(text, bytes) else text.encode())
    reason, told = _reason(step, error), _told(error)
    if step is Step.BODY:
        return Uncertain(reason, told, line_lost=True)
    if isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPNotSupportedError):
        return Misconfigured(reason, told)
    return Transient(reason, told, line_lost=True)


def _rejection(step: Step, code: int, response: str) -> Rejected:
    enhanced = _ENHANCED.search(response)
    status = f"{enhanced[1]}.{enhanced[2]}" if enhanced else ""
    if status in ABOUT_THE_MESSAGE:
        return Rejected(ABOUT_THE_MESSAGE[status], response)
    if status.startswith(OUR_SIDE) or (not status and code in PROTOCOL_ERRORS) or step is not Step.RCPT:
        return Rejected(f"{step}_rejected", response)
    return Rejected(ABOUT_THE_ADDRESS.get(status, "recipient_rejected"), response, scope="address")


def _reason(step: Step, error: Exception) -> str:
    # smtplib wraps what the socket raised into SMTPServerDisconnected and keeps the original as context.
    causes = (error, error.__context__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate_invalid"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"{step}_tls_failed"
    if step is Step.CONNECT:
        return "unreachable"
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return f"{step}_timeout"
    lost = isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError)
    return f"{step}_disconnected" if lost else f"{step}_failed"


def _told(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", "") or "the certificate does not match"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
