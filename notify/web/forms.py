"""What a form says: read within bounds, in either encoding of HTML, never more than asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from starlette.requests import Request

from notify.web import bodies

LARGEST = 16 * 1024  # octets of a body
SECONDS = 30.0  # that it may take
MOST_FIELDS = 200
_URL_ENCODED, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Unreadable(Exception):
    """A body that is no form, too large or too slow. `status` is the HTTP status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read(request: Request) -> dict[str, str]:
    """The fields of the form; of a name that comes twice the last, and no files. Raises `Unreadable`."""
    pairs = await read_all(request)
    return dict(pairs)


async def read_all(request: Request) -> list[tuple[str, str]]:
    """Every field with its value in their order, for forms in which a name comes more than once."""
    body = await _body(request)
    kind = request.headers.get("content-type", "")
    media = kind.partition(";")[0].strip().lower()
    try:
        if media == _URL_ENCODED:
            return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        if media == _MULTIPART:
            return _parts(kind, body)
    except ValueError:  # not ASCII, or too many fields
        raise Unreadable(400) from None
    if body:
        raise Unreadable(415)
    return []


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    try:
        await bodies.read(request, LARGEST, SECONDS, chunks.append)
    except bodies.TooLarge:
        raise Unreadable(413) from None
    except bodies.TooSlow:
        raise Unreadable(408) from None
    return b"".join(chunks)


def _parts(kind: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a multipart form (RFC 7578 §4)."""
    head = b"Content-Type: " + re.sub(r"[\r\n]", "", kind).encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    found: list[tuple[str, str]] = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name: Mapping[str, str] = getattr(part["content-disposition"], "params", {})
        value = part.get_payload(decode=True)
        if "name" in name and isinstance(value, bytes) and len(found) < MOST_FIELDS:
            found.append((name["name"], value.decode("utf-8", "replace")))
    return found
