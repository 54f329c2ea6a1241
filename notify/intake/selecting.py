"""Recipients who are not named one by one: whom a notification goes to is written down, and workers plan them."""

from __future__ import annotations

from collections.abc import Sequence

from notify.app import App
from notify.audience import Everyone, Segment
from notify.audience.segments import meaning
from notify.model import Channel, Notification
from notify.store import Connection, fan_outs


def leave(
    app: App, connection: Connection, notification: Notification, channels: Sequence[Channel], to: Everyone | Segment
) -> None:
    """Leave them to workers. A segment is kept as it is now, for what is saved under its name may change.

    Raises `InvalidSegment`, or `NotFound` for a name under which nothing is saved.
    """
    if isinstance(to, Everyone):
        fan_outs.insert(connection, notification, channels, to.tags)
        return
    expression = meaning.expression_of(connection, notification.tenant_id, to.wanted)
    meaning.asked(app, connection, notification.tenant_id, expression, notification.created_at)
    fan_outs.insert(connection, notification, channels, (), expression)
