"""MIME entities: any text as quoted-printable, any file as base64, each within 76 columns and 7-bit (RFC 2045 §6)."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache

from notify.channels.email.headers import disposition_header, extra_header
from notify.errors import InvalidAttachment, InvalidHeader
from notify.model import Attachment
from notify.passages import COLUMNS, Passage

_NAME = r"[A-Za-z0-9!#$&^_.+-]+"
CONTENT_TYPE = re.compile(rf'({_NAME})/{_NAME}(?:\s*;\s*{_NAME}=(?:{_NAME}|"[ !#-\[\]-~]*"))*')
"""A type with its parameters, `text/csv; charset=utf-8` (RFC 2045 §5.1); to be matched in full."""

CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")
"""What stands between the angle brackets of a Content-ID (RFC 2392); to be matched in full."""


def text_part(subtype: str, text: str | Passage) -> bytes:
    """The entity `text/<subtype>`: headers, blank line, body."""
    return (b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n%b") % (
        subtype.encode("ascii"),
        (Passage((text,)) if isinstance(text, str) else text).octets(),
    )


def multipart(subtype: str, boundary: bytes, parts: Sequence[bytes], parameters: bytes = b"") -> bytes:
    """The entity that holds `parts`. The boundary must hold `=_`, which no encoded body can (RFC 2045 §6.7)."""
    delimiter = b"\r\n--%b\r\n" % boundary
    return b'Content-Type: multipart/%b;\r\n boundary="%b"%b\r\n%b%b\r\n--%b--\r\n' % (
        subtype.encode("ascii"),
        boundary,
        parameters,
        delimiter,
        delimiter.join(parts),
        boundary,
    )


@lru_cache(maxsize=4)  # the same files travel with every message of a notification
def file_part(attachment: Attachment, *, inline: bool) -> bytes:
    """The entity that carries a file. Raises `InvalidAttachment` or `InvalidHeader`."""
    if not attachment.name.strip():
        raise InvalidAttachment("an attachment needs a file name")
    disposition = disposition_header("inline" if inline else "attachment", attachment.name)
    return b"".join(
        (
            extra_header("Content-Type", _content_type(attachment)),
            b"Content-Transfer-Encoding: base64\r\n",
            disposition,
            _content_id(attachment) if inline else b"",
            b"\r\n",
            _base64(attachment.content),
        )
    )


def _base64(content: bytes) -> bytes:
    encoded = b2a_base64(content, newline=False)
    return b"\r\n".join([encoded[at : at + COLUMNS] for at in range(0, len(encoded), COLUMNS)])


def _content_type(attachment: Attachment) -> str:
    found = CONTENT_TYPE.fullmatch(attachment.content_type)
    if found is None:
        if re.search(r"[\r\n\0]", attachment.content_type):
            raise InvalidHeader(f"attachment {attachment.name!r}: CR, LF and NUL are refused in its content type")
        raise InvalidAttachment(
            f"attachment {attachment.name!r}: {attachment.content_type!r} is not a content type, such as text/csv"
        )
    # RFC 2046 §5.1 and §5.2.1 forbid base64 for these two, and a mail in a mail is a file to its sender.
    composite = found[1].lower() in ("multipart", "message")
    return "application/octet-stream" if composite else attachment.content_type


def _content_id(attachment: Attachment) -> bytes:
    name = attachment.inline or ""
    if re.search(r"[\r\n\0]", name):
        raise InvalidHeader(f"attachment {attachment.name!r}: CR, LF and NUL are refused in its content id")
    if not CONTENT_ID.fullmatch(name):
        raise InvalidAttachment(f"attachment {attachment.name!r}: inline={name!r} is not a content id (RFC 2392)")
    return b"Content-ID: <%b>\r\n" % name.encode("ascii")
