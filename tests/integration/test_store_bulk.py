"""Rows given as columns come out as they went in, on both databases; written twice, they are there once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import Outcome
from notify.store import Store, bulk, open_store, tables
from notify.store.tenants import DEFAULT_ID
from tests.integration.test_store_batches import NOW, plant


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


def test_what_differs_and_what_does_not_is_written_alike(store: Store) -> None:
    here = timezone(timedelta(hours=2))
    ids, moments = [uuid7() for _ in range(3)], [NOW + timedelta(milliseconds=number) for number in range(3)]
    with store.begin() as connection:
        _, [message] = plant(connection, ["queued"])  # type: ignore[list-item]
        columns: dict[str, bulk.Column] = {
            "id": ids,
            "tenant_id": DEFAULT_ID,
            "message_id": [message] * 3,
            "number": [1, 2, 3],
            "epoch": 1,
            "outcome": Outcome.TRANSIENT,
            "at": [moment.astimezone(here) for moment in moments],
            "response": ["ž; DROP TABLE", None, "'"],
            "provider": None,
        }
        for _ in range(2):
            bulk.insert(connection, tables.attempts, columns, once=True)
        rows = connection.execute(sa.select(tables.attempts).order_by(tables.attempts.c.number)).all()
    assert [row.id for row in rows] == ids
    assert [row.at for row in rows] == moments
    assert {row.at.tzinfo for row in rows} == {UTC}
    assert [row.response for row in rows] == ["ž; DROP TABLE", None, "'"]
    assert {(row.tenant_id, row.epoch, row.outcome, row.provider) for row in rows} == {
        (DEFAULT_ID, 1, "transient", None)
    }


def test_a_row_that_breaks_a_rule_of_its_table_is_refused_even_when_written_once(store: Store) -> None:
    columns: dict[str, bulk.Column] = {
        "id": [uuid7()],
        "key": ["again"],
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    with store.begin() as connection:
        bulk.insert(connection, tables.tenants, columns, once=True)
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        bulk.insert(connection, tables.tenants, {**columns, "id": [uuid7()]}, once=True)
