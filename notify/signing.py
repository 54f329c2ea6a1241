"""Signed tokens: what one names was signed with a secret of ours, for this purpose, and has one spelling.

A token is `<key id>.<base64url>`: what is named, then its HMAC-SHA256 under a key that is derived from the secret and
the purpose, and serves nothing else. The key id, eight hex digits, tells by which of several secrets it was signed.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache

SHORT = 12  # octets of a signature where room is scarce: 96 bits
_SIGNATURE = 32  # octets


def sign(secret: str, purpose: bytes, named: bytes, *, octets: int = _SIGNATURE) -> str:
    """The token, of letters, digits, `-`, `_` and one dot: fit for a URL's query as it is.

    With fewer `octets` the signature is cut to so many (RFC 2104 §5: no fewer than ten), for what guards little.
    """
    signed = urlsafe_b64encode(_signed(secret, purpose, named, octets)).rstrip(b"=")
    return f"{_signer(secret, purpose)[0]}.{signed.decode('ascii')}"


def verify(secrets: Sequence[str], purpose: bytes, given: str, *, octets: int = _SIGNATURE) -> bytes | None:
    """What a token names; None for one that none of these secrets signed for `purpose`, or that was changed since.

    The signature, of so many `octets`, is compared in constant time.
    """
    key_id, _, signed = given.partition(".")
    secret = next((each for each in secrets if _signer(each, purpose)[0] == key_id), None)
    if secret is None or not given.isascii():
        return None
    try:
        decoded = urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
    except binascii.Error:
        return None
    named = _genuine(secret, purpose, decoded, octets)
    if named is None or sign(secret, purpose, named, octets=octets) != given:
        return None  # one spelling, though decoders skip what is alien
    return named


def seal(secret: str, purpose: bytes, named: bytes) -> str:
    """A shorter token for where case gets lost: lower-case letters and digits (RFC 4648 §6), 45 for 16 octets."""
    return b32encode(_signed(secret, purpose, named, SHORT)).rstrip(b"=").decode("ascii").lower()


def unseal(secrets: Sequence[str], purpose: bytes, given: str) -> bytes | None:
    """What such a token names; None for one that none of these secrets sealed. Compared in constant time."""
    if not given.isascii():
        return None
    try:
        octets = b32decode(given.upper() + "=" * (-len(given) % 8))
    except binascii.Error:
        return None
    for secret in secrets:
        named = _genuine(secret, purpose, octets, SHORT)
        if named is not None:
            return named if seal(secret, purpose, named) == given.lower() else None  # one spelling
    return None


@lru_cache(maxsize=64)
def _signer(secret: str, purpose: bytes) -> tuple[str, hmac.HMAC]:
    """The eight hex digits by which the key is known, and an HMAC under it to copy from."""
    key = hmac.digest(secret.encode(), purpose, "sha256")
    return hmac.digest(key, b"key id", "sha256").hex()[:8], hmac.new(key, digestmod="sha256")


def _signed(secret: str, purpose: bytes, named: bytes, octets: int) -> bytes:
    """What is named, and so many octets of its signature."""
    made = _signer(secret, purpose)[1].copy()  # a third quicker than a new one
    made.update(named)
    return named + made.digest()[:octets]


def _genuine(secret: str, purpose: bytes, signed: bytes, octets: int) -> bytes | None:
    """What is named in octets that `_signed` made; None for any others."""
    named = signed[:-octets]
    return named if hmac.compare_digest(signed, _signed(secret, purpose, named, octets)) else None
