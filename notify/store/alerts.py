"""Alerts as they stand, who was told of each, and the signs of trouble that the tables show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from notify.model import Alert, AlertState, BatchState, Severity, Told
from notify.store.dialect import upsert
from notify.store.tables import alerts, batches, dead_letters, tenants
from notify.store.tenants import DEFAULT_ID

_FIELDS = ("name", "state", "severity", "summary", "fired_at", "seen_at", "cleared_at", "times")


def known(connection: sa.Connection) -> dict[str, Alert]:
    """Every alert there ever was, by name; locked until the commit."""
    rows = connection.execute(sa.select(alerts).order_by(alerts.c.fired_at, alerts.c.name).with_for_update())
    return {row.name: _alert(row) for row in rows}


def firing(connection: sa.Connection) -> dict[str, datetime]:
    """Those that hold, by name, and since when."""
    held = sa.select(alerts.c.name, alerts.c.fired_at).where(alerts.c.state == AlertState.FIRING)
    return {row.name: row.fired_at for row in connection.execute(held)}


def save(connection: sa.Connection, changed: Sequence[Alert]) -> None:
    """Store where these stand. What their sinks were told is left as it is: see `note`."""
    if not changed:
        return
    insert = upsert(connection, alerts)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"], set_={name: insert.excluded[name] for name in _FIELDS[1:]}
        ),
        [{**{name: getattr(one, name) for name in _FIELDS}, "tenant_id": DEFAULT_ID, "told": {}} for one in changed],
    )


def lease(connection: sa.Connection, names: Collection[str], now: datetime, until: datetime) -> list[Alert]:
    """Those of these that nobody else is telling of, as they are now.

    Nobody else will until then, unless `release` lets go of them.
    """
    free = sa.or_(alerts.c.telling_until.is_(None), alerts.c.telling_until <= now)
    leased = connection.execute(
        sa.update(alerts).where(alerts.c.name.in_(names), free).values(telling_until=until).returning(*alerts.c)
    )
    return sorted((_alert(row) for row in leased), key=lambda one: (one.fired_at, one.name))


def note(connection: sa.Connection, name: str, told: Mapping[str, Told], *, told_at: datetime | None) -> None:
    """Store what each sink was told of this alert; `told_at` is when one took it just now, None: none did."""
    values: dict[str, Any] = {"told": {key: _as_json(one) for key, one in told.items()}}
    if told_at is not None:
        values["told_at"] = told_at
    connection.execute(sa.update(alerts).where(alerts.c.name == name).values(values))


def release(connection: sa.Connection, names: Collection[str]) -> None:
    """Let the next look tell of these."""
    connection.execute(sa.update(alerts).where(alerts.c.name.in_(names)).values(telling_until=None))


def deaths(connection: sa.Connection, since: datetime) -> list[tuple[str, str | None, int]]:
    """How many died since that moment, by reason and kind, the most first."""
    counted = sa.func.count()
    rows = connection.execute(
        sa.select(dead_letters.c.reason, dead_letters.c.kind, counted)
        # by tenant, as the index is; there are few of them
        .where(dead_letters.c.tenant_id.in_(sa.select(tenants.c.id)), dead_letters.c.died_at >= since)
        .group_by(dead_letters.c.reason, dead_letters.c.kind)
        .order_by(counted.desc(), dead_letters.c.reason)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def waiting(connection: sa.Connection, now: datetime) -> dict[str, datetime]:
    """For each queue in which work is due and in nobody's hands, when the oldest of it was due.

    What is put off is due later, and does not count until then.
    """
    queue = (batches.c.channel, batches.c.lane)
    rows = connection.execute(
        sa.select(*queue, sa.func.min(batches.c.due_at).label("at"))
        .where(batches.c.state == BatchState.READY, batches.c.due_at <= now)
        .group_by(*queue)
    )
    return {f"{row.channel}.{row.lane}": row.at for row in rows}


def _alert(row: Any) -> Alert:
    told = {key: _told(value) for key, value in row.told.items()}
    fields = {name: getattr(row, name) for name in _FIELDS}
    return Alert(**{**fields, "state": AlertState(row.state), "severity": Severity(row.severity), "told": told})


def _told(value: Mapping[str, Any]) -> Told:
    return Told(value["fired"], _moment(value["at"]), value["times"], _moment(value["failed_at"]))


def _as_json(told: Told) -> dict[str, Any]:
    return {
        "fired": told.fired,
        "at": told.at and told.at.isoformat(),
        "times": told.times,
        "failed_at": told.failed_at and told.failed_at.isoformat(),
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
