"""What was sent to receiving domains is counted backwards, a slice of messages in each read, and not without end.

No index tells what went to a domain. Whoever has got enough is asked after no more, so where most mails arrive few
messages are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from notify.store import guarding
from notify.store.ageing import first_id
from notify.store.engine import Store

AT_ONCE = 50_000
SLICES = 40
END = UUID(int=2**128 - 1)


def sent_to(store: Store, most: Mapping[str, int], since: datetime) -> tuple[dict[str, int], UUID]:
    """How many messages went out since then to each of these domains; beyond its number nobody counts.

    And the id of the first message that was looked at. Of very many messages the latest are, `AT_ONCE * SLICES` of
    them: then what was planned before that id is counted for none that is below its number. Raises `Unreachable`.
    """
    counted = Counter(dict.fromkeys(most, 0))
    first, before = first_id(since - guarding.AHEAD), END
    for _ in range(SLICES):
        left = [name for name, number in most.items() if counted[name] < number]
        if not left or before <= first:
            break
        with store.read() as connection:
            begin = guarding.begin_of_slice(connection, first, before, AT_ONCE)
            counted.update(guarding.sent_to(connection, left, since, begin, before))
        before = begin
    return dict(counted), before
