"""The addresses of one recipient, changed by hand: taken away, added, and made the one to write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.audience.correction import Edit, Reached
from notify.audience.description import reachable
from notify.errors import InvalidRecipient
from notify.model import Address, Channel, OwnAddress, Profile, fold
from notify.settings import Environment
from notify.store import Connection, profiles
from notify.store import recipient_addresses as store
from notify.store.recipient_addresses import Wanted


@dataclass(frozen=True, slots=True)
class Addresses:
    """Those of a recipient whose row the connection's transaction holds."""

    app: App
    connection: Connection
    tenant_id: UUID
    key: str

    def change(self, edit: Edit, further: Sequence[Reached], now: datetime) -> None:
        """Add, choose the primary ones, and take away, in this order.

        The first of a channel is the primary one. Raises `InvalidRecipient`, `InvalidAddress`, `AddressTaken`.
        """
        for channel, value in (*further, *edit.added):
            self._add(channel, value, now)
        for channel, value in edit.primary:
            person = self._person()
            chosen = self._own(person, channel, value)
            if not chosen.primary:
                former = person.primary(channel)
                leaves = fold(former.value) if former else None
                wanted = Wanted(person.id, self.key, Address(channel, chosen.value), leaves)
                store.promote(self.connection, self.tenant_id, wanted, now)
        for channel, value in edit.removed:
            self._remove(channel, value)

    def _remove(self, channel: Channel, value: str) -> None:
        person = self._person()
        leaving = self._own(person, channel, value)
        if leaving.primary and sum(one.channel is channel for one in person.addresses) > 1:
            raise InvalidRecipient(
                f"recipient {self.key!r}: {leaving.value} is the primary address of {channel}; "
                "make another one the primary first"
            )
        store.remove(self.connection, person.id, channel, fold(leaving.value))

    def _add(self, channel: Channel, value: str, now: datetime) -> None:
        person = self._person()
        address = Address(channel, normal(self.app, self.key, channel, value))
        wanted = Wanted(person.id, self.key, address, primary=person.primary(channel) is None)
        store.add(self.connection, self.tenant_id, wanted, now)

    def _own(self, person: Profile, channel: Channel, value: str) -> OwnAddress:
        # an e-mail address from before may be one that is not accepted any more
        same = fold(value if channel is Channel.EMAIL else normal(self.app, self.key, channel, value))
        theirs = [one for one in person.addresses if one.channel is channel]
        found = next((one for one in theirs if fold(one.value) == same), None)
        if found is None:
            known = ", ".join(one.value for one in theirs) or "none"
            raise InvalidRecipient(f"recipient {self.key!r} has no {channel} address {value!r:.80}; theirs: {known}")
        return found

    def _person(self) -> Profile:
        found = profiles.one(self.connection, self.tenant_id, self.key)
        assert found is not None, "its row is locked"
        return found


def normal(app: App, key: str, channel: Channel, value: str) -> str:
    """An address in its normal form, by the rules of this installation. Raises `InvalidAddress`."""
    development = app.settings.env is Environment.DEVELOPMENT
    return reachable(key, channel, value, allow_test=development, region=app.settings.phone_region)
