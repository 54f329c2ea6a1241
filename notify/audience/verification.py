"""Whether an address is the recipient's: a link that was sent there came back while it still was theirs."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.model import Author, Channel, Source
from notify.store import Connection, audit, preferences, recipient_history, verifications
from notify.store.preferences import Holder
from notify.store.verifications import Reached
from notify.telemetry import emit


def digest(folded: str) -> UUID:
    """What a link names of an address: enough to see that it has changed, and nothing to read."""
    return UUID(bytes=hashlib.sha256(folded.encode()).digest()[:16])


def pending(app: App, address_id: UUID, named: UUID) -> Reached | None:
    """The address that a link is about; None when it is the recipient's no more."""
    with app.store.read() as connection:
        return _current(connection, address_id, named)


def confirm(app: App, address_id: UUID, named: UUID) -> bool:
    """The link that went to the address came back. False when the address changed since, or the person is gone.

    `named` is the `digest` of the address that the link went to. A second time changes nothing.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        found = _current(connection, address_id, named)
        holder = preferences.by_id(connection, found.recipient_id, lock=True) if found else None
        # asked again under the lock: it may just have been replaced
        found = _current(connection, address_id, named)
        if found is None or holder is None or holder.erased:
            return False
        by = Author(f"recipient:{holder.id}", Source.PAGE, "verified by link")
        _mark(connection, holder, found, by=by, now=now)
    emit("address.verified", recipient=holder.id, channel=found.channel)
    return True


def mark(connection: Connection, holder: Holder, channel: Channel, named: UUID, *, by: Author, now: datetime) -> bool:
    """Note that the address of this digest is a locked recipient's own; False when it has none such any more."""
    mine = verifications.of_recipient(connection, holder.id, channel)
    found = next((one for one in mine if digest(one.folded) == named), None)
    if found is not None:
        _mark(connection, holder, found, by=by, now=now)
    return found is not None


def _current(connection: Connection, address_id: UUID, named: UUID) -> Reached | None:
    found = verifications.find(connection, address_id)
    return found if found is not None and digest(found.folded) == named else None


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
