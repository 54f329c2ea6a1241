"""A recipient who unsubscribed and says that they want it again: their own no is taken back, and nobody else's."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.audience.person import Who, person
from notify.model import Author, Channel, ConsentAction
from notify.store import Connection, audit, consents, recipient_history, suppressions
from notify.telemetry import emit

OWN_NO = "unsubscribed"


def come_back(app: App, who: Who, channel: Channel, address: str, scope: str, *, by: Author) -> bool:
    """Lift what they unsubscribed this folded address of theirs from; False when there is no such thing.

    A bounce or a complaint of the same scope stays. Raises `NotFound`.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        holder = person(connection, who, lock=True)
        secrets, tenant_id = app.settings.secrets, holder.tenant_id
        rows = suppressions.at(connection, tenant_id, channel, address, secrets, scope=scope, lock=True)
        own = [row for row in rows if row.suppression.reason == OWN_NO]
        if not own:
            return False
        suppressions.remove(connection, [row.id for row in own])
        changes = {f"suppressed.{channel}.{scope}": (OWN_NO, None)}
        recipient_history.write(connection, holder.tenant_id, [(holder.id, changes)], now, by)
        audit.write(
            connection,
            holder.tenant_id,
            actor=by.actor,
            action="suppressions.take_back",
            subject=str(holder.id),
            detail={"channel": channel, "scope": scope},
            at=now,
        )
    emit("suppression.removed", channel=channel, count=len(own), forced=False)
    return True


def came_back(connection: Connection, recipient_id: UUID, channel: Channel, scope: str, since: datetime) -> bool:
    """Whether they agreed to this scope after that moment, or took back that they had left it."""
    agreed = consents.standing(connection, recipient_id).get(scope)
    if agreed is not None and agreed.action is ConsentAction.GRANTED and agreed.at > since:
        return True
    freed = f"suppressed.{channel}.{scope}", (OWN_NO, None)
    return any(freed in one.changes.items() for one in recipient_history.read(connection, recipient_id, since=since))
