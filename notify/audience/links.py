"""Signed links to the pages of `notify web`: each opens one thing for one person, and nobody else can make one.

What a link names are ids, never an address. A link signed with one of `NOTIFY_OLD_SECRET_KEYS` opens what it always
did; new ones are signed with `NOTIFY_SECRET_KEY`.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from notify import signing
from notify.app import App
from notify.channels.email import unsubscribe
from notify.kinds import CompiledKind
from notify.settings import Settings

Purpose = Literal["unsubscribe", "preferences", "confirm", "verify"]
"""Each is the name of its page, too. `unsubscribe` names a message and its recipient and never expires, `preferences` a
recipient; what the others name is for those who make them to say."""

PREFERENCES = timedelta(days=90)  # how long a mail's link to the preference centre opens it: it shows addresses
LONGEST_TOKEN = 256  # more is not even looked at
LONGEST_LEGACY_TOKEN = 420  # an address of 254 octets, in base64, and its signature
_KEYS: dict[Purpose, bytes] = {
    "unsubscribe": unsubscribe.PURPOSE,
    "preferences": b"notify preferences link 1",
    "confirm": b"notify confirm link 1",
    "verify": b"notify verify link 1",
}
_ID, _TIME = 16, 8  # octets; a time is in seconds since 1970, 0 for never


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine token names, and whether its time is over."""

    ids: tuple[UUID, ...]
    expired: bool = False


def sign(app: App, purpose: Purpose, *ids: UUID, expires: datetime | None = None) -> str:
    """A token that names these ids until `expires` (aware; None: for ever), fit for a URL's query as it is."""
    return token(app.settings, purpose, *ids, expires=expires)


def token(settings: Settings, purpose: Purpose, *ids: UUID, expires: datetime | None = None) -> str:
    """The same for who has settings alone."""
    named = b"".join(one.bytes for one in ids)
    if purpose != "unsubscribe":  # its tokens stand in mails that went out before there were others
        named = (int(expires.timestamp()) if expires else 0).to_bytes(_TIME, "big") + named
    return signing.sign(settings.secret_key.get_secret_value(), _KEYS[purpose], named)


def read(app: App, purpose: Purpose, given: str) -> Link | None:
    """What a token names, also when it expired; None for one that is not ours, is for something else, or was changed.

    No database is asked, and signatures are compared in constant time: how long it takes tells nothing.
    """
    named = signing.verify(app.settings.secrets, _KEYS[purpose], given) if len(given) <= LONGEST_TOKEN else None
    if named is None:
        return None
    until = 0
    if purpose != "unsubscribe":
        until, named = int.from_bytes(named[:_TIME], "big"), named[_TIME:]
    ids = tuple(UUID(bytes=named[at : at + _ID]) for at in range(0, len(named), _ID))
    return Link(ids, expired=0 < until <= app.clock.now().astimezone(UTC).timestamp())


def verify(app: App, purpose: Purpose, given: str) -> tuple[UUID, ...] | None:
    """What a token names; None for one that is not ours, is for something else, was changed, or expired."""
    link = read(app, purpose, given)
    return None if link is None or link.expired else link.ids


def url(settings: Settings, purpose: Purpose, signed: str) -> str | None:
    """The address of the purpose's page with this token; None without `NOTIFY_PUBLIC_URL`."""
    root = settings.unsubscribe_page if purpose == "unsubscribe" else settings.page(purpose)
    return None if root is None else f"{root}{'&' if '?' in root else '?'}token={signed}"


def of_mail(
    settings: Settings, kind: CompiledKind, message_id: UUID, recipient_id: UUID, at: datetime
) -> dict[str, str]:
    """The links that a mail of this kind needs, by the names by which templates know them.

    None without a page to link to. `at` is when the mail was meant to go out: the same mail always has the same links.
    """
    found: dict[str, str | None] = {}
    if "unsubscribe_url" in kind.links:
        found["unsubscribe_url"] = url(
            settings, "unsubscribe", token(settings, "unsubscribe", message_id, recipient_id)
        )
    if "preferences_url" in kind.links:
        signed = token(settings, "preferences", recipient_id, expires=at + PREFERENCES)
        found["preferences_url"] = url(settings, "preferences", signed)
    return {name: link for name, link in found.items() if link is not None}


def legacy_address(app: App, given: str) -> str | None:
    """The address that a link in a mail of AmazonSender names, signed with `NOTIFY_LEGACY_UNSUBSCRIBE_SECRET`.

    Such a token is `b64url(address).b64url(HMAC-SHA256(payload, secret))`, the payload being the address or its base64.
    """
    secret = app.settings.legacy_unsubscribe_secret
    payload, dot, signature = given.partition(".")
    if secret is None or not dot or len(given) > LONGEST_LEGACY_TOKEN or not given.isascii():
        return None
    try:
        named = urlsafe_b64decode(_padded(payload))
        signed = urlsafe_b64decode(_padded(signature))
        address = named.decode("utf-8")
    except ValueError:
        return None
    key = secret.get_secret_value().encode()
    genuine = [hmac.compare_digest(signed, hmac.digest(key, text, "sha256")) for text in (named, payload.encode())]
    return address if any(genuine) and "@" in address else None


def legacy_name(app: App, address: str) -> str:
    """A name for such a link's address from which the address cannot be told, not even by trying."""
    secret = app.settings.legacy_unsubscribe_secret
    key = secret.get_secret_value() if secret else ""
    return hmac.digest(key.encode(), b"notify legacy link 1" + address.encode(), "sha256").hex()


def _padded(text: str) -> str:
    text = text.rstrip("=")
    return text + "=" * (-len(text) % 4)
