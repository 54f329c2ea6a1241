"""A refusal that condemns an address, or blocks us, is told like a bounce, in the transaction that writes it down.

It is parked and due at once: feedback's next tick does what follows, as for whatever comes back. So the path of what
is accepted knows nothing of it, and a worker that dies loses none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from notify.delivery.outcomes import Failure
from notify.model import OF_ATTEMPT, Event, EventType
from notify.store import Connection, events
from notify.store.events import Told

LONGEST = 500  # characters of what was said
_STATUS = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")


def tell(connection: Connection, failures: Sequence[Failure], now: datetime) -> None:
    """Park what these say of addresses; each is known by its attempt, however often it is written."""
    told = [event for one in failures if (event := _event(one)) is not None]
    if told:
        tenant_id = failures[0].work.occasion.tenant_id
        events.insert(connection, tenant_id, [Told(event, None, now) for event in told], now)


def _event(one: Failure) -> Event | None:
    attempt = one.attempt
    if one.bounce is None or attempt is None:
        return None
    said = attempt.response or ""
    status = _STATUS.search(said)
    return Event(
        EventType.BOUNCED,
        attempt.at,
        attempt.provider or "",
        f"{OF_ATTEMPT}{attempt.id}",
        message_id=one.work.id,
        address=one.work.address,
        bounce=one.bounce,
        status=status[0] if status else None,
        diagnostic=said[:LONGEST] or attempt.reason,
        detail={"attempt": attempt.number, "reason": attempt.reason},
    )
