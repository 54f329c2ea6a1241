"""Limits, seen from the SMTP server: held and reached by two workers, per domain and recipient, fair to tenants."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import notify
from notify.app import App, using
from notify.delivery import Worker, deliver, relay
from notify.errors import Unreachable
from notify.model import Batch, MessageState
from notify.store import batches, messages, tenants
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind
from tests.pacing import highest
from tests.ses_server import refusal as ses_refusal
from tests.ses_server import serving as serving_ses
from tests.smtp_server import Server, serving

LATE = 1  # the server is in our own process, and may look at the clock late; `make load` allows none


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "mailout", toml='lane = "bulk"')


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def at(app: App, server: Server, make_app: Callable[..., App]) -> Callable[..., App]:
    """Opens the App on the server, with options behind its URL and other settings."""

    def make(options: str = "", **changes: object) -> App:
        return make_app(app.settings, email_providers=(SecretStr(f"{server.url}&name=main{options}"),), **changes)

    return make


def people(count: int, domain: str = "example.org") -> list[dict[str, str]]:
    return [{"key": f"u{n}@{domain}", "email": f"u{n}@{domain}"} for n in range(count)]


def work(app: App, workers: int, done: Callable[[], bool], *, seconds: float = 120.0) -> None:
    """Workers of two threads, each a process of its own as far as limits are concerned, and a relay that ticks."""
    bells: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()

    def ring(found: Sequence[Batch]) -> None:
        for batch in found:
            bells.put(batch)

    ours = replace(app, publish=ring)

    def one(worker: Worker) -> None:
        while (batch := bells.get()) is not None:
            deliver(ours, batch.id, worker)

    each = [Worker(f"w{number}") for number in range(workers)]
    threads = [threading.Thread(target=one, args=(worker,)) for worker in each for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "not in time"
            relay(ours)
            time.sleep(0.1)
    finally:
        for worker in each:
            worker.stopping.set()
        for _ in threads:
            bells.put(None)
        for thread in threads:
            thread.join()


def plan(app: App, kind: str, to: list[dict[str, str]], **options: object) -> None:
    """Plan for the relay to ring."""

    def nobody(_found: Sequence[Batch]) -> None:
        raise Unreachable("no broker")

    with using(replace(app, publish=nobody)):
        notify.send_many(kind, to, **options)  # type: ignore[arg-type]


def test_two_workers_hold_a_providers_rate_and_reach_it(at: Callable[..., App], server: Server) -> None:
    app = at("&rate=40/s", batch_size=50)
    plan(app, "mailout", people(200))
    work(app, 2, lambda: len(server.accepted) >= 160)
    assert highest(server.moments, 1.0) <= 40 + LATE
    assert (len(server.moments) - 1) / (server.moments[-1] - server.moments[0]) > 30
    assert len(set(server.accepted)) == len(server.accepted)


def test_amazon_ses_is_paced_as_its_account_says(app: App, make_app: Callable[..., App]) -> None:
    with serving_ses() as ses:
        ses.account = (200, {}, '{"SendQuota": {"Max24HourSend": -1, "MaxSendRate": 14.0}}')
        ours = make_app(app.settings, email_providers=(SecretStr(ses.url(connections=1)),))
        plan(ours, "mailout", people(30))
        began = time.monotonic()
        work(ours, 2, lambda: len(ses.sent) == 30)
        assert time.monotonic() - began >= 29 / 14
        assert ses.asked <= 4  # each worker for the quota, and for a sign of life


def test_a_quota_that_is_not_told_limits_nothing(app: App, make_app: Callable[..., App]) -> None:
    with serving_ses() as ses:
        ses.account = ses_refusal(403, "AccessDeniedException")
        ours = make_app(app.settings, email_providers=(SecretStr(ses.url()),))
        plan(ours, "mailout", people(30))
        drain(ours)
        assert len(ses.sent) == 30


def test_what_a_limit_holds_back_waits_untried_and_says_why(at: Callable[..., App], server: Server, app: App) -> None:
    app = at("&rate=2/m")
    plan(app, "mailout", people(5))
    drain(app)
    assert len(server.accepted) in (1, 2)
    with app.store.read() as connection:
        waiting = [
            row.message
            for row in messages.listing(connection, tenants.DEFAULT_ID)
            if row.message.state is MessageState.QUEUED
        ]
    assert len(waiting) == 5 - len(server.accepted)
    assert {(one.reason, one.attempts) for one in waiting} == {("rate_limited", 0)}
    assert "provider:main: no more than 2/m" in (waiting[0].rule or "")


def test_what_waits_for_its_opening_until_its_deadline_is_not_handed_over(
    at: Callable[..., App], server: Server
) -> None:
    app = at("&rate=30/m")
    with using(replace(app, publish=lambda _batches: None)):
        notify.send_many("mailout", people(2), expires=timedelta(seconds=1.5))
    for _ in range(2):  # the second opening comes two seconds after the first
        drain(app)
    with app.store.read() as connection:
        ends = [row.message for row in messages.listing(connection, tenants.DEFAULT_ID)]
    assert len(server.accepted) == 1
    assert sorted((one.state, one.reason) for one in ends) == [("dead", "expired"), ("sent", None)]


def test_a_batch_that_finds_no_opening_waits_as_a_whole(at: Callable[..., App], server: Server) -> None:
    app = at("&rate=1/m", batch_size=1)
    plan(app, "mailout", people(3))
    drain(app)
    with app.store.read() as connection:
        listed = [row.message for row in messages.listing(connection, tenants.DEFAULT_ID)]
        waits = [batches.waiting(connection, one.batch_id) for one in listed if one.batch_id and one.state == "queued"]
    assert len(server.accepted) == 1
    assert [wait is not None and wait[1] for wait in waits] == ["rate_limited"] * 2
    queued = [one for one in listed if one.state == "queued"]
    assert {one.reason for one in queued} == {"rate_limited"}  # the batch's: their rows were not written to
    assert all(one.updated_at == one.created_at for one in queued)


def test_what_exceeds_a_providers_rate_goes_to_the_next(
    at: Callable[..., App], server: Server, make_app: Callable[..., App]
) -> None:
    with serving() as second:
        app = at()
        urls = (SecretStr(f"{server.url}&name=main&rate=3/m"), SecretStr(f"{second.url}&name=other"))
        app = make_app(app.settings, email_providers=urls)
        plan(app, "mailout", people(20))
        drain(app)
        assert 1 <= len(server.accepted) <= 3
        assert len(server.accepted) + len(second.accepted) == 20


def test_one_domain_has_its_rate_and_others_do_not_wait_for_it(at: Callable[..., App], server: Server) -> None:
    app = at(domain_rates="slow.example=10/s")
    plan(app, "mailout", [*people(60, "slow.example"), *people(30, "quick.example")])
    work(app, 2, lambda: len(server.accepted) == 90)
    by_domain: dict[str, list[float]] = {}
    for recipient, moment in zip(server.accepted, server.moments, strict=True):
        by_domain.setdefault(recipient.partition("@")[2], []).append(moment)
    assert highest(by_domain["slow.example"], 1.0) <= 10 + LATE
    last = max(by_domain["quick.example"])
    assert sum(moment < last for moment in by_domain["slow.example"]) < 45  # of sixty that were planned before them
    assert max(Counter(server.accepted).values()) == 1


def test_the_eleventh_message_to_a_recipient_is_delayed_and_comes_once(at: Callable[..., App], server: Server) -> None:
    clock = MovableClock()
    opened = at(recipient_rate="10/m")
    app = replace(opened, clock=clock, publish=lambda _: None)
    with using(app):
        for _ in range(11):
            notify.send("hello", to=people(1)[0])
    drain(app)
    assert len(server.accepted) == 10
    clock.move(timedelta(seconds=50))
    drain(app)
    assert len(server.accepted) == 10
    clock.move(timedelta(seconds=12))
    drain(app)
    assert len(server.accepted) == 11


def test_ten_messages_of_one_tenant_do_not_wait_for_thousands_of_another(
    at: Callable[..., App], server: Server
) -> None:
    app = at("&rate=100/s", batch_size=100, worker_concurrency=2)
    with app.store.begin() as connection:
        tenants.add(connection, "small", app.clock.now())
    plan(app, "mailout", people(3000))
    late: list[int] = []

    def done() -> bool:
        if len(server.accepted) >= 150 and not late:
            plan(app, "mailout", people(10, "small.example"), tenant="small")
            late.append(len(server.accepted))
        return sum("small" in one for one in server.accepted) == 10

    work(app, 2, done)
    last = max(place for place, recipient in enumerate(server.accepted) if "small" in recipient)
    assert last - late[0] < 1400  # half of those that were there before them
    assert highest(server.moments, 1.0) <= 100 + 5 * LATE
