"""Work goes out when it should, by whose clock it may be: scheduled, held in quiet hours, throttled, or cancelled."""

from __future__ import annotations

import email
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.delivery import Worker, deliver, relay
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidData, NotFound
from notify.intake import fan_out
from notify.model import Batch, Message, Preferences, Quiet
from notify.store import messages, tables
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind

ZONES = {"ada": "Europe/Amsterdam", "bob": "America/New_York", "chandra": "Asia/Kolkata", "dora": None}
NIGHT = Preferences(quiet=Quiet.parse("22:00-07:00"))
HOUR = timedelta(hours=1)


def person(key: str, zone: str | None = None) -> dict[str, Any]:
    return {"key": key, "email": f"{key}@example.org", **({"timezone": zone} if zone else {})}


PEOPLE = [person(key, zone) for key, zone in ZONES.items()]


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "fleeting", toml='quiet = "drop"')
    make_kind(templates, "alarm", toml="critical = true")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def ours(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Any:
    """The App with a clock of its own; nobody rings in it but the relay."""
    opened = make_app(app.settings, default_timezone="Pacific/Auckland", batch_size=4)
    given = replace(opened, clock=clock, publish=lambda _: None)
    with using(given):
        yield given


def rows(app: App, notification: UUID | None = None) -> dict[str, Message]:
    with app.store.read() as connection:
        listed = messages.listing(connection, DEFAULT_ID, notification_id=notification, limit=1000)
    return {row.recipient: row.message for row in listed}


def prefer(app: App, wishes: Preferences, *keys: str) -> None:
    with app.store.begin() as connection:
        one = tables.recipients
        connection.execute(sa.update(one).where(one.c.key.in_(keys)).values(preferences=wishes.as_json()))


def rule(app: App, wishes: Preferences) -> None:
    """What holds for who chose nothing."""
    with app.store.begin() as connection:
        connection.execute(
            sa.update(tables.tenants).where(tables.tenants.c.id == DEFAULT_ID).values(preferences=wishes.as_json())
        )


def mails(mailbox: Mailbox) -> list[Any]:
    return [email.message_from_bytes(path.read_bytes()) for path in sorted(mailbox.folder.glob("*.eml"))]


# by each recipient's clock


def test_nine_in_the_morning_is_each_recipients_own(ours: App) -> None:
    sent = notify.send_many("hello", PEOPLE, at=notify.local("09:00"))
    found = rows(ours, sent.id)
    assert {key: f"{one.due_at:%d %H:%M}" for key, one in found.items()} == {
        "ada": "22 08:00",
        "bob": "21 14:00",
        "chandra": "22 03:30",
        "dora": "21 20:00",
    }
    assert found["dora"].rule == "send(at=local 09:00) in Pacific/Auckland"
    assert {one.reason for one in found.values()} == {"scheduled"}


@pytest.mark.parametrize(
    "wall",
    ["2026-11-22T09:00", "2026-11-22 09:00", datetime(2026, 11, 22, 9)],
    ids=str,
)
def test_a_date_with_its_time_is_of_that_day_everywhere(ours: App, wall: Any) -> None:
    found = rows(ours, notify.send_many("hello", PEOPLE, at=notify.local(wall)).id)
    assert {key: f"{one.due_at:%d %H:%M}" for key, one in found.items()} == {
        "ada": "22 08:00",
        "bob": "22 14:00",
        "chandra": "22 03:30",
        "dora": "21 20:00",
    }


def test_a_time_that_has_come_already_is_sent_at_once(ours: App, mailbox: Mailbox) -> None:
    notify.send("hello", person("eve", "Asia/Tokyo"), at=notify.local("2026-11-21T09:00"))
    drain(ours)
    assert len(mails(mailbox)) == 1


def test_a_skipped_hour_and_one_that_comes_twice_are_sent_once(
    ours: App, clock: MovableClock, mailbox: Mailbox
) -> None:
    clock.move(to=datetime(2027, 3, 28, 0, tzinfo=UTC))
    notify.send("hello", person("ada", "Europe/Amsterdam"), at=notify.local(time(2, 30)))
    clock.move(to=datetime(2027, 3, 28, 1, 29, tzinfo=UTC))
    assert drain(ours) == 0
    clock.move(to=datetime(2027, 3, 28, 1, 30, tzinfo=UTC))
    assert drain(ours) == 1
    clock.move(to=datetime(2027, 10, 31, 0, tzinfo=UTC))
    notify.send("hello", person("ada", "Europe/Amsterdam"), at=notify.local(time(2, 30)))
    clock.move(to=datetime(2027, 10, 31, 0, 30, tzinfo=UTC))
    assert drain(ours) == 1
    clock.move(to=datetime(2027, 10, 31, 1, 30, tzinfo=UTC))
    assert drain(ours) == 0
    assert len(mails(mailbox)) == 2


def test_half_past_eleven_in_kolkata_during_amsterdams_change(ours: App, clock: MovableClock) -> None:
    clock.move(to=datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC))
    found = rows(ours, notify.send_many("hello", PEOPLE[:3:2], at=notify.local("23:30")).id)
    assert found["chandra"].due_at == datetime(2027, 3, 28, 18, tzinfo=UTC)
    assert found["ada"].due_at == datetime(2027, 3, 28, 21, 30, tzinfo=UTC)


def test_the_mail_is_dated_by_the_recipients_clock(ours: App, clock: MovableClock, mailbox: Mailbox) -> None:
    notify.send("hello", person("chandra", "Asia/Kolkata"), at=notify.local("09:00"))
    clock.move(timedelta(days=1))
    drain(ours)
    [mail] = mails(mailbox)
    assert parsedate_to_datetime(mail["Date"]) == datetime(2026, 11, 22, 3, 30, tzinfo=UTC)


def test_a_span_counts_from_when_the_time_is_over_everywhere(ours: App, clock: MovableClock) -> None:
    sent = notify.send("hello", person("ada"), at=notify.local("2026-11-22T09:00"), expires=HOUR)
    assert sent.expires_at == datetime(2026, 11, 22, 22, tzinfo=UTC)


# for everyone of a roster


@pytest.fixture
def roster(ours: App) -> list[str]:
    """People in several zones, some of whom chose something, were deactivated, or have no verified address."""
    zones = [*ZONES.values(), "Europe/Paris", "Asia/Tokyo"]
    keys = [f"user-{number:02}" for number in range(36)]
    notify.send_many(
        "hello", [person(key, zones[n % 6]) for n, key in enumerate(keys)], at=ours.clock.now() + 99 * HOUR
    )
    with ours.store.begin() as connection:
        people, addresses = tables.recipients, tables.addresses
        gone = sa.update(people).where(people.c.key.in_(keys[::7]))
        connection.execute(gone.values(deactivated_at=ours.clock.now()))
        sure = sa.select(people.c.id).where(people.c.key.in_(keys[::2]))
        connection.execute(sa.update(addresses).where(addresses.c.recipient_id.in_(sure)).values(verified=True))
    prefer(ours, NIGHT, *keys[1::5])
    prefer(ours, Preferences(undisturbed_until=ours.clock.now() + 2 * HOUR), *keys[2::5])
    prefer(ours, Preferences(paused_until=ours.clock.now() + HOUR), keys[3])
    return keys


def fates(app: App, notification: UUID) -> dict[str, tuple[Any, ...]]:
    return {
        key: (one.state, one.due_at, one.reason, one.rule, one.address) for key, one in rows(app, notification).items()
    }


@pytest.mark.parametrize("kind", ["hello", "fleeting", "alarm"])
@pytest.mark.parametrize("at", [None, "local", "later"])
@pytest.mark.parametrize("ruled", ["", "quiet by default", "verified only", "quiet by default, verified only"])
def test_everyone_is_planned_as_if_each_had_been_named(
    ours: App, roster: list[str], kind: str, at: str | None, ruled: str
) -> None:
    if "quiet" in ruled:
        rule(ours, NIGHT)
    moments: dict[str, Any] = {"local": notify.local("23:00"), "later": ours.clock.now() + 9 * HOUR}
    app = replace(ours, settings=ours.settings.model_copy(update={"require_verified": "verified" in ruled}))
    app = replace(app, rule_book=type(app.rule_book)())
    with using(app):
        named = notify.send_many(kind, roster, at=moments.get(at or ""))
        selected = notify.send_many(kind, notify.everyone(), at=moments.get(at or ""))
        assert fan_out.run(app) == len(roster)
    assert fates(app, selected.id) == fates(app, named.id)
    with app.store.read() as connection:
        one, batch = tables.messages.c, tables.batches.c
        held = sa.select(one.batch_id, one.due_at, sa.func.count()).group_by(one.batch_id, one.due_at)
        found = {row[0]: tuple(row)[1:] for row in connection.execute(held.where(one.batch_id.is_not(None)))}
        said = connection.execute(sa.select(batch.id, batch.due_at, batch.size)).all()
    assert found == {row.id: (row.due_at, row.size) for row in said}


def test_a_slice_that_is_planned_later_means_the_same_morning(
    ours: App, roster: list[str], clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "SLICE", {"postgresql": 18, "sqlite": 18})
    sent = notify.send_many("hello", notify.everyone(), at=notify.local("09:00"))
    fan_out.run(ours, seconds=0)
    clock.move(timedelta(hours=4))  # in New York it is past nine now
    fan_out.run(ours)
    late = [one for one in rows(ours, sent.id).values() if one.created_at == clock.now() and one.state == "queued"]
    dues = {one.due_at for one in late}
    assert clock.now() in dues
    assert datetime(2026, 11, 22, 14, tzinfo=UTC) not in dues


# after a delay


@pytest.mark.parametrize("delay", ["2h", timedelta(hours=2)], ids=str)
def test_a_delay_counts_from_the_call(ours: App, clock: MovableClock, delay: Any) -> None:
    sent = notify.send("hello", person("ada"), delay=delay)
    assert rows(ours, sent.id)["ada"].due_at == clock.now() + 2 * HOUR


def test_the_same_key_and_delay_is_the_same_request_later_too(ours: App, clock: MovableClock) -> None:
    first = notify.send("hello", person("ada"), delay="2h", key="k")
    clock.move(HOUR)
    assert notify.send("hello", person("ada"), delay="2h", key="k").id == first.id


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": "2 hours"}, "such as 30s or 5m"),
        ({"delay": -HOUR}, "not negative"),
        ({"delay": 7200}, "a timedelta or a text such as '2h'"),
        ({"delay": timedelta.max}, "beyond the year 9999"),
        ({"delay": "2h", "at": datetime(2026, 12, 1, tzinfo=UTC)}, "give one of them"),
        ({"at": "09:00"}, "notify.local"),
        ({"at": datetime(2026, 12, 1)}, "notify.local"),
        ({"cancellation_key": ""}, "cancellation_key"),
    ],
)
def test_a_time_that_makes_no_sense_names_the_remedy(ours: App, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        notify.send("hello", person("ada"), **options)


@pytest.mark.parametrize("wall", ["9 o'clock", "09:00Z", "2026-13-01T09:00", datetime(2026, 1, 1, tzinfo=UTC), 9])
def test_what_no_clock_shows_is_refused(wall: Any) -> None:
    with pytest.raises(InvalidData, match=r'notify\.local\("09:00"\)'):
        notify.local(wall)


# quiet hours


def test_what_comes_in_quiet_hours_goes_out_when_they_end(ours: App, clock: MovableClock, mailbox: Mailbox) -> None:
    notify.send("hello", person("ada", "Europe/Amsterdam"))
    drain(ours)
    prefer(ours, NIGHT, "ada")
    clock.move(to=datetime(2026, 11, 21, 22, 30, tzinfo=UTC))
    held = notify.send("hello", "ada")
    notify.send("alarm", "ada")
    dropped = notify.send("fleeting", "ada")
    assert dropped.messages == {"skipped": 1}
    one = rows(ours, held.id)["ada"]
    assert (one.due_at, one.reason) == (datetime(2026, 11, 22, 6, tzinfo=UTC), "quiet")
    assert one.rule == "quiet hours 22:00-07:00 in Europe/Amsterdam"
    drain(ours)
    assert len(mails(mailbox)) == 2  # the first, and the alarm
    clock.move(to=datetime(2026, 11, 22, 6, tzinfo=UTC))
    drain(ours)
    assert len(mails(mailbox)) == 3


def test_hours_that_were_set_meanwhile_put_it_off_at_no_cost(ours: App, clock: MovableClock, mailbox: Mailbox) -> None:
    sent = notify.send_many("hello", [person("ada", "Europe/Amsterdam"), person("bob")], delay="11h")
    prefer(ours, NIGHT, "ada")
    clock.move(timedelta(hours=11))
    drain(ours)
    found = rows(ours, sent.id)
    assert found["bob"].state == "sent"
    assert (found["ada"].state, found["ada"].attempts, found["ada"].reason) == ("queued", 0, "quiet")
    assert found["ada"].rule == "quiet hours 22:00-07:00 in Europe/Amsterdam"
    told = notify.explain(found["ada"].id)
    assert told.timeline[-1].what == "due"
    assert told.timeline[-1].detail == "quiet: quiet hours 22:00-07:00 in Europe/Amsterdam"
    clock.move(to=datetime(2026, 11, 22, 6, 0, 1, tzinfo=UTC))
    drain(ours)
    assert rows(ours, sent.id)["ada"].state == "sent"
    assert len(mails(mailbox)) == 2


def test_who_lifts_do_not_disturb_gets_what_was_not_held_yet(ours: App, clock: MovableClock) -> None:
    sent = notify.send("hello", person("ada"), delay="1h")
    prefer(ours, Preferences(undisturbed_until=clock.now() + 3 * HOUR), "ada")
    prefer(ours, Preferences(), "ada")
    clock.move(HOUR)
    drain(ours)
    assert rows(ours, sent.id)["ada"].state == "sent"


@pytest.mark.parametrize("meanwhile", [False, True], ids=["at planning", "at sending"])
def test_a_deadline_before_the_hours_end_lets_it_die_at_once(ours: App, clock: MovableClock, meanwhile: bool) -> None:
    first = notify.send("hello", person("ada", "Europe/Amsterdam"))
    drain(ours)
    assert rows(ours, first.id)["ada"].state == "sent"
    clock.move(to=datetime(2026, 11, 21, 22, tzinfo=UTC))
    if meanwhile:
        sent = notify.send("hello", "ada", expires=HOUR)
        prefer(ours, NIGHT, "ada")
    else:
        prefer(ours, NIGHT, "ada")
        sent = notify.send("hello", "ada", expires=HOUR)
    drain(ours)
    one = rows(ours, sent.id)["ada"]
    assert (one.state, one.reason, one.attempts) == ("dead", "expired", 0)
    assert one.rule is not None
    assert "(quiet)" in one.rule
    with ours.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.dead_letters)) == 1


# nothing is lost with the broker


def test_an_emptied_broker_loses_nothing_that_waits_for_its_time(
    ours: App, clock: MovableClock, mailbox: Mailbox
) -> None:
    rung: list[Batch] = []

    def ring(found: Sequence[Batch]) -> None:
        rung.extend(found)

    app = replace(ours, publish=ring)
    with using(app):
        notify.send("hello", person("ada", "Europe/Amsterdam"), at=clock.now() + HOUR)
        notify.send("hello", person("bob", "America/New_York"), at=notify.local("09:00"))
        prefer(app, Preferences(undisturbed_until=clock.now() + 3 * HOUR), "ada")
        notify.send("hello", "ada")
    assert rung == []
    app.redis.flushall()
    for _ in range(5):
        clock.move(HOUR)
        relay(app)
        for batch in rung:
            deliver(app, batch.id, Worker("w"))
        rung.clear()
    assert {one.state for one in rows(app).values()} == {"sent"}
    assert len(mails(mailbox)) == 3


# throttles


@pytest.fixture
def throttled(templates: Path) -> Callable[[str], None]:
    def write(over: str) -> None:
        make_kind(templates, "urgent", toml="critical = true")
        make_kind(templates, "invoice", toml="required = true")
        (templates / "categories.toml").write_text(f'[test]\nthrottle = "3/d"\nover = "{over}"\n', encoding="utf-8")

    return write


def test_the_fourth_of_a_category_waits_for_the_next_day(
    ours: App, clock: MovableClock, mailbox: Mailbox, throttled: Callable[[str], None]
) -> None:
    throttled("delay")
    for kind in ("hello", "fleeting", "hello"):
        notify.send(kind, person("ada"))
    drain(ours)
    fourth = notify.send_many("hello", [person("ada"), person("bob")])
    notify.send("urgent", "ada")
    drain(ours)
    found = rows(ours, fourth.id)
    assert found["bob"].state == "sent"
    assert (found["ada"].state, found["ada"].reason, found["ada"].attempts) == ("queued", "throttled", 0)
    assert found["ada"].rule == "test: no more than 3/d to one recipient"
    assert found["ada"].due_at - clock.now() <= timedelta(days=1, seconds=1)
    assert len(mails(mailbox)) == 5
    clock.move(timedelta(days=1, seconds=1))
    drain(ours)
    assert rows(ours, fourth.id)["ada"].state == "sent"


def test_the_fourth_of_a_category_is_skipped_but_not_what_is_required(
    ours: App, clock: MovableClock, throttled: Callable[[str], None]
) -> None:
    throttled("skip")
    for _ in range(3):
        notify.send("hello", person("ada"))
    drain(ours)
    fourth, invoice = notify.send("hello", "ada"), notify.send("invoice", "ada")
    drain(ours)
    one = rows(ours, fourth.id)["ada"]
    assert (one.state, one.reason, one.rule) == ("skipped", "throttled", "test: no more than 3/d to one recipient")
    assert rows(ours, invoice.id)["ada"].state == "queued"
    clock.move(timedelta(days=1, seconds=1))
    fifth = notify.send("hello", "ada")
    drain(ours)
    assert {rows(ours, sent.id)["ada"].state for sent in (invoice, fifth)} == {"sent"}


# cancelled


def test_what_shares_a_cancellation_key_is_cancelled_together(ours: App) -> None:
    for kind in ("hello", "fleeting"):
        notify.send(kind, person("ada"), delay="1d", cancellation_key="order-17")
    notify.send_many("hello", notify.everyone(), delay="1d", cancellation_key="order-17")
    other = notify.send("hello", person("ada"), delay="1d", cancellation_key="order-18")
    with ours.store.begin() as connection:
        connection.execute(
            sa.insert(tables.tenants), {"id": UUID(int=7), "key": "acme", "created_at": ours.clock.now()}
        )
    assert notify.cancel(cancellation_key="order-17", tenant="acme") == 0
    assert notify.cancel(cancellation_key="order-17") == 2
    assert notify.cancel(cancellation_key="order-17") == 0
    assert notify.cancel(cancellation_key="nobody's") == 0
    assert fan_out.run(ours) == 0
    assert rows(ours, other.id)["ada"].state == "queued"
    with ours.store.read() as connection:
        done = connection.execute(
            sa.select(tables.audit.c.detail).where(tables.audit.c.action == "notification.cancel")
        )
        assert sum(row.detail["messages"] for row in done) == 2


def test_one_name_at_a_time_is_cancelled(ours: App) -> None:
    with pytest.raises(TypeError, match="cancellation_key"):
        notify.cancel()
    with pytest.raises(TypeError, match="cancellation_key"):
        notify.cancel("k", cancellation_key="order-17")
    with pytest.raises(NotFound):
        notify.cancel(cancellation_key="\0")


def test_another_cancellation_key_is_another_request(ours: App) -> None:
    notify.send("hello", person("ada"), key="k", cancellation_key="order-17")
    with pytest.raises(notify.errors.IdempotencyConflict):
        notify.send("hello", person("ada"), key="k", cancellation_key="order-18")


def test_what_is_claimed_while_it_is_cancelled_either_goes_out_or_is_cancelled(ours: App, mailbox: Mailbox) -> None:
    """Many times over, from two threads at once: the counts add up, and no thread fails."""
    crowd = [person(f"user-{number}") for number in range(8)]
    failures: list[BaseException] = []
    cancelled = 0

    def claim(bells: Sequence[Batch], ready: threading.Barrier) -> None:
        try:
            ready.wait()
            for batch in bells:
                deliver(ours, batch.id, Worker("w"))
        except BaseException as error:  # for the test's own thread
            failures.append(error)

    for turn in range(15):
        rung: list[Batch] = []
        app = replace(ours, publish=rung.extend)
        with using(app):
            notify.send_many("hello", crowd, cancellation_key=f"turn-{turn}")
        ready = threading.Barrier(2)
        worker = threading.Thread(target=claim, args=(rung, ready))
        worker.start()
        ready.wait()
        cancelled += notify.cancel(cancellation_key=f"turn-{turn}")
        worker.join()
    assert failures == []
    drain(ours)
    with ours.store.read() as connection:
        states = sa.select(tables.messages.c.state, sa.func.count()).group_by(tables.messages.c.state)
        found = {row[0]: row[1] for row in connection.execute(states)}
    assert found.get("cancelled", 0) == cancelled
    assert found.get("sent", 0) == len(mails(mailbox)) == 15 * len(crowd) - cancelled
