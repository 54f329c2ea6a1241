"""SendGrid: one request for each message. There is no idempotency key, so a try after doubt may send twice.

`sendgrid://KEY?region=eu`. The API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send; its errors:
https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

from notify.channels.email.parts import File, Mailbox, inexpressible, take_apart
from notify.channels.http import OPTIONS, Answer, Api, key_of, refusal
from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Outcome, Quota, Receipt, Watch
from notify.channels.url import ProviderUrl, one_of
from notify.errors import DeliveryError, Misconfigured, Rejected
from notify.model import Channel

ENDPOINTS = MappingProxyType({"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"})
ACCEPTED = 202

PERIODS = MappingProxyType({"daily": 86400, "weekly": 604800, "monthly": 2592000})
"""Seconds by `reset_frequency`; a month counts as thirty days."""


@dataclass(frozen=True)
class SendGrid:
    """One API key. `place` is the region, `global` or `eu`, when the URL names it."""

    name: ClassVar[str] = "sendgrid"
    channel: ClassVar[Channel] = Channel.EMAIL
    api: Api
    place: str = ""

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`sendgrid://KEY`. Raises `InvalidProvider`."""
        key = key_of(url)
        options = url.options({**OPTIONS, "region": one_of(*ENDPOINTS)})
        region = options.pop("region", "")
        options = {"endpoint": ENDPOINTS[region or "global"], **options}
        return cls(Api(secret=key, headers={"Authorization": f"Bearer {key}"}, **options), region)

    @contextmanager
    def open(self) -> Iterator[SendGrid]:
        """Make sure that the API answers. Raises `Transient`."""
        with self.api.reached():
            yield self

    def close(self) -> None:
        """Close the connections that are kept."""
        self.api.close()

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        """One request for each, on several lines; see `Connection`."""
        return in_parallel(self._send, envelopes, watch, lines=self.api.connections)

    def check(self) -> None:
        """Whether the key may send. Raises a `DeliveryError`."""
        answer = self.api.get("/v3/scopes")
        if "mail.send" not in answer.facts.get("scopes", ()):
            raise Misconfigured("key_may_not_send", "the key lacks the permission mail.send")

    def quota(self) -> Quota:
        """The credits of the account; a key needs a permission to be told. Raises a `DeliveryError`."""
        told = self.api.get("/v3/user/credits").facts
        return Quota(
            limit=told.get("total"),
            remaining=told.get("remain"),
            seconds=PERIODS.get(str(told.get("reset_frequency"))),
        )

    def _send(self, envelope: Envelope) -> Receipt:
        answer = self.api.post("/v3/mail/send", json=_wanted(envelope))
        name = answer.headers.get("x-message-id")
        if answer.status == ACCEPTED and name:  # without the id it is not SendGrid that answered
            return Receipt(answer.said, name)
        raise _refusal(answer)


def _wanted(envelope: Envelope) -> dict[str, Any]:
    """The request's JSON. Raises `Rejected`."""
    parts = take_apart(envelope)
    content = [
        {"type": f"text/{kind}", "value": value}
        for kind, value in (("plain", parts.text), ("html", parts.html))
        if value is not None
    ]
    if not all(part["value"] for part in content):
        inexpressible("an empty text")
    wanted: dict[str, Any] = {
        "personalizations": [{"to": [_person(parts.recipient)]}],
        "from": _person(parts.sender),
        "subject": parts.subject,
        "content": content,
        "headers": dict(parts.without("x-sg-id", "x-sg-eid", "received", "dkim-signature")),
        "custom_args": {"message_id": str(envelope.message_id)},
    }
    if parts.reply_to is not None:
        wanted["reply_to"] = _person(parts.reply_to)
    if parts.files:
        wanted["attachments"] = [_attachment(file) for file in parts.files]
    return wanted


def _person(who: Mailbox) -> dict[str, str]:
    return {"email": who.address, "name": who.name} if who.name else {"email": who.address}


def _attachment(file: File) -> dict[str, str]:
    wanted = {
        "filename": file.name,
        "content": b64encode(file.content).decode("ascii"),
        "type": file.content_type,
        "disposition": "attachment" if file.content_id is None else "inline",
    }
    return wanted if file.content_id is None else {**wanted, "content_id": file.content_id}


def _refusal(answer: Answer) -> DeliveryError:
    """By the field that the first complaint names."""
    complaints = answer.facts.get("errors")
    first = complaints[0] if isinstance(complaints, list) and complaints else None
    first = first if isinstance(first, dict) else {}
    field, message = str(first.get("field") or ""), str(first.get("message") or "")
    error = refusal(_with_wait(answer), reason="credit_exhausted" if "credits exceeded" in message else None)
    if isinstance(error, Rejected) and field.startswith("personalizations") and ".to" in field:
        return Rejected("recipient_invalid", answer.said, scope="address")
    if isinstance(error, Rejected) and field.startswith("from"):
        return Misconfigured("sender_refused", answer.said)
    return error


def _with_wait(answer: Answer) -> Answer:
    """SendGrid says when its limit ends, in seconds since 1970, where others say Retry-After."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    if "retry-after" in answer.headers or not reset.isdecimal():
        return answer
    return replace(answer, headers={**answer.headers, "retry-after": str(float(reset) - time.time())})
