"""A Mail becomes the octets of an RFC 5322 message: the same Mail, the same octets, on every try.

CRLF line ends, no line over 998 octets, and 7-bit ASCII unless an address itself is beyond it. No clock and no
randomness: boundaries derive from the message id. Proven by reading the result back with the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from notify.channels.email.address import ascii_form
from notify.channels.email.bodies import file_part, multipart, text_part
from notify.channels.email.headers import address_header, extra_header, mailbox_header, text_header, url_header
from notify.errors import InvalidHeader
from notify.model import Attachment
from notify.passages import Passage

OURS = frozenset(
    {
        *("from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "auto-submitted"),
        *("mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"),
    }
)
"""Headers that `compose` alone writes, so that each stands at most once."""

_FIXED = b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"  # RFC 3834 §5, RFC 2045 §4
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"  # RFC 8058 §3.1


class Mail(NamedTuple):
    """What one recipient is to read.

    `sender` and `reply_to` are `Name <address>` or an address; `domain` is the right side of the Message-ID;
    `date` is aware. With neither `text` nor `html` the mail is empty. `unsubscribe_url` is where one
    click is enough (RFC 8058). `headers` are further ones.
    """

    message_id: UUID
    domain: str
    date: datetime
    sender: str
    recipient_address: str
    subject: str
    recipient_name: str | None = None
    reply_to: str | None = None
    text: str | Passage | None = None
    html: str | Passage | None = None
    unsubscribe_url: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    attachments: Sequence[Attachment] = ()


def compose(mail: Mail) -> bytes:
    """The message to transmit. Its line ends are CRLF and the last line has one.

    Raises `InvalidHeader` (CR, LF or NUL in anything that goes into a header; a header that is not the caller's
    to set), `InvalidAddress` or `InvalidAttachment`.
    """
    lines = [
        mailbox_header("From", mail.sender),
        address_header("To", mail.recipient_name or "", mail.recipient_address),
        text_header("Subject", mail.subject),
        _date(mail.date),
        b"Message-ID: <%b%b" % (str(mail.message_id).encode("ascii"), _id_end(mail.domain)),
    ]
    if mail.reply_to is not None:
        lines.append(mailbox_header("Reply-To", mail.reply_to))
    if mail.unsubscribe_url is not None:
        lines += (url_header("List-Unsubscribe", mail.unsubscribe_url), _ONE_CLICK)
    for name, value in mail.headers.items():
        if name.lower() in OURS:
            raise InvalidHeader(f"header {name} is written by notify itself and cannot be given")
        lines.append(extra_header(name, value))
    return b"".join((*lines, _FIXED, _content(mail)))


def header_id(message_id: UUID, domain: str) -> str:
    """The Message-ID header's value, `<uuid@domain>`, the same on every try (RFC 5322 §3.6.4)."""
    return f"<{message_id}@{domain}>" if domain.isascii() else f"<{ascii_form(f'{message_id}@{domain}')}>"


def _content(mail: Mail) -> bytes:
    """mixed( alternative( text, related( html, inline files )), files ): each level only where it is needed."""
    boundary = mail.message_id.hex.encode("ascii")
    inline = [file for file in mail.attachments if file.inline is not None and mail.html is not None]
    files = [file_part(file, inline=False) for file in mail.attachments if file not in inline]
    parts = [] if mail.text is None and mail.html is not None else [text_part("plain", mail.text or "")]
    if mail.html is not None:
        html = text_part("html", mail.html)
        if inline:
            shown = [file_part(file, inline=True) for file in inline]
            html = multipart("related", b"=_r_" + boundary, [html, *shown], b';\r\n type="text/html"')
        parts.append(html)
    content = parts[0] if len(parts) == 1 else multipart("alternative", b"=_a_" + boundary, parts)
    return multipart("mixed", b"=_m_" + boundary, [content, *files]) if files else content


@lru_cache(maxsize=64)
def _id_end(domain: str) -> bytes:
    """What follows the UUID in a Message-ID's line: checked and written once for a domain."""
    return extra_header("Message-ID", f"<@{ascii_form(f'@{domain}')[1:]}>").partition(b"<")[2]


def _date(date: datetime) -> bytes:
    if date.tzinfo is None:
        raise ValueError("a mail's date must be aware")
    return _date_header(int(date.timestamp()))


@lru_cache(maxsize=64)
def _date_header(timestamp: int) -> bytes:
    return f"Date: {format_datetime(datetime.fromtimestamp(timestamp, UTC))}\r\n".encode("ascii")
