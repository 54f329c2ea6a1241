"""SendGrid's event webhook: signed with a key of its own (ECDSA over P-256 and SHA-256), any of those in force.

How it is signed:
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features;
what it says: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event. One delivery has many events,
each with an id of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from notify.channels import signatures
from notify.channels.agents import is_machine
from notify.channels.email.bounce_status import by_status, softened
from notify.channels.email.sendgrid_signature import Signed, public_key
from notify.channels.facts import Facts, message_id, status_in, tree
from notify.channels.hook import HookRequest, Payload
from notify.errors import Unreadable
from notify.model import BounceClass, Event, EventType

TYPES: Mapping[str, EventType] = MappingProxyType(
    {
        "processed": EventType.ACCEPTED,
        "deferred": EventType.DEFERRED,
        "delivered": EventType.DELIVERED,
        "bounce": EventType.BOUNCED,
        "dropped": EventType.BOUNCED,
        "spamreport": EventType.COMPLAINED,
        "unsubscribe": EventType.UNSUBSCRIBED,
        "group_unsubscribe": EventType.UNSUBSCRIBED,
        "open": EventType.OPENED,
        "click": EventType.CLICKED,
    }
)
BY_CLASSIFICATION: Mapping[str, BounceClass] = MappingProxyType(
    {
        "invalid address": BounceClass.HARD,
        "mailbox unavailable": BounceClass.SOFT,
        "technical": BounceClass.SOFT,
        "technical failure": BounceClass.SOFT,
        "content": BounceClass.CONTENT,
        "reputation": BounceClass.BLOCK,
        "frequency or volume too high": BounceClass.BLOCK,
    }
)
"""bounce_classification:
https://www.twilio.com/docs/sendgrid/ui/analytics-and-reporting/bounce-and-block-classifications."""

DROPPED: Mapping[str, BounceClass] = MappingProxyType(
    {
        "bounced address": BounceClass.HARD,
        "invalid": BounceClass.HARD,
        "invalid smtpapi header": BounceClass.CONTENT,
        "spam content (if spam checker app is enabled)": BounceClass.CONTENT,
        "recipient list over package quota": BounceClass.BLOCK,
    }
)
"""Why SendGrid itself did not try; of those that left or complained, the address is alive: other."""

_ANSWERED_ID = re.compile(r"(.+?)(?:\.(?:filter|recvd).*)?", re.DOTALL)


@dataclass(frozen=True)
class SendGridEvents:
    """The public keys in force."""

    name: ClassVar[str] = "sendgrid"
    keys: tuple[EllipticCurvePublicKey, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """Verification keys, base64, as the webhook's settings show them. Raises ValueError."""
        return cls(tuple(public_key(secret) for secret in secrets))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """A name made of the delivery; see `Reporter`."""
        signed = Signed(self.keys, request, now)
        signed.add(request.body)
        signed.verify()
        return signatures.delivery_id(None, request.body)

    def events(self, payload: Payload) -> list[Event]:
        """All of the delivery; see `Reporter`."""
        said = tree(payload)
        if not isinstance(said, list):
            raise Unreadable("wrong_type", "the body is no list")
        told = [self._event(Facts(one, "an event"), payload) for one in said]
        return [event for event in told if event is not None]

    def _event(self, said: Facts, payload: Payload) -> Event | None:
        kind = said.required("event")
        if kind not in TYPES:
            return None
        reason = said.text("reason") or said.text("response")
        status = said.text("status") or status_in(reason)
        answered = _ANSWERED_ID.fullmatch(said.text("sg_message_id") or "")
        at = said.moment("timestamp", payload.received_at)
        return Event(
            type=TYPES[kind],
            at=at,
            provider=self.name,
            provider_event_id=said.text("sg_event_id") or f"{kind}:{said.text('sg_message_id')}:{at.isoformat()}",
            message_id=message_id(said.text("message_id")),
            header_id=said.text("smtp-id"),
            provider_message_id=answered[1] if answered else None,
            address=said.text("email"),
            bounce=_bounce_class(kind, said, status) if TYPES[kind] is EventType.BOUNCED else None,
            status=status,
            diagnostic=reason,
            bot=said.truth("sg_machine_open") or is_machine(said.text("useragent")),
            detail=said.known("type", "bounce_classification", "attempt", "asm_group_id", "url"),
        )


def _bounce_class(kind: str, said: Facts, status: str | None) -> BounceClass:
    """Whose fault it is; what SendGrid calls blocked is never the address's.

    What it gives no class, "Unclassified" or another that is not known, is as the status says: a bounce is no proof.
    """
    if kind == "dropped":
        return DROPPED.get((said.text("reason") or "").lower(), BounceClass.OTHER)
    classified = BY_CLASSIFICATION.get((said.text("bounce_classification") or "").lower())
    if said.text("type") == "blocked":
        return classified if classified not in (None, BounceClass.HARD) else BounceClass.BLOCK
    return softened(classified, status) if classified else by_status(status) or BounceClass.OTHER
