"""List-Unsubscribe tokens: what one names was signed with our secret, and the same message always carries the same one.

A token is `<key id>.<base64url>`: the ids of message and recipient, 16 octets each, then their HMAC-SHA256 under a key
that is derived from `NOTIFY_SECRET_KEY` and serves nothing else.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from notify import signing

LONGEST_TOKEN = 96  # more than the 95 characters that a token has are not even looked at
PURPOSE = b"notify list-unsubscribe token 1"
_NAMED = 32  # octets of both ids


class Subscription(NamedTuple):
    """Whose mail it was, and which."""

    message_id: UUID
    recipient_id: UUID


def token(secret: str, message_id: UUID, recipient_id: UUID) -> str:
    """The token of one message, of letters, digits, `-`, `_` and one dot: fit for a URL's query as it is."""
    return signing.sign(secret, PURPOSE, message_id.bytes + recipient_id.bytes)


def verify(secret: str, given: str, *old: str) -> Subscription | None:
    """What a token names; None for one that was signed with neither this secret nor an `old` one, or changed since.

    The signature is compared in constant time.
    """
    named = signing.verify((secret, *old), PURPOSE, given) if len(given) <= LONGEST_TOKEN else None
    if named is None or len(named) != _NAMED:
        return None
    return Subscription(UUID(bytes=named[:16]), UUID(bytes=named[16:]))
