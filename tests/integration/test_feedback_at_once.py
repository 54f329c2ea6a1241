"""What comes back at the same time as everything else that writes of the same people is kept once, and follows once."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.audience import erasure, leaving
from notify.errors import Unreachable
from notify.feedback import guard
from notify.feedback.record import look_again, record
from notify.intake import fan_out
from notify.model import BounceClass, Channel, Event, EventType, MessageState, Suppression
from notify.policy.outcome import fold
from notify.store import suppressions, tables
from notify.store.tenants import DEFAULT_ID
from tests.drain import drain
from tests.kinds import make_kind

ROUNDS = 6
PEOPLE = 6
ASSORTED = (
    (EventType.DELIVERED, None),
    (EventType.BOUNCED, BounceClass.HARD),
    (EventType.BOUNCED, BounceClass.SOFT),
    (EventType.COMPLAINED, None),
    (EventType.UNSUBSCRIBED, None),
)
ON_POSTGRESQL = pytest.mark.parametrize(
    "database_url", ["postgresql"], indirect=True
)  # SQLite has one writer at a time
GIVEN_UP = 5
"""So often the database may give up one of our transactions: another tick would do it again."""


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)


class People:
    """Six people, each with a message that a provider took."""

    def __init__(self, app: App, round_: int) -> None:
        self.keys = [f"p{round_}-{number}" for number in range(PEOPLE)]
        note = notify.send_many("hello", [{"key": key, "email": f"{key}@example.org"} for key in self.keys])
        drain(app)
        chosen = sa.select(tables.messages.c.id, tables.messages.c.recipient_id, tables.messages.c.address)
        with app.store.read() as connection:
            rows = connection.execute(chosen.where(tables.messages.c.notification_id == note.id)).all()
        rows = sorted(rows, key=lambda row: row.address)
        self.messages: list[UUID] = [row.id for row in rows]
        self.recipients: list[UUID] = [row.recipient_id for row in rows]
        self.addresses: list[str] = [row.address for row in rows]

    def events(self, app: App, names: Callable[[], int]) -> list[Event]:
        """Everything that may come back of each."""
        return [
            Event(type_, app.clock.now(), "ses", f"e{names()}", message, bounce=bounce, address=address)
            for message, address in zip(self.messages, self.addresses, strict=True)
            for type_, bounce in ASSORTED
        ]


def stubborn(work: Callable[[], object]) -> int:
    """Do it, again when the database gave it up; returns how often that was."""
    for tries in range(GIVEN_UP):
        try:
            work()
        except Unreachable:
            continue
        return tries
    raise AssertionError(f"given up {GIVEN_UP} times")


def told_by(app: App, events: Sequence[Event], seed: int) -> Callable[[], None]:
    """One who tells all of it, in an order and in parts of their own."""

    def tell() -> None:
        mixed = random.Random(seed).sample(events, len(events))
        for first in range(0, len(mixed), 9):
            record(app, DEFAULT_ID, mixed[first : first + 9])

    return tell


def imported(app: App, people: People) -> None:
    """As an import of suppressions: all addresses but that of who is erased, for two reasons, in one transaction."""
    rows = [
        Suppression(Channel.EMAIL, address, reason, "import")
        for address in people.addresses[1:]
        for reason in ("complained", "bounced")
    ]
    with app.store.begin() as connection:
        suppressions.add(connection, DEFAULT_ID, rows, app.clock.now())


def left(app: App, people: People) -> None:
    """By the links of everybody's mail."""
    for message, recipient in zip(people.messages, people.recipients, strict=True):
        leaving.at_once(app, message, recipient)


def planned_and_sent(app: App) -> None:
    notify.send_many("hello", notify.everyone())
    fan_out.run(app)
    drain(app, "another")


def erased(app: App, key: str) -> None:
    erasure.erase(app, key, reason="asked", actor="eve")


@ON_POSTGRESQL
def test_with_everything_else_at_the_same_time_nothing_is_lost_and_nothing_follows_twice(app: App) -> None:
    numbers = count()
    given_up = 0
    for round_ in range(ROUNDS):
        people = People(app, round_)
        events = people.events(app, lambda: next(numbers))
        doing: list[Callable[[], object]] = [
            *(told_by(app, events, seed) for seed in range(3)),
            lambda people=people: left(app, people),  # type: ignore[misc]
            lambda people=people: imported(app, people),  # type: ignore[misc]
            lambda people=people: erased(app, people.keys[0]),  # type: ignore[misc]
            lambda: planned_and_sent(app),
            lambda: (look_again(app), guard.watch(app)),
        ]
        with ThreadPoolExecutor(len(doing)) as pool:
            given_up += sum(pool.map(stubborn, doing))
        _require(app, people, events)
    assert given_up <= ROUNDS, "they wait for each other in circles"


def _require(app: App, people: People, events: Sequence[Event]) -> None:
    names = [event.provider_event_id for event in events]
    of = tables.events.c
    with app.store.read() as connection:
        kept = connection.execute(
            sa.select(of.provider_event_id, of.message_id, of.look_at).where(of.provider_event_id.in_(names))
        ).all()
        states = set(
            connection.scalars(sa.select(tables.messages.c.state).where(tables.messages.c.id.in_(people.messages)))
        )
        followed = connection.execute(
            sa.select(tables.consequences.c.event_id, sa.func.count()).group_by(tables.consequences.c.event_id)
        ).all()
        soft = connection.execute(
            sa.select(tables.soft_bounces.c.address, tables.soft_bounces.c.score).where(
                tables.soft_bounces.c.address.in_(people.addresses)
            )
        ).all()
        standing = connection.execute(
            sa.select(tables.suppressions.c.address, tables.suppressions.c.reason).where(
                tables.suppressions.c.address.in_(people.addresses)
            )
        ).all()
    assert sorted(row.provider_event_id for row in kept) == sorted(names)
    assert {row.message_id for row in kept} == set(people.messages)
    assert {row.look_at for row in kept} == {None}
    assert states == {fold(MessageState.SENT, [type_ for type_, _ in ASSORTED])}
    assert {times for _, times in followed} == {1}
    gone, *others = people.addresses
    assert {row.address for row in soft} == set(others)
    assert {round(row.score, 3) for row in soft} == {1.0}
    assert sorted(map(tuple, standing)) == sorted(
        (address, reason) for address in others for reason in ("bounced", "complained", "unsubscribed")
    ), f"{gone} was erased"
