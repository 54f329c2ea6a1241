"""The journal alone, on fakeredis: whom it tells of, and when it tells nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from fakeredis import FakeRedis, FakeServer

from notify.delivery.journal import Entries, Journal
from notify.errors import Unreachable
from notify.model import Batch, Channel, Lane

BATCH = Batch(uuid4(), uuid4(), Channel.EMAIL, Lane.NORMAL, datetime(2026, 3, 29, tzinfo=UTC))
ONE, TWO, THREE, FOUR = (uuid4() for _ in range(4))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def journal(server: FakeServer) -> Journal:
    return Journal(FakeRedis(server=server), BATCH, 1)


def entries(*answered: UUID, doubtful: tuple[UUID, ...] = ()) -> Entries:
    return Entries(frozenset(answered), frozenset(doubtful))


def test_the_last_one_begun_is_doubtful_and_those_before_it_were_answered(journal: Journal) -> None:
    journal.open()
    for one in (ONE, TWO, THREE):
        journal.enter(one)
    assert journal.safe()
    assert journal.seal() == entries(ONE, TWO, doubtful=(THREE,))


def test_each_line_has_a_doubtful_one_of_its_own(journal: Journal) -> None:
    journal.open()
    for one, line in ((ONE, 0), (TWO, 1), (THREE, 1), (FOUR, 300)):
        journal.enter(one, line)
    assert journal.safe()
    assert journal.seal() == entries(TWO, doubtful=(ONE, THREE, FOUR))


def test_who_was_accepted_as_the_last_of_a_line_is_in_no_doubt(journal: Journal) -> None:
    journal.open()
    for one, line in ((ONE, 0), (TWO, 1), (THREE, 0)):
        journal.enter(one, line)
    journal.accepted(TWO)
    assert journal.safe()
    assert journal.seal() == entries(ONE, TWO, doubtful=(THREE,))


def test_what_was_withdrawn_counts_as_never_begun(journal: Journal) -> None:
    journal.open()
    for one in (ONE, TWO):
        journal.enter(one)
        journal.withdraw(one)
    journal.enter(THREE)
    assert journal.safe()
    assert journal.seal() == entries(doubtful=(THREE,))


def test_what_was_withdrawn_and_entered_again_counts_by_its_last_entry(journal: Journal) -> None:
    journal.open()
    for one in (ONE, TWO):
        journal.enter(one, 3)
        journal.withdraw(one)
    for one in (ONE, TWO):
        journal.enter(one, 0)
    assert journal.safe()
    assert journal.seal() == entries(ONE, doubtful=(TWO,))


def test_a_refusal_that_nobody_withdrew_leaves_doubt_though_others_came_on_other_lines(journal: Journal) -> None:
    journal.open()
    journal.enter(ONE, 1)
    journal.enter(TWO, 0)
    journal.withdraw(TWO)
    assert journal.safe()
    assert journal.seal() == entries(doubtful=(ONE,))


def test_an_opened_journal_is_not_a_lost_one(journal: Journal) -> None:
    journal.open()
    assert journal.safe()
    assert journal.seal() == entries()


def test_what_was_never_opened_is_lost(journal: Journal) -> None:
    journal.enter(ONE)
    assert not journal.safe()
    assert journal.seal() is None


def test_a_sealed_journal_takes_no_more_entries_and_tells_the_same_again(journal: Journal) -> None:
    journal.open()
    journal.enter(ONE)
    assert journal.safe()
    assert journal.seal() == entries(doubtful=(ONE,))
    journal.enter(TWO)
    assert not journal.safe()
    assert journal.seal() == entries(doubtful=(ONE,))


def test_after_a_flush_nothing_may_begin(journal: Journal, server: FakeServer) -> None:
    journal.open()
    journal.enter(ONE)
    assert journal.safe()
    FakeRedis(server=server).flushall()
    journal.enter(TWO)
    assert not journal.safe()
    assert journal.seal() is None


def test_a_claim_of_the_same_epoch_that_comes_late_hides_no_entry(journal: Journal, server: FakeServer) -> None:
    journal.open()
    journal.enter(ONE)
    journal.enter(TWO)
    assert journal.safe()
    Journal(FakeRedis(server=server), BATCH, 1).open()
    journal.enter(THREE)
    assert journal.safe()
    assert journal.seal() == entries(ONE, TWO, doubtful=(THREE,))
    Journal(FakeRedis(server=server), BATCH, 1).open()
    assert journal.seal() == entries(ONE, TWO, doubtful=(THREE,))


def test_a_closed_journal_is_gone_and_expires_if_nobody_closes_it(journal: Journal, server: FakeServer) -> None:
    journal.open()
    journal.enter(ONE)
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


def test_once_redis_was_away_nothing_of_this_lease_is_safe_any_more(journal: Journal, server: FakeServer) -> None:
    journal.open()
    journal.enter(ONE)
    server.connected = False
    with pytest.raises(Unreachable):
        journal.enter(TWO)
    server.connected = True
    assert not journal.safe()
