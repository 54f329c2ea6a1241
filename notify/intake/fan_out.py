"""A notification to everyone becomes messages, slice by slice: each slice is stored as a whole, or not at all.

Bells ring after each slice's commit, so that delivery begins while planning goes on. Memory does not grow with the
roster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notify import failpoints
from notify.app import App, ring
from notify.audience import Described, ruling
from notify.audience.segments import meaning
from notify.errors import InvalidKind, OperatorError, UnknownKind
from notify.intake import planning
from notify.intake.request import Request, named_kind
from notify.kinds import CompiledKind
from notify.model import Address, Batch, Channel, Decision, Defer, FanOut, FanOutState, Local, Recipient, Skip
from notify.policy import Rules, decide, due_at
from notify.store import Connection, batches, fan_out_slices, fan_outs, messages
from notify.store.fan_out_slices import Share, Terms, Written
from notify.store.fan_outs import Slice
from notify.store.segments import Asked
from notify.telemetry import emit

SLICE = {"postgresql": 10_000, "sqlite": 2_000}  # recipients; SQLite has one writer at a time, and others wait for it
GIVE_WAY = 0.25  # so much of a slice's time SQLite is left to the others after it


def run(app: App, seconds: float | None = None) -> int:
    """Plan slices of whatever fan-outs are under way, the one that waits longest first; returns how many messages.

    Until nothing is left that no other process has in hand; or one slice at least, and no further one once `seconds`
    have passed. Raises `Unreachable` when the database is away: what is stored stays, and the next call goes on there.
    """
    until = math.inf if seconds is None else time.monotonic() + seconds
    made, stuck = 0, list[UUID]()
    while True:
        began = time.monotonic()
        fan_out = planned = None
        try:
            with app.store.begin() as connection:
                fan_out = fan_outs.take(connection, stuck)
                if fan_out is None:
                    return made
                kind = _kind(app, fan_out)
                planned = _slice(app, connection, fan_out, kind) if kind else None
        except Exception as error:
            if fan_out is None or isinstance(error, OperatorError):
                raise
            # whatever it is, it must not keep the others waiting
            emit("fan_out.stuck", notification=fan_out.notification.id, problem=f"{type(error).__name__}: {error}")
        if planned is None:
            stuck.append(fan_out.notification.id)
            continue
        failpoints.reach("plan.committed")
        ring(app, planned.batches)
        made += planned.messages
        if time.monotonic() >= until:
            return made
        if app.store.engine.dialect.name == "sqlite":
            time.sleep((time.monotonic() - began) * GIVE_WAY)


def _kind(app: App, fan_out: FanOut) -> CompiledKind | None:
    """None when it cannot be used: an operator mends it, then a later tick goes on."""
    try:
        return named_kind(app, fan_out.notification.kind)
    except (UnknownKind, InvalidKind) as error:
        emit("fan_out.stuck", notification=fan_out.notification.id, problem=str(error))
        return None


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a slice came to: the batches to ring for, and how many messages."""

    batches: list[Batch]
    messages: int


def _slice(app: App, connection: Connection, fan_out: FanOut, kind: CompiledKind) -> _Planned:
    """Plan the next slice."""
    now = app.clock.now()
    part = fan_outs.cut(connection, fan_out, SLICE[connection.dialect.name], _segment(app, connection, fan_out))
    rules = ruling.rules(app, connection, fan_out.notification.tenant_id)
    planned, count = list[Batch](), 0
    for channel in fan_out.channels if part.size and part.chosen != [] else ():
        written = _unremarkable(app, connection, fan_out, part, _Question(kind, channel, now, rules))
        left = messages.unwritten(connection, fan_out.notification, channel, written.special)
        asked = _request(fan_out, kind, channel, left)
        rows, further = planning.part(app, connection, asked, replace(fan_out.notification, created_at=now))
        messages.insert(connection, rows)
        planned += [*written.batches, *further]
        count += sum(batch.size for batch in written.batches) + len(rows)
    rung = batches.insert(connection, planned, now)
    so_far = replace(
        fan_out, cursor=part.until, recipients=fan_out.recipients + part.size, messages=fan_out.messages + count
    )
    fan_outs.advance(connection, so_far, FanOutState.PLANNED if part.last else FanOutState.PLANNING, now)
    if part.last:
        emit(
            "fan_out.planned",
            notification=fan_out.notification.id,
            recipients=so_far.recipients,
            messages=so_far.messages,
        )
    return _Planned(rung, count)


def _segment(app: App, connection: Connection, fan_out: FanOut) -> Asked | None:
    """What every slice asks alike: `within 30d` counts back from when the notification was accepted."""
    if fan_out.segment is None:
        return None
    note = fan_out.notification
    return meaning.asked(app, connection, note.tenant_id, fan_out.segment, note.created_at, strict=False)


@dataclass(frozen=True, slots=True)
class _Question:
    """What policy is asked about, of a slice."""

    kind: CompiledKind
    channel: Channel
    now: datetime
    rules: Rules


def _unremarkable(app: App, connection: Connection, fan_out: FanOut, part: Slice, asked: _Question) -> Written:
    """Let the database plan all those who share one fate, asked for once, or once for each time zone if that matters.

    They have an address that nobody suppressed, chose nothing and were not deactivated. Where policy says no to the
    one who stands for them, nothing is taken as shared: each is asked about.
    """
    rules, local = asked.rules, isinstance(fan_out.at, Local) or asked.rules.defaults.quiet is not None
    places: Sequence[str | None] = fan_out_slices.zones(connection, fan_out, part) if local else [None]
    shares: dict[Share, list[str]] = {}
    for place in places:
        somebody = Recipient(
            *(UUID(int=0), "somebody", None, place or None),
            addresses={asked.channel: Address(asked.channel, "somebody", verified=True)},
        )
        fate = _fate(app, fan_out, somebody, asked)
        if not isinstance(fate, Skip):
            due = due_at(fate, fan_out.at, asked.now, fan_out.notification.expires_at)
            why = (fate.reason, fate.rule) if isinstance(fate, Defer) else ()
            shares.setdefault(Share(due, *why), []).append(place or "")
    if not shares:
        return fan_out_slices.everyone(connection, fan_out, part, asked.channel)
    zoned = [replace(share, zones=tuple(zones) if local else None) for share, zones in shares.items()]
    kind, size = asked.kind.facts, app.settings.batch_size
    terms = Terms(asked.channel, kind.lane, size, zoned, asked.now, verified=rules.require_verified)
    return fan_out_slices.write(connection, fan_out, part, terms)


def _fate(app: App, fan_out: FanOut, somebody: Recipient, asked: _Question) -> Decision:
    return decide(
        asked.kind.facts,
        somebody,
        asked.channel,
        (),
        asked.now,
        mode=fan_out.notification.mode,
        test_recipients=app.settings.test_recipients,
        at=fan_out.at,
        rules=asked.rules,
    )


def _request(fan_out: FanOut, kind: CompiledKind, channel: Channel, keys: Sequence[str]) -> Request:
    """The request that would have named these recipients by key."""
    return Request(
        kind=kind,
        recipients=tuple(Described(key) for key in keys),
        data={},
        channels=(channel,),
        mode=fan_out.notification.mode,
        key=None,
        at=fan_out.at,
        tenant=None,
        attachments=(),
    )
