"""Recipients and suppressions: written in bulk, never overwritten by accident, never in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from notify.errors import InvalidRecipient
from notify.model import Author, Channel, Source, Suppression
from notify.store import Store, open_store, recipients, rosters, suppressions, tables, tenants
from notify.store.recipients import Change, Written
from notify.store.tenants import DEFAULT_ID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BY = Author("test", Source.SEND)
LATER = NOW + timedelta(days=1)
ADA = Change(
    "ada",
    locale="nl",
    timezone="Europe/Amsterdam",
    attributes={"name": "Ada", "lab": "Ω"},
    tags=("vip", "pilot"),
    addresses={Channel.EMAIL: "Ada@Example.org"},
)
SECRETS = ("a secret of the test",)
COMPLAINT = Suppression(Channel.EMAIL, "ada@example.org", reason="complained", source="feedback")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """The statements that are executed inside the block; a bulk insert counts as one."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)


def apply(store: Store, *changes: Change, now: datetime = NOW) -> Written:
    with store.begin() as connection:
        return recipients.apply(connection, DEFAULT_ID, changes, now, by=BY)


def many(count: int, **fields: Any) -> list[Change]:
    return [
        Change(f"user-{number:05}", addresses={Channel.EMAIL: f"user-{number}@example.org"}, **fields)
        for number in range(count)
    ]


# recipients


def test_a_new_recipient_is_stored_with_everything_said_of_it(store: Store) -> None:
    assert apply(store, ADA) == Written(inserted=1, updated=0, unchanged=0)
    with store.read() as connection:
        found = recipients.by_keys(connection, DEFAULT_ID, ["ada", "nobody"])
    assert list(found) == ["ada"]
    ada = found["ada"]
    assert (ada.locale, ada.timezone, ada.tags) == ("nl", "Europe/Amsterdam", ("vip", "pilot"))
    assert ada.attributes == {"name": "Ada", "lab": "Ω"}
    assert ada.addresses[Channel.EMAIL].value == "Ada@Example.org"
    assert not ada.addresses[Channel.EMAIL].verified


def test_saying_the_same_again_changes_nothing(store: Store) -> None:
    apply(store, ADA)
    assert apply(store, ADA, now=LATER) == Written(0, 0, unchanged=1)
    with store.read() as connection:
        assert connection.scalar(sa.select(tables.recipients.c.updated_at)) == NOW


def test_what_is_not_said_stays_as_it_was(store: Store) -> None:
    apply(store, ADA)
    assert apply(store, Change("ada", attributes={"name": "Ada L."}), now=LATER) == Written(0, updated=1, unchanged=0)
    with store.read() as connection:
        ada = recipients.by_keys(connection, DEFAULT_ID, ["ada"])["ada"]
        times = connection.execute(sa.select(tables.recipients.c.created_at, tables.recipients.c.updated_at)).one()
    assert ada.attributes == {"name": "Ada L.", "lab": "Ω"}
    assert (ada.locale, ada.tags, ada.addresses[Channel.EMAIL].value) == ("nl", ("vip", "pilot"), "Ada@Example.org")
    assert tuple(times) == (NOW, LATER)


def test_a_new_address_is_not_verified_because_the_old_one_was(store: Store) -> None:
    apply(store, ADA)
    with store.begin() as connection:
        connection.execute(sa.update(tables.addresses).values(verified=True))
    apply(store, ADA)
    with store.read() as connection:
        assert recipients.by_keys(connection, DEFAULT_ID, ["ada"])["ada"].addresses[Channel.EMAIL].verified
    apply(store, Change("ada", addresses={Channel.EMAIL: "ada@example.net"}))
    with store.read() as connection:
        [row] = connection.execute(sa.select(tables.addresses)).all()
    assert (row.value, row.folded, row.verified) == ("ada@example.net", "ada@example.net", False)


def test_new_changed_and_unchanged_recipients_are_counted_apart(store: Store) -> None:
    apply(store, *many(30))
    assert apply(store, *many(10, locale="fr"), *many(40)[10:]) == Written(inserted=10, updated=10, unchanged=20)


def test_one_tenants_recipients_are_unknown_to_another(store: Store) -> None:
    apply(store, ADA)
    with store.begin() as connection:
        assert tenants.add(connection, "lab", NOW)
        lab = tenants.tenant_id(connection, "lab")
        assert recipients.by_keys(connection, lab, ["ada"]) == {}
        assert recipients.apply(connection, lab, [Change("ada", locale="fr")], NOW, by=BY).inserted == 1
        assert recipients.by_keys(connection, DEFAULT_ID, ["ada"])["ada"].locale == "nl"


def test_a_tenants_id_is_asked_for_once_per_connection(store: Store) -> None:
    with store.begin() as connection:
        tenants.add(connection, "lab", NOW)
    store.engine.dispose()
    with store.begin() as connection:
        lab = tenants.tenant_id(connection, "lab")
    with statements(store) as seen, store.begin() as connection:
        assert tenants.tenant_id(connection, "lab") == lab
    assert [one for one in seen if one.startswith("SELECT")] == []


def test_a_tenant_that_was_rolled_back_is_not_remembered(store: Store) -> None:
    with store.begin() as connection:
        tenants.add(connection, "lab", NOW)
        assert tenants.tenant_id(connection, "lab")
        connection.rollback()
    with pytest.raises(InvalidRecipient, match="no tenant 'lab'"), store.begin() as connection:
        tenants.tenant_id(connection, "lab")


def test_the_number_of_statements_does_not_grow_with_the_recipients(store: Store) -> None:
    apply(store, *many(10))
    counts = []
    for count in (20, 1000):  # each time some are known already, and some are new
        with statements(store) as seen:
            written = apply(store, *many(count, attributes={"round": count}))
        assert written.inserted
        assert written.updated
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 10  # BEGIN; read; read again under lock; write known, and new; addresses; history


def test_nothing_is_written_where_nothing_changes(store: Store) -> None:
    apply(store, *many(100))
    with statements(store) as seen:
        apply(store, *many(100))
    assert [statement for statement in seen if not statement.startswith(("SELECT", "BEGIN"))] == []


def test_two_callers_who_write_the_same_recipients_in_opposite_order_do_not_wait_in_a_circle(store: Store) -> None:
    together = threading.Barrier(2)

    def write(changes: list[Change], locale: str) -> int:
        done = 0
        for turn in range(10):
            together.wait(30)
            written = apply(store, *(Change(one.key, locale, attributes={"turn": turn}) for one in changes))
            done += written.inserted + written.updated
        return done

    with ThreadPoolExecutor(2) as pool:
        forwards = pool.submit(write, many(200), "nl")
        backwards = pool.submit(write, many(200)[::-1], "fr")
        assert forwards.result(120) == backwards.result(120) == 2000
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.recipients)) == 200


def test_two_callers_who_make_the_same_recipient_agree_on_one(store: Store) -> None:
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait(30)
        apply(store, Change("ada", addresses={Channel.EMAIL: f"ada-{number}@example.org"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.recipients)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.addresses)) == 1
        assert list(recipients.by_keys(connection, DEFAULT_ID, ["ada"])["ada"].addresses) == [Channel.EMAIL]


def test_a_change_tells_everyone_as_they_are_afterwards(store: Store) -> None:
    apply(store, *many(4, locale="nl"), ADA)
    changes = [
        *many(2),
        *many(4, locale="fr")[2:],
        Change("new", attributes={"a": [1, None]}, tags=("x",)),
        Change("mute"),
    ]
    told = apply(store, *changes).people
    with store.read() as connection:
        assert told == recipients.by_keys(connection, DEFAULT_ID, [change.key for change in changes])
    assert [person.locale for person in told.values()] == ["nl", "nl", "fr", "fr", None, None]


def test_a_recipient_that_another_caller_makes_meanwhile_is_told_with_what_that_one_said(store: Store) -> None:
    if store.engine.dialect.name == "sqlite":
        return  # one writer at a time: there is no meanwhile
    said: list[Written] = []

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO recipients") and not said:
            said.append(Written(0, 0, 0))
            said.append(
                apply(store, Change("ada", "nl", attributes={"left": 1}), Change("bob", attributes={"left": 1}))
            )

    sa.event.listen(store.engine, "before_cursor_execute", interrupt)
    for more in ([], [Change("eve")]):  # one alone, and one of several, are written by different statements
        said.clear()
        key = "bob" if more else "ada"
        told = apply(
            store, Change(key, attributes={"right": 1}, addresses={Channel.EMAIL: f"{key}@example.org"}), *more
        )
        assert told.people[key].id == said[1].people[key].id
        assert told.people[key].attributes == {"left": 1, "right": 1}
        with store.begin() as connection:
            assert recipients.by_keys(connection, DEFAULT_ID, list(told.people)) == told.people
            connection.execute(sa.delete(tables.recipients))


def test_one_new_recipient_takes_four_statements_and_a_known_one_takes_one(store: Store) -> None:
    counts = []
    for change in (ADA, ADA, Change("ada", locale="fr")):
        with statements(store) as seen:
            apply(store, change)
        counts.append(len([one for one in seen if not one.startswith("BEGIN")]))
    # read, recipient, who has the address, address; read; read, lock, read again, own choices, recipient, history
    assert counts == [4, 1, 6]


def test_keys_are_listed_in_order(store: Store) -> None:
    apply(store, Change("b"), Change("a"), Change("c"))
    with store.read() as connection:
        assert recipients.all_keys(connection, DEFAULT_ID) == ["a", "b", "c"]


# suppressions


def suppress(store: Store, *rows: Suppression) -> int:
    with store.begin() as connection:
        return suppressions.add(connection, DEFAULT_ID, rows, NOW)


def found(store: Store, *addresses: str, channel: Channel = Channel.EMAIL) -> dict[str, list[Suppression]]:
    with store.read() as connection:
        return suppressions.of_addresses(connection, DEFAULT_ID, channel, addresses, SECRETS)


def test_a_suppression_is_found_by_its_address(store: Store) -> None:
    assert suppress(store, COMPLAINT) == 1
    assert found(store, "ada@example.org", "eve@example.net") == {"ada@example.org": [COMPLAINT]}
    assert found(store, "ada@example.org", channel=Channel.SMS) == {}


def test_who_said_it_first_stays(store: Store) -> None:
    suppress(store, Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "recipient"))
    again = Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "feedback", expires_at=LATER)
    assert suppress(store, again) == 0
    assert found(store, "ada@example.org")["ada@example.org"] == [
        Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "recipient")
    ]


def test_each_scope_is_a_suppression_of_its_own(store: Store) -> None:
    newsletter = Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "recipient", "newsletter", LATER)
    assert suppress(store, COMPLAINT, newsletter) == 2
    assert set(found(store, "ada@example.org")["ada@example.org"]) == {COMPLAINT, newsletter}


def test_only_new_suppressions_are_counted(store: Store) -> None:
    suppress(store, COMPLAINT)
    other = Suppression(Channel.EMAIL, "eve@example.net", "bounced", "roster")
    assert suppress(store, COMPLAINT, other, other) == 1
    assert suppress(store) == 0


def test_many_suppressions_are_a_bounded_number_of_statements(store: Store) -> None:
    counts = []
    for count in (10, 1000):
        rows = [Suppression(Channel.EMAIL, f"{count}-{one}@example.org", "bounced", "roster") for one in range(count)]
        with statements(store) as seen:
            assert suppress(store, *rows) == count
            assert len(found(store, *(row.address for row in rows))) == count
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_two_callers_who_suppress_the_same_addresses_in_opposite_order_do_not_wait_in_a_circle(store: Store) -> None:
    together = threading.Barrier(2)

    def write(step: int) -> None:
        for turn in range(10):
            rows = [Suppression(Channel.EMAIL, f"{turn}-{one}@example.org", "bounced", "roster") for one in range(200)]
            together.wait(30)
            suppress(store, *rows[::step])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, step) for step in (1, -1)]:
            done.result(120)
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.suppressions)) == 2000


def test_what_a_slice_leaves_to_the_database_alone_begins_before_anything_is_written(store: Store) -> None:
    """A roster's next slice is read in that time."""
    seen: list[list[str]] = []
    with store.begin() as connection:
        brought = rosters.bring_in(
            connection,
            DEFAULT_ID,
            [ADA, Change("bob")],
            fitting=lambda change, before: change,
            meanwhile=lambda: seen.append(recipients.all_keys(connection, DEFAULT_ID)),
            now=NOW,
            by=BY,
        )
        assert recipients.all_keys(connection, DEFAULT_ID) == ["ada", "bob"]
    assert seen == [[]]
    assert brought.inserted == {"ada", "bob"}
