"""A person or system that can be written to, and the addresses that must not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import idna

from notify.model.kind import Channel, Kind
from notify.model.preferences import NONE, Preferences


@dataclass(frozen=True, slots=True)
class Address:
    """Where one channel reaches a recipient."""

    channel: Channel
    value: str
    verified: bool = False

    @property
    def folded(self) -> str:
        """The form in which addresses are compared."""
        return fold(self.value)


def fold(address: str) -> str:
    """The form in which addresses are compared: without case, a domain as people read it (RFC 5890 §2.3.2.1)."""
    folded = address.casefold()
    if "xn--" not in folded:
        return folded
    local, at, domain = folded.rpartition("@")
    try:
        return f"{local}{at}{idna.decode(domain)}".casefold()
    except idna.IDNAError:
        return folded


@dataclass(frozen=True, slots=True)
class Recipient:
    """Known by the application's own `key`. `addresses` holds the one to use for each channel."""

    id: UUID
    key: str
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    addresses: Mapping[Channel, Address] = field(default_factory=dict)
    preferences: Preferences = NONE
    active: bool = True
    """Whether anything but required kinds is written to them at all: an operator's or a roster's word."""
    erased: bool = False
    """Whether they asked to be forgotten: then nothing is written to them, whatever is left of them."""

    def at(self, channel: Channel, value: str) -> Address:
        """The address they would have on this channel: one that differs in case alone is still the same."""
        before = self.addresses.get(channel)
        if before is None or before.folded != fold(value):
            return Address(channel, value)
        return before if before.value == value else replace(before, value=value)

    def template_facts(self, address: str | None) -> dict[str, Any]:
        """What templates see as `recipient`: the free attributes, and the fields of every recipient."""
        fields = {"key": self.key, "locale": self.locale, "timezone": self.timezone, "address": address}
        return {**self.attributes, **fields, "tags": self.tags}


ERASED_KEY = "erased:"
"""How the key begins that somebody who was erased has got; no description may use such a key."""

COMPLAINED = "complained"
OWN_WORD = ("unsubscribed", COMPLAINED)
"""The reasons that are the person's own word: they go with the person, and none is removed lightly."""
REASONS = (*OWN_WORD, "bounced", "manual")


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must not be used. `scope` is `all`, one category of kinds, or `kind:<name>`.

    `reason` is one of REASONS.
    """

    channel: Channel
    address: str
    reason: str
    source: str
    scope: str = "all"
    expires_at: datetime | None = None
    note: str | None = field(default=None, compare=False)
    since: datetime | None = field(default=None, compare=False)
    """When it began; None: when it is stored."""

    def covers(self, kind: Kind, now: datetime) -> bool:
        """Whether it forbids `kind` at `now`.

        What the person said never stops what is required: who leaves everything can still set a new password.
        """
        current = self.expires_at is None or self.expires_at > now
        heard = self.reason not in OWN_WORD or not kind.required
        return current and heard and self.scope in ("all", kind.category, f"kind:{kind.name}")
