"""Twilio's status callbacks: address and fields are signed (HMAC-SHA1), or the address and a digest of a JSON body.

How they are signed: https://www.twilio.com/docs/usage/webhooks/webhooks-security; what they say:
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks. They carry no time: that of
their arrival counts, and the same callback counts once.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from notify.channels import signatures
from notify.channels.facts import Facts, message_id, tree
from notify.channels.hook import HookRequest, Payload
from notify.errors import Unreadable, Unverified
from notify.model import BounceClass, Event, EventType

SIGNATURE, DIGEST = "x-twilio-signature", "bodySHA256"
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 200
STANDARD_PORTS = MappingProxyType({"https": 443, "http": 80})

TYPES: Mapping[str, EventType] = MappingProxyType(
    {
        "sent": EventType.ACCEPTED,
        "delivered": EventType.DELIVERED,
        "undelivered": EventType.BOUNCED,
        "failed": EventType.BOUNCED,
        "read": EventType.READ,
    }
)
BY_ERROR: Mapping[str, BounceClass] = MappingProxyType(
    {
        "21211": BounceClass.HARD,  # no such number
        "21614": BounceClass.HARD,  # cannot take an SMS
        "30005": BounceClass.HARD,  # unknown or gone
        "30006": BounceClass.HARD,  # a landline
        "30001": BounceClass.SOFT,
        "30003": BounceClass.SOFT,  # switched off, or out of reach
        "30002": BounceClass.BLOCK,
        "30004": BounceClass.BLOCK,
        "30007": BounceClass.BLOCK,  # filtered by the carrier
        "30034": BounceClass.BLOCK,  # a sender that is not registered
        "30019": BounceClass.CONTENT,
    }
)
"""https://www.twilio.com/docs/api/errors."""


@dataclass(frozen=True)
class TwilioEvents:
    """The auth tokens in force."""

    name: ClassVar[str] = "twilio"
    tokens: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """Auth tokens of the account."""
        return cls(tuple(secret.encode() for secret in secrets))

    def verify(self, request: HookRequest, now: datetime) -> str:
        """A name made of the callback; see `Reporter`."""
        given = signatures.header(request, SIGNATURE).encode("latin-1", "replace")
        digests = parse_qs(urlsplit(request.url).query).get(DIGEST)
        fields = ""
        if digests:
            signatures.require_one([digests[0].lower().encode()], [hashlib.sha256(request.body).hexdigest().encode()])
        else:
            fields = "".join(name + value for name, value in sorted(set(_fields(request.body))))
        right = [_signature(token, url + fields) for token in self.tokens for url in _spellings(request.url)]
        signatures.require_one([given], right)
        return signatures.delivery_id(None, request.url.encode("utf-8", "replace"), request.body)

    def events(self, payload: Payload) -> list[Event]:
        """The one of the callback; see `Reporter`."""
        said = _said(payload)
        status = said.text("MessageStatus") or said.text("SmsStatus") or ""
        if status not in TYPES:
            return []
        name = said.required("MessageSid")
        error = said.text("ErrorCode")
        bounced = TYPES[status] is EventType.BOUNCED
        return [
            Event(
                type=TYPES[status],
                at=payload.received_at,
                provider=self.name,
                provider_event_id=f"{name}:{status}",
                message_id=message_id(said.text("message_id")),
                provider_message_id=name,
                address=said.text("To"),
                bounce=BY_ERROR.get(error or "", BounceClass.OTHER) if bounced else None,
                diagnostic=" ".join(filter(None, (error, said.text("ErrorMessage")))) or None,
                detail=said.known("ErrorCode", "MessageStatus", "MessagingServiceSid"),
            )
        ]


def _said(payload: Payload) -> Facts:
    if payload.content_type.partition(";")[0].strip().lower() != FORM:
        return Facts(tree(payload))
    try:
        return Facts(dict(_fields(payload.body)))
    except Unverified:
        raise Unreadable("not_a_form", "the body is no form") from None


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Unverified("wrong", "the body is no form") from None


def _spellings(url: str) -> list[str]:
    """The address with and without the port that its scheme has anyway: Twilio signs the one or the other."""
    parts = urlsplit(url)
    usual = STANDARD_PORTS.get(parts.scheme)
    host = parts.netloc.removesuffix(f":{usual}")
    with_port = parts.netloc if host != parts.netloc or ":" in host.rpartition("]")[2] else f"{host}:{usual}"
    return [parts._replace(netloc=host).geturl(), parts._replace(netloc=with_port).geturl()]


def _signature(token: bytes, signed: str) -> bytes:
    return b64encode(hmac.digest(token, signed.encode("utf-8", "replace"), hashlib.sha1))
