"""Resend's webhooks: signed by Svix's scheme, under the headers of either name, with any secret in force.

How they are signed: https://docs.svix.com/receiving/verifying-payloads/how-manual, the same as
https://www.standardwebhooks.com; what they say: https://resend.com/docs/webhooks/event-types. Resend sends through SES
and has its words for bounces from there. A delivery that is tried again is signed anew.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Self

from notify.channels import signatures
from notify.channels.agents import is_machine
from notify.channels.email.ses_bounces import bounce_class
from notify.channels.facts import Facts, address_in, message_id, status_in, tree
from notify.channels.hook import HookRequest, Payload
from notify.errors import Unreadable, Unverified
from notify.model import BounceClass, Event, EventType

TYPES: Mapping[str, EventType] = MappingProxyType(
    {
        "email.sent": EventType.ACCEPTED,
        "email.delivered": EventType.DELIVERED,
        "email.delivery_delayed": EventType.DEFERRED,
        "email.bounced": EventType.BOUNCED,
        "email.suppressed": EventType.BOUNCED,
        "email.failed": EventType.BOUNCED,
        "email.complained": EventType.COMPLAINED,
        "email.opened": EventType.OPENED,
        "email.clicked": EventType.CLICKED,
    }
)
OWN_CLASS: Mapping[str, BounceClass] = MappingProxyType(
    {"email.suppressed": BounceClass.OTHER, "email.failed": BounceClass.OTHER}
)
"""What counts as a bounce and says no cause: an address on Resend's list, where who complained stands beside who
bounced, and what it could not send at all."""

DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "email.bounced": "bounce",
        "email.suppressed": "suppressed",
        "email.failed": "failed",
        "email.clicked": "click",
        "email.opened": "open",
    }
)
"""Under what name of `data` more is said about an event of this type."""

PREFIX = "whsec_"


@dataclass(frozen=True)
class ResendEvents:
    """The signing secrets in force, decoded."""

    name: ClassVar[str] = "resend"
    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """Secrets as the webhook's page shows them, `whsec_…`. Raises ValueError."""
        return cls(tuple(_key(secret) for secret in secrets))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """The delivery's id; see `Reporter`."""
        prefix = "svix" if "svix-id" in request.headers else "webhook"
        name, stamp, given = (
            signatures.header(request, f"{prefix}-{part}") for part in ("id", "timestamp", "signature")
        )
        signatures.require_fresh(signatures.moment(stamp), now)
        signed = f"{name}.{stamp}.".encode() + request.body
        versions = (one.partition(",") for one in given.split(" "))
        offered = [value.encode() for version, _, value in versions if version == "v1"]
        signatures.require_one(offered, [_signature(key, signed) for key in self.keys])
        return signatures.delivery_id(name)

    def events(self, payload: Payload) -> list[Event]:
        """One for each recipient; see `Reporter`."""
        said = Facts(tree(payload))
        kind = said.required("type")
        if kind not in TYPES:
            return []
        data = said.within("data")
        more = data.within(DETAILS[kind]) if kind in DETAILS else Facts({})
        reason = more.text("message") or more.text("reason")
        status = status_in(reason)
        bounce = None
        if TYPES[kind] is EventType.BOUNCED:
            bounce = OWN_CLASS.get(kind) or bounce_class(more.text("type"), more.text("subType"), status)
        recipients: list[str | None] = [one for one in data.items("to") if isinstance(one, str)]
        return [
            Event(
                type=TYPES[kind],
                at=said.moment("created_at"),
                provider=self.name,
                provider_event_id=payload.delivery_id if count == 0 else f"{payload.delivery_id}:{count}",
                message_id=message_id(_tags(data).get("message_id")),
                header_id=data.text("message_id"),
                provider_message_id=data.text("email_id"),
                address=address_in(address),
                bounce=bounce,
                status=status,
                diagnostic=reason,
                bot=is_machine(more.text("userAgent")),
                detail=more.known("type", "subType", "link"),
            )
            for count, address in enumerate(recipients or [None])
        ]


def _key(secret: str) -> bytes:
    try:
        return signatures.from_base64(secret.removeprefix(PREFIX))
    except Unverified:
        raise ValueError(f"must be the signing secret, {PREFIX}…, as the webhook's page shows it") from None


def _signature(key: bytes, signed: bytes) -> bytes:
    return b64encode(hmac.digest(key, signed, hashlib.sha256))


def _tags(data: Facts) -> dict[str, Any]:
    """The tags by name, whether they come as an object or as a list of names and values."""
    try:
        return data.within("tags").known("message_id")
    except Unreadable:
        return {str(tag.text("name")): tag.text("value") for tag in data.each("tags")}
