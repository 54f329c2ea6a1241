"""What webhooks posted: stored once as it came, and kept with what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.model import HookState
from notify.store import bulk
from notify.store.dialect import any_of
from notify.store.tables import hook_payloads
from notify.store.tenants import DEFAULT_ID

_FACTS = (
    *("id", "provider", "payload_id", "state", "reason", "problem", "events", "tries"),
    *("received_at", "look_at", "processed_at"),
)


@dataclass(frozen=True, slots=True)
class Posted:
    """One delivery, verified. `payload_id` is the provider's name for it."""

    provider: str
    payload_id: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored delivery that nobody has read yet, or not to the end; `tries` were made before."""

    id: UUID
    posted: Posted
    tries: int


@dataclass(frozen=True, slots=True)
class Read:
    """What became of one: so many events, or the reason why it was rejected and the same in words."""

    id: UUID
    events: int = 0
    reason: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery as operators see it."""

    id: UUID
    provider: str
    payload_id: str
    state: HookState
    reason: str | None
    problem: str | None
    events: int
    tries: int
    received_at: datetime
    look_at: datetime | None
    processed_at: datetime | None


def add(connection: sa.Connection, rows: Sequence[Posted]) -> int:
    """Store these in one statement; returns how many are new. What was delivered before stays as it is."""
    distinct = {(row.provider, row.payload_id): row for row in rows}
    ordered = [row for _, row in sorted(distinct.items())]  # everywhere: two writers must not wait in a circle
    columns: dict[str, bulk.Column] = {
        "id": [uuid7() for _ in ordered],
        "tenant_id": DEFAULT_ID,
        "provider": [row.provider for row in ordered],
        "payload_id": [row.payload_id for row in ordered],
        "headers": [dict(row.headers) for row in ordered],
        "body": [row.body for row in ordered],
        "state": HookState.RECEIVED,
        "received_at": [row.received_at for row in ordered],
    }
    return bulk.insert_new(connection, hook_payloads, columns) if ordered else 0


def waiting(connection: sa.Connection, now: datetime, limit: int, most_octets: int) -> list[Waiting]:
    """The oldest that wait to be read now: at most so many, and so many octets of them in all, but one at least."""
    of = hook_payloads.c
    wanted = [of.state == HookState.RECEIVED, sa.or_(of.look_at.is_(None), of.look_at <= now)]
    sized = sa.select(of.id, sa.func.length(of.body)).where(*wanted).order_by(of.received_at, of.id).limit(limit)
    chosen, octets = list[UUID](), 0
    for id_, size in connection.execute(sized):
        octets += size
        if chosen and octets > most_octets:
            break
        chosen.append(id_)
    if not chosen:
        return []
    rows = connection.execute(
        sa.select(hook_payloads).where(any_of(connection, of.id, chosen)).order_by(of.received_at, of.id)
    )
    return [
        Waiting(row.id, Posted(row.provider, row.payload_id, row.headers, bytes(row.body), row.received_at), row.tries)
        for row in rows
    ]


def settle(connection: sa.Connection, done: Sequence[Read], now: datetime) -> None:
    """Write down what became of those that still wait; others have been settled by somebody else."""
    if not done:
        return
    of = hook_payloads.c
    mine = (any_of(connection, of.id, [one.id for one in done]), of.state == HookState.RECEIVED)
    held = set(connection.scalars(sa.select(of.id).where(*mine).order_by(of.id).with_for_update()))
    alike: dict[tuple[str | None, str | None, int], list[UUID]] = defaultdict(list)
    for one in done:
        if one.id in held:
            alike[one.reason, one.problem, one.events].append(one.id)
    for (reason, problem, count), ids in alike.items():
        state = HookState.PROCESSED if reason is None else HookState.REJECTED
        became = {"state": state, "reason": reason, "problem": problem, "events": count}
        values = {**became, "look_at": None, "processed_at": now}
        connection.execute(sa.update(hook_payloads).where(any_of(connection, of.id, ids)).values(values))


def empty(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """Of these, keep nothing but that they came."""
    if ids:
        which = any_of(connection, hook_payloads.c.id, list(ids))
        connection.execute(sa.update(hook_payloads).where(which).values(body=b"", headers={}))


def put_off(connection: sa.Connection, id_: UUID, tries: int, problem: str, until: datetime) -> None:
    """This one failed, and waits; so many tries were made of it."""
    connection.execute(
        sa.update(hook_payloads)
        .where(hook_payloads.c.id == id_, hook_payloads.c.state == HookState.RECEIVED)
        .values(tries=tries, problem=problem, look_at=until)
    )


def again(connection: sa.Connection, chosen: Sequence[UUID], reason: str | None) -> int:
    """Let rejected ones be read again: these, or all of that reason; returns how many."""
    which = any_of(connection, hook_payloads.c.id, list(chosen)) if chosen else hook_payloads.c.reason == reason
    values = {
        "state": HookState.RECEIVED,
        "reason": None,
        "problem": None,
        "tries": 0,
        "look_at": None,
        "processed_at": None,
    }
    rejected = hook_payloads.c.state == HookState.REJECTED
    return connection.execute(sa.update(hook_payloads).where(rejected, which).values(values)).rowcount


def listing(
    connection: sa.Connection,
    *,
    state: HookState | None = None,
    provider: str | None = None,
    reason: str | None = None,
    limit: int,
) -> list[Kept]:
    """The latest first, without their bodies."""
    asked = {"state": state, "provider": provider, "reason": reason}
    where = [hook_payloads.c[name] == value for name, value in asked.items() if value is not None]
    rows = connection.execute(_kept().where(*where).order_by(hook_payloads.c.id.desc()).limit(limit))
    return [_kept_of(row) for row in rows]


def get(connection: sa.Connection, id_: UUID) -> tuple[Kept, Mapping[str, str], bytes] | None:
    """One with its headers and its body."""
    row = connection.execute(
        _kept().add_columns(hook_payloads.c.headers, hook_payloads.c.body).where(hook_payloads.c.id == id_)
    ).first()
    return None if row is None else (_kept_of(row[:-2]), row.headers, bytes(row.body))


def _kept_of(row: Sequence[Any]) -> Kept:
    facts = dict(zip(_FACTS, row, strict=True))
    return Kept(**{**facts, "state": HookState(facts["state"])})


def _kept() -> sa.Select[Any]:
    return sa.select(*(hook_payloads.c[name] for name in _FACTS))
