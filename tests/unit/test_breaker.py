"""The breaker on a real Valkey: when it opens, who may probe, what everybody is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import Redis

from notify import telemetry
from notify.app import App
from notify.delivery.breaker import CLOSED, PROBE, Breakers, BreakerState, Open
from notify.errors import Unreachable
from notify.settings import load
from notify.testing import MovableClock

ONE, TWO = "smtp:one.test:25", "smtp:two.test:25"
SECONDS = timedelta(seconds=30)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def worker(redis_url: str, clock: MovableClock) -> Iterator[Callable[..., Breakers]]:
    """Each call is another process: it shares nothing but Redis."""
    clients: list[Redis] = []

    def make(at: MovableClock = clock, url: str = redis_url) -> Breakers:
        clients.append(Redis.from_url(url, socket_connect_timeout=1))
        return Breakers(cast(App, SimpleNamespace(redis=clients[-1], clock=at, settings=load(env_file=None))))

    Redis.from_url(redis_url).flushall()
    yield make
    for client in clients:
        client.close()


@pytest.fixture
def breakers(worker: Callable[..., Breakers]) -> Breakers:
    return worker()


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    with telemetry.subscribed(lambda event, facts: events.append((event, dict(facts)))):
        yield events


def shut(breakers: Breakers, name: str = ONE) -> bool:
    return isinstance(breakers.standing([name])[name], Open)


def open_it(breakers: Breakers) -> None:
    assert isinstance(breakers.report(ONE, out_of_reach=True, reason="unreachable"), Open)


def test_it_opens_when_half_of_twenty_failed_and_not_before(breakers: Breakers) -> None:
    assert breakers.report(ONE, good=9, bad=9, reason="body_deferred") == CLOSED
    assert not shut(breakers)
    assert isinstance(breakers.report(ONE, bad=2, reason="body_deferred"), Open)
    found = breakers.standing([ONE, TWO])
    one = found[ONE]
    assert isinstance(one, Open)
    assert (one.reason, found[TWO]) == ("body_deferred", CLOSED)


def test_it_stays_closed_while_most_get_through(breakers: Breakers) -> None:
    for _ in range(10):
        assert breakers.report(ONE, good=11, bad=9, reason="body_deferred") == CLOSED


def test_what_failed_half_a_minute_ago_does_not_count(breakers: Breakers, clock: MovableClock) -> None:
    breakers.report(ONE, bad=19, reason="body_deferred")
    clock.move(timedelta(seconds=31))
    assert breakers.report(ONE, bad=19, reason="body_deferred") == CLOSED


def test_trouble_shows_soon_after_thousands_of_successes(breakers: Breakers) -> None:
    breakers.report(ONE, good=20_000, bad=1, reason="x")
    assert any(isinstance(breakers.report(ONE, bad=20, reason="x"), Open) for _ in range(6))


def test_what_several_workers_saw_counts_together(worker: Callable[..., Breakers]) -> None:
    found = [worker().report(ONE, bad=5, reason="body_deferred") for _ in range(4)]
    assert [isinstance(one, Open) for one in found] == [False, False, False, True]


def test_good_news_waits_for_the_bad_and_is_not_forgotten(breakers: Breakers) -> None:
    breakers.report(ONE, good=1)
    breakers.report(ONE, good=30)
    assert breakers.report(ONE, bad=20, reason="x") == CLOSED


def test_it_opens_at_once_when_the_provider_is_out_of_reach(
    breakers: Breakers, worker: Callable[..., Breakers]
) -> None:
    open_it(breakers)
    assert shut(worker())


def test_one_line_tells_of_it_however_many_workers_report(
    worker: Callable[..., Breakers], clock: MovableClock, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    for _ in range(5):
        open_it(worker())
    clock.move(SECONDS)
    assert worker().take_probe(ONE)
    open_it(worker())
    clock.move(2 * SECONDS)
    assert worker().take_probe(ONE)
    worker().report(ONE, good=1, probe=True)
    assert [event for event, _ in heard] == ["breaker.opened", "breaker.closed"]
    assert heard[0][1]["provider"] == ONE


def test_exactly_one_of_many_workers_gets_the_probe(worker: Callable[..., Breakers], clock: MovableClock) -> None:
    open_it(worker())
    workers = [worker() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda one: one.take_probe(ONE), workers)) == 0, "it is open"
        clock.move(SECONDS)
        assert workers[0].standing([ONE]) == {ONE: PROBE}
        assert sum(threads.map(lambda number: workers[number % 8].take_probe(ONE), range(64))) == 1
    assert all(shut(one) for one in workers), "the others wait for its word"


def test_a_probe_that_fails_doubles_the_wait_up_to_ten_times(breakers: Breakers, clock: MovableClock) -> None:
    open_it(breakers)
    waits = []
    for _ in range(6):
        found = breakers.standing([ONE])[ONE]
        assert isinstance(found, Open)
        assert found.until is not None
        waits.append(round((found.until - clock.now()).total_seconds()))
        clock.move(timedelta(seconds=waits[-1] + 1))
        assert breakers.take_probe(ONE)
        breakers.report(ONE, bad=1, reason="body_deferred", probe=True)
    assert waits == [30, 60, 120, 240, 300, 300]


def test_a_probe_that_succeeds_closes_it_for_all(worker: Callable[..., Breakers], clock: MovableClock) -> None:
    prober, other = worker(), worker()
    open_it(prober)
    clock.move(SECONDS)
    assert prober.take_probe(ONE)
    assert prober.report(ONE, good=1, probe=True) == CLOSED
    assert other.standing([ONE]) == {ONE: CLOSED}


def test_what_was_under_way_when_it_opened_does_not_close_it(breakers: Breakers) -> None:
    open_it(breakers)
    breakers.report(ONE, good=400, bad=1, reason="x")
    assert shut(breakers)


def test_a_prober_that_died_blocks_nobody_for_long(worker: Callable[..., Breakers], clock: MovableClock) -> None:
    open_it(worker())
    clock.move(SECONDS)
    assert worker().take_probe(ONE)
    clock.move(timedelta(seconds=61))
    assert worker().take_probe(ONE)


def test_a_probe_without_an_answer_is_given_back(breakers: Breakers, clock: MovableClock) -> None:
    open_it(breakers)
    clock.move(SECONDS)
    assert breakers.take_probe(ONE)
    assert breakers.report(ONE, probe=True) == PROBE
    assert breakers.take_probe(ONE)


def test_a_wait_that_the_provider_asked_for_is_kept_and_bounded(
    breakers: Breakers, clock: MovableClock, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    for _ in range(3):
        breakers.hold(ONE, 7.0, "rate_limited")
    assert shut(breakers)
    clock.move(timedelta(seconds=8))
    assert breakers.standing([ONE]) == {ONE: CLOSED}
    breakers.hold(ONE, 86400.0, "rate_limited")
    clock.move(timedelta(minutes=15))
    assert breakers.standing([ONE]) == {ONE: CLOSED}
    assert [event for event, _ in heard] == ["provider.throttled", "provider.throttled"]


def test_a_worker_whose_clock_runs_ahead_shuts_nobody_out_for_longer(
    worker: Callable[..., Breakers], clock: MovableClock
) -> None:
    ahead = MovableClock(clock.now() + timedelta(hours=3))
    open_it(worker(ahead))
    worker(ahead).hold(TWO, 60.0, "rate_limited")
    right = worker()
    assert right.standing([TWO]) == {TWO: CLOSED}
    assert shut(right)
    clock.move(SECONDS)
    assert right.standing([ONE]) == {ONE: PROBE}


def test_people_see_state_and_last_trouble(breakers: Breakers, clock: MovableClock) -> None:
    assert breakers.snapshot(ONE).state is BreakerState.CLOSED
    began = clock.now()
    open_it(breakers)
    seen = breakers.snapshot(ONE)
    assert (seen.state, seen.failures, seen.last_reason) == (BreakerState.OPEN, 1, "unreachable")
    assert seen.until is not None
    assert seen.last_at is not None
    assert abs(seen.until - began - SECONDS) < timedelta(milliseconds=2)
    assert abs(seen.last_at - began) < timedelta(milliseconds=2)
    clock.move(SECONDS)
    assert breakers.snapshot(ONE).state is BreakerState.HALF_OPEN
    breakers.hold(TWO, 60.0, "rate_limited")
    assert breakers.snapshot(TWO).state is BreakerState.HELD


def test_without_redis_every_provider_counts_as_well(worker: Callable[..., Breakers]) -> None:
    lonely = worker(url="unix:///no/such/socket")
    assert lonely.standing([ONE, TWO]) == {ONE: CLOSED, TWO: CLOSED}
    assert lonely.report(ONE, out_of_reach=True, reason="unreachable") == CLOSED
    assert not lonely.take_probe(ONE)
    assert isinstance(lonely.hold(ONE, 5.0, "rate_limited"), Open)
    with pytest.raises(Unreachable, match="NOTIFY_REDIS_URL"):
        lonely.snapshot(ONE)
