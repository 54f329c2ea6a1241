"""The provider contract: what every way of handing over messages looks like to the rooms above.

A provider opens a connection; a connection takes envelopes, and answers each with a Receipt or with one of the five
`DeliveryError`s. Nothing above this room reads a status code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable
from uuid import UUID

from notify.errors import DeliveryError
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


Outcome = tuple[Envelope, Receipt | DeliveryError]


class Watch(Protocol):
    """Stands before every hand-over: what may be in doubt is noted by it first, and it may stop the rest."""

    def begin(self, envelope: Envelope, line: int) -> None:
        """The hand-over of this envelope is about to begin on this line, of those numbered from 0.

        Waits while a limit asks for it, some seconds at most.
        """

    def may_go_on(self) -> bool:
        """Whether every beginning so far is safely noted, and messages may still be handed over."""


class Connection(Protocol):
    """An open way to a provider. After an error it can still be used: it reconnects by itself when it must."""

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        """Hand over the envelopes; yields each with its Receipt or its error, not always in their order.

        The promises by which a dead worker's batch is reconstructed:

        - Before the first octet that could make the provider accept an envelope, `watch.begin()` was called for it and
          after that `watch.may_go_on()` said yes. When it says no, nothing more is begun: what is under way is
          answered, and the iteration ends.
        - On one line, an envelope is begun only once the caller has seen the outcome of the one begun before it, and
          asked for more. So per line at most one envelope is begun and not answered.
        - An envelope that was taken and never yielded was not handed over.

        Raises a `DeliveryError` when there is no line left and none can be opened: then nothing is under way.
        """


class Provider(Protocol):
    """One configured URL. One file per provider holds all that is known about it."""

    name: ClassVar[str]
    channel: ClassVar[Channel]

    def open(self) -> AbstractContextManager[Connection]:
        """Connect. Raises a `DeliveryError` when nobody answers."""

    def close(self) -> None:
        """Let go of what is kept open between connections. Called once, when nothing more is to be sent."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a provider lets us send: `remaining` of `limit` in `seconds`, and at most so many per second."""

    limit: int | None = None
    remaining: int | None = None
    seconds: int | None = None
    per_second: float | None = None


@runtime_checkable
class Metered(Protocol):
    """A provider whose API tells what is left."""

    def quota(self) -> Quota:
        """What it tells now. Raises a `DeliveryError` when it does not."""


@runtime_checkable
class Paced(Protocol):
    """A provider whose API tells how quickly it takes messages."""

    def pace(self) -> float | None:
        """So many per second at most; None when there is no such limit. Raises a `DeliveryError`."""


@runtime_checkable
class Checkable(Protocol):
    """A provider that can be asked whether its credentials work, without sending anything."""

    def check(self) -> None:
        """Returns when they do. Raises a `DeliveryError` that says why not."""


@runtime_checkable
class Placed(Protocol):
    """A provider that can say where it is without giving a secret away."""

    @property
    def place(self) -> str:
        """Host and port, or a region: `mx1.example.org:587`, `eu-west-1`."""


def one_by_one(send: Callable[[Envelope], Receipt], envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
    """`send_all` of a provider that takes one message at a time, and has one line."""
    for envelope in envelopes:
        watch.begin(envelope, 0)
        if not watch.may_go_on():
            return
        try:
            outcome: Receipt | DeliveryError = send(envelope)
        except DeliveryError as error:
            outcome = error
        yield envelope, outcome
