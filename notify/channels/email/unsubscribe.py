"""List-Unsubscribe tokens: what one names was signed with our secret, and the same message always carries the same one.

A token is `<key id>.<base64url>`: the ids of message and recipient, 16 octets each, then their HMAC-SHA256 under a key
that is derived from `NOTIFY_SECRET_KEY` and serves nothing else.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

LONGEST_TOKEN = 96  # more than the 95 characters that a token has are not even looked at
_PURPOSE = b"notify list-unsubscribe token 1"
_NAMED = 32  # octets of both ids


class Subscription(NamedTuple):
    """Whose mail it was, and which."""

    message_id: UUID
    recipient_id: UUID


def token(secret: str, message_id: UUID, recipient_id: UUID) -> str:
    """The token of one message, of letters, digits, `-`, `_` and one dot: fit for a URL's query as it is."""
    key_id, signer = _signer(secret)
    named = message_id.bytes + recipient_id.bytes
    signed = urlsafe_b64encode(named + _signature(signer, named)).rstrip(b"=")
    return f"{key_id}.{signed.decode('ascii')}"


def verify(secret: str, given: str) -> Subscription | None:
    """What a token names; None for one that was not signed with this secret, or was changed since.

    The signature is compared in constant time.
    """
    key_id, signer = _signer(secret)
    name, dot, signed = given.partition(".")
    if not dot or name != key_id or len(given) > LONGEST_TOKEN or not given.isascii():
        return None
    try:
        octets = urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
    except binascii.Error:
        return None
    named = octets[:_NAMED]
    if not hmac.compare_digest(octets[_NAMED:], _signature(signer, named)):
        return None
    found = Subscription(UUID(bytes=named[:16]), UUID(bytes=named[16:]))
    return found if token(secret, *found) == given else None  # one spelling, though decoders skip what is not base64


def one_click_url(url: str, secret: str, message_id: UUID, recipient_id: UUID) -> str:
    """The operator's URL with the message's token as the parameter `token`, behind those that it has."""
    return f"{url}{'&' if '?' in url else '?'}token={token(secret, message_id, recipient_id)}"


@lru_cache(maxsize=4)
def _signer(secret: str) -> tuple[str, hmac.HMAC]:
    """The eight hex digits by which the key is known, and an HMAC under it to copy from."""
    key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
    return hmac.digest(key, b"key id", "sha256").hex()[:8], hmac.new(key, digestmod="sha256")


def _signature(signer: hmac.HMAC, named: bytes) -> bytes:
    made = signer.copy()  # a third quicker than a new one
    made.update(named)
    return made.digest()
