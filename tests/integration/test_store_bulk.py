"""Rows given as columns come out as they went in, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.errors import Unreachable
from notify.model import MessageState, Outcome
from notify.store import Store, bulk, open_store, tables
from notify.store.tenants import DEFAULT_ID
from tests.integration.test_store_batches import NOW, plant

RESPONSES = ["ž; DROP\tTABLE \\N\n\\.", None, "'\r\b"]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


def test_what_differs_and_what_does_not_is_written_alike(store: Store) -> None:
    here = timezone(timedelta(hours=2))
    ids, moments = [uuid7() for _ in range(3)], [NOW + timedelta(milliseconds=number) for number in range(3)]
    with store.begin() as connection:
        _, [message] = plant(connection, [MessageState.QUEUED])
        columns: dict[str, bulk.Column] = {
            "id": ids,
            "tenant_id": DEFAULT_ID,
            "message_id": [message] * 3,
            "number": [1, 2, 3],
            "epoch": 1,
            "outcome": Outcome.TRANSIENT,
            "at": [moment.astimezone(here) for moment in moments],
            "response": RESPONSES,
            "provider": None,
        }
        bulk.insert(connection, tables.attempts, columns)
        rows = connection.execute(sa.select(tables.attempts).order_by(tables.attempts.c.number)).all()
    assert [row.id for row in rows] == ids
    assert [row.at for row in rows] == moments
    assert {row.at.tzinfo for row in rows} == {UTC}
    assert [row.response for row in rows] == RESPONSES
    assert {(row.tenant_id, row.epoch, row.outcome, row.provider) for row in rows} == {
        (DEFAULT_ID, 1, "transient", None)
    }


def test_a_row_that_breaks_a_rule_of_its_table_is_refused(store: Store) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    columns: dict[str, bulk.Column] = {"id": [uuid7(), uuid7()], "key": ["twice", "twice"], "created_at": now}
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        bulk.insert(connection, tables.tenants, columns)


def end(store: Store, pid: int) -> None:
    with store.begin() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_in_the_middle_is_unreachable_and_can_be_asked_again(store: Store) -> None:
    columns: dict[str, bulk.Column] = {"id": [uuid7()], "key": ["again"], "created_at": datetime.now(UTC)}

    def write_on_a_line_that_ends() -> None:
        with store.begin() as connection:
            end(store, connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0)
            bulk.insert(connection, tables.tenants, columns)

    with pytest.raises(Unreachable):
        write_on_a_line_that_ends()
    with store.begin() as connection:
        bulk.insert(connection, tables.tenants, columns)


def test_texts_are_escaped_alike_whether_or_not_they_can_be_told_apart() -> None:
    assert bulk._all_escaped(["a\tb", None, "c\\"]) == ["a\\tb", None, "c\\\\"]
    assert bulk._all_escaped(["a\0b\t", None, "c\\"]) == ["a\0b\\t", None, "c\\\\"]
