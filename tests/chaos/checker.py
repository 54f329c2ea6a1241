"""Compares what was acknowledged, what arrived and what the database says: nothing lost, nothing twice unnamed.

After Jepsen's total-queue checker: a run is drained in full first, so that whatever is missing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from uuid import UUID

from notify.model import MessageState

UNFINISHED = frozenset({MessageState.QUEUED, MessageState.SENDING})
SENT = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.BOUNCED, MessageState.COMPLAINED})
NEVER_TO_GO = frozenset({MessageState.SKIPPED, MessageState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the database has it, with how many of its attempts were accepted, and how many are uncertain."""

    notification_id: UUID
    state: MessageState
    accepted: int = 0
    uncertain: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check counted; of several, the sum."""

    accepted: int = 0  # messages that send() acknowledged
    arrived: int = 0  # mails that the SMTP server took
    lost: int = 0  # acknowledged, and neither arrived nor ended in a state that says why not
    unexpected: int = 0  # mails that nobody asked for
    duplicates: int = 0  # mails beyond the first of each message
    unnamed: int = 0  # of those, beyond what uncertain attempts admit
    unrecorded: int = 0  # mails without an attempt, and accepted attempts without a mail
    unfinished: int = 0  # messages that wait or are under way still
    in_doubt: int = 0  # messages with an uncertain attempt
    dead: int = 0  # given up, as the scenario means them to be
    wrongly_dead: int = 0

    def __add__(self, other: Finding) -> Finding:
        return Finding(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def problems(self, *, doubt_bound: int | None = None) -> list[str]:
        """What breaks the promise. `doubt_bound` is how many messages may have come into doubt, if that is known."""
        forbidden = ("lost", "unexpected", "unnamed", "unrecorded", "unfinished", "wrongly_dead")
        found = [f"{name} = {getattr(self, name)}" for name in forbidden if getattr(self, name)]
        if doubt_bound is not None and max(self.in_doubt, self.duplicates) > doubt_bound:
            found.append(
                f"{self.in_doubt} in doubt and {self.duplicates} duplicates, but only {doubt_bound} hand-overs were cut"
            )
        return found


def check(
    acknowledged: Mapping[UUID, int],
    rows: Mapping[str, Row],
    arrived: Counter[str],
    may_die: Collection[str] = frozenset(),
) -> Finding:
    """Count.

    `acknowledged` has for each notification that send() returned how many messages it asked for; `rows` and `arrived`
    are by message id; `may_die` are ids of messages that the scenario means to be given up.
    """
    planned = Counter(row.notification_id for row in rows.values())
    missing = sum(max(0, count - planned[notification]) for notification, count in acknowledged.items())
    found = (
        _one(row, arrived[name], name in may_die, row.notification_id in acknowledged) for name, row in rows.items()
    )
    counted = sum(found, Finding(accepted=missing, lost=missing))
    strangers = sum(count for name, count in arrived.items() if name not in rows)
    return counted + Finding(arrived=strangers, unexpected=strangers)


def _one(row: Row, mails: int, may_die: bool, acknowledged: bool) -> Finding:
    wanted = acknowledged and row.state not in NEVER_TO_GO
    dead = row.state is MessageState.DEAD
    return Finding(
        accepted=int(acknowledged),
        arrived=mails,
        lost=int(acknowledged and not mails and (row.state in SENT | UNFINISHED)),
        unexpected=0 if wanted else mails,
        duplicates=max(0, mails - 1),
        unnamed=max(0, mails - 1 - row.uncertain),
        unrecorded=max(0, mails - row.accepted - row.uncertain) + abs(int(row.state in SENT) - row.accepted),
        unfinished=int(row.state in UNFINISHED),
        in_doubt=int(row.uncertain > 0),
        dead=int(dead and may_die),
        wrongly_dead=int(dead and not may_die),
    )
