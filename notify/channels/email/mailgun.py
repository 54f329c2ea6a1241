"""Mailgun: one request for each message, octet by octet. Without an idempotency key a try after doubt may send twice.

`mailgun://KEY@domain?region=eu`. The API:
https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages (messages.mime).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from notify.channels.email.address import ascii_form
from notify.channels.http import OPTIONS, Answer, Api, readable, refusal, without_consequences
from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Outcome, Receipt, Watch
from notify.channels.url import ProviderUrl, one_of
from notify.errors import DeliveryError, InvalidAddress, Misconfigured, Rejected
from notify.model import Channel

ENDPOINTS = MappingProxyType({"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"})
_ABOUT_TO = re.compile(r"'?\bto\b'? parameter|recipient", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"not allowed to send|sandbox|domain .*(?:disabled|unverified)", re.IGNORECASE)
BAD_REQUEST = 400


@dataclass(frozen=True)
class Mailgun:
    """A key that may send for one domain, `place`. `region` of the URL is `us` or `eu`."""

    name: ClassVar[str] = "mailgun"
    channel: ClassVar[Channel] = Channel.EMAIL
    place: str
    api: Api

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`mailgun://KEY@domain`. Raises `InvalidProvider`."""
        if not url.host or url.port is not None or url.path.strip("/"):
            raise url.wrong(
                "domain", "stands behind the key and alone, KEY@mg.example.org; of the key write '/' as %2F"
            )
        if not readable(url.user) or url.password is not None:
            raise url.wrong("key", "is missing or unreadable; write mailgun://KEY@domain, percent-encoded")
        options = url.options({**OPTIONS, "region": one_of(*ENDPOINTS)})
        region = options.pop("region", "us")
        options = {"endpoint": ENDPOINTS[region], **options}
        return cls(url.host, Api(secret=url.user, login=("api", url.user), **options))

    @contextmanager
    def open(self) -> Iterator[Mailgun]:
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
        """Whether the key may send for the domain, by a message to nobody. Raises a `DeliveryError`.

        A key that may only send has no other right, so there is nothing that could be read with it.
        """
        try:
            answer = self.api.post(self._path, data={"o:testmode": "yes"}, files={"message": ("message.mime", b"")})
        except DeliveryError as error:
            raise without_consequences(error) from None
        if answer.status != BAD_REQUEST or isinstance(_refusal(answer), Misconfigured):
            raise without_consequences(_refusal(answer))

    @property
    def _path(self) -> str:
        return f"/v3/{self.place}/messages.mime"

    def _send(self, envelope: Envelope) -> Receipt:
        try:
            recipient = ascii_form(envelope.recipient)
        except InvalidAddress:
            raise Rejected("recipient_invalid", scope="address") from None
        answer = self.api.post(
            self._path,
            data={"to": recipient, "v:message_id": str(envelope.message_id)},
            files={"message": ("message.mime", envelope.content)},
        )
        name = answer.facts.get("id")
        if answer.status // 100 == 2 and isinstance(name, str):  # noqa: PLR2004 - accepted
            return Receipt(answer.said, name.strip("<>"))
        raise _refusal(answer)


def _refusal(answer: Answer) -> DeliveryError:
    """By the words of the message: there are no codes."""
    message = str(answer.facts.get("message", ""))
    error = refusal(answer)
    if isinstance(error, Rejected) and _NOT_ALLOWED.search(message):
        return Misconfigured("domain_not_allowed", answer.said)
    if isinstance(error, Rejected) and _ABOUT_TO.search(message):
        return Rejected("recipient_invalid", answer.said, scope="address")
    return error
