"""That mails which came back suppressed people is told at once, then once for each hour in which it goes on.

Each of these words tells how many and whose they are, since the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from notify.alerts.course import Condition
from notify.model import MAIL, Severity
from notify.store import Connection, consequences

SUPPRESSED = "suppressed:mail"
WITHIN = timedelta(hours=1)
NAMED_AT_MOST = 10


def suppressed(connection: Connection, fired_at: datetime | None, now: datetime) -> Iterator[Condition]:
    """The condition; `fired_at` is when this alert fired, None while it does not. A key that is an address is not told.

    It holds for an hour. After that, what was suppressed since it fired is a new occurrence of it.
    """
    anew = fired_at is not None and now - fired_at >= WITHIN
    since = now - WITHIN if fired_at is None else fired_at if anew else fired_at - WITHIN
    count, keys = consequences.suppressed_by(connection, MAIL, since, NAMED_AT_MOST)
    if not count:
        return
    named = ", ".join(key for key in keys if "@" not in key)
    whose = f" ({named})" if named else ""
    yield Condition(
        SUPPRESSED,
        Severity.WARNING,
        f"{count:,} address{'es were' if count > 1 else ' was'} suppressed by mails that came back{whose}. "
        "Next: notify suppressions list --reason bounced",
        anew=anew,
    )
