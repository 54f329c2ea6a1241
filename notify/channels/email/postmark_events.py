"""Postmark's webhooks: Postmark signs nothing, so they carry a secret that only it was told, any of those in force.

How to give it one: https://postmarkapp.com/developer/webhooks/webhooks-overview (HTTP authentication, or a header of
one's own); what they say: the pages beside that one; types of bounces:
https://postmarkapp.com/developer/api/bounce-api#bounce-types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Self

from notify.channels import signatures
from notify.channels.agents import is_machine
from notify.channels.email.bounce_status import softened
from notify.channels.facts import Facts, address_in, message_id, status_in, tree
from notify.channels.hook import HookRequest, Payload
from notify.errors import Unverified
from notify.model import BounceClass, Event, EventType

SECRET = "x-webhook-secret"  # noqa: S105 - the name of a header
TRACE = "x-pm-webhook-trace-id"  # the same when Postmark tries again

TYPES: Mapping[str, tuple[EventType, str]] = MappingProxyType(
    {
        "Delivery": (EventType.DELIVERED, "DeliveredAt"),
        "Bounce": (EventType.BOUNCED, "BouncedAt"),
        "SpamComplaint": (EventType.COMPLAINED, "BouncedAt"),
        "Open": (EventType.OPENED, "ReceivedAt"),
        "Click": (EventType.CLICKED, "ReceivedAt"),
        "SubscriptionChange": (EventType.UNSUBSCRIBED, "ChangedAt"),
    }
)
"""By RecordType what it is here, and where its time stands."""

BOUNCES: Mapping[str, BounceClass | EventType] = MappingProxyType(
    {
        "HardBounce": BounceClass.HARD,
        "BadEmailAddress": BounceClass.HARD,
        "SoftBounce": BounceClass.SOFT,
        "DnsError": BounceClass.SOFT,
        "Blocked": BounceClass.BLOCK,
        "DMARCPolicy": BounceClass.BLOCK,
        "SpamNotification": BounceClass.BLOCK,
        "VirusNotification": BounceClass.CONTENT,
        "TemplateRenderingFailed": BounceClass.CONTENT,
        "ManuallyDeactivated": BounceClass.OTHER,
        "AddressChange": BounceClass.OTHER,
        "Unconfirmed": BounceClass.OTHER,
        "SMTPApiError": BounceClass.OTHER,
        "Unknown": BounceClass.OTHER,
        "Transient": EventType.DEFERRED,  # Postmark tries again by itself
        "AutoResponder": EventType.AUTO_REPLIED,
        "Unsubscribe": EventType.UNSUBSCRIBED,
        "SpamComplaint": EventType.COMPLAINED,
    }
)
"""By Type of a bounce, whose fault it is, or what it is instead of one."""

NO_BOUNCE = frozenset({"Subscribe", "OpenRelayTest", "InboundError", "ChallengeVerification"})
"""Tells nothing of a message: a challenge asks whether its sender is human, and the mail may yet be handed over."""


@dataclass(frozen=True)
class PostmarkEvents:
    """The secrets in force: `user:password`, or what the header X-Webhook-Secret holds."""

    name: ClassVar[str] = "postmark"
    secrets: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """As the webhook was given them."""
        return cls(tuple(secret.encode() for secret in secrets))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """Postmark's name for the delivery; see `Reporter`."""
        login, alone = signatures.basic(request), request.headers.get(SECRET)
        given = alone.encode("latin-1", "replace") if login is None and alone else login
        if given is None:
            raise Unverified("missing", f"neither HTTP Basic authentication nor a header {SECRET}")
        signatures.require_one([given], self.secrets)
        return signatures.delivery_id(request.headers.get(TRACE), *([] if TRACE in request.headers else [request.body]))

    def events(self, payload: Payload) -> list[Event]:
        """The one of the delivery; see `Reporter`."""
        said = Facts(tree(payload))
        record = said.required("RecordType")
        if record not in TYPES or (record == "SubscriptionChange" and not _left(said)):
            return []
        type_, moment = TYPES[record]
        bounce = None
        if record == "Bounce":
            word = said.text("Type") or "Unknown"
            if word in NO_BOUNCE:
                return []
            found = BOUNCES.get(word, BounceClass.OTHER)
            type_, bounce = (found, None) if isinstance(found, EventType) else (type_, found)
        diagnostic = said.text("Details") or said.text("Description")
        status = status_in(diagnostic)
        address = address_in(said.text("Recipient") or said.text("Email"))
        at = said.moment(moment, payload.received_at)
        unique = said.text("ID") or f"{said.text('MessageID')}:{at.isoformat()}:{said.text('OriginalLink') or ''}"
        return [
            Event(
                type=type_,
                at=at,
                provider=self.name,
                provider_event_id=signatures.delivery_id(f"{record}:{unique}:{address or ''}"),
                message_id=message_id(said.within("Metadata").text("message_id")),
                provider_message_id=said.text("MessageID"),
                address=address,
                bounce=softened(bounce, status) if bounce else None,
                status=status,
                diagnostic=diagnostic,
                bot=is_machine(said.text("UserAgent")),
                detail=said.known("Type", "Name", "OriginalLink", "MessageStream", "SuppressionReason"),
            )
        ]


def _left(said: Facts) -> bool:
    """Whether it was the recipient who no longer wants mail; other changes follow from what is told anyway."""
    return (
        said.truth("SuppressSending")
        and said.text("SuppressionReason") == "ManualSuppression"
        and said.text("Origin") == "Recipient"
    )
