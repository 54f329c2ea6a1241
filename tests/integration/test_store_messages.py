"""Messages in the store: only steps that TRANSITIONS knows; taken, given back and gathered again by batch."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import TRANSITIONS, Attempt, Batch, Channel, MessageState, Outcome
from notify.store import Store, attempts, messages, open_store, tables, work
from notify.store.tenants import DEFAULT_ID
from tests.integration.test_store_batches import MINUTE, NOW, SECOND, plant

STEPS = [(before, after) for before, followers in TRANSITIONS.items() for after in followers]
NO_STEPS = [pair for pair in itertools.product(MessageState, MessageState) if pair not in STEPS]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


def planted(store: Store, *states: MessageState) -> tuple[Batch, list[UUID]]:
    with store.begin() as connection:
        return plant(connection, states or (MessageState.QUEUED,))


def states(store: Store, ids: Collection[UUID]) -> list[MessageState]:
    with store.read() as connection:
        found = [messages.find(connection, one) for one in ids]
    return [one.state for one in found if one is not None]


def test_a_step_that_transitions_does_not_know_is_refused(store: Store) -> None:
    for before, after in NO_STEPS:
        with store.begin() as connection, pytest.raises(ValueError, match=f"no message goes from {before} to {after}"):
            messages.move(connection, [uuid7()], before, after, at=NOW)


def test_every_step_that_transitions_knows_is_taken(store: Store) -> None:
    for before, after in STEPS:
        _, ids = planted(store, before, before)
        with store.begin() as connection:
            assert messages.move(connection, ids, before, after, at=NOW, reason="test") == 2
        assert states(store, ids) == [after] * 2


def test_only_messages_in_the_state_they_were_said_to_be_in_are_moved(store: Store) -> None:
    _, ids = planted(store, MessageState.SENDING, MessageState.SENT, MessageState.SENDING)
    with store.begin() as connection:
        assert (
            messages.move(connection, ids, MessageState.SENDING, MessageState.DEAD, at=NOW, reason="x", tried=True) == 2
        )
        tried = [found.attempts for one in ids if (found := messages.find(connection, one))]
    assert states(store, ids) == [MessageState.DEAD, MessageState.SENT, MessageState.DEAD]
    assert tried == [1, 0, 1]


def test_taking_a_batch_marks_what_is_due_and_loads_it_in_the_order_of_planning(store: Store) -> None:
    batch, ids = planted(store, *[MessageState.QUEUED] * 5, MessageState.CANCELLED)
    with store.begin() as connection:
        connection.execute(sa.update(tables.messages).where(tables.messages.c.id == ids[2]).values(due_at=NOW + SECOND))
    with store.begin() as connection:
        taken = work.take(connection, batch, due_by=NOW, at=NOW)
    assert [one.id for one in taken] == [ids[0], ids[1], ids[3], ids[4]]
    assert set(states(store, [one.id for one in taken])) == {MessageState.SENDING}
    third, occasion = taken[2], taken[2].occasion
    assert (third.recipient.key, third.recipient.addresses[Channel.EMAIL].value) == ("user-3", "user-3@example.org")
    assert (occasion.kind, third.data, occasion.data) == ("hello", {"nr": 3}, {"word": "hi"})
    assert (occasion.scheduled_at, occasion.has_attachments) == (NOW, False)
    assert states(store, ids)[2] == MessageState.QUEUED
    assert states(store, ids)[5] == MessageState.CANCELLED


def test_what_a_worker_did_not_begin_is_given_back(store: Store) -> None:
    batch, ids = planted(store, MessageState.SENDING, MessageState.SENT, MessageState.SENDING)
    with store.begin() as connection:
        assert [one.id for one in work.half_way(connection, batch)] == [ids[0], ids[2]]
        assert work.release(connection, batch, NOW) == 2
    assert states(store, ids) == [MessageState.QUEUED, MessageState.SENT, MessageState.QUEUED]


def test_what_still_waits_moves_to_new_batches_one_per_due_time(store: Store) -> None:
    batch, ids = planted(store, *[MessageState.QUEUED] * 4, MessageState.SENT)
    with store.begin() as connection:
        later = sa.update(tables.messages).where(tables.messages.c.id.in_(ids[1:3])).values(due_at=NOW + MINUTE)
        connection.execute(later)
        fresh = {one.due_at: one for one in work.rebatch(connection, batch, NOW)}
        homes = {one: found.batch_id for one in ids if (found := messages.find(connection, one))}
    assert {moment: one.size for moment, one in fresh.items()} == {NOW: 2, NOW + MINUTE: 2}
    assert [homes[one] for one in ids] == [
        fresh[NOW].id,
        fresh[NOW + MINUTE].id,
        fresh[NOW + MINUTE].id,
        fresh[NOW].id,
        batch.id,
    ]
    assert {(one.channel, one.lane, one.tenant_id) for one in fresh.values()} == {
        (batch.channel, batch.lane, batch.tenant_id)
    }


def test_a_batch_with_nothing_left_has_no_successor(store: Store) -> None:
    batch, _ = planted(store, MessageState.SENT, MessageState.DEAD)
    with store.begin() as connection:
        assert work.rebatch(connection, batch, NOW) == []


def test_attempts_are_listed_oldest_first_and_come_back_whole(store: Store) -> None:
    _, [message] = planted(store)
    written = [
        Attempt(
            *(uuid7(), DEFAULT_ID, message, number, 1, outcome, NOW + number * SECOND),
            provider="smtp",
            response="250 2.0.0 Ok: ž",
            rendered_at=NOW,
        )
        for number, outcome in enumerate(Outcome, start=1)
    ]
    with store.begin() as connection:
        attempts.record(connection, written[::-1])
        attempts.record(connection, [])
        assert attempts.of_message(connection, message) == written
