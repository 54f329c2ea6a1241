"""The contract of webhooks: who sent one is proven first, and what it says is read later, from what was stored.

A reporter knows how its provider signs and what its provider's words mean; a carrier, how its provider hands over
mails. One file per provider holds all that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

from notify.model import Event


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A POST as it came: its octets, its headers with names in lower case, and the address it was sent to.

    `caller` is the address of the network it came from, as far as that is known.
    """

    body: bytes
    headers: Mapping[str, str]
    url: str
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """What was verified and stored. `delivery_id` is what `Reporter.verify` called it.

    `left_out` counts the octets of a carrier's body that were not kept.
    """

    delivery_id: str
    body: bytes
    content_type: str
    received_at: datetime
    left_out: int = 0


class Reporter(Protocol):
    """What is known of one provider's webhooks."""

    name: ClassVar[str]

    def verify(self, request: HookRequest, now: datetime) -> str:
        """The provider's own name for this delivery: the same when it delivers the same again.

        It computes and waits for nothing; only one that is `Confirming` may ask its provider for what it takes.
        Raises `Unverified`; and `Unreachable` when what it takes to verify it cannot be had just now.
        """

    def events(self, payload: Payload) -> list[Event]:
        """What it tells, in the closed vocabulary; nothing for what notify has no word for. Raises `Unreadable`."""


@runtime_checkable
class Confirming(Protocol):
    """A reporter whose provider asks first whether its webhooks are wanted, and may have to be asked to verify one."""

    def asks(self, request: HookRequest, now: datetime) -> bool:
        """Whether to verify this takes asking the provider, so that a thread has to wait."""

    def confirm(self, payload: Payload) -> bool:
        """Say yes to a payload that asks; False for one that does not. Raises `Unreadable` or `Unreachable`."""


@dataclass(frozen=True, slots=True)
class CarriedMail:
    """A mail that a provider received: its octets, at the least the first megabyte; their number; whom it came to."""

    octets: bytes
    size: int
    envelope_to: str | None = None


class Arrival(Protocol):
    """A delivery on its way: too large to be held as a whole, it is verified and cut as it comes."""

    def add(self, octets: bytes) -> None:
        """The next octets of the body."""

    def verify(self) -> str:
        """See `Reporter.verify`; once, after the last octets."""

    def kept(self) -> bytes:
        """What is to be stored of the body."""


class Carrier(Protocol):
    """What is known of a provider that hands over the mails it receives. `largest` is a limit of octets."""

    name: ClassVar[str]
    largest: ClassVar[int]

    def expect(self, request: HookRequest, now: datetime) -> Arrival:
        """A delivery of which only the headers are here: the body of `request` is empty.

        Raises `Unverified` when they are enough to refuse it.
        """

    def mail(self, payload: Payload) -> CarriedMail:
        """The mail that was handed over. Raises `Unreadable`."""
