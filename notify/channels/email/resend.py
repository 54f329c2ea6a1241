"""Resend: one request for each message, its id the idempotency key, so that a try after doubt sends nothing twice.

`resend://KEY?timeout=30`. The API: https://resend.com/docs/api-reference/emails/send-email; its errors:
https://resend.com/docs/api-reference/errors. A key is remembered for 24 hours.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from notify.channels.email.parts import File, take_apart
from notify.channels.http import LONGEST_WAIT, OPTIONS, Answer, Api, key_of, refusal
from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Outcome, Receipt, Watch
from notify.channels.url import ProviderUrl
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Uncertain
from notify.model import Channel

ENDPOINT = "https://api.resend.com"

EARLIER_REQUEST = frozenset({"invalid_idempotent_request", "concurrent_idempotent_requests"})
"""An earlier request under this key was taken, or is being worked on: this one was not, that one may be accepted."""

QUOTAS = frozenset({"daily_quota_exceeded", "monthly_quota_exceeded"})

_WORD = re.compile(r"[a-z_]{1,60}")
_ABOUT_TO = re.compile(r"`to`|\bto field\b", re.IGNORECASE)


@dataclass(frozen=True)
class Resend:
    """One API key."""

    name: ClassVar[str] = "resend"
    channel: ClassVar[Channel] = Channel.EMAIL
    api: Api

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`resend://KEY`. Raises `InvalidProvider`."""
        key = key_of(url)
        options = {"endpoint": ENDPOINT, **url.options(OPTIONS)}
        return cls(Api(secret=key, headers={"Authorization": f"Bearer {key}"}, **options))

    @contextmanager
    def open(self) -> Iterator[Resend]:
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
        """Whether the key is known. Raises a `DeliveryError`."""
        try:
            self.api.get("/domains")
        except Misconfigured as error:
            if "restricted_api_key" not in error.response:  # it may only send, which is all it needs to
                raise

    def _send(self, envelope: Envelope) -> Receipt:
        answer = self.api.post("/emails", json=_wanted(envelope), headers={"Idempotency-Key": str(envelope.message_id)})
        name = answer.facts.get("id")
        if answer.status // 100 == 2 and isinstance(name, str):  # noqa: PLR2004 - accepted
            return Receipt(answer.said, name)
        raise _refusal(answer)


def _wanted(envelope: Envelope) -> dict[str, Any]:
    """The request's JSON. Raises `Rejected`."""
    parts = take_apart(envelope)
    wanted = {
        "from": str(parts.sender),
        "to": [str(parts.recipient)],
        "reply_to": None if parts.reply_to is None else str(parts.reply_to),
        "subject": parts.subject,
        "text": parts.text,
        "html": parts.html,
        "headers": dict(parts.headers),
        "attachments": [_attachment(file) for file in parts.files] or None,
        "tags": [{"name": "message_id", "value": str(envelope.message_id)}],
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _attachment(file: File) -> dict[str, str]:
    wanted = {
        "filename": file.name,
        "content": b64encode(file.content).decode("ascii"),
        "content_type": file.content_type,
    }
    return wanted if file.content_id is None else {**wanted, "content_id": file.content_id}


def _refusal(answer: Answer) -> DeliveryError:
    """By the API's own names of errors first."""
    name, message = str(answer.facts.get("name", "")), str(answer.facts.get("message", ""))
    if name in EARLIER_REQUEST:
        return Uncertain(name, answer.said)
    if name in QUOTAS:
        return Throttled(name, answer.said, retry_after=LONGEST_WAIT)
    if name == "invalid_from_address":
        return Misconfigured(name, answer.said)
    error = refusal(answer, reason=name if _WORD.fullmatch(name) else None)
    if isinstance(error, Rejected) and _ABOUT_TO.search(message):
        return Rejected("recipient_invalid", answer.said, scope="address")
    return error
