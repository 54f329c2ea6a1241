"""Postmark: one request for each message. There is no idempotency key, so a try after doubt may send twice.

`postmark://TOKEN?stream=outbound`. The API: https://postmarkapp.com/developer/api/email-api; its error codes:
https://postmarkapp.com/developer/api/overview#error-codes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import quote

from notify.channels.email.parts import File, take_apart
from notify.channels.http import OPTIONS, Answer, Api, key_of, refusal
from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Outcome, Receipt, Watch
from notify.channels.url import ProviderUrl, host_name
from notify.errors import DeliveryError, Misconfigured, Rejected
from notify.model import Channel

ENDPOINT = "https://api.postmarkapp.com"
INVALID_EMAIL_REQUEST, INACTIVE_RECIPIENT = 300, 406

OUR_SIDE = {
    10: "credentials_refused",
    400: "sender_refused",
    401: "sender_refused",
    405: "credit_exhausted",
    412: "account_pending",
    413: "account_may_not_send",
    1235: "stream_unknown",
}
"""ErrorCodes that no message can pass before an operator mends something."""


@dataclass(frozen=True)
class Postmark:
    """One server token; `stream` is the message stream, Postmark's default unless given."""

    name: ClassVar[str] = "postmark"
    channel: ClassVar[Channel] = Channel.EMAIL
    api: Api
    stream: str | None = None

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`postmark://TOKEN`. Raises `InvalidProvider`."""
        key = key_of(url)
        options = {"endpoint": ENDPOINT, **url.options({**OPTIONS, "stream": host_name})}
        stream = options.pop("stream", None)
        return cls(Api(secret=key, headers={"X-Postmark-Server-Token": key}, **options), stream)

    @property
    def place(self) -> str:
        """The stream, when the URL names it."""
        return self.stream or ""

    @contextmanager
    def open(self) -> Iterator[Postmark]:
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
        """Whether token and stream are known. Raises a `DeliveryError`."""
        self.api.get("/server" if self.stream is None else f"/message-streams/{quote(self.stream, safe='')}")

    def _send(self, envelope: Envelope) -> Receipt:
        answer = self.api.post("/email", json=self._wanted(envelope))
        facts = answer.facts
        name = facts.get("MessageID")
        if answer.status // 100 == 2 and facts.get("ErrorCode") == 0 and isinstance(name, str):  # noqa: PLR2004
            return Receipt(answer.said, name)
        raise _refusal(answer)

    def _wanted(self, envelope: Envelope) -> dict[str, Any]:
        """The request's JSON. Raises `Rejected`."""
        parts = take_apart(envelope)
        headers = {**parts.headers, "X-PM-KeepID": "true"}  # else it writes a Message-ID of its own
        wanted = {
            "From": str(parts.sender),
            "To": str(parts.recipient),
            "ReplyTo": None if parts.reply_to is None else str(parts.reply_to),
            "Subject": parts.subject,
            "TextBody": parts.text,
            "HtmlBody": parts.html,
            "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
            "Attachments": [_attachment(file) for file in parts.files] or None,
            "Metadata": {"message_id": str(envelope.message_id)},
            "MessageStream": self.stream,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def _attachment(file: File) -> dict[str, str]:
    wanted = {
        "Name": file.name,
        "Content": b64encode(file.content).decode("ascii"),
        "ContentType": file.content_type,
    }
    return wanted if file.content_id is None else {**wanted, "ContentID": f"cid:{file.content_id}"}


def _refusal(answer: Answer) -> DeliveryError:
    """By the API's error code first."""
    code, message = answer.facts.get("ErrorCode"), str(answer.facts.get("Message", ""))
    error = refusal(answer)
    if not isinstance(error, Rejected):
        return error
    if isinstance(code, int) and code in OUR_SIDE:
        return Misconfigured(OUR_SIDE[code], answer.said)
    if code == INACTIVE_RECIPIENT:
        return Rejected("recipient_suppressed", answer.said, scope="address")
    if code == INVALID_EMAIL_REQUEST and "'From'" in message:
        return Misconfigured("sender_refused", answer.said)
    if code == INVALID_EMAIL_REQUEST and "'To'" in message:
        return Rejected("recipient_invalid", answer.said, scope="address")
    return error
