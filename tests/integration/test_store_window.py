"""Bells: so many for one tenant and queue, in turns, and the next when one has settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from notify.model import Batch, Channel, Lane
from notify.store import Store, batches, open_store, tenants
from notify.store.batches import RATE_LIMITED
from notify.store.window import BELL, WINDOW

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ROOM = -(-WINDOW // (500 + BELL))  # batches of 500


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def other(store: Store) -> UUID:
    with store.begin() as connection:
        tenants.add(connection, "other", NOW)
        return tenants.tenant_id(connection, "other")


def planned(store: Store, count: int, tenant: UUID = tenants.DEFAULT_ID, size: int = 500) -> list[Batch]:
    """Plan so many batches; returns those to ring for."""
    rows = [Batch(uuid7(), tenant, Channel.EMAIL, Lane.BULK, NOW, size=size) for _ in range(count)]
    with store.begin() as connection:
        return batches.insert(connection, rows, NOW)


def due(store: Store, now: datetime = NOW) -> list[Batch]:
    with store.begin() as connection:
        return batches.due(connection, now, unclaimed_since=now - MINUTE, limit=500)


def claim(store: Store, batch: Batch) -> Batch:
    with store.begin() as connection:
        times = {"now": NOW, "due_by": NOW, "lease_until": NOW + MINUTE}
        claimed = batches.claim(connection, batch.id, worker="one", **times)
    assert claimed is not None
    return claimed


def follow(store: Store, batch: Batch) -> list[Batch]:
    with store.begin() as connection:
        return batches.follow(connection, batch, NOW)


def test_of_a_mailout_no_more_is_rung_for_at_once_than_the_window_holds(store: Store) -> None:
    assert len(planned(store, ROOM + 20)) == ROOM
    assert planned(store, 10) == []
    assert due(store) == []


def test_a_single_one_is_always_rung_for(store: Store) -> None:
    planned(store, ROOM + 20)
    assert len(planned(store, 1, size=1)) == 1


def test_the_relay_fills_the_window_again(store: Store) -> None:
    first = planned(store, ROOM + 20)
    for batch in first[:5]:
        claim(store, batch)
    assert len(due(store)) == 5
    assert due(store) == []


def test_bells_that_nobody_heard_do_not_count_for_ever(store: Store) -> None:
    planned(store, ROOM + 20)
    later = NOW + 2 * MINUTE
    assert len(due(store, later)) == ROOM + 20


def test_tenants_take_turns(store: Store, other: UUID) -> None:
    planned(store, ROOM + 20)
    for batch in planned(store, 3, other):
        with store.begin() as connection:
            batches.mark_published(connection, [batch], None)
    with store.begin() as connection:  # an emptied broker: nothing was rung for
        everything = batches.due(connection, NOW, unclaimed_since=NOW + MINUTE, limit=500)
        batches.mark_published(connection, everything, None)
    found = due(store)
    assert [batch.tenant_id == other for batch in found[:8]] == [False, True] * 3 + [False] * 2 or [
        batch.tenant_id == other for batch in found[:8]
    ] == [True, False] * 3 + [False] * 2
    assert len(found) == ROOM + 3


def test_as_one_settles_the_next_of_its_queue_is_rung_for(store: Store, other: UUID) -> None:
    first, *_ = planned(store, ROOM + 2)
    claimed = claim(store, first)
    followers = [follow(store, claimed) for _ in range(3)]
    assert [len(found) for found in followers] == [1, 1, 0]
    assert follow(store, Batch(uuid7(), other, Channel.EMAIL, Lane.BULK, NOW)) == []


def test_what_a_limit_holds_back_as_a_whole_is_next_though_it_is_not_due(store: Store) -> None:
    first, second, third = planned(store, 3)
    settled = claim(store, first)
    for batch, reason in ((second, "breaker"), (third, RATE_LIMITED)):
        claimed = claim(store, batch)
        with store.begin() as connection:
            batches.put_off(connection, claimed, NOW + MINUTE, reason=reason, rule="-")
    [found] = follow(store, settled)
    assert (found.id, found.due_at) == (third.id, NOW)
