"""Amazon SES's events, as SNS delivers them: from event publishing and from notifications of an identity alike.

What they hold: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html and
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html. Both may tell the same, so an event's id is made
of what it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

from notify.channels import signatures
from notify.channels.agents import is_machine
from notify.channels.download import download
from notify.channels.email.ses_bounces import bounce_class
from notify.channels.facts import Facts, address_in, message_id, status_in
from notify.channels.hook import HookRequest, Payload
from notify.channels.sns import Sns
from notify.channels.sns_certificates import Nowhere, Shelf
from notify.model import BounceClass, Event, EventType

TYPES: Mapping[str, tuple[EventType, str]] = MappingProxyType(
    {
        "Send": (EventType.ACCEPTED, "send"),
        "Delivery": (EventType.DELIVERED, "delivery"),
        "DeliveryDelay": (EventType.DEFERRED, "deliveryDelay"),
        "Bounce": (EventType.BOUNCED, "bounce"),
        "Reject": (EventType.BOUNCED, "reject"),
        "Rendering Failure": (EventType.BOUNCED, "failure"),
        "Complaint": (EventType.COMPLAINED, "complaint"),
        "Open": (EventType.OPENED, "open"),
        "Click": (EventType.CLICKED, "click"),
        "Subscription": (EventType.UNSUBSCRIBED, "subscription"),
    }
)
"""What each is here, and the name of the object that says more about it."""

OUR_MESSAGE: frozenset[str] = frozenset({"Reject", "Rendering Failure"})
"""SES would not send it: a virus, or a template that cannot be rendered."""

NO_COMPLAINT: frozenset[str] = frozenset({"not-spam", "virus"})
"""complaintFeedbackType (RFC 5965 §7.3): that it is no spam after all, or that it carries a virus."""


@dataclass(frozen=True)
class SesEvents:
    """The topics that are allowed here, and what raw delivery must show."""

    name: ClassVar[str] = "ses"
    sns: Sns

    @classmethod
    def from_secrets(
        cls,
        secrets: tuple[str, ...],
        topics: frozenset[str],
        fetch: Callable[[str], bytes] = download,
        shelf: Shelf | None = None,
    ) -> SesEvents:
        """`user:password` of raw delivery, if any. Raises ValueError."""
        if not all(":" in secret for secret in secrets):
            raise ValueError("must be user:password, as the subscription's URL has it for raw delivery")
        return cls(Sns(topics, secrets, fetch, shelf or Nowhere()))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """The message's id; see `Reporter`."""
        return self.sns.verify(request, now)

    def asks(self, request: HookRequest, now: datetime) -> bool:
        """See `Confirming`."""
        return self.sns.asks(request, now)

    def confirm(self, payload: Payload) -> bool:
        """Confirm a subscription; see `Confirming`."""
        return self.sns.confirm(payload)

    def events(self, payload: Payload) -> list[Event]:
        """One for each recipient; see `Reporter`."""
        said = self.sns.message(payload)
        if said is None:
            return []
        kind = said.text("eventType") or said.required("notificationType")
        if kind not in TYPES:
            return []
        mail = said.within("mail")
        type_, name = TYPES[kind]
        more = said.within(name)
        common = mail.within("commonHeaders")
        event = Event(
            type=type_,
            at=more.moment("timestamp", mail.moment("timestamp", payload.received_at)),
            provider=self.name,
            provider_event_id="",
            message_id=_tagged(mail),
            header_id=common.text("messageId"),
            provider_message_id=mail.text("messageId"),
        )
        if not _counts(kind, more):
            return []
        told = [_of(kind, event, more, one) for one in _recipients(kind, more, mail)]
        return [replace(one, provider_event_id=_name(kind, one, more)) for one in told]


def _counts(kind: str, more: Facts) -> bool:
    """Whether a complaint is one, and a change of subscriptions one that leaves."""
    if kind == "Complaint":
        return more.text("complaintFeedbackType") not in NO_COMPLAINT
    if kind == "Subscription":
        return more.within("newTopicPreferences").truth("unsubscribeAll")
    return True


def _recipients(kind: str, more: Facts, mail: Facts) -> Iterator[Facts]:
    """Those that it is about, each an object with at least `emailAddress`."""
    lists = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients", "DeliveryDelay": "delayedRecipients"}
    if kind in lists:
        yield from more.each(lists[kind])
        return
    named = more.items("recipients") if kind == "Delivery" else mail.items("destination")
    for address in named:
        yield Facts({"emailAddress": address})


def _of(kind: str, event: Event, more: Facts, recipient: Facts) -> Event:
    """The event of one recipient."""
    diagnostic = recipient.text("diagnosticCode") or more.text("smtpResponse") or more.text("reason")
    status = recipient.text("status") or status_in(diagnostic)
    bounce = None
    if kind == "Bounce":
        bounce = bounce_class(more.text("bounceType"), more.text("bounceSubType"), status)
    elif kind in OUR_MESSAGE:
        bounce = BounceClass.CONTENT
    return replace(
        event,
        address=address_in(recipient.text("emailAddress")),
        bounce=bounce,
        status=status,
        diagnostic=diagnostic or more.text("errorMessage"),
        bot=is_machine(more.text("userAgent")),
        detail=more.known(
            *("bounceType", "bounceSubType", "complaintFeedbackType", "complaintSubType", "delayType"),
            *("reportingMTA", "link", "feedbackId"),
        ),
    )


def _name(kind: str, event: Event, more: Facts) -> str:
    """What names this event, whoever delivers it and how often."""
    unique = more.text("feedbackId") or f"{event.provider_message_id}:{event.at.isoformat()}:{more.text('link') or ''}"
    return signatures.delivery_id(f"{kind}:{unique}:{event.address or ''}")


def _tagged(mail: Facts) -> UUID | None:
    values = mail.within("tags").items("message_id")
    return message_id(values[0]) if values and isinstance(values[0], str) else None
