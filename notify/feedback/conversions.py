"""What recipients did that mails were sent for, such as an order: recorded once, by the application's key."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from uuid_utils.compat import uuid7

from notify import app as apps
from notify.app import App
from notify.errors import IdempotencyConflict, InvalidData, NotFound
from notify.store import conversions, recipients, tenants
from notify.store.conversions import Conversion
from notify.store.text import line

LARGEST = 1e11  # of a value: with four digits behind the point it fits a number of the database
LONGEST = 200  # characters of a name or a key


def converted(
    recipient_key: str,
    name: str,
    value: float | None = None,
    at: datetime | None = None,
    *,
    key: str | None = None,
    tenant: str | None = None,
) -> Conversion:
    """Record that a recipient did what mails were sent for, on this process's App.

        notify.converted("user-42", "order", value=49.9, key="order-1187")

    It belongs to the message whose link the recipient followed last, if that is no longer ago than
    `NOTIFY_CONVERSION_DAYS`; what machines follow does not count. `at` is aware, and now unless given. The same `key`
    again is recorded once; without one, every call counts. Raises `NotFound` without such a recipient, `InvalidData`,
    and `IdempotencyConflict` for a key under which something else is recorded.
    """
    kept, _ = record(apps.current(), recipient_key, name, value, at, key=key, tenant=tenant)
    return kept


def record(
    app: App,
    recipient_key: str,
    name: str,
    value: float | None = None,
    at: datetime | None = None,
    *,
    key: str | None = None,
    tenant: str | None = None,
) -> tuple[Conversion, bool]:
    """See `converted`; and whether it is new."""
    now = app.clock.now()
    at = now if at is None else at
    if at.tzinfo is None:
        raise InvalidData(f"at: {at!r} has no offset from UTC")
    if value is not None and not (math.isfinite(value) and abs(value) < LARGEST):
        raise InvalidData(f"value: {value!r} is no amount that can be kept")
    named, known_by = _text("the name", name), _text("the key", key if key is not None else str(uuid7()))
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        recipient_id = recipients.hold(connection, tenant_id, recipient_key)
        if recipient_id is None:
            raise NotFound(f"no recipient {recipient_key!r:.80}; `notify recipients list` shows them")
        since = at - timedelta(days=app.settings.conversion_days)
        amount = None if value is None else round(float(value), 4)
        wanted = Conversion(uuid7(), recipient_id, named, known_by, amount, at, since)
        kept = conversions.add(connection, tenant_id, wanted, now)
    if (kept.recipient_id, kept.name, kept.value) != (wanted.recipient_id, wanted.name, wanted.value):
        worth = "no value" if kept.value is None else f"value {kept.value:g}"
        known = f"{kept.name}, {worth}, {kept.at:%Y-%m-%d %H:%M} UTC"
        raise IdempotencyConflict(
            f"another conversion is recorded under the key {known_by!r}: {known}\n"
            "Next: give this one a key of its own; notify conversions list shows the other"
        )
    return kept, kept.id == wanted.id


def _text(what: str, given: str) -> str:
    found = line(what, given, InvalidData)
    if len(found) > LONGEST:
        raise InvalidData(f"{what} is longer than {LONGEST} characters")
    return found
