"""What mails bring is recorded once, with the place up to which the mailbox was read: one transaction.

They may be taken again, from this mailbox or another, as often as one likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.errors import NotifyError, Unreachable
from notify.feedback.judging import Mail, Opened, judge
from notify.feedback.record import announce, record_in
from notify.feedback.understanding import Understood, not_given, understand
from notify.model import Checkpoint, Effect, IncomingKind, IncomingState
from notify.model.text import storable
from notify.store import Connection, audit
from notify.store import incoming as rows
from notify.store.incoming import Incoming
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import emit

REJECTED_OCTETS = 64 * 1024  # of the body of a mail that is rejected
REJECTED_BODIES = 1000  # of the rejected mails of a day (UTC), in all mailboxes

__all__ = ["Mail", "Taken", "take", "take_again"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of mails: `new` of them were not known; these by kind and by state, and what followed.

    `ignored` are the places of those that are no business of ours, known before or not: not ours to mark or move;
    `repeated` those of mails that are known from another place.
    """

    new: int = 0
    kinds: Mapping[IncomingKind, int] = field(default_factory=dict)
    states: Mapping[IncomingState, int] = field(default_factory=dict)
    effects: Mapping[Effect, int] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()


def take(app: App, mailbox: str, mails: Sequence[Mail], checkpoint: Checkpoint | None = None) -> Taken:
    """Record what these mails say and that `mailbox` was read up to `checkpoint`: all or nothing.

    Harmless when called again with the same mails. One that cannot be recorded is rejected by name, and keeps the
    others waiting for nothing. Raises `Unreachable` when the database is away.
    """
    read = [Opened(mailbox, one, _understood(app, one), uuid7()) for one in mails]
    try:
        return _take(app, mailbox, read, checkpoint)
    except Unreachable:
        raise
    except Exception as error:
        if len(read) <= 1:
            return _spoilt(app, mailbox, read, checkpoint, error)
    parts = [take(app, mailbox, [one]) for one in mails]
    with app.store.begin() as connection:
        rows.advance(connection, mailbox, checkpoint, 0)
    return _sum(parts)


def take_again(app: App, chosen: Sequence[UUID], reason: str | None, *, actor: str) -> Mapping[IncomingState, int]:
    """Read these mails again, or all with that reason, as far as nothing followed from them; returns where they stand.

    Each by itself: one that fails again stays as it was. Raises `Unreachable` when the database is away.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        ids = rows.to_read_again(connection, chosen, reason)
        subject, detail = reason or ",".join(map(str, chosen)), {"mails": len(ids)}
        audit.write(connection, DEFAULT_ID, actor=actor, action="bounces.retry", subject=subject, detail=detail, at=now)
    states = Counter[IncomingState]()
    for id_ in ids:
        try:
            states.update(_again(app, id_))
        except Unreachable:
            raise
        except Exception as error:
            _failed(error)
            states[IncomingState.REJECTED] += 1
    return states


def _again(app: App, mail_id: UUID) -> list[IncomingState]:
    """Where it stands; nothing when somebody has decided meanwhile."""
    now = app.clock.now()
    with app.store.begin() as connection:
        was = rows.get(connection, mail_id)
        if was is None or was.body is None:
            return []
        mail = Mail(was.body, was.size, was.received_at, was.envelope_to, was.place)
        read = Opened(was.mailbox, mail, understand(app.settings, was.body, was.envelope_to), was.id)
        [judged] = judge(app, connection, [read], now)  # holds the recipient before the mail, as an erasure does
        still = rows.get(connection, mail_id, lock=True)
        if still is None or still.body is None or still.state is not was.state:
            return []
        rows.rewrite(connection, judged.row)
        recorded = record_in(app, connection, DEFAULT_ID, judged.told, now)
    announce(recorded, known=len(judged.told) - recorded.new)
    _tell([judged.row])
    return [judged.row.state]


def _understood(app: App, mail: Mail) -> Understood:
    if mail.octets is None:
        return not_given(mail.place or "")
    return understand(app.settings, mail.octets, mail.envelope_to)


def _take(app: App, mailbox: str, opened: Sequence[Opened], checkpoint: Checkpoint | None) -> Taken:
    now = app.clock.now()
    with app.store.begin() as connection:
        known, places = rows.known(connection, mailbox, {one.seen.digest for one in opened})
        fresh = list({one.seen.digest: one for one in opened if one.seen.digest not in known}.values())
        judged = {one.row.id: one for one in judge(app, connection, fresh, now)}
        made = rows.insert(connection, _spared(connection, [one.row for one in judged.values()]))
        told = {(one.event.provider, one.event.provider_event_id): one for row in made for one in judged[row.id].told}
        recorded = record_in(app, connection, DEFAULT_ID, list(told.values()), now)
        rows.advance(connection, mailbox, checkpoint, len(made))
    states = known | {one.row.digest: one.row.state for one in judged.values()}
    places |= {one.row.digest: one.row.place for one in judged.values()}
    ignored = {one.mail.place for one in opened if states[one.seen.digest] is IncomingState.IGNORED}
    repeated = {one.mail.place for one in opened if places[one.seen.digest] != one.mail.place}
    announce(recorded, known=len(told) - recorded.new)
    _tell(made)
    return Taken(
        len(made),
        Counter(one.kind for one in made),
        Counter(one.state for one in made),
        recorded.effects or {},
        frozenset(place for place in ignored if place is not None),
        frozenset(place for place in repeated if place is not None),
    )


def _spared(connection: Connection, found: Sequence[Incoming]) -> list[Incoming]:
    """The same rows; of what is rejected the beginning of the body is kept, and above so many a day nothing of it."""
    left: dict[date, int] = {}
    spared = []
    for row in found:
        if row.state is not IncomingState.REJECTED or row.body is None:
            spared.append(row)
            continue
        day = row.received_at.astimezone(UTC).date()
        if day not in left:
            left[day] = REJECTED_BODIES - rows.rejected_on(connection, day, REJECTED_BODIES)
        left[day] -= 1
        spared.append(replace(row, body=None if left[day] < 0 else row.body[:REJECTED_OCTETS]))
    return spared


def _spoilt(app: App, mailbox: str, opened: Sequence[Opened], checkpoint: Checkpoint | None, error: Exception) -> Taken:
    """This one cannot be recorded, by a fault of our own: it is kept, by name, for whoever mends that."""
    with app.store.begin() as connection:
        made = rows.insert(connection, [_rejected(mailbox, one) for one in opened])
        rows.advance(connection, mailbox, checkpoint, len(made))
    _failed(error)
    _tell(made)
    return Taken(len(made), Counter(one.kind for one in made), Counter(one.state for one in made))


def _failed(error: Exception) -> None:
    emit("mail.failed", error=str(error) if isinstance(error, NotifyError) else type(error).__name__)


def _rejected(mailbox: str, one: Opened) -> Incoming:
    mail, kind, state = one.mail, IncomingKind.REJECTED, IncomingState.REJECTED
    came_to = None if mail.envelope_to is None else storable(mail.envelope_to)
    facts = {"place": mail.place, "reason": "failed", "body": mail.octets, "envelope_to": came_to}
    return Incoming(mailbox, one.seen.digest, kind, state, mail.size, mail.received_at, **facts)  # type: ignore[arg-type]


def _sum(parts: Sequence[Taken]) -> Taken:
    kinds, states, effects = Counter[IncomingKind](), Counter[IncomingState](), Counter[Effect]()
    for one in parts:
        kinds.update(one.kinds)
        states.update(one.states)
        effects.update(one.effects)
    ignored, repeated = (
        frozenset[str]().union(*sets) for sets in ([one.ignored for one in parts], [one.repeated for one in parts])
    )
    return Taken(sum(one.new for one in parts), kinds, states, effects, ignored, repeated)


def _tell(made: Sequence[Incoming]) -> None:
    """One line for all: a mailbox may hold a hundred thousand of them."""
    for state, event in ((IncomingState.UNMATCHED, "mail.unmatched"), (IncomingState.REJECTED, "mail.rejected")):
        reasons = Counter(str(one.reason) for one in made if one.state is state)
        if reasons:
            emit(event, mails=reasons.total(), **reasons)
