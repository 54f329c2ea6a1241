"""What keeps a message's row cheap: sending updates it in place, and touches no index."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Channel, MessageState
from notify.store import messages, open_store, tables
from notify.store.tenants import DEFAULT_ID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANGED_BY_SENDING = {"state", "reason", "rule", "attempts", "updated_at", "sent_at"}


def test_no_index_of_messages_holds_a_column_that_sending_changes_nor_asks_for_one() -> None:
    indexed = {column.name for index in tables.messages.indexes for column in index.columns}
    asked = " ".join(str(index.dialect_options["postgresql"]["where"]) for index in tables.messages.indexes)
    assert not (indexed | set(re.findall(r"\w+", asked))) & CHANGED_BY_SENDING
    assert indexed >= {"batch_id"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_batch_that_goes_out_is_updated_in_place(database_url: str) -> None:
    store = open_store(database_url)
    ids = [uuid7() for _ in range(500)]
    with store.begin() as connection:
        known = {"tenant_id": DEFAULT_ID, "attributes": {}, "tags": [], "created_at": NOW, "updated_at": NOW}
        people = [{**known, "id": one, "key": f"user-{one}"} for one in ids]
        connection.execute(sa.insert(tables.recipients), people)
        common = {"tenant_id": DEFAULT_ID, "notification_id": uuid7(), "batch_id": uuid7(), "channel": Channel.EMAIL}
        rows = [
            {
                **common,
                "id": one,
                "recipient_id": one,
                "address": f"{one}@example.org",
                "state": MessageState.QUEUED,
                "attempts": 0,
                "due_at": NOW,
                "created_at": NOW,
                "updated_at": NOW,
            }
            for one in ids
        ]
        connection.execute(sa.insert(tables.messages), rows)

    counted = sa.text("SELECT pg_stat_get_xact_tuples_hot_updated('messages'::regclass)")
    in_place = []
    for was, state in ((MessageState.QUEUED, MessageState.SENDING), (MessageState.SENDING, MessageState.SENT)):
        with store.begin() as connection:
            before = connection.scalar(counted)
            messages.move(connection, ids, was, state, at=NOW, tried=True, reason=None)
            in_place.append(connection.scalar(counted) - before)
    store.close()
    assert in_place == [500, 500]
