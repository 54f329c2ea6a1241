"""What a batch waits for, when the rest of it may come again, and how often a recipient hears of a kind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from notify.app import App
from notify.delivery.gate import AHEAD, Gate
from notify.delivery.limits import OVERBOOKED, PROMISE_SECONDS, Delayed, Later, Limits
from notify.model import Batch, Channel, Lane, Mode, Recipient
from notify.rates import Rate, rate
from notify.store.work import Occasion, Work
from notify.testing import MovableClock
from tests.kinds import make_kind

NEVER = threading.Event()
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def database_url(tmp_path: object) -> str:
    """Limits ask no database."""
    return f"sqlite:///{tmp_path}/unused.db"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def limits(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Callable[..., Limits]:
    def make(**changes: object) -> Limits:
        return Limits(replace(make_app(app.settings, **changes), clock=clock))

    return make


def batch(tenant: int = 0, lane: Lane = Lane.BULK) -> Batch:
    return Batch(uuid4(), UUID(int=tenant), Channel.EMAIL, lane, MovableClock().now())


def gate(limits: Limits, batch: Batch, each: Rate | None) -> Gate:
    whole = limits.whole(batch, "main", each)
    return Gate(limits, batch, whole, by_domain=limits.by_domain)


def exhaust(at: Gate, address: str = "ada@example.org") -> Later:
    while (later := at.claim(address)) is None:
        pass
    return later


def works(kind: str, *keys: int, mode: Mode = Mode.LIVE) -> list[Work]:
    occasion = Occasion(
        uuid4(),
        UUID(int=0),
        Channel.EMAIL,
        kind,
        mode,
        {},
        None,
        has_attachments=False,
        as_was=False,
        scheduled_at=NOON,
    )
    return [Work(uuid4(), None, 0, 0, None, Recipient(UUID(int=key), str(key)), occasion) for key in keys]


def test_without_limits_nothing_is_asked(limits: Callable[..., Limits]) -> None:
    at = gate(limits(), batch(), None)
    assert at.free
    assert at.claim("ada@example.org") is None
    assert at.begin("ada@example.org", NEVER)
    assert at.go_on(NEVER)


def test_a_provider_without_a_opening_near_holds_back_all_that_is_left(limits: Callable[..., Limits]) -> None:
    later = exhaust(gate(limits(), batch(), rate("14/s")))
    assert "provider:main: no more than 14/s" in later.rule


def test_a_domain_without_a_opening_near_holds_back_its_own_only(limits: Callable[..., Limits]) -> None:
    at = gate(limits(domain_rates="gmail.com=5/s,münchen.example=1/m"), batch(), rate("1000/s"))
    later = exhaust(at, "Ada@GMAIL.com")
    assert "domain:gmail.com" in later.rule
    assert at.claim("ada@example.org") is None
    assert exhaust(at, "ada@xn--mnchen-3ya.example").limit.name == "domain:xn--mnchen-3ya.example"
    assert exhaust(at, "ada@münchen.example").limit.name == "domain:xn--mnchen-3ya.example"


def test_a_domain_may_follow_the_rate_of_all_others(limits: Callable[..., Limits]) -> None:
    at = gate(limits(domain_rates="*=5/s"), batch(), None)
    exhaust(at, "ada@a.example")
    assert at.claim("ada@b.example", patient=False) is None
    assert at.claim("ada@b.example", patient=False) is not None


def test_a_tenant_has_a_rate_of_its_own(limits: Callable[..., Limits]) -> None:
    ours = limits(tenant_rate="5/s")
    exhaust(gate(ours, batch(1), None))
    assert gate(ours, batch(2), None).claim(None) is None


def test_a_message_begins_when_its_opening_has_come(limits: Callable[..., Limits]) -> None:
    at = gate(limits(), batch(), rate("20/s"))
    began = time.monotonic()
    for _ in range(3):
        assert at.claim(None) is None
    for _ in range(3):
        assert at.begin(None, NEVER)
        assert at.go_on(NEVER)
    assert time.monotonic() - began >= 0.08


def test_who_stops_waits_no_longer(limits: Callable[..., Limits]) -> None:
    at = gate(limits(), batch(lane=Lane.CRITICAL), rate("1/s"))
    stopping = threading.Event()
    stopping.set()
    assert at.claim(None) is None
    assert at.begin(None, NEVER)
    assert at.claim(None) is None
    assert not at.begin(None, stopping)


def test_a_message_that_does_not_go_out_leaves_its_opening_to_the_next(limits: Callable[..., Limits]) -> None:
    ours = limits()
    at = gate(ours, batch(), rate("1/m"))
    assert at.claim(None) is None
    at.forgo(None)
    assert at.claim(None) is None
    at.close()
    assert gate(ours, batch(7), rate("1/m")).claim(None) is None


def test_the_critical_lane_does_not_wait_behind_bulk(limits: Callable[..., Limits]) -> None:
    ours = limits()
    exhaust(gate(ours, batch(1), rate("50/s")))
    exhaust(gate(ours, batch(2), rate("50/s")))
    at, began = gate(ours, batch(1, Lane.CRITICAL), rate("50/s")), time.monotonic()
    for _ in range(10):
        assert at.claim(None) is None
    for _ in range(10):
        assert at.begin(None, NEVER)
    assert time.monotonic() - began < AHEAD[Lane.CRITICAL]


def test_each_tenant_is_promised_times_from_a_queue_of_its_own(
    limits: Callable[..., Limits], clock: MovableClock
) -> None:
    ours, now = limits(), clock.now()
    later = exhaust(gate(ours, batch(), rate("100/s")))
    waits = [(ours.promise(later, batch(1), 100) - now).total_seconds() for _ in range(3)]
    assert [round(after - before, 3) for before, after in itertools.pairwise(waits)] == [
        round(100 / 100 / OVERBOOKED, 3)
    ] * 2
    assert (ours.promise(later, batch(2), 10) - now).total_seconds() < 1


def test_nothing_is_promised_for_a_time_that_nobody_knows(limits: Callable[..., Limits], clock: MovableClock) -> None:
    ours = limits()
    later = exhaust(gate(ours, batch(), rate("1/s")))
    promised = [ours.promise(later, batch(), 500) for _ in range(400)]
    assert max(promised) <= clock.now() + timedelta(seconds=PROMISE_SECONDS)
    assert len(set(promised)) > 20


def test_what_one_domain_holds_back_comes_again_in_portions(limits: Callable[..., Limits]) -> None:
    ours = limits(domain_rates="gmail.com=5/s")
    later = exhaust(gate(ours, batch(), None), "ada@gmail.com")
    portions = list(ours.portions(later, batch(), works("hello", *range(25))))
    assert [len(portion.works) for portion in portions] == [10, 10, 5]
    assert len({portion.until for portion in portions}) == 3


@pytest.fixture
def _kinds(templates: object) -> None:
    make_kind(templates)  # type: ignore[arg-type]
    make_kind(templates, "alarm", toml="critical = true")  # type: ignore[arg-type]


def delayed(found: list[Delayed]) -> dict[UUID, float]:
    return {work.id: one.until.timestamp() for one in found for work in one.works}


@pytest.mark.usefixtures("_kinds")
def test_the_eleventh_message_to_a_recipient_waits_until_the_minute_allows_it(
    limits: Callable[..., Limits], clock: MovableClock
) -> None:
    ours = limits(recipient_rate="10/m")
    first, others = works("hello", *[1] * 10), works("hello", *range(2, 300))
    assert ours.recipients([*first, *others]) == []
    clock.move(timedelta(seconds=20))
    [eleventh] = works("hello", 1)
    [found] = ours.recipients([eleventh])
    assert found.until == clock.now() + timedelta(seconds=40)
    assert found.rule == "hello: no more than 10/m to one recipient"
    clock.move(to=found.until)
    assert ours.recipients([eleventh]) == []


@pytest.mark.usefixtures("_kinds")
def test_a_message_that_is_tried_again_counts_once(limits: Callable[..., Limits], clock: MovableClock) -> None:
    ours = limits(recipient_rate="2/m")
    [one, two] = works("hello", 1, 1)
    for _ in range(3):
        assert ours.recipients([one]) == []
        clock.move(timedelta(seconds=5))
    assert ours.recipients([two]) == []
    assert len(ours.recipients(works("hello", 1))) == 1


@pytest.mark.usefixtures("_kinds")
def test_many_that_are_delayed_are_spread(limits: Callable[..., Limits], clock: MovableClock) -> None:
    ours = limits(recipient_rate="2/m")
    found = delayed(ours.recipients(works("hello", *[1] * 8)))
    waits = sorted(round(at - clock.now().timestamp()) for at in found.values())
    assert waits == [60, 60, 120, 120, 180, 180]


@pytest.mark.usefixtures("_kinds")
def test_many_that_are_delayed_all_go_out_in_the_order_in_which_they_come_back(
    limits: Callable[..., Limits], clock: MovableClock
) -> None:
    ours, start = limits(recipient_rate="10/m"), clock.now()
    waiting = [(start, work) for work in works("hello", *[1] * 35)]
    gone: list[tuple[int, float]] = []  # the place in the line, and when
    places = {work.id: place for place, (_, work) in enumerate(waiting)}
    for _ in range(10):
        due = [work for at, work in waiting if at <= clock.now()]
        waiting = [(at, work) for at, work in waiting if at > clock.now()]
        until = delayed(ours.recipients(due))
        now = (clock.now() - start).total_seconds()
        gone += [(places[work.id], now) for work in due if work.id not in until]
        late = timedelta(seconds=1)  # what comes back does so at the relay's next tick
        waiting += [(datetime.fromtimestamp(until[work.id], UTC) + late, work) for work in due if work.id in until]
        if not waiting:
            break
        clock.move(to=min(at for at, _ in waiting))
    assert [place for place, _ in gone] == list(range(35))
    assert max(sum(begin <= at < begin + 60 for _, at in gone) for _, begin in gone) == 10
    assert gone[-1][1] < 4 * 60


@pytest.mark.usefixtures("_kinds")
def test_critical_kinds_and_dry_runs_are_not_delayed_by_the_setting(limits: Callable[..., Limits]) -> None:
    ours = limits(recipient_rate="1/m")
    assert ours.recipients(works("alarm", 1, 1, 1)) == []
    assert ours.recipients(works("hello", 1, 1, 1, mode=Mode.DRY_RUN)) == []
    assert len(ours.recipients(works("hello", 1, 1))) == 1
