"""Whether an address is the recipient's: a link that was sent there came back while it still was theirs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.model import Author, Source
from notify.store import Connection, audit, preferences, recipient_history, verifications
from notify.store.preferences import Holder
from notify.store.verifications import Reached
from notify.telemetry import emit


def pending(app: App, address_id: UUID) -> Reached | None:
    """The address that a link is about; None when it is the recipient's no more."""
    with app.store.read() as connection:
        return verifications.find(connection, address_id)


def confirm(app: App, address_id: UUID) -> bool:
    """The link that went to the address came back. False when the address changed since, or the person is gone.

    A link names the row of the address: another address is another row. A second time changes nothing.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        found = verifications.find(connection, address_id)
        holder = preferences.by_id(connection, found.recipient_id, lock=True) if found else None
        # asked again under the lock: it may just have been replaced
        found = verifications.find(connection, address_id)
        if found is None or holder is None or holder.erased:
            return False
        by = Author(f"recipient:{holder.id}", Source.PAGE, "verified by link")
        _mark(connection, holder, found, by=by, now=now)
    emit("address.verified", recipient=holder.id, channel=found.channel)
    return True


def mark(connection: Connection, holder: Holder, address_id: UUID, *, by: Author, now: datetime) -> None:
    """Note that this address is a locked recipient's own, if they have it still."""
    found = verifications.find(connection, address_id)
    if found is not None and found.recipient_id == holder.id:
        _mark(connection, holder, found, by=by, now=now)


def _mark(connection: Connection, holder: Holder, found: Reached, *, by: Author, now: datetime) -> None:
    if found.verified:
        return
    verifications.verify(connection, found.id, now)
    changes = {f"verified.{found.channel}": (False, True)}
    recipient_history.write(connection, holder.tenant_id, [(holder.id, changes)], now, by)
    audit.write(
        connection,
        holder.tenant_id,
        actor=by.actor,
        action="address.verify",
        subject=str(holder.id),
        detail={"channel": found.channel},
        at=now,
    )
