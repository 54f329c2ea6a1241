"""An erasure looks through kept bodies in slices: nobody who writes waits, and what comes meanwhile is erased, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

import notify
from notify.app import App
from notify.audience import erasure, recipients
from notify.errors import StillSending
from notify.model import Author, Channel, Source
from notify.store import forgetting, kept_bodies, persons, tables
from notify.store.engine import Store
from notify.store.mentions import Mentions
from notify.store.persons import Person
from notify.store.tenants import DEFAULT_ID
from tests.kinds import make_kind

BY = Author("ada", Source.PYTHON)
ZOE = {"key": "zoe", "email": "zoe@example.org"}
Meanwhile = Callable[[], object]


@pytest.fixture(autouse=True)
def _zoe(app: App, templates: Path) -> None:
    make_kind(templates)
    notify.send("hello", ZOE)


def posted(app: App, *bodies: bytes, state: str = "processed", days: int = 0) -> list[UUID]:
    """Deliveries that were read long ago, and came so many days ago."""
    now = app.clock.now()
    common = {"tenant_id": DEFAULT_ID, "provider": "ses", "headers": {}, "state": state, "received_at": now}
    ids = [UUID(int=uuid7().int - (days * 86_400_000 << 80)) for _ in bodies]
    with app.store.begin() as connection:
        for id_, body in zip(ids, bodies, strict=True):
            row = {"id": id_, "payload_id": str(id_), "body": body}
            connection.execute(sa.insert(tables.hook_payloads), common | row)
    return ids


def mailed(app: App, *bodies: bytes) -> None:
    """Reports that nobody knew the message of."""
    with app.store.begin() as connection:
        put_mails(app, connection, *bodies)


def put_mails(app: App, connection: sa.Connection, *bodies: bytes) -> None:
    common = {"tenant_id": DEFAULT_ID, "mailbox": "box", "size": 1, "kind": "bounce", "state": "unmatched"}
    for body in bodies:
        row = {"id": uuid7(), "digest": str(uuid7()), "body": body, "received_at": app.clock.now()}
        connection.execute(sa.insert(tables.incoming_mails), common | row)


def left(app: App) -> list[bytes]:
    """The bodies that are kept."""
    with app.store.read() as connection:
        rows = [*connection.scalars(sa.select(tables.hook_payloads.c.body))]
        rows += connection.scalars(sa.select(tables.incoming_mails.c.body))
    return sorted(bytes(row) for row in rows if row)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[Meanwhile], None]:
    """Do something in the moment in which the first body is looked at."""

    def arrange(then: Meanwhile) -> None:
        within = Mentions.within

        def look(self: Mentions, octets: bytes) -> bool:
            monkeypatch.setattr(Mentions, "within", within)
            then()
            return self.within(octets)

        monkeypatch.setattr(Mentions, "within", look)

    return arrange


def erase(app: App) -> None:
    erasure.erase(app, "zoe", reason="asked", actor="ada")


def test_bodies_that_name_the_person_are_emptied_and_no_others(app: App) -> None:
    posted(app, b"of zoe@example.org", b"of eve@example.org")
    mailed(app, b"To: ZOE@example.org", b"To: eve@example.org")
    erase(app)
    assert left(app) == [b"To: eve@example.org", b"of eve@example.org"]


def test_while_bodies_are_looked_through_others_write(app: App, during: Callable[[Meanwhile], None]) -> None:
    posted(app, b"of zoe@example.org")

    def write() -> None:
        writer = threading.Thread(target=posted, args=(app, b"of eve@example.org"))
        writer.start()
        writer.join(10)
        assert not writer.is_alive()

    during(write)
    erase(app)
    assert left(app) == [b"of eve@example.org"]


def test_what_comes_during_the_search_is_erased(app: App, during: Callable[[Meanwhile], None]) -> None:
    posted(app, b"of zoe@example.org")

    def come() -> None:
        posted(app, b"again zoe@example.org", b"of eve@example.org")
        mailed(app, b"To: zoe@example.org")

    during(come)
    erase(app)
    assert left(app) == [b"of eve@example.org"]


def test_what_comes_after_the_last_round_is_looked_through_within_the_erasure(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(app, b"of zoe@example.org")
    forget = kept_bodies.forget

    def late(connection: sa.Connection, *given: Any) -> None:
        put_mails(app, connection, b"late zoe@example.org")
        forget(connection, *given)

    monkeypatch.setattr(kept_bodies, "forget", late)
    erase(app)
    assert left(app) == []


def test_what_was_read_only_during_the_search_is_emptied_and_what_was_not_read_yet_stays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, _] = posted(app, b"of zoe@example.org", b"also zoe@example.org", state="received", days=1)
    forget = kept_bodies.forget

    def read_meanwhile(connection: sa.Connection, *given: Any) -> None:
        of = tables.hook_payloads
        connection.execute(sa.update(of).where(of.c.id == one).values(state="processed"))
        forget(connection, *given)

    monkeypatch.setattr(kept_bodies, "forget", read_meanwhile)
    erase(app)
    assert left(app) == [b"also zoe@example.org"]


def test_a_report_that_comes_during_the_search_of_a_message_that_was_made_during_it_is_found_by_its_id(
    app: App, during: Callable[[Meanwhile], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "FEW", 1)
    posted(app, b"of eve@example.org")

    def come() -> None:
        note = notify.send("hello", "zoe")
        with app.store.read() as connection:
            of = tables.messages.c
            id_ = connection.scalar(sa.select(of.id).where(of.notification_id == note.id))
        mailed(app, f"Message-ID: <{id_}@example.org>".encode())

    during(come)
    erase(app)
    assert left(app) == [b"of eve@example.org"]


def test_what_comes_while_a_message_is_waited_for_is_looked_through_before_the_erasure(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(app, b"of zoe@example.org")
    in_hand, asked = forgetting.in_hand, 0
    within: list[int] = []
    forget, unseen = kept_bodies.forget, kept_bodies.Search.unseen

    def held(connection: sa.Connection, person: Person) -> int:
        nonlocal asked
        asked += 1
        if asked != 2:
            return in_hand(connection, person)
        put_mails(app, connection, b"late zoe@example.org", b"of eve@example.org")
        return 1

    def listed(self: kept_bodies.Search, connection: sa.Connection, **given: Any) -> list[tuple[int, UUID]]:
        found = unseen(self, connection, **given)
        within.append(len(found))
        return found

    def erased(connection: sa.Connection, *given: Any) -> None:
        within.clear()
        forget(connection, *given)

    monkeypatch.setattr(forgetting, "in_hand", held)
    monkeypatch.setattr(kept_bodies, "forget", erased)
    monkeypatch.setattr(kept_bodies.Search, "unseen", listed)
    erase(app)
    assert (within, left(app)) == ([0], [b"of eve@example.org"])


def test_within_the_erasure_only_what_came_since_the_last_round_is_listed(app: App) -> None:
    posted(app, b"of eve@example.org", days=1)
    with app.store.read() as connection:
        person = persons.find(connection, DEFAULT_ID, "zoe")
        assert person is not None
        search = kept_bodies.Search.of(connection, person)
        assert len(search.unseen(connection)) == 1
    new = posted(app, b"of zoe@example.org")
    with app.store.read() as connection:
        assert search.unseen(connection, lately=True) == [(0, new[0])]


def test_a_search_for_somebody_is_none_for_who_has_their_key_and_address_after_them(app: App) -> None:
    with app.store.read() as connection:
        person = persons.find(connection, DEFAULT_ID, "zoe")
        assert person is not None
        search = kept_bodies.Search.of(connection, person)
    assert search.covers(person)
    assert not search.covers(replace(person, id=uuid7()))


def test_an_address_that_they_get_during_the_search_is_searched_for_as_well(
    app: App, during: Callable[[Meanwhile], None]
) -> None:
    posted(app, b"of zoe@example.org", b"of second@example.org")
    during(lambda: recipients.add_address(app, "zoe", Channel.EMAIL, "second@example.org", by=BY))
    erase(app)
    assert left(app) == []


def test_a_report_of_a_message_of_theirs_is_found_by_its_id(app: App) -> None:
    with app.store.read() as connection:
        id_ = connection.scalar(sa.select(tables.messages.c.id))
    posted(app, f'{{"tag": "{id_}"}}'.encode())
    erase(app)
    assert left(app) == []


def test_an_erasure_that_is_broken_off_in_its_slices_goes_on_when_it_is_run_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(app, *(b"of zoe@example.org %d" % number for number in range(5)))
    empty = kept_bodies.Search.empty
    emptied: list[int] = []

    def broken(self: kept_bodies.Search, connection: sa.Connection) -> None:
        if emptied:
            raise KeyboardInterrupt
        empty(self, connection)
        emptied.append(self.left)

    with monkeypatch.context() as patched:
        patched.setattr(kept_bodies, "EMPTIED_AT_ONCE", 2)
        patched.setattr(kept_bodies.Search, "empty", broken)
        with pytest.raises(KeyboardInterrupt):
            erase(app)
    assert (emptied, len(left(app))) == ([3], 3)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.recipients.c.key)) == "zoe"
    erase(app)
    assert left(app) == []


def test_each_transaction_reads_or_empties_a_few(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    posted(app, *(b"of zoe@example.org %d" % number for number in range(7)))
    mailed(app, *(b"To: zoe@example.org %d" % number for number in range(3)))
    monkeypatch.setattr(kept_bodies, "EMPTIED_AT_ONCE", 2)
    monkeypatch.setattr(erasure, "SEEN_AT_ONCE", 4)
    monkeypatch.setattr(erasure, "FEW", 1)
    sizes: list[int] = []
    look = kept_bodies.Search.look

    def looked(self: kept_bodies.Search, connection: sa.Connection, which: Sequence[tuple[int, UUID]]) -> None:
        sizes.append(len(which))
        look(self, connection, which)

    begun = 0
    begin = Store.begin

    def counted(self: Store) -> Any:
        nonlocal begun
        begun += 1
        return begin(self)

    monkeypatch.setattr(kept_bodies.Search, "look", looked)
    monkeypatch.setattr(Store, "begin", counted)
    erase(app)
    assert (sizes, left(app)) == ([4, 4, 2, 0], [])
    assert begun == 2 + 4 + 2, "one to ask, one for each slice that is emptied, one to erase"


def test_somebody_whose_message_is_taken_in_hand_during_the_search_is_not_erased(
    app: App, during: Callable[[Meanwhile], None], make_app: Callable[..., App]
) -> None:
    hasty = make_app(app.settings, lease_seconds=0.5)
    posted(app, b"of zoe@example.org")

    def take() -> None:
        with app.store.begin() as connection:
            connection.execute(sa.update(tables.messages).values(state="sending"))

    during(take)
    with pytest.raises(StillSending, match="they are not erased"):
        erase(hasty)
    with app.store.read() as connection:
        assert connection.scalar(sa.select(tables.recipients.c.key)) == "zoe"
