"""What travels on an SMTP line, octet by octet: commands that carry nothing but themselves, bodies, whole replies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from notify.channels.email.address import ascii_form, needs_smtputf8
from notify.channels.provider import Envelope
from notify.errors import InvalidAddress, Rejected

LONGEST_REPLY = 8192
"""Octets of one reply, all its lines together: sixteen times what RFC 5321 §4.5.3.1.5 allows for a line."""

UNREADABLE = -1
"""The code of what is no reply."""

DATA, RSET, DOT, QUIT = b"DATA\r\n", b"RSET\r\n", b".\r\n", b"QUIT\r\n"

_DOTTED = re.compile(rb"\n\.")  # looked for like this, twice as quickly as by replace()
_UNSAFE = re.compile(r"[\0-\x20\x7f<>]")


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions of one server; `size` is in octets, 0 without a limit, None when it is not offered (RFC 1870)."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    pipelining: bool = False


def commands(envelope: Envelope, offers: Offers) -> tuple[bytes, bytes]:
    """MAIL and RCPT for this message. Raises `Rejected` when it cannot be announced to a server that offers this."""
    sender = _sender(envelope.sender)
    if sender is None:
        raise Rejected("sender_invalid")
    recipient = _mailbox(envelope.recipient)
    if recipient is None:
        raise Rejected("recipient_invalid", scope="address")
    parameters = _parameters(envelope, offers)
    return f"MAIL FROM:<{sender}>{parameters}\r\n".encode(), f"RCPT TO:<{recipient}>\r\n".encode()


def body(content: bytes) -> bytes:
    """The content as it is transmitted, its end included (RFC 5321 §4.5.2)."""
    return b"%b%b%b.\r\n" % (
        b"." if content.startswith(b".") else b"",
        content.replace(b"\n.", b"\n..") if _DOTTED.search(content) else content,
        b"" if content.endswith(b"\r\n") else b"\r\n",
    )


class Replies:
    """Takes octets as they come, and gives whole replies in order (RFC 5321 §4.2.1)."""

    def __init__(self) -> None:
        self._octets = b""

    def __bool__(self) -> bool:
        """Whether octets are left that were not given as a reply."""
        return bool(self._octets)

    def feed(self, octets: bytes) -> None:
        """More came."""
        self._octets += octets

    def take(self) -> tuple[int, bytes] | None:
        """The next reply's code and text, its lines joined by LF; None while it is not whole.

        What cannot be read, or is too long, has the code `UNREADABLE`: nothing after it can be relied on.
        """
        octets, texts, start = self._octets, [], 0
        while (end := octets.find(b"\n", start, LONGEST_REPLY)) >= 0:
            code, last = octets[start : start + 3], octets[start + 3 : start + 4] != b"-"
            readable = code.isdigit()
            texts.append(octets[start + 4 : end].strip() if readable else octets[start:end].strip())
            start = end + 1
            if last or not readable:
                self._octets = octets[start:]
                return int(code) if readable else UNREADABLE, texts[0] if len(texts) == 1 else b"\n".join(texts)
        if len(octets) < LONGEST_REPLY:
            return None
        self._octets = b""
        return UNREADABLE, b"a reply of more than %d octets" % LONGEST_REPLY


def _mailbox(address: str) -> str | None:
    """The address as it stands between angle brackets; empty is the null return path. None when it cannot."""
    try:
        address = ascii_form(address)
    except InvalidAddress:
        return None
    return None if _UNSAFE.search(address) else address


_sender = lru_cache(maxsize=64)(_mailbox)  # the same for message after message


def _parameters(envelope: Envelope, offers: Offers) -> str:
    """What MAIL must announce of this message."""
    content = envelope.content
    parameters = ""
    if offers.size is not None:
        if 0 < offers.size < len(content):  # RFC 1870 §4: 0 is no limit
            raise Rejected("too_large", f"{len(content)} octets; the server takes {offers.size}")
        parameters = f" SIZE={len(content)}"
    if needs_smtputf8(envelope.recipient) and not offers.smtputf8:
        raise Rejected("smtputf8_unsupported", scope="address")
    if not content.isascii():
        if not offers.eight_bit:
            raise Rejected("8bitmime_unsupported")
        parameters += " BODY=8BITMIME"
    if _needs_smtputf8(envelope):
        if not offers.smtputf8:
            raise Rejected("smtputf8_unsupported")
        parameters += " SMTPUTF8"
    return parameters


def _needs_smtputf8(envelope: Envelope) -> bool:
    if needs_smtputf8(envelope.recipient) or needs_smtputf8(envelope.sender):
        return True
    return not envelope.content.isascii() and not envelope.content.partition(b"\r\n\r\n")[0].isascii()
