"""The provider contract: what every way of handing over a message looks like to the rooms above.

A provider opens a connection; a connection takes envelopes, one at a time, and answers each with a Receipt or
raises one of the five `DeliveryError`s. Nothing above this room reads a status code.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol
from uuid import UUID

from notify.model import Channel


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message ready for hand-over.

    `content` is the exact octets to transmit (for e-mail an RFC 5322 message with CRLF line ends);
    `sender` is the return path. `message_id` serves providers as idempotency key: it is the same on every try.
    """

    message_id: UUID
    recipient: str
    sender: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider took responsibility. `response` is what it said; `provider_id` its own name for the message."""

    response: str
    provider_id: str | None = None


class Connection(Protocol):
    """An open line to a provider. After an error it can still be used: it reconnects by itself when it must."""

    def send(self, envelope: Envelope) -> Receipt:
        """Hand over one message. Raises a `DeliveryError`."""


class Provider(Protocol):
    """One configured URL. One file per provider holds all that is known about it."""

    name: ClassVar[str]
    channel: ClassVar[Channel]

    def open(self) -> AbstractContextManager[Connection]:
        """Connect. Raises a `DeliveryError` when nobody answers."""
