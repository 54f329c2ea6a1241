"""Recipients as people keep them: found, added, corrected; each change leaves who made it, when and why.

What is set here is set by hand: an import leaves it, until it is told to follow imports again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from notify.app import App, ring
from notify.audience import correction
from notify.audience.addresses import Addresses
from notify.audience.correction import Edit, Reached
from notify.audience.description import REACHED, describe
from notify.audience.rescheduling import reschedule
from notify.channels.sms import number
from notify.errors import InvalidAddress, InvalidRecipient, NotFound
from notify.model import Author, Changed, Channel, Profile, Source, Status
from notify.settings import Environment
from notify.store import Connection, audit, profiles, recipient_history, recipient_overrides, tenants
from notify.store import recipients as store
from notify.store.profiles import Wanted
from notify.store.text import line

PAGE = 1000  # profiles read at once, however many are asked for


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the recipients that were meant. `after` is the key to go on behind, None when these were the last."""

    recipients: tuple[Profile, ...]
    total: int
    after: str | None


def get(app: App, key: str, *, tenant: str | None = None) -> Profile:
    """Everything known of one recipient. Raises `NotFound`."""
    with app.store.read() as connection:
        return _found(connection, tenants.tenant_id(connection, tenant), key)


def find(app: App, named: str, *, tenant: str | None = None) -> Profile:
    """Everything known of the recipient with this key, or else of the one with this address. Raises `NotFound`."""
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        known = profiles.one(connection, tenant_id, line("a recipient's key", named, NotFound))
        owners = [] if known else profiles.page(connection, tenant_id, _having(app, named), after=None, limit=2)
        if len(owners) > 1:
            keys = " and ".join(repr(one.key) for one in owners)
            raise NotFound(
                f"{named!r:.80} is an address of {keys}, on different channels; say which is meant by its key"
            )
        return known or (owners[0] if owners else _found(connection, tenant_id, named))


def _having(app: App, address: str) -> Wanted:
    """Those with this address; a phone number in whatever form."""
    with suppress(InvalidAddress):
        return Wanted(address=number.parse(address, region=app.settings.phone_region))
    return Wanted(address=address)


def page(app: App, wanted: Wanted, *, after: str | None = None, limit: int = PAGE, tenant: str | None = None) -> Page:
    """Those that are meant, in the order of their keys. Who comes or goes meanwhile moves nobody to another page."""
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        found = profiles.page(connection, tenant_id, wanted, after=after, limit=limit + 1)
        total = profiles.count(connection, tenant_id, wanted)
    shown = tuple(found[:limit])
    return Page(shown, total, shown[-1].key if len(found) > limit else None)


def each(
    app: App, wanted: Wanted, *, after: str | None = None, limit: int | None = None, tenant: str | None = None
) -> Iterator[Profile]:
    """All of them, or at most so many, read a page at a time."""
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        with app.store.read() as connection:
            tenant_id = tenants.tenant_id(connection, tenant)
            part = profiles.page(connection, tenant_id, wanted, after=after, limit=size)
        yield from part
        if len(part) < size:
            return
        after = part[-1].key
        left = None if left is None else left - size


def history(app: App, key: str, *, limit: int = 100, tenant: str | None = None) -> list[Changed]:
    """What was changed of a recipient, newest first. Raises `NotFound`."""
    with app.store.read() as connection:
        found = _found(connection, tenants.tenant_id(connection, tenant), key)
        return recipient_history.read(connection, found.id, limit=limit)


def add(app: App, to: Mapping[str, Any], *, by: Author, active: bool = True, tenant: str | None = None) -> Profile:
    """Add a recipient, described as for `send()`; `email` and `phone` may be lists, of which the first is written to.

    Raises `InvalidRecipient` for a key that is there already, `InvalidAddress`, `AddressTaken`.
    """
    firsts, others = _split(to)
    described = describe({"attributes": {}, **firsts}, **_reading(app))
    assert described.change is not None, "a description with attributes is a change"
    key, now = described.key, app.clock.now()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        change = replace(described.change, active=active)
        written = store.apply(connection, tenant_id, [change], now, by=by)
        if not written.inserted:
            raise InvalidRecipient(f"recipient {key!r} is there already; change it: notify recipients set {key} …")
        Addresses(app, connection, tenant_id, key).change(Edit(), others, now)
        _Note(connection, tenant_id, key, now).write("recipients.add", by)
        return _found(connection, tenant_id, key)


def edit(app: App, key: str, wanted: Edit, *, by: Author, tenant: str | None = None) -> Profile:
    """Change a recipient by hand, and keep imports from changing it back; all of it or nothing.

    Writes one row of history and one of audit, and none when nothing changes. What waits for a time on their clock
    moves with their time zone. Raises `NotFound`, `InvalidRecipient`, `InvalidAddress`, `AddressTaken`.
    """
    said = {field: value for field, value in wanted.said.items() if value is not None}
    firsts, others = _split({**said, "key": key})
    described = describe({"attributes": {}, **firsts}, **_reading(app))
    assert described.change is not None, "a description with attributes is a change"
    now = app.clock.now()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        profile = _locked(connection, tenant_id, key)
        before = store.by_keys(connection, tenant_id, [key])[key]
        after = correction.corrected(before, store.merged(described.change, before, by), wanted)
        if after != before:
            store.rewrite(connection, tenant_id, before, after, now)
        Addresses(app, connection, tenant_id, key).change(wanted, others, now)
        overrides = correction.overrides(profile.overrides, wanted, key, own=by.source is Source.PAGE)
        if overrides != set(profile.overrides):
            recipient_overrides.keep(connection, profile.id, overrides)
        changed = _found(connection, tenant_id, key)
        became = store.by_keys(connection, tenant_id, [key])[key]
        changes = {**recipient_history.difference(before, became), **_beside(profile, changed)}
        recipient_history.write(connection, tenant_id, [(profile.id, changes)], now, by)
        if changes or changed.overrides != profile.overrides:
            note = _Note(connection, tenant_id, key, now)
            note.write("recipients.set", by, fields=sorted(changes), follow_imports=sorted(wanted.follow))
        rung = reschedule(app, connection, profile.id) if "timezone" in changes else []
    ring(app, rung)
    return replace(changed, changes=changed.changes + bool(changes))


def add_address(
    app: App,
    key: str,
    channel: Channel,
    value: str,
    *,
    by: Author,
    primary: bool = False,
    tenant: str | None = None,
) -> Profile:
    """Give them one more address. The first of a channel is the primary one."""
    wanted = Edit(added=((channel, value),), primary=((channel, value),) if primary else ())
    return edit(app, key, wanted, by=by, tenant=tenant)


def remove_address(
    app: App, key: str, channel: Channel, value: str, *, by: Author, tenant: str | None = None
) -> Profile:
    """Take an address from them. The primary one goes last: `InvalidRecipient` while there are others."""
    return edit(app, key, Edit(removed=((channel, value),)), by=by, tenant=tenant)


def make_primary(app: App, key: str, channel: Channel, value: str, *, by: Author, tenant: str | None = None) -> Profile:
    """Write to this address of theirs from now on; it keeps its proof."""
    return edit(app, key, Edit(primary=((channel, value),)), by=by, tenant=tenant)


def _found(connection: Connection, tenant_id: UUID, key: str) -> Profile:
    found = profiles.one(connection, tenant_id, line("a recipient's key", key, NotFound))
    if found is None:
        raise NotFound(
            f"no recipient {key!r} in this tenant; find one: notify recipients list --search … or --address …"
        )
    return found


def _locked(connection: Connection, tenant_id: UUID, key: str) -> Profile:
    store.by_keys(connection, tenant_id, [line("a recipient's key", key, NotFound)], lock=True)
    found = _found(connection, tenant_id, key)
    if found.status is Status.ERASED:
        raise InvalidRecipient(f"recipient {key!r} was erased: there is nothing to change; add a new one")
    return found


def _reading(app: App) -> dict[str, Any]:
    """What the installation says of addresses."""
    return {"allow_test": app.settings.env is Environment.DEVELOPMENT, "region": app.settings.phone_region}


def _split(to: Mapping[str, Any]) -> tuple[dict[str, Any], list[Reached]]:
    """A description with one address for each channel, and the further ones."""
    if "data" in to:
        raise InvalidRecipient(f"recipient {to.get('key')!r:.60}: data is for one message; give it to send()")
    firsts, others = dict(to), []
    for field, channel in REACHED.items():
        given = to.get(field)
        if isinstance(given, list | tuple):
            if not given:
                raise InvalidRecipient(f"recipient {to.get('key')!r:.60}: {field} is an empty list; leave it out")
            firsts[field] = given[0]
            others += [(channel, value) for value in given[1:]]
    return firsts, others


def _beside(before: Profile, after: Profile) -> dict[str, tuple[Any, Any]]:
    """What changed of the addresses that are not the primary ones."""
    found = {}
    for channel in Channel:
        was, now = (
            [one.value for one in of.addresses if one.channel is channel and not one.primary] for of in (before, after)
        )
        if was != now:
            found[f"{channel.value}.others"] = (was, now)
    return found


@dataclass(frozen=True, slots=True)
class _Note:
    """The row of audit that an act leaves: which fields, not what stands in them."""

    connection: Connection
    tenant_id: UUID
    key: str
    now: datetime

    def write(self, action: str, by: Author, **detail: Any) -> None:
        said = {**detail, "source": by.source.value, **({"reason": by.reason} if by.reason else {})}
        audit.write(
            self.connection,
            self.tenant_id,
            actor=by.actor,
            action=action,
            subject=self.key,
            detail=said,
            at=self.now,
        )
