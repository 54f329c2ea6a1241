"""A person or system that can be written to, and the addresses that must not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.model.kind import Channel
from notify.model.preferences import NONE, Preferences


@dataclass(frozen=True, slots=True)
class Address:
    """Where one channel reaches a recipient."""

    channel: Channel
    value: str
    verified: bool = False

    @property
    def folded(self) -> str:
        """The form in which addresses are compared: e-mail addresses ignore case."""
        return self.value.casefold()


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

    def template_facts(self, address: str | None) -> dict[str, Any]:
        """What templates see as `recipient`: the free attributes, and the fields of every recipient."""
        fields = {"key": self.key, "locale": self.locale, "timezone": self.timezone, "address": address}
        return {**self.attributes, **fields, "tags": self.tags}


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must not be used. `scope` is `all` or one category of kinds."""

    channel: Channel
    address: str
    reason: str
    source: str
    scope: str = "all"
    expires_at: datetime | None = None

    def covers(self, category: str, now: datetime) -> bool:
        """Whether it forbids a kind of `category` at `now`."""
        current = self.expires_at is None or self.expires_at > now
        return current and self.scope in ("all", category)
