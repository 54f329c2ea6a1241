"""What is changed between the planning and the sending counts when it is sent: withdrawn, moved, or released."""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.audience import preferences, recipients, suppressing
from notify.delivery import Worker, deliver
from notify.delivery.recheck import Recheck
from notify.dev.mailbox import Mailbox
from notify.model import Author, Channel, Message, Source
from notify.store import messages, tables
from notify.store.tenants import DEFAULT_ID
from notify.store.work import Work
from notify.testing import MovableClock
from tests.drain import drain
from tests.kinds import make_kind

BY = Author("test", Source.PYTHON)
NIGHT = "22:00-07:00"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PUT_OFF = timedelta(seconds=1)  # what is put off is put off to the next whole second


def person(key: str, zone: str = "UTC") -> dict[str, Any]:
    return {"key": key, "email": f"{key}@example.org", "timezone": zone}


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "alarm", toml="critical = true")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 11, 21, 23, tzinfo=UTC))


@pytest.fixture
def ours(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Any:
    """The App with a clock of its own, an hour into the night; nobody rings in it."""
    given = replace(make_app(app.settings, batch_size=4), clock=clock, publish=lambda _: None)
    with using(given):
        yield given


def planned(app: App) -> list[Message]:
    """All messages, the oldest first."""
    with app.store.read() as connection:
        return [one.message for one in reversed(messages.listing(connection, DEFAULT_ID, limit=1000))]


def states(app: App) -> list[tuple[str, str | None]]:
    return [(one.state.value, one.reason) for one in planned(app)]


def mails(mailbox: Mailbox) -> list[Any]:
    return [email.message_from_bytes(path.read_bytes()) for path in sorted(mailbox.folder.glob("*.eml"))]


# cancelled


@pytest.mark.parametrize("by_key", [False, True], ids=["by id", "by cancellation key"])
def test_what_a_worker_gives_back_after_it_was_cancelled_goes_out_no_more(
    ours: App, clock: MovableClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, by_key: bool
) -> None:
    sent = notify.send("hello", person("ada"), cancellation_key="order-17")
    preferences.quiet(ours, "ada", NIGHT, by=BY)
    asked, counts = Recheck.__call__, list[int]()

    def meanwhile(self: Recheck, work: Work, now: datetime) -> Any:
        counts.append(notify.cancel(cancellation_key="order-17") if by_key else notify.cancel(sent.id))
        return asked(self, work, now)

    monkeypatch.setattr(Recheck, "__call__", meanwhile)
    drain(ours)
    assert counts == [0]
    assert states(ours) == [("cancelled", "cancelled")]
    clock.move(9 * HOUR)
    drain(ours)
    assert mails(mailbox) == []


def test_what_comes_back_of_a_cancelled_notification_is_cancelled_when_it_is_claimed(
    ours: App, mailbox: Mailbox
) -> None:
    sent = notify.send("hello", person("ada"))
    notify.send("hello", person("bob"))
    with ours.store.begin() as connection:  # as when a worker dies, and another takes over what it had in hand
        noted = sa.update(tables.notifications).where(tables.notifications.c.id == sent.id)
        connection.execute(noted.values(cancelled_at=ours.clock.now()))
    drain(ours)
    assert [state for state, _ in states(ours)] == ["cancelled", "sent"]
    assert len(mails(mailbox)) == 1


# released


@pytest.mark.parametrize("way", ["python", "reset", "shorter", "command"])
def test_what_do_not_disturb_held_goes_out_when_it_is_turned_off(ours: App, mailbox: Mailbox, way: str) -> None:
    notify.send("alarm", person("ada"))
    notify.preferences.do_not_disturb("ada", ours.clock.now() + 7 * DAY)
    notify.send("hello", "ada")
    drain(ours)
    assert states(ours) == [("sent", None), ("queued", "quiet")]
    if way == "python":
        notify.preferences.do_not_disturb("ada", None)
    elif way == "reset":
        notify.preferences.reset("ada")
    elif way == "shorter":
        notify.preferences.do_not_disturb("ada", ours.clock.now() + timedelta(seconds=1))
        ours.clock.move(timedelta(seconds=1))  # type: ignore[attr-defined]
    else:
        preferences.do_not_disturb(ours, "ada", None, by=Author("operator", Source.CLI))
    drain(ours)
    assert states(ours) == [("sent", None), ("sent", None)]
    assert len(mails(mailbox)) == 2


def test_what_quiet_hours_hold_goes_out_when_others_are_chosen(ours: App, clock: MovableClock) -> None:
    notify.send("alarm", person("ada"))
    notify.preferences.quiet("ada", NIGHT)
    notify.send("hello", "ada")
    notify.preferences.quiet("ada", "21:00-23:30")  # they hold it, too, but not as long
    drain(ours)
    assert planned(ours)[-1].due_at == clock.now() + timedelta(minutes=30) + PUT_OFF
    notify.preferences.quiet("ada", None)
    drain(ours)
    assert states(ours)[-1] == ("sent", None)


def test_quiet_hours_that_begin_while_a_message_waits_for_its_line_hold_it(
    ours: App, clock: MovableClock, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was allowed when its recipient's share was counted, two seconds before."""
    make_kind(templates, toml='recipient_rate = "10/d"')
    clock.move(timedelta(seconds=59))
    notify.send("hello", person("ada"))
    notify.preferences.quiet("ada", "23:01-07:00")
    allows, asked = Recheck.allows, list[bool]()

    def and_waits(self: Recheck, work: Work, now: datetime) -> bool:
        asked.append(allows(self, work, now))
        clock.move(timedelta(seconds=2))
        return asked[-1]

    monkeypatch.setattr(Recheck, "allows", and_waits)
    drain(ours)
    assert asked == [True]
    assert states(ours) == [("queued", "quiet")]


@pytest.mark.parametrize("local", [False, True], ids=["at a moment", "at a local time"])
def test_what_is_scheduled_waits_for_its_time_though_quiet_hours_are_turned_off(
    ours: App, clock: MovableClock, local: bool
) -> None:
    notify.send("alarm", person("ada", "Europe/Amsterdam"))
    notify.preferences.quiet("ada", NIGHT)
    meant = datetime(2026, 11, 28, 23, tzinfo=UTC)
    notify.send("hello", "ada", at=notify.local("2026-11-29T00:00") if local else meant)
    held = planned(ours)[-1]
    assert (held.due_at, held.reason) == (datetime(2026, 11, 29, 6, tzinfo=UTC), "quiet")
    notify.preferences.quiet("ada", None)
    drain(ours)
    waits = planned(ours)[-1]
    assert (waits.state, waits.due_at, waits.reason) == ("queued", meant, "scheduled")
    assert waits.rule == ("send(at=local 2026-11-29T00:00) in Europe/Amsterdam" if local else "send(at=…)")
    clock.move(to=meant)
    drain(ours)
    assert states(ours)[-1] == ("sent", None)


def test_what_comes_before_its_time_is_put_off_until_then(ours: App, clock: MovableClock) -> None:
    meant = clock.now() + 7 * DAY
    notify.send("hello", person("ada"), at=meant)
    with ours.store.begin() as connection:
        for table in (tables.messages, tables.batches):
            connection.execute(sa.update(table).values(due_at=clock.now()))
    drain(ours)
    early = planned(ours)[-1]
    assert (early.state, early.reason, early.due_at, early.attempts) == ("queued", "scheduled", meant + PUT_OFF, 0)


def test_a_clock_that_is_a_little_behind_the_planners_sends_all_the_same(ours: App, clock: MovableClock) -> None:
    notify.send("hello", person("ada"), at=clock.now() + timedelta(seconds=1.5))
    notify.send("hello", person("bob"), at=notify.local("23:00:01"))
    with ours.store.begin() as connection:
        rung = list(connection.scalars(sa.select(tables.batches.c.id)))
    for batch in rung:
        deliver(ours, batch, Worker("test"))
    assert states(ours) == [("sent", None), ("sent", None)]


# moved to another time zone


@pytest.mark.parametrize("moment", ["2026-12-01T09:00", "2026-12-01T23:30"])
def test_who_moves_gets_it_by_the_clock_of_the_new_place(
    ours: App, clock: MovableClock, mailbox: Mailbox, moment: str
) -> None:
    notify.send("alarm", person("ada", "Asia/Kolkata"))
    drain(ours)
    notify.preferences.quiet("ada", NIGHT)
    notify.send("hello", "ada", at=notify.local(moment))
    notify.recipients.set("ada", timezone="America/New_York", reason="moved")
    meant = datetime.fromisoformat(moment).replace(tzinfo=UTC) + 5 * HOUR
    waits = planned(ours)[-1]
    assert (waits.due_at, waits.reason) == (meant, "scheduled")
    assert waits.rule == f"send(at=local {moment}) in America/New_York"
    clock.move(to=meant)
    drain(ours)
    if moment.endswith("23:30"):
        morning = datetime(2026, 12, 2, 12, tzinfo=UTC) + PUT_OFF
        assert planned(ours)[-1].due_at == morning
        clock.move(to=morning)
        drain(ours)
    assert states(ours)[-1] == ("sent", None)
    assert parsedate_to_datetime(mails(mailbox)[-1]["Date"]) == meant


def test_who_moves_to_where_the_time_has_come_already_gets_it_at_once(ours: App, clock: MovableClock) -> None:
    clock.move(to=datetime(2026, 11, 22, 10, tzinfo=UTC))
    notify.send("hello", person("ada", "America/New_York"), at=notify.local("2026-11-22T09:00"))
    notify.recipients.set("ada", timezone="Europe/Amsterdam")
    drain(ours)
    assert states(ours) == [("sent", None)]


def test_what_is_scheduled_for_a_moment_stays_there_whoever_moves(ours: App, clock: MovableClock) -> None:
    meant = clock.now() + 7 * DAY
    notify.send("hello", person("ada", "America/New_York"), at=meant)
    notify.recipients.set("ada", timezone="Europe/Amsterdam")
    assert planned(ours)[-1].due_at == meant


# another address


def to_another(app: App, key: str, *, stays: bool = False) -> None:
    """Their main address is new@ from now on; the old one is taken from them, unless it stays."""
    recipients.add_address(app, key, Channel.EMAIL, "new@example.org", by=BY, primary=True)
    if not stays:
        recipients.remove_address(app, key, Channel.EMAIL, f"{key}@example.org", by=BY)


def addresses(app: App) -> list[str | None]:
    return [one.address for one in planned(app)]


def test_what_was_planned_to_an_address_that_is_gone_goes_to_the_present_one(
    ours: App, clock: MovableClock, mailbox: Mailbox
) -> None:
    notify.send_many("hello", [person("ada"), person("bob")], delay="8d")
    to_another(ours, "ada")
    clock.move(8 * DAY)
    drain(ours)
    assert states(ours) == [("sent", None), ("sent", None)]
    assert addresses(ours) == ["new@example.org", "bob@example.org"]
    assert sorted(mail["To"] for mail in mails(mailbox)) == ["bob@example.org", "new@example.org"]


def test_the_present_address_is_asked_about_its_suppressions(ours: App, clock: MovableClock) -> None:
    notify.send("hello", person("ada"), delay="8d")
    to_another(ours, "ada")
    suppressing.add(ours, "new@example.org", actor="test", reason="bounced")
    clock.move(8 * DAY)
    drain(ours)
    assert states(ours) == [("skipped", "suppressed")]


def test_what_was_planned_to_an_address_that_is_still_theirs_goes_there(
    ours: App, clock: MovableClock, mailbox: Mailbox
) -> None:
    notify.send("hello", {**person("ada"), "email": "Ada@example.org"}, delay="8d")
    to_another(ours, "ada", stays=True)
    clock.move(8 * DAY)
    drain(ours)
    assert (states(ours), addresses(ours)) == ([("sent", None)], ["Ada@example.org"])


def test_who_has_no_address_left_is_not_written_to(ours: App, clock: MovableClock, mailbox: Mailbox) -> None:
    notify.send("hello", person("ada"), delay="8d")
    recipients.remove_address(ours, "ada", Channel.EMAIL, "ada@example.org", by=BY)
    clock.move(8 * DAY)
    drain(ours)
    assert (states(ours), addresses(ours)) == ([("skipped", "address_gone")], ["ada@example.org"])
    assert mails(mailbox) == []


def test_a_mail_that_was_to_confirm_an_address_goes_to_no_other(
    ours: App, clock: MovableClock, templates: Path
) -> None:
    make_kind(templates, "confirm", toml="onboarding = true")
    notify.send("confirm", person("ada"), delay="8d")
    to_another(ours, "ada")
    clock.move(8 * DAY)
    drain(ours)
    assert states(ours) == [("skipped", "address_gone")]


# a share of a category


@pytest.mark.parametrize("limit", ["category", "kind"])
def test_what_goes_no_further_takes_no_share(ours: App, templates: Path, limit: str) -> None:
    if limit == "category":
        (templates / "categories.toml").write_text('[test]\nthrottle = "1/d"\nover = "skip"\n', encoding="utf-8")
    else:
        make_kind(templates, toml='recipient_rate = "1/d"')
    notify.send("alarm", person("ada"))
    drain(ours)
    notify.send("hello", "ada")
    notify.preferences.pause("ada")
    drain(ours)
    assert states(ours) == [("sent", None), ("skipped", "paused")]
    notify.preferences.resume("ada")
    notify.send("hello", "ada")
    notify.send("hello", "ada")
    drain(ours)
    over = ("skipped", "throttled") if limit == "category" else ("queued", "rate_limited")
    assert sorted(states(ours)[-2:], key=str) == sorted([("sent", None), over], key=str)
