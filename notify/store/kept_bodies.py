"""Kept octets that tell of somebody: found and emptied in slices, so that nobody who writes waits for a search.

What was not seen by then, for it came meanwhile, is looked through within the transaction of the erasure. Octets never
change, they only go, and they tell of no message that is made after they came: what was seen once need not be seen
again, where the messages are asked for after it was listed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, HookState
from notify.store import incoming
from notify.store.dialect import any_of
from notify.store.mentions import Mentions
from notify.store.persons import Person
from notify.store.tables import hook_payloads, incoming_mails, messages

MAILED_OR_POSTED = (Channel.EMAIL, Channel.SMS)
"""Channels of which mails and webhooks tell."""
READ_AT_ONCE = 20  # bodies; each may have megabytes
EMPTIED_AT_ONCE = 500
FIRST = UUID(int=0)
LATE = 600_000
"""Milliseconds between the making of an id and its commit, with what the clocks of two machines may differ."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table with bodies. `kept` are the rows that have one, `may_go` those of them that may lose it, to `nothing`."""

    table: sa.Table
    kept: sa.ColumnElement[bool]
    may_go: sa.ColumnElement[bool]
    nothing: dict[str, Any]


PLACES = (
    Place(
        hook_payloads,
        sa.func.length(hook_payloads.c.body) > 0,
        hook_payloads.c.state != HookState.RECEIVED,  # what nobody has read yet stays, to be read
        {"body": b"", "headers": {}},
    ),
    Place(incoming_mails, incoming_mails.c.body.is_not(None), sa.true(), incoming.NO_OCTETS),
)


@dataclass(slots=True)
class Search:
    """What was seen so far, and what of it tells of this person: of an address of theirs, or a message."""

    person: Person
    mentions: Mentions | None
    _seen: list[set[int]] = field(default_factory=lambda: [set() for _ in PLACES])
    _found: list[list[UUID]] = field(default_factory=lambda: [[] for _ in PLACES])
    _put_back: list[set[int]] = field(default_factory=lambda: [set() for _ in PLACES])
    _since: UUID = FIRST

    @classmethod
    def of(cls, connection: sa.Connection, person: Person) -> Search:
        """A search that has seen nothing yet. Who has no address of these channels is told of nowhere."""
        return cls(person, _mentions(connection, person))

    def covers(self, person: Person) -> bool:
        """Whether it is for this person, and all addresses that they have by now."""
        return person.id == self.person.id and _told(person) <= _told(self.person)

    def unseen(self, connection: sa.Connection, *, lately: bool = False) -> list[tuple[int, UUID]]:
        """What is kept and was not seen yet: its place, and its id. It is looked for anew what messages they have.

        With `lately` only what came since this was asked before, or might not go when it was to be emptied.
        """
        if self.mentions is None:
            return []
        since, self._since = self._since if lately else FIRST, UUID(int=uuid7().int - (LATE << 80))
        found = []
        for number, place in enumerate(PLACES):
            of = place.table.c.id
            asked = of >= since
            if lately:
                asked |= any_of(connection, of, [UUID(int=one) for one in self._put_back[number]])
            ids = connection.scalars(sa.select(of).where(place.kept, asked))
            found += [(number, id_) for id_ in ids if id_.int not in self._seen[number]]
        self.mentions = _mentions(connection, self.person)  # last: no message that these tell of is made from now on
        return found

    def look(self, connection: sa.Connection, which: Collection[tuple[int, UUID]]) -> None:
        """See these."""
        if self.mentions is None:
            return
        for number, place in enumerate(PLACES):
            ids = [id_ for of, id_ in which if of == number]
            if not ids:
                continue
            of = place.table.c
            wanted = sa.select(of.id, of.body).where(any_of(connection, of.id, ids), place.kept)
            rows = connection.execute(wanted.execution_options(yield_per=READ_AT_ONCE))
            self._found[number] += [id_ for id_, body in rows if self.mentions.within(bytes(body))]
            self._seen[number] |= {id_.int for id_ in ids}

    @property
    def left(self) -> int:
        """How many were found and not emptied yet."""
        return sum(map(len, self._found))

    def empty(self, connection: sa.Connection) -> None:
        """Of some that were found, keep nothing but that they came."""
        for number, place in enumerate(PLACES):
            found, of = self._found[number], place.table.c
            some, self._found[number] = found[:EMPTIED_AT_ONCE], found[EMPTIED_AT_ONCE:]
            if some:
                chosen = sa.select(of.id).where(any_of(connection, of.id, some), place.kept, place.may_go)
                ids = connection.scalars(chosen.order_by(of.id).with_for_update()).all()
                gone = sa.update(place.table).where(any_of(connection, of.id, list(ids)))
                connection.execute(gone.values(place.nothing))
                stay = {id_.int for id_ in set(some) - set(ids)}  # may not go yet: seen anew later
                self._seen[number] -= stay
                self._put_back[number] |= stay
                return


def forget(connection: sa.Connection, search: Search) -> None:
    """Empty what is left, and what has come since the search: to be called within the erasure of its person.

    `search` covers the person, and has seen nearly all.
    """
    search.look(connection, search.unseen(connection, lately=True))
    while search.left:
        search.empty(connection)


def _told(person: Person) -> set[tuple[Channel, str]]:
    return {(channel, folded) for channel, folded in person.addresses if channel in MAILED_OR_POSTED}


def _mentions(connection: sa.Connection, person: Person) -> Mentions | None:
    addresses = sorted(folded for _, folded in _told(person))
    if not addresses:
        return None
    ids = connection.scalars(sa.select(messages.c.id).where(messages.c.recipient_id == person.id)).all()
    return Mentions.of(addresses, ids)
