"""What a server's refusal, or its silence, means: exactly one of the five delivery errors, whatever happened.

A reply code means what RFC 5321 §4.2 and RFC 3463 say at the step where it came. The reasons name the step and
what happened there; addresses and secrets stay out of them.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from enum import StrEnum

from notify.channels.email import smtp_rules as rules
from notify.channels.email.smtp_rules import About, Part, Rule
from notify.channels.provider import Receipt
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain

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
PARTS = {Step.MAIL: Part.SENDER, Step.RCPT: Part.RECIPIENT, Step.DATA: Part.CONTENT, Step.BODY: Part.CONTENT}


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


_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")  # and no piece of an IP address
_LINE_BREAK = re.compile(r"\s*\n(?:[245]\.\d{1,3}\.\d{1,3} )?\s*")  # a status is repeated on each line (RFC 2034 §4)
_QUEUE_ID = re.compile(
    r"\bqueued as[ :]*<?(?P<as>[\w.+@-]+)|\bid=(?P<id>[\w.+@-]+)|\b(?P<before>\w{8,}) Message accepted", re.IGNORECASE
)
_WAIT = re.compile(
    r"\b(?:in|after|for|wait|least|about|timeout:?) +(?:(\d{1,2}):(\d\d):(\d\d)\b|(\d{1,6}) *(s|m|h)[a-z]*\b)",
    re.IGNORECASE,
)
_UNITS = {"s": 1, "m": 60, "h": 3600}
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 3600.0
"""Bounds in seconds of a wait that a server asks for: beyond an hour our own waits are long enough."""

PERMANENT = 5  # the class of the code, RFC 5321 §4.2.1
BUSY_MAILBOX = 450  # the others of 4xx are about the system, unless a status or text says otherwise (RFC 5321 §4.2.3)
NO_ROOM = 552
BAD_LOGIN = frozenset({AUTHENTICATION_REQUIRED, 535, 538})  # RFC 4954 §6
PROTOCOL_ERRORS = frozenset({500, 501, 502, 503, 504, 555})
"""Codes that, with no better word beside them, are about the conversation (RFC 5321 §4.2.3, §4.1.1.11)."""

BY_CODE = {551: rules.MOVED, 556: rules.NO_MAIL, 521: rules.AWAY}
"""Codes that say all (RFC 5321 §4.2.3, RFC 7504 §3, §4)."""

ABOUT_THE_MAILBOX = ("4.", "1.", "2.", "6.", "7.")
"""Subjects of a 4xx that are about this message or its mailbox; the first, the way there, at RCPT only."""

OUR_SIDE = ("3.", "5.", "6.", "7.")
"""Subjects that are about systems, protocol, content and policy: they never condemn an address."""


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
    response, line_lost = said(code, text), code == CLOSING or step in HANDSHAKE
    kind = code // 100
    if kind not in (4, PERMANENT):
        return (Uncertain if step is Step.BODY else Transient)(f"{step}_unintelligible", response, line_lost=True)
    permanent = kind == PERMANENT
    if permanent and (step in (Step.STARTTLS, Step.AUTH) or code in BAD_LOGIN):
        return Misconfigured(f"{step}_refused", response)
    status, words = _taken_apart(kind, response)
    rule = rules.rule_for(status, words, PARTS.get(step, Part.GREETING), permanent=permanent)
    if rule is not None and rule.about is About.PACE:
        return Throttled(rule.reason, response, retry_after=_wait(words, rule), line_lost=line_lost)
    if step in HANDSHAKE:  # nobody was named yet: only the server's own state can be the reason
        return Transient(f"{step}_refused" if permanent else f"{step}_deferred", response, line_lost=True)
    rule = rule or (BY_CODE.get(code) if permanent and not status else None)
    if rule is not None and rule.about is About.ADDRESS and step is Step.MAIL:
        rule = rules.SENDER  # no other address was named yet
    if permanent:
        return _by_rule(step, response, rule, words) if rule else _rejection(step, code, status, response)
    return _deferral(step, code, status, response, rule=rule, wait=_wait(words, rule))


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


def _taken_apart(kind: int, response: str) -> tuple[str, str]:
    """Subject and detail of the enhanced status, empty where there is none, and the text as one line."""
    text = _LINE_BREAK.sub(" ", response[3:].strip())
    found = next((found for found in _ENHANCED.finditer(text) if int(found[1]) == kind), None)
    if found is None:
        return "", text
    return f"{found[2]}.{found[3]}", f"{text[: found.start()]}{text[found.end() :]}".strip()


def _by_rule(step: Step, response: str, rule: Rule, words: str) -> DeliveryError:
    """What a 5xx means that falls under a rule."""
    match rule.about:
        case About.PASSING:
            return Transient(rule.reason, response, retry_after=_wait(words, rule), scope="message")
        case About.ADDRESS:
            return Rejected(rule.reason, response, scope="address")
        case About.MESSAGE if step is not Step.MAIL or rule is rules.TOO_LARGE:
            return Rejected(rule.reason, response)
        case About.OPERATOR:
            return Misconfigured(rule.reason, response)
        case About.SENDER if step is Step.MAIL:
            return Misconfigured(rule.reason, response)
    return Transient(rule.reason, response)


def _rejection(step: Step, code: int, status: str, response: str) -> DeliveryError:
    """What a 5xx means that falls under none, by where it came."""
    if not status and code in PROTOCOL_ERRORS:
        return Rejected(f"{step}_rejected", response)
    if not status and code == NO_ROOM:  # of the mailbox, or for so large a message (RFC 5321 §4.2.3, RFC 1870 §6)
        return Rejected(rules.FULL.reason if step is Step.RCPT else rules.TOO_LARGE.reason, response)
    if step is Step.MAIL:
        return Transient(f"{step}_rejected", response)  # only we were named: another provider may be of another mind
    condemned = step is Step.RCPT and not status.startswith(OUR_SIDE)
    return Rejected(f"{step}_rejected", response, scope="address" if condemned else "message")


def _deferral(step: Step, code: int, status: str, response: str, *, rule: Rule | None, wait: float | None) -> Transient:
    """What a 4xx means: whose trouble it is."""
    about = rule.about if rule else None
    if about is None:
        named = step is not Step.MAIL and code != CLOSING
        subjects = ABOUT_THE_MAILBOX[step is not Step.RCPT :]
        of_this = named and (status.startswith(subjects) and status != "7.0" if status else code == BUSY_MAILBOX)
    else:
        of_this = about in (About.ADDRESS, About.MESSAGE, About.PASSING)
    return Transient(
        rule.reason if rule and about is not About.ADDRESS else f"{step}_deferred",
        response,
        retry_after=wait,
        line_lost=code == CLOSING,
        scope="message" if of_this else "provider",
    )


def _wait(words: str, rule: Rule | None) -> float | None:
    """The seconds that the server names, within bounds; else those of the rule."""
    found = _WAIT.search(words)
    if found is None:
        return rule.wait if rule else None
    if found[4]:
        asked = int(found[4]) * _UNITS[found[5].lower()]
    else:
        asked = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    return min(max(float(asked), SHORTEST_WAIT), LONGEST_WAIT)


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
