"""Leases, rings and slots: one winner each, and late writers change nothing."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import (
    Author,
    Batch,
    BatchState,
    Channel,
    Lane,
    Message,
    MessageState,
    Mode,
    Notification,
    Source,
)
from notify.store import Store, batches, messages, notifications, open_store, presence, recipients
from notify.store.recipients import Change
from notify.store.tenants import DEFAULT_ID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def plant(
    connection: sa.Connection,
    states: Collection[MessageState] = (MessageState.QUEUED,),
    *,
    due_at: datetime = NOW,
    now: datetime = NOW,
) -> tuple[Batch, list[UUID]]:
    """A batch of one notification with a message in each of these states, in this order; returns it and their ids."""
    note = Notification(uuid7(), DEFAULT_ID, "hello", Mode.LIVE, now)
    notifications.insert(connection, note, request_hash="-", data={"word": "hi"}, at=None, correlation_id=None)
    keys = [f"user-{number}" for number in range(len(states))]
    changes = [Change(key, addresses={Channel.EMAIL: f"{key}@example.org"}) for key in keys]
    recipients.apply(connection, DEFAULT_ID, changes, now, by=Author("test", Source.SEND))
    ids = recipients.ids_by_key(connection, DEFAULT_ID, keys)
    batch = Batch(uuid7(), DEFAULT_ID, Channel.EMAIL, Lane.NORMAL, due_at, size=len(states))
    batches.insert(connection, [batch], now)
    planned = [
        Message(
            *(uuid7(), DEFAULT_ID, note.id, ids[key], Channel.EMAIL, f"{key}@example.org", state),
            attempts=0,
            due_at=due_at,
            created_at=now,
            updated_at=now,
            batch_id=batch.id,
        )
        for key, state in zip(keys, states, strict=True)
    ]
    messages.insert(connection, [(one, {"nr": number}) for number, one in enumerate(planned)])
    return batch, [one.id for one in planned]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


def planted(store: Store, *states: MessageState, due_at: datetime = NOW) -> tuple[Batch, list[UUID]]:
    with store.begin() as connection:
        return plant(connection, states or (MessageState.QUEUED,), due_at=due_at)


def claim(store: Store, batch: Batch, worker: str = "one", now: datetime = NOW) -> Batch | None:
    with store.begin() as connection:
        return batches.claim(connection, batch.id, worker=worker, now=now, due_by=now, lease_until=now + MINUTE)


def due(store: Store, now: datetime, unclaimed_since: datetime | None = None) -> list[UUID]:
    with store.begin() as connection:
        found = batches.due(connection, now, unclaimed_since=unclaimed_since or now - MINUTE, limit=10)
    return [batch.id for batch in found]


# leases


def test_a_batch_is_not_claimed_before_it_is_due(store: Store) -> None:
    batch, _ = planted(store, due_at=NOW + SECOND)
    assert claim(store, batch, now=NOW) is None
    assert claim(store, batch, now=NOW + SECOND) is not None


def test_a_claimed_batch_is_leased_under_a_new_epoch(store: Store) -> None:
    batch, _ = planted(store)
    assert claim(store, batch) == dataclasses.replace(batch, state=BatchState.LEASED, epoch=1)
    assert claim(store, batch, "two") is None


def test_a_batch_that_nobody_knows_is_not_claimed(store: Store) -> None:
    assert claim(store, Batch(uuid7(), DEFAULT_ID, Channel.EMAIL, Lane.NORMAL, NOW)) is None


def test_of_twenty_workers_one_wins(store: Store) -> None:
    batch, _ = planted(store)
    together = threading.Barrier(20)

    def race(number: int) -> Batch | None:
        together.wait(30)
        return claim(store, batch, f"worker-{number}")

    with ThreadPoolExecutor(20) as pool:
        won = [one for one in pool.map(race, range(20)) if one is not None]
    assert [one.epoch for one in won] == [1]


def test_a_lease_that_ran_out_can_be_taken_and_the_old_holder_can_write_no_more(store: Store) -> None:
    batch, _ = planted(store)
    old = claim(store, batch, "old")
    assert old is not None
    assert claim(store, batch, "new", NOW + MINUTE) is None, "at its last moment the lease still holds"
    late = NOW + MINUTE + SECOND
    new = claim(store, batch, "new", late)
    assert new is not None
    assert (old.epoch, new.epoch) == (1, 2)
    with store.begin() as connection:
        assert not batches.renew(connection, old, late + MINUTE)
        assert not batches.finish(connection, old, late)
        assert batches.renew(connection, new, late + MINUTE)
        assert batches.finish(connection, new, late)


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    batch, _ = planted(store)
    held = claim(store, batch)
    assert held is not None
    with store.begin() as connection:
        assert batches.renew(connection, held, NOW + 5 * MINUTE)
    assert claim(store, batch, "two", NOW + 4 * MINUTE) is None


def test_a_finished_batch_is_over(store: Store) -> None:
    batch, _ = planted(store)
    held = claim(store, batch)
    assert held is not None
    with store.begin() as connection:
        assert batches.finish(connection, held, NOW)
    with store.begin() as connection:
        assert not batches.finish(connection, held, NOW)
        assert not batches.renew(connection, held, NOW + MINUTE)
    assert claim(store, batch, "two", NOW + timedelta(days=1)) is None
    assert due(store, NOW + timedelta(days=1)) == []


# what to ring for


def test_a_batch_planned_for_now_counts_as_rung_for_until_nobody_came(store: Store) -> None:
    batch, _ = planted(store)
    assert due(store, NOW + SECOND) == []
    assert due(store, NOW + MINUTE + SECOND) == [batch.id]
    assert due(store, NOW + MINUTE + SECOND) == [], "it was just rung for"


def test_a_batch_for_later_is_rung_for_when_its_time_comes(store: Store) -> None:
    batch, _ = planted(store, due_at=NOW + MINUTE)
    assert due(store, NOW + MINUTE - SECOND) == []
    assert due(store, NOW + MINUTE) == [batch.id]


def test_a_batch_that_could_not_be_rung_for_is_found_at_once(store: Store) -> None:
    batch, _ = planted(store)
    with store.begin() as connection:
        batches.mark_published(connection, [batch], None)
    assert due(store, NOW) == [batch.id]


def test_a_batch_whose_lease_ran_out_is_rung_for(store: Store) -> None:
    batch, _ = planted(store)
    assert claim(store, batch) is not None
    assert due(store, NOW + MINUTE) == []
    assert due(store, NOW + MINUTE + SECOND) == [batch.id]
    assert due(store, NOW + MINUTE + 2 * SECOND) == []
    assert due(store, NOW + 3 * MINUTE) == [batch.id], "again, when nobody came"


def test_the_batch_that_waits_longest_comes_first_and_no_more_than_asked_for(store: Store) -> None:
    planned = [planted(store, due_at=NOW + step * SECOND)[0] for step in (3, 1, 2)]
    with store.begin() as connection:
        found = batches.due(connection, NOW + MINUTE, unclaimed_since=NOW, limit=2)
    assert [batch.id for batch in found] == [planned[1].id, planned[2].id]


def test_two_relays_do_not_ring_for_the_same_batch(store: Store) -> None:
    for _ in range(10):
        planted(store, due_at=NOW + SECOND)
    together = threading.Barrier(4)

    def relay(_: int) -> list[UUID]:
        together.wait(30)
        return due(store, NOW + MINUTE)

    with ThreadPoolExecutor(4) as pool:
        rung = [one for found in pool.map(relay, range(4)) for one in found]
    assert len(rung) == len(set(rung)) == 10


def test_the_oldest_due_time_is_that_of_what_is_under_way(store: Store) -> None:
    def oldest() -> datetime | None:
        with store.read() as connection:
            return batches.oldest_due(connection)

    assert oldest() is None
    first, _ = planted(store)
    planted(store, due_at=NOW + MINUTE)
    held = claim(store, first)
    assert oldest() == NOW, "a batch in hand is under way"
    assert held is not None
    with store.begin() as connection:
        batches.finish(connection, held, NOW)
    assert oldest() == NOW + MINUTE


# who is alive


def test_a_slot_is_claimed_once(store: Store) -> None:
    together = threading.Barrier(8)

    def tick(_: int) -> bool:
        together.wait(30)
        with store.begin() as connection:
            return presence.claim_slot(connection, "relay", 41, NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tick, range(8))) == 1


def test_the_next_slot_is_free_and_an_earlier_one_is_over(store: Store) -> None:
    with store.begin() as connection:
        claimed = [presence.claim_slot(connection, "relay", slot, NOW + slot * SECOND) for slot in (1, 2, 2, 1, 3)]
        assert claimed == [True, True, False, False, True]
        assert presence.claim_slot(connection, "sweep", 1, NOW), "each tick has slots of its own"
        assert presence.ticks(connection) == {"relay": NOW + 3 * SECOND, "sweep": NOW}


def test_a_clock_that_was_set_back_stops_no_tick(store: Store) -> None:
    hour, minute = 3_600_000, 60_000
    with store.begin() as connection:
        claimed = [
            presence.claim_slot(connection, "relay", slot, NOW)
            for slot in (2 * hour, 2 * hour - minute, hour, hour, hour + 1000)
        ]
    assert claimed == [True, False, True, False, True]


def test_a_worker_is_alive_from_its_first_heartbeat_to_its_farewell(store: Store) -> None:
    with store.begin() as connection:
        presence.heartbeat(connection, "one", "email.bulk", NOW)
        presence.heartbeat(connection, "two", "system", NOW + SECOND)
        presence.heartbeat(connection, "one", "email.bulk", NOW + 2 * SECOND)
        seen = [(worker.name, worker.started_at, worker.seen_at) for worker in presence.alive(connection)]
        assert seen == [("one", NOW, NOW + 2 * SECOND), ("two", NOW + SECOND, NOW + SECOND)]
        presence.farewell(connection, "one")
        assert [worker.name for worker in presence.alive(connection)] == ["two"]


def test_a_worker_that_died_in_silence_is_forgotten(store: Store) -> None:
    with store.begin() as connection:
        presence.heartbeat(connection, "dead", "system", NOW - MINUTE)
        presence.heartbeat(connection, "alive", "system", NOW)
        assert presence.forget_before(connection, NOW) == 1
        assert [worker.name for worker in presence.alive(connection)] == ["alive"]
