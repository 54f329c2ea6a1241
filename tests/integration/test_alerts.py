"""Alerts from the tables to the sinks: fired once, cleared once, told to each sink, whoever refuses meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from redis import Redis
from uuid_utils.compat import uuid7

from notify.alerts import look
from notify.app import App
from notify.channels import Channels
from notify.channels.sinks import Bounded
from notify.delivery import tick
from notify.delivery.breaker import Breakers
from notify.delivery.pauses import pause, pause_misconfigured, resume
from notify.errors import Misconfigured, Unreachable
from notify.model import Batch, Channel, Lane, Notice
from notify.store import alerts, batches
from notify.store.tables import alerts as rows
from notify.store.tables import dead_letters
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import Facts, subscribed
from notify.testing import MovableClock
from tests.providers import free_port

EVERY = timedelta(seconds=10)


@dataclass
class Pigeon:
    """A sink that keeps what it took, and refuses while it is told to."""

    name: str = "pigeon"
    refuses: bool = False
    heard: list[str] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        if self.refuses:
            raise Unreachable(f"{self.name} is asleep")
        self.heard.append(f"{notice.alert.name} {notice.word}")


@dataclass
class House:
    """An App whose clock is moved, and what it announced."""

    app: App
    clock: MovableClock
    heard: list[tuple[str, Facts]] = field(default_factory=list)

    def looks(self, times: int = 1) -> int:
        told = 0
        for _ in range(times):
            self.clock.move(EVERY)
            told += look(self.app)
        return told

    def events(self, name: str) -> list[Facts]:
        return [facts for event, facts in self.heard if event == name]

    def die(self, count: int, **differing: Any) -> None:
        row = {"tenant_id": DEFAULT_ID, "kind": "welcome", "error": "InvalidData", "reason": "unrenderable"}
        row |= {"fingerprint": "f", "died_at": self.clock.now(), **differing}
        with self.app.store.begin() as connection:
            connection.execute(sa.insert(dead_letters), [{**row, "id": uuid7()} for _ in range(count)])

    def wait(self, since: timedelta, lane: Lane = Lane.NORMAL) -> Batch:
        now = self.clock.now()
        batch = Batch(uuid7(), DEFAULT_ID, Channel.EMAIL, lane, now - since, size=1)
        with self.app.store.begin() as connection:
            batches.insert(connection, [batch], now)
        return batch


MakeHouse = Callable[..., House]


@pytest.fixture
def make_house(app: App) -> Iterator[MakeHouse]:
    clock, heard = MovableClock(), []  # type: ignore[var-annotated]

    def make(*sinks: Pigeon, seconds: float = 10.0) -> House:
        bounded = tuple(Bounded(sink, key=sink.name, seconds=seconds) for sink in sinks)
        settings = app.settings.model_copy(update={"alert_dead": 10, "alert_queue_seconds": 300.0})
        return House(replace(app, settings=settings, clock=clock, sinks=bounded), clock, heard)

    with subscribed(lambda event, facts: heard.append((event, facts))):
        yield make


# the conditions


def test_nothing_is_said_while_all_is_well(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.die(9)
    house.die(20, died_at=house.clock.now() - timedelta(minutes=16))
    house.wait(timedelta(minutes=4))
    assert house.looks() == 0
    assert (pigeon.heard, house.heard) == ([], [])


def test_many_deaths_are_one_alert_that_is_over_when_they_are_long_past(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.die(40, reason="mailbox_unknown", kind=None)
    house.die(3000)
    house.looks(30)
    (fired,) = house.events("alert.fired")
    assert (fired["alert"], fired["severity"], fired["times"], fired["reminder"]) == ("dead", "error", 1, False)
    assert fired["summary"] == (
        "3,040 messages died within 15 min, 3,000 of them by unrenderable of kind welcome. Next: notify dead list"
    )
    house.looks(100)
    assert pigeon.heard == ["dead fired", "dead cleared"]
    assert [facts["alert"] for facts in house.events("alert.cleared")] == ["dead"]


def test_deaths_are_over_at_half_of_what_began_it(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.die(5, died_at=house.clock.now() - timedelta(minutes=10))
    house.die(5)
    house.looks(60)  # ten minutes on, half of them count
    assert pigeon.heard == ["dead fired"]
    house.looks(60)
    assert pigeon.heard == ["dead fired", "dead cleared"]


def test_due_work_that_nobody_takes_is_an_alert_of_its_queue(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    batch = house.wait(timedelta(minutes=6))
    house.looks(20)
    assert pigeon.heard == ["queue:email.normal fired"]
    now = house.clock.now()
    with house.app.store.begin() as connection:
        until = now + timedelta(hours=1)
        assert batches.claim(connection, batch.id, worker="w", now=now, due_by=now, lease_until=until)
    house.looks(20)
    assert pigeon.heard == ["queue:email.normal fired", "queue:email.normal cleared"]


def test_work_that_is_put_off_on_purpose_is_no_alert(make_house: MakeHouse) -> None:
    house = make_house()
    house.wait(-timedelta(hours=1), Lane.BULK)
    assert house.looks(20) == 0


# telling


def test_a_sink_that_refuses_is_asked_at_every_look_and_stops_no_other(make_house: MakeHouse) -> None:
    asleep, awake = Pigeon("asleep", refuses=True), Pigeon("awake")
    house = make_house(asleep, awake)
    house.die(10)
    house.looks(12)
    assert (asleep.heard, awake.heard) == ([], ["dead fired"])
    (untold,) = house.events("alert.untold")  # in two minutes of looks
    assert (untold["alert"], untold["sink"], untold["error"]) == ("dead", "asleep", "asleep is asleep")
    asleep.refuses = False
    house.looks(2)
    assert (asleep.heard, awake.heard) == (["dead fired"], ["dead fired"])
    assert len(house.events("alert.fired")) == 1


def test_a_sink_that_refuses_is_complained_about_every_five_minutes(make_house: MakeHouse) -> None:
    house = make_house(Pigeon(refuses=True))
    house.die(10)
    house.looks(61)
    assert len(house.events("alert.untold")) == 3


def test_a_sink_that_was_away_all_the_time_is_told_neither(make_house: MakeHouse) -> None:
    pigeon = Pigeon(refuses=True)
    house = make_house(pigeon)
    house.die(10)
    house.looks(120)
    assert len(house.events("alert.cleared")) == 1
    pigeon.refuses = False
    assert house.looks(10) == 0
    assert pigeon.heard == []


def test_a_sink_that_is_new_is_told_what_holds(make_house: MakeHouse) -> None:
    old, new = Pigeon("old"), Pigeon("new")
    house = make_house(old)
    house.die(10)
    house.looks(2)
    make_house(old, new).looks(2)
    assert (old.heard, new.heard) == (["dead fired"], ["dead fired"])


def test_told_at_is_when_a_sink_took_the_word(make_house: MakeHouse) -> None:
    house = make_house()
    house.die(10)
    house.looks(3)
    with house.app.store.read() as connection:
        (row,) = connection.execute(sa.select(rows))
    assert row.told_at == row.fired_at
    assert row.seen_at - row.fired_at == 2 * EVERY
    assert row.telling_until is None


def test_a_process_that_dies_while_it_tells_is_followed_by_another(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.die(10)
    house.clock.move(EVERY)
    now = house.clock.now()
    look(make_house(refusing := Pigeon(refuses=True)).app)
    with house.app.store.begin() as connection:  # leased by a process that is no more
        assert alerts.lease(connection, ["dead"], now, now + timedelta(minutes=3))
    house.looks(17)
    assert (pigeon.heard, refusing.heard) == ([], [])
    house.looks(2)
    assert pigeon.heard == ["dead fired"]


def test_two_beats_tell_once(make_house: MakeHouse) -> None:
    """Even when both look at the same moment, for one slot of the tick may take longer than the next is away."""
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.die(10)
    house.clock.move(EVERY)
    together = threading.Barrier(4)
    counts: list[int] = []

    def beat() -> None:
        together.wait(60)
        counts.append(look(house.app))

    threads = [threading.Thread(target=beat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(counts) == [0, 0, 0, 2]
    assert pigeon.heard == ["dead fired"]
    assert len(house.events("alert.fired")) == 1


def test_the_tick_is_done_once_for_each_slot(make_house: MakeHouse) -> None:
    house = make_house()
    house.die(10)
    assert [tick(house.app, "alerts", EVERY, look) for _ in range(2)] == [1, None]


# providers


def two_providers(app: App) -> App:
    urls = ["smtp://127.0.0.1:1?name=main", "smtp://127.0.0.1:2?name=spare"]
    return replace(app, channels=Channels.from_urls(email=urls, secret="s"))


def test_an_open_breaker_is_one_alert_until_a_message_comes_through(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.app = two_providers(house.app)
    breakers = Breakers(house.app)
    breakers.report("main", bad=1, out_of_reach=True, reason="unreachable")
    assert house.looks(1) == 0, "a moment's trouble is no alert"
    house.looks(30)
    (fired,) = house.events("alert.fired")
    assert (fired["alert"], fired["severity"]) == ("breaker:main", "warning")
    assert fired["summary"] == (
        "provider main takes nothing: unreachable; the others carry its messages. Next: notify providers check"
    )
    assert breakers.take_probe("main")
    breakers.report("main", good=1, probe=True)
    house.looks(20)
    assert pigeon.heard == ["breaker:main fired", "breaker:main cleared"]


def test_a_paused_provider_is_an_alert_and_worse_when_no_other_is_left(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.app = two_providers(house.app)
    main, spare = house.app.channels.every().values()
    pause_misconfigured(house.app, main, Misconfigured("auth_refused", "535 ada@example.org"))
    house.looks(1)
    (fired,) = house.events("alert.fired")
    assert (fired["alert"], fired["severity"]) == ("paused:main", "error")
    assert "auth_refused; the others carry its messages. Next: " in fired["summary"]
    assert "ada" not in fired["summary"]
    pause_misconfigured(house.app, spare, Misconfigured("credit_exhausted"))
    house.looks(1)
    (_, fired) = house.events("alert.fired")
    assert (fired["alert"], fired["severity"]) == ("paused:spare", "critical")
    assert "no provider of email is left, its messages wait" in fired["summary"]
    assert resume(house.app, "main", actor="cli:ada")
    house.looks(20)
    assert pigeon.heard == ["paused:main fired", "paused:spare fired", "paused:main cleared"]


def test_what_an_operator_paused_is_no_news_to_operators(make_house: MakeHouse) -> None:
    house = make_house()
    house.app = two_providers(house.app)
    assert pause(house.app, "main", actor="cli:ada", reason="maintenance")
    assert house.looks(10) == 0


def test_a_breaker_that_is_open_when_its_provider_is_paused_is_not_said_to_be_over(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.app = two_providers(house.app)
    Breakers(house.app).report("main", bad=1, out_of_reach=True, reason="unreachable")
    house.looks(2)
    pause_misconfigured(house.app, house.app.channels.named("main"), Misconfigured("auth_refused"))
    house.looks(20)
    assert pigeon.heard == ["breaker:main fired", "paused:main fired"]


def test_without_redis_a_breaker_is_neither_open_nor_over(make_house: MakeHouse) -> None:
    pigeon = Pigeon()
    house = make_house(pigeon)
    house.app = two_providers(house.app)
    Breakers(house.app).report("main", bad=1, out_of_reach=True, reason="unreachable")
    house.looks(2)
    with closing(Redis.from_url(f"redis://127.0.0.1:{free_port()}")) as away:
        house.app = replace(house.app, redis=away)
        house.looks(20)
    assert pigeon.heard == ["breaker:main fired"]
