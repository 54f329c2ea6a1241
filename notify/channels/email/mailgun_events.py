"""Mailgun's webhooks: a time and a token are signed, nothing else, so a token is good once.

Any key in force counts. How they are signed:
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks; what they say:
https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Self

from notify.channels import signatures
from notify.channels.agents import is_machine
from notify.channels.email.bounce_status import softened
from notify.channels.facts import Facts, address_in, message_id, status_in, tree
from notify.channels.hook import HookRequest, Payload
from notify.errors import Unverified
from notify.model import BounceClass, Event, EventType

LATE = timedelta(hours=9)
"""How old a signature may be. Mailgun tries again for eight hours and may repeat the first signature:
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries. A token counts once."""

TYPES: Mapping[str, EventType] = MappingProxyType(
    {
        "accepted": EventType.ACCEPTED,
        "delivered": EventType.DELIVERED,
        "failed": EventType.BOUNCED,
        "rejected": EventType.BOUNCED,
        "complained": EventType.COMPLAINED,
        "unsubscribed": EventType.UNSUBSCRIBED,
        "opened": EventType.OPENED,
        "clicked": EventType.CLICKED,
    }
)
BY_REASON: Mapping[str, BounceClass] = MappingProxyType(
    {
        "bounce": BounceClass.HARD,
        "suppress-bounce": BounceClass.HARD,
        "suppress-complaint": BounceClass.OTHER,
        "suppress-unsubscribe": BounceClass.OTHER,
        "espblock": BounceClass.BLOCK,
        "greylisted": BounceClass.SOFT,
        "old": BounceClass.SOFT,
        "generic": BounceClass.OTHER,
    }
)
"""`reason` of what failed for good; `old` was tried until it was too old."""

BOTS = frozenset({"apple", "gmail", "generic"})
"""Values of client-info.bot."""


@dataclass(frozen=True)
class MailgunEvents:
    """The webhook signing keys in force."""

    name: ClassVar[str] = "mailgun"
    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """HTTP webhook signing keys, as the account's settings show them."""
        return cls(tuple(secret.encode() for secret in secrets))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """The token; see `Reporter`."""
        stamp, token, given = _signature(request.body)
        signed = (stamp + token).encode("utf-8", "replace")
        right = [hmac.digest(key, signed, hashlib.sha256).hex().encode() for key in self.keys]
        signatures.require_one([given.encode("utf-8", "replace")], right)
        signatures.require_fresh(signatures.moment(stamp), now, LATE)
        return signatures.delivery_id(token)

    def events(self, payload: Payload) -> list[Event]:
        """The one of the delivery; see `Reporter`."""
        said = Facts(tree(payload)).within("event-data")
        kind = said.required("event")
        if kind not in TYPES:
            return []
        type_ = TYPES[kind]
        if kind == "failed" and said.text("severity") == "temporary":
            type_ = EventType.DEFERRED  # Mailgun tries again by itself
        delivery, client = said.within("delivery-status"), said.within("client-info")
        diagnostic = delivery.text("message") or delivery.text("description") or said.within("reject").text("reason")
        status = delivery.text("enhanced-code") or status_in(diagnostic)
        header = said.within("message").within("headers").text("message-id")
        return [
            Event(
                type=type_,
                at=said.moment("timestamp", payload.received_at),
                provider=self.name,
                provider_event_id=said.text("id") or payload.delivery_id,
                message_id=message_id(said.within("user-variables").text("message_id")),
                header_id=f"<{header.strip('<>')}>" if header else None,
                provider_message_id=header.strip("<>") if header else None,
                address=address_in(said.text("recipient")),
                bounce=_bounce_class(said, status) if type_ is EventType.BOUNCED else None,
                status=status,
                diagnostic=diagnostic,
                bot=client.text("bot") in BOTS or is_machine(client.text("user-agent")),
                detail={
                    **said.known("severity", "reason", "url"),
                    **delivery.known("code", "bounce-type", "attempt-no"),
                    **client.known("client-type", "bot"),
                },
            )
        ]


def _bounce_class(said: Facts, status: str | None) -> BounceClass:
    """Whose fault it is. A bounce that the status or Mailgun itself calls another than hard is not the address's."""
    found = softened(BY_REASON.get(said.text("reason") or "", BounceClass.OTHER), status)
    soft = said.within("delivery-status").text("bounce-type") == "soft"
    return BounceClass.SOFT if found is BounceClass.HARD and soft else found


def _signature(body: bytes) -> tuple[str, str, str]:
    """Time, token and signature. Raises `Unverified`."""
    try:
        found: Any = json.loads(body)["signature"]
        parts = found["timestamp"], found["token"], found["signature"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Unverified("missing", "the body has no signature of Mailgun") from None
    stamp, token, given = (str(part) if isinstance(part, str | int) else "" for part in parts)
    if not (token and given):
        raise Unverified("missing", "token or signature is empty")
    return stamp, token, given
