"""The addresses by which opens and clicks are known: signed, so that nobody else can make one that leads anywhere.

A pixel's token names its message; a link's names the message and the link. Where a link leads is not in it: that is
looked up on our side, so that no token can be made to lead somewhere else. Signatures are short, for they only
guard a count; the same message always has the same addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from notify import signing

OPEN_PATH, CLICK_PATH, GIF = "o", "c", ".gif"
LONGEST_TOKEN = 96  # more characters are not even looked at
_OPEN, _CLICK = b"notify open 1", b"notify click 1"
_ID = 16


class Clicked(NamedTuple):
    """Which link of which message."""

    message_id: UUID
    link_id: UUID


def link_id(tenant_id: UUID, url: str) -> UUID:
    """The id of a link, the same for the same address of one tenant, and for no other (UUID 8, RFC 9562 §5.8)."""
    digest = bytearray(hashlib.sha256(tenant_id.bytes + url.encode()).digest()[:_ID])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def pixel(root: str, secret: str, message_id: UUID) -> str:
    """The address of a message's pixel, on our pages at `root`."""
    return f"{root}/{OPEN_PATH}/{signing.sign(secret, _OPEN, message_id.bytes, octets=signing.SHORT)}{GIF}"


def link(root: str, secret: str, message_id: UUID, link_id: UUID) -> str:
    """The address that stands in a message in the place of this link's own."""
    named = message_id.bytes + link_id.bytes
    return f"{root}/{CLICK_PATH}/{signing.sign(secret, _CLICK, named, octets=signing.SHORT)}"


def opened(secrets: Sequence[str], given: str) -> UUID | None:
    """The message whose pixel it is; None for what was not signed by one of these secrets, or changed since."""
    named = _named(secrets, _OPEN, given)
    return UUID(bytes=named) if named is not None and len(named) == _ID else None


def clicked(secrets: Sequence[str], given: str) -> Clicked | None:
    """The link whose token it is; None as with `opened`."""
    named = _named(secrets, _CLICK, given)
    if named is None or len(named) != 2 * _ID:
        return None
    return Clicked(UUID(bytes=named[:_ID]), UUID(bytes=named[_ID:]))


def _named(secrets: Sequence[str], purpose: bytes, given: str) -> bytes | None:
    return signing.verify(secrets, purpose, given, octets=signing.SHORT) if len(given) <= LONGEST_TOKEN else None
