"""The contract of webhooks: who sent one is proven first, and what it says is read later, from what was stored.

A reporter knows how its provider signs and what its provider's words mean. One file per provider holds all that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

from notify.model import Event


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A POST as it came: its octets, its headers with names in lower case, and the address it was sent to."""

    body: bytes
    headers: Mapping[str, str]
    url: str


@dataclass(frozen=True, slots=True)
class Payload:
    """What was verified and stored. `delivery_id` is what `Reporter.verify` called it."""

    delivery_id: str
    body: bytes
    content_type: str
    received_at: datetime


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
    """A reporter whose provider asks first whether its webhooks are wanted."""

    def confirm(self, payload: Payload) -> bool:
        """Say yes to a payload that asks; False for one that does not. Raises `Unreadable` or `Unreachable`."""
