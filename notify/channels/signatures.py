"""Proofs of who sent a webhook: compared in constant time, by any of the secrets in force."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from notify.channels.hook import HookRequest
from notify.errors import Unverified

TOLERANCE = timedelta(minutes=5)
"""How far a signed time may be from ours, before or after, where each delivery is signed anew (Standard Webhooks)."""

_DIGITS = 12  # of seconds since 1970: beyond any date
_LONGEST_ID = 200


def header(request: HookRequest, name: str) -> str:
    """The value of a header. Raises `Unverified` when it is missing or empty."""
    value = request.headers.get(name, "")
    if not value:
        raise Unverified("missing", f"no {name} header")
    return value


def moment(seconds: str) -> datetime:
    """The time of so many whole seconds since 1970. Raises `Unverified`."""
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < _DIGITS):
        raise Unverified("wrong", "the signed time is no number of seconds")
    return datetime.fromtimestamp(int(seconds), UTC)


def require_fresh(signed_at: datetime, now: datetime, late: timedelta = TOLERANCE) -> None:
    """Raise `Unverified` for what was signed longer ago than `late`, or lies further ahead than `TOLERANCE`."""
    if not -TOLERANCE <= now - signed_at <= late:
        raise Unverified("stale", f"signed at {signed_at.isoformat()}")


def require_one(given: Iterable[bytes], expected: Iterable[bytes]) -> None:
    """Raise `Unverified` unless one of `given` is one of `expected`; all are compared, each in constant time."""
    offered = list(given)
    matches = [hmac.compare_digest(one, right) for right in expected for one in offered]
    if not any(matches):
        raise Unverified("wrong", "no secret in force made this signature")


def from_base64(text: str) -> bytes:
    """The octets. Raises `Unverified`."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unverified("wrong", "the signature is not base64") from None


def basic(request: HookRequest) -> bytes | None:
    """`user:password` of HTTP Basic authentication (RFC 7617 §2); None when there is none that can be read."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def delivery_id(given: str | None, *parts: bytes) -> str:
    """The provider's name for a delivery where it is a plain one, else a name made of what it consists of."""
    if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
        return given
    digest = hashlib.sha256()
    for part in (given or "").encode("utf-8", "replace"), *parts:
        digest.update(len(part).to_bytes(8) + part)
    return f"sha256:{digest.hexdigest()}"
