"""The journal alone, on fakeredis: whom it tells of, and when it tells nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fakeredis import FakeRedis, FakeServer

from notify.delivery.journal import Journal
from notify.errors import Unreachable
from notify.model import Batch, Channel, Lane

BATCH = Batch(uuid4(), uuid4(), Channel.EMAIL, Lane.NORMAL, datetime(2026, 3, 29, tzinfo=UTC))
ONE, TWO = uuid4(), uuid4()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def journal(server: FakeServer) -> Journal:
    return Journal(FakeRedis(server=server), BATCH, 1)


def test_it_tells_of_whom_was_begun_in_order(journal: Journal) -> None:
    journal.open()
    assert journal.enter(ONE)
    assert journal.enter(TWO)
    assert journal.seal() == [ONE, TWO]


def test_an_opened_journal_is_not_a_lost_one(journal: Journal) -> None:
    journal.open()
    assert journal.seal() == []


def test_what_was_never_opened_is_lost(journal: Journal) -> None:
    assert journal.seal() is None


def test_a_sealed_journal_takes_no_more_entries_and_tells_the_same_again(journal: Journal) -> None:
    journal.open()
    journal.enter(ONE)
    assert journal.seal() == [ONE]
    assert not journal.enter(TWO)
    assert journal.seal() == [ONE]


def test_after_a_flush_nothing_may_begin(journal: Journal, server: FakeServer) -> None:
    journal.open()
    journal.enter(ONE)
    FakeRedis(server=server).flushall()
    assert not journal.enter(TWO)
    assert journal.seal() is None


def test_opening_again_begins_anew(journal: Journal) -> None:
    for _ in range(2):
        journal.open()
    journal.enter(ONE)
    assert journal.seal() == [ONE]


def test_a_closed_journal_is_gone_and_expires_if_nobody_closes_it(journal: Journal, server: FakeServer) -> None:
    journal.open()
    [key] = FakeRedis(server=server).keys()
    assert 0 < FakeRedis(server=server).ttl(key) <= 7 * 24 * 3600
    journal.close()
    assert FakeRedis(server=server).keys() == []


@pytest.mark.parametrize("call", [lambda j: j.open(), lambda j: j.enter(ONE), lambda j: j.seal(), lambda j: j.close()])
def test_a_redis_that_is_away_is_unreachable(journal: Journal, server: FakeServer, call: object) -> None:
    journal.open()
    server.connected = False
    with pytest.raises(Unreachable, match="NOTIFY_REDIS_URL"):
        call(journal)  # type: ignore[operator]
