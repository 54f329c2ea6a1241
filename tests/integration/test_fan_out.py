"""Everyone of a roster is planned as if each had been named: once, by one planner at a time, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import notify
from notify import telemetry
from notify.app import App, using
from notify.audience import erasure
from notify.delivery import status
from notify.errors import IdempotencyConflict, InvalidRecipient
from notify.intake import fan_out
from notify.model import Author, Batch, Channel, Source, Suppression
from notify.settings import Settings
from notify.store import fan_outs, recipients, suppressions, tables
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import subscribed
from tests.kinds import make_kind

BY = Author("test", Source.SEND)
PEOPLE = 60


@pytest.fixture(autouse=True)
def _small(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_kind(templates)
    monkeypatch.setattr(fan_out, "SLICE", {"postgresql": 7, "sqlite": 7})


@pytest.fixture
def app(settings: Settings, make_app: Callable[..., App]) -> Any:
    opened = make_app(settings, batch_size=4)
    opened.redis.flushall()
    with using(opened):
        yield opened


@pytest.fixture
def roster(app: App) -> list[str]:
    """Sixty people; some have no address, and of some the address is suppressed in one way or another."""
    now = datetime.now(UTC)
    changes = [
        recipients.Change(
            f"user-{number:02}",
            tags=("beta", "vip") if number % 5 == 0 else ("vip",) if number % 3 == 0 else (),
            addresses={} if number % 11 == 0 else {Channel.EMAIL: f"User-{number:02}@example.org"},
        )
        for number in range(PEOPLE)
    ]
    forbidden = [
        Suppression(Channel.EMAIL, "user-01@example.org", "bounced", "feedback"),
        Suppression(Channel.EMAIL, "user-01@example.org", "unsubscribed", "roster", scope="test"),
        Suppression(Channel.EMAIL, "user-02@example.org", "unsubscribed", "roster", scope="test"),
        Suppression(Channel.EMAIL, "user-03@example.org", "unsubscribed", "roster", scope="other"),
        Suppression(Channel.EMAIL, "user-04@example.org", "bounced", "feedback", expires_at=now - timedelta(days=1)),
        Suppression(Channel.EMAIL, "user-05@example.org", "bounced", "feedback", expires_at=now + timedelta(days=1)),
        Suppression(Channel.SMS, "user-06@example.org", "bounced", "feedback"),
    ]
    with app.store.begin() as connection:
        recipients.apply(connection, DEFAULT_ID, changes, now, by=BY)
        suppressions.add(connection, DEFAULT_ID, forbidden, now)
    return [change.key for change in changes]


def fates(app: App, notification_id: UUID) -> dict[str, tuple[Any, ...]]:
    """What was decided of each recipient, by key."""
    message = tables.messages.c
    decided = (message.channel, message.address, message.state, message.reason, message.rule, message.attempts)
    with app.store.read() as connection:
        rows = connection.execute(
            sa.select(tables.recipients.c.key, *decided, message.batch_id.is_(None))
            .join(tables.recipients, tables.recipients.c.id == message.recipient_id)
            .where(message.notification_id == notification_id)
        ).all()
    assert len({row.key for row in rows}) == len(rows)
    return {row.key: tuple(row)[1:] for row in rows}


def batch_sizes(app: App) -> list[tuple[int, int]]:
    """Of each batch, what it says of its size, and how many messages it has."""
    with app.store.read() as connection:
        rows = connection.execute(sa.select(tables.batches.c.id, tables.batches.c.size))
        sizes: dict[UUID, int] = {row.id: row.size for row in rows}
        counted = Counter(connection.scalars(sa.select(tables.messages.c.batch_id)))
    assert set(counted) - {None} == set(sizes)
    return [(size, counted[one]) for one, size in sizes.items()]


@pytest.mark.parametrize("mode", ["live", "dry_run", "test"])
@pytest.mark.parametrize("at", [None, datetime(2999, 1, 1, tzinfo=UTC)], ids=["now", "later"])
def test_everyone_is_planned_as_if_each_had_been_named(
    app: App, roster: list[str], make_app: Callable[..., App], mode: str, at: datetime | None
) -> None:
    allowed = make_app(app.settings, test_recipients=frozenset({"user-01@example.org", "user-07@example.org"}))
    with using(allowed):
        named = notify.send_many("hello", roster, mode=mode, at=at)
        selected = notify.send_many("hello", notify.everyone(), mode=mode, at=at)
        assert fan_out.run(allowed) == PEOPLE
    assert fates(app, selected.id) == fates(app, named.id)
    assert {size == held for size, held in batch_sizes(app)} == {True}


def test_what_waits_for_its_time_waits_until_then(app: App, roster: list[str]) -> None:
    at = datetime(2999, 1, 1, 8, tzinfo=UTC)
    sent = notify.send_many("hello", notify.everyone(), at=at)
    fan_out.run(app)
    message = tables.messages.c
    with app.store.read() as connection:
        due = sa.select(message.due_at).where(message.notification_id == sent.id, message.state == "queued").distinct()
        assert connection.scalars(due).all() == [at]


def test_batches_are_full_but_for_the_last_of_each_slice(app: App, roster: list[str]) -> None:
    notify.send_many("hello", notify.everyone())
    fan_out.run(app)
    assert max(size for size, _ in batch_sizes(app)) == app.settings.batch_size


@pytest.mark.parametrize("tags", [["beta"], ["vip"], ["beta", "nobody"], ["vip", "beta"], ["nobody"]], ids=str)
def test_only_those_with_one_of_the_tags_are_planned(app: App, roster: list[str], tags: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone(tags=tags))
    fan_out.run(app)
    with app.store.read() as connection:
        people = recipients.by_keys(connection, DEFAULT_ID, roster)
    assert set(fates(app, sent.id)) == {key for key, person in people.items() if set(person.tags) & set(tags)}


def test_nobody_of_another_tenant_is_planned(app: App, roster: list[str]) -> None:
    with app.store.begin() as connection:
        connection.execute(
            sa.insert(tables.tenants), {"id": UUID(int=7), "key": "acme", "created_at": datetime.now(UTC)}
        )
        recipients.apply(connection, UUID(int=7), [recipients.Change("theirs")], datetime.now(UTC), by=BY)
    sent = notify.send_many("hello", notify.everyone(), tenant="acme")
    fan_out.run(app)
    assert list(fates(app, sent.id)) == ["theirs"]


def test_an_empty_roster_is_planned_at_once(app: App) -> None:
    sent = notify.send_many("hello", notify.everyone())
    assert fan_out.run(app) == 0
    assert (fates(app, sent.id), under_way(app)) == ({}, 0)


def test_a_roster_that_fills_its_last_slice_is_planned_to_its_end(app: App) -> None:
    with app.store.begin() as connection:
        recipients.apply(
            connection, DEFAULT_ID, [recipients.Change(f"u{n}") for n in range(14)], datetime.now(UTC), by=BY
        )
    sent = notify.send_many("hello", notify.everyone())
    assert fan_out.run(app) == 14
    assert (len(fates(app, sent.id)), under_way(app)) == (14, 0)


def under_way(app: App) -> int:
    with app.store.read() as connection:
        return len(fan_outs.under_way(connection))


def test_the_call_returns_before_anyone_is_planned(app: App, roster: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone())
    assert (sent.messages, fates(app, sent.id), under_way(app)) == ({}, {}, 1)


def test_the_same_key_with_the_same_selection_is_the_same_notification(app: App, roster: list[str]) -> None:
    first = notify.send_many("hello", notify.everyone(tags=["vip", "beta"]), key="k")
    again = notify.send_many("hello", notify.everyone(tags=["beta", "vip"]), key="k")
    assert (again.id, again.repeated, under_way(app)) == (first.id, True, 1)
    others: Sequence[Any] = ([], notify.everyone(), notify.everyone(tags=["beta"]))
    for other in others:
        with pytest.raises(IdempotencyConflict):
            notify.send_many("hello", other, key="k")


def test_a_fan_out_joins_the_applications_transaction(app: App, roster: list[str]) -> None:
    with Session(app.store.engine) as session:
        notify.send_many("hello", notify.everyone(), session=session)
        session.rollback()
        assert under_way(app) == 0
        notify.send_many("hello", notify.everyone(), session=session)
        session.commit()
    assert under_way(app) == 1


def test_bells_ring_after_each_slice(app: App, roster: list[str]) -> None:
    rung: list[tuple[int, int]] = []

    def publish(batches: Sequence[Batch]) -> None:
        with app.store.read() as connection:
            stored = connection.scalar(sa.select(sa.func.count()).select_from(tables.batches))
        rung.append((len(batches), stored or 0))

    sent = notify.send_many("hello", notify.everyone())
    fan_out.run(replace(app, publish=publish))
    assert len(rung) == -(-PEOPLE // 7)
    assert [stored for _, stored in rung] == [sum(count for count, _ in rung[: n + 1]) for n in range(len(rung))]
    assert len(fates(app, sent.id)) == PEOPLE


def test_planners_that_work_at_once_plan_everyone_once(app: App, roster: list[str]) -> None:
    sent = [notify.send_many("hello", notify.everyone()) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        made = sum(pool.map(lambda _: fan_out.run(app), range(4)))
    made += fan_out.run(app)  # whoever found the last slice in other hands went home
    assert made == 2 * PEOPLE
    assert [len(fates(app, one.id)) for one in sent] == [PEOPLE, PEOPLE]
    assert {size == held for size, held in batch_sizes(app)} == {True}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite the second waits for the first
def test_a_fan_out_in_one_planners_hands_is_left_alone_by_others(app: App, roster: list[str]) -> None:
    notify.send_many("hello", notify.everyone())
    with app.store.begin() as connection:
        assert fan_outs.take(connection) is not None
        assert fan_out.run(app) == 0
    assert fan_out.run(app) == PEOPLE


def test_a_planner_killed_between_slices_is_followed_by_another(app: App, roster: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone())
    script = "from notify.app import current; from notify.intake import fan_out; fan_out.SLICE = {SLICE}; "
    planner = subprocess.run(
        [sys.executable, "-c", script.replace("{SLICE}", repr(fan_out.SLICE)) + "fan_out.run(current())"],
        env={**os.environ, **environment(app.settings), "NOTIFY_FAILPOINTS": "plan.committed=kill@3"},
        timeout=60,
        check=False,
    )
    assert planner.returncode == -signal.SIGKILL
    assert len(fates(app, sent.id)) == 3 * 7
    assert fan_out.run(app) == PEOPLE - 3 * 7
    assert len(fates(app, sent.id)) == PEOPLE


def environment(settings: Settings) -> dict[str, str]:
    return {
        "NOTIFY_DATABASE_URL": settings.database,
        "NOTIFY_REDIS_URL": settings.redis,
        "NOTIFY_DATA_DIR": str(settings.data_dir),
        "NOTIFY_TEMPLATES_DIR": str(settings.templates_dir),
    }


def test_a_slice_that_fails_leaves_nothing_behind(app: App, roster: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sent, heard = notify.send_many("hello", notify.everyone()), list[Any]()
    with monkeypatch.context() as broken:
        broken.setattr(fan_outs, "advance", lambda *_: 1 / 0)
        with telemetry.subscribed(lambda event, facts: heard.append((event, facts))):
            assert fan_out.run(app) == 0, "it keeps nobody else waiting"
    assert [facts["problem"] for event, facts in heard if event == "fan_out.stuck"] == [
        "ZeroDivisionError: division by zero"
    ]
    assert (fates(app, sent.id), batch_sizes(app)) == ({}, [])
    assert fan_out.run(app) == PEOPLE


def test_cancelling_stops_the_planning_and_withdraws_what_is_queued(app: App, roster: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone())
    planned = fan_out.run(app, seconds=0)
    assert 0 < planned <= 7
    withdrawn = notify.cancel(sent.id)
    assert (fan_out.run(app), under_way(app)) == (0, 0)
    states = Counter(fate[2] for fate in fates(app, sent.id).values())
    assert set(states) <= {"cancelled", "skipped"}
    assert (states["cancelled"], states.total()) == (withdrawn, planned)


def test_who_is_erased_while_everyone_is_planned_is_planned_no_second_time(app: App, roster: list[str]) -> None:
    early = [f"a-{number}" for number in range(10)]  # an erased key sorts behind theirs, and before those of the roster
    with app.store.begin() as connection:
        recipients.apply(connection, DEFAULT_ID, [recipients.Change(key) for key in early], datetime.now(UTC), by=BY)
    sent = notify.send_many("hello", notify.everyone())
    fan_out.run(app, seconds=0)
    for key in ("a-1", "a-9", "user-30"):
        erasure.erase(app, key, reason="asked", actor="test")
    heard = list[str]()
    with subscribed(lambda event, _facts: heard.append(event)):
        fan_out.run(app)
    assert "fan_out.stuck" not in heard
    with app.store.read() as connection:
        assert fan_outs.under_way(connection) == []
    planned = set(fates(app, sent.id))
    assert {key for key in planned if not key.startswith("erased:")} == {*early, *roster} - {"a-1", "a-9", "user-30"}
    assert len(planned) == len(early) - 1 + PEOPLE - 1  # a-1 had a message already


def test_who_was_erased_is_not_among_everyone(app: App, roster: list[str]) -> None:
    erasure.erase(app, "user-07", reason="asked", actor="test")
    sent = notify.send_many("hello", notify.everyone())
    fan_out.run(app)
    assert set(fates(app, sent.id)) == set(roster) - {"user-07"}


def test_who_has_a_message_of_it_already_is_left_out(app: App, roster: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone())
    fan_out.run(app)
    before = fates(app, sent.id)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.fan_outs).values(state="planning", cursor=""))
    heard = list[str]()
    with subscribed(lambda event, _facts: heard.append(event)):
        assert fan_out.run(app) == 0
    assert "fan_out.stuck" not in heard
    assert fates(app, sent.id) == before


def test_a_notification_whose_kind_is_gone_waits_and_keeps_no_other_waiting(
    app: App, roster: list[str], templates: Path, make_app: Callable[..., App]
) -> None:
    make_kind(templates, "gone")
    notify.send_many("gone", notify.everyone())
    other = notify.send_many("hello", notify.everyone())
    for file in (templates / "gone").iterdir():
        file.unlink()
    (templates / "gone").rmdir()
    worker, heard = make_app(app.settings), list[str]()
    with subscribed(lambda event, _facts: heard.append(event)):
        fan_out.run(worker)
    assert len(fates(app, other.id)) == PEOPLE
    assert heard.count("fan_out.stuck") == 1
    make_kind(templates, "gone")
    assert fan_out.run(make_app(app.settings)) == PEOPLE


def test_the_smallest_that_waits_is_not_kept_waiting_by_a_large_one(app: App, roster: list[str]) -> None:
    large = notify.send_many("hello", notify.everyone())
    small = notify.send_many("hello", notify.everyone(tags=["beta"]))
    for _ in range(4):
        fan_out.run(app, seconds=0)
    assert fates(app, large.id)
    assert fates(app, small.id)


def test_status_tells_of_what_is_being_planned(app: App, roster: list[str]) -> None:
    sent = notify.send_many("hello", notify.everyone())
    fan_out.run(app, seconds=0)
    [shown] = status(app).as_json()["planning"]
    assert (shown["notification"], shown["recipients"]) == (str(sent.id), 7)
    fan_out.run(app)
    assert status(app).as_json()["planning"] == []


@pytest.mark.parametrize("tags", [[], "beta", [7], [""], ["a\nb"], 7], ids=repr)
def test_what_is_no_list_of_tags_is_refused(tags: Any) -> None:
    with pytest.raises(InvalidRecipient):
        notify.everyone(tags=tags)
