"""That mails which came back suppressed people is told once for each time that it happens, with whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from notify.alerts.course import Condition
from notify.model import Severity

SUPPRESSED_WITHIN = timedelta(hours=1)
NAMED_AT_MOST = 10


def suppressed(found: tuple[int, Sequence[str]]) -> Iterator[Condition]:
    """The condition, of how many were suppressed lately and the keys of some. A key that is an address is not told."""
    count, keys = found
    if not count:
        return
    named = ", ".join(key for key in keys if "@" not in key)
    whose = f" ({named})" if named else ""
    yield Condition(
        "suppressed:mail",
        Severity.WARNING,
        f"{count:,} address{'es were' if count > 1 else ' was'} suppressed by mails that came back{whose}. "
        "Next: notify suppressions list --reason bounced",
    )
