"""We stop ourselves before a provider does: what bounces or is complained of too much pauses, and operators are told.

Rates are taken of what each mailout, tenant, provider and receiving domain was sent within a day, and of all but
domains within a week, by a tick that looks at bad events first. Above the bound a mailout pauses; where a tenant,
provider or domain is above it, so do those of its mailouts that are above it themselves, however small. Critical lanes
go on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.errors import NotFound, Unreachable
from notify.feedback import domains
from notify.model import Hold, HoldScope, Measure
from notify.policy.guard import BOUNCES, FEWEST, WINDOWS, Bounds, enough, may_be_too_many, measure, too_many
from notify.rates import share_of
from notify.store import Connection, audit, batches, guarding
from notify.store.engine import Store
from notify.store.guarding import Bad
from notify.store.work import MAILOUT_PAUSED
from notify.telemetry import emit

GUARD = "guard"
FIRST = UUID(int=0)
Subject = tuple[HoldScope, str]
Count = tuple[str, Measure]
"""What is counted against whose name."""
SUBJECTS: Mapping[HoldScope, Callable[[Bad], str | None]] = {
    HoldScope.TENANT: lambda one: str(one.tenant_id),
    HoldScope.PROVIDER: lambda one: one.provider,
    HoldScope.DOMAIN: lambda one: one.domain,
    HoldScope.MAILOUT: lambda one: str(one.notification_id),  # last: by then it is known who is held
}


def watch(app: App) -> int:
    """Look at the rates, and hold what is above its bound; returns how many holds were made.

    Where the rates of one scope cannot be taken, `guard.failed` tells why, and the others are held all the same.
    """
    now, settings = app.clock.now(), app.settings
    bounds = Bounds(share_of(settings.guard_bounce), share_of(settings.guard_complaint), settings.guard_least)
    with app.store.read() as connection:
        bad = guarding.bad(connection, now - max(WINDOWS), BOUNCES)
    found = _Look(app.store, bounds, now).above(bad) if len(bad) >= FEWEST else []
    if not found:
        return 0
    with app.store.begin() as connection:
        made = [one for one in found if _waits(connection, one) and guarding.hold(connection, one)]
        for one in made:
            detail = {"scope": one.scope, "rate": one.words, "provider": one.provider}
            subject = f"{one.scope}:{one.subject}"
            audit.write(
                connection, one.tenant_id, actor=GUARD, action="guard.hold", subject=subject, detail=detail, at=now
            )
    for one in made:
        facts = {"scope": one.scope, "subject": one.subject, "provider": one.provider}
        emit("guard.held", **facts, measure=one.measure, bad=one.bad, sent=one.sent)
    return len(made)


def _waits(connection: Connection, one: Hold) -> bool:
    """Whether there is anything to hold: what was left of a mailout may have gone out since it was looked at."""
    return one.scope is not HoldScope.MAILOUT or guarding.waits(connection, UUID(one.subject))


def in_force(app: App) -> list[Hold]:
    """The holds that nobody has ended, the oldest first."""
    with app.store.read() as connection:
        return guarding.in_force(connection)


def resume(app: App, *, actor: str, provider: str | None = None, hold_id: UUID | None = None) -> list[Hold]:
    """End every hold on what went out by this provider, or one by its id; what waits is due now.

    What was sent until now counts no more against what was held. Raises `NotFound` for an id that no hold has.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        ended = [
            one
            for one in guarding.in_force(connection, lock=True)
            if one.id == hold_id or (provider is not None and one.provider == provider)
        ]
        if hold_id is not None and not ended:
            raise NotFound(f"nothing is held under {hold_id}; `notify guard list` shows what is")
        guarding.end(connection, ended, actor=actor, now=now)
        if ended:
            batches.bring_forward(connection, MAILOUT_PAUSED, now)
        for one in ended:
            subject, detail = f"{one.scope}:{one.subject}", {"since": one.began_at.isoformat(), "rate": one.words}
            audit.write(
                connection, one.tenant_id, actor=actor, action="guard.resume", subject=subject, detail=detail, at=now
            )
    for one in ended:
        emit("guard.ended", scope=one.scope, subject=one.subject, provider=one.provider, actor=actor)
    return ended


class _Look:
    """One look at what came back of what was sent lately. It may take a while, and no writer is to wait for it."""

    def __init__(self, store: Store, bounds: Bounds, now: datetime) -> None:
        self._store = store
        self._bounds = bounds
        self._now = now
        with store.read() as connection:
            self._restarts = guarding.ended_since(connection, now - max(WINDOWS))
            self._held = {(one.scope, one.subject) for one in guarding.in_force(connection)}

    def above(self, bad: Sequence[Bad]) -> list[Hold]:
        """What is above its bound, and is not held yet."""
        return [one for window, scopes in WINDOWS.items() for one in self._within(bad, self._now - window, scopes)]

    def _within(self, bad: Sequence[Bad], since: datetime, scopes: Collection[HoldScope]) -> list[Hold]:
        made: list[Hold] = []
        for scope in (scope for scope in SUBJECTS if scope in scopes):
            try:
                for one in self._of(scope, bad, since):
                    made.append(one)  # each by itself: what was found before a failure is held
            except Unreachable as error:
                emit("guard.failed", scope=scope, error=str(error))
        return made

    def _of(self, scope: HoldScope, bad: Sequence[Bad], since: datetime) -> Iterator[Hold]:
        doubtful = self._doubtful(bad, scope, since)
        sent, first = self._sent(scope, doubtful, since)
        for (name, of), rows in doubtful.items():
            told = [one for one in rows if one.message_id >= first[name]]
            found = self._judge((scope, name), of, told, sent[name]) if len(told) >= FEWEST else None
            if found is not None:
                self._held.add((scope, name))
                yield found

    def _doubtful(self, bad: Sequence[Bad], scope: HoldScope, since: datetime) -> dict[Count, list[Bad]]:
        """What is bad of each name in so many messages that they may be too many."""
        groups: dict[Count, dict[UUID, Bad]] = defaultdict(dict)
        for one in bad:
            name, of = SUBJECTS[scope](one), measure(one.type, one.bounce)
            if name is None or of is None:
                continue
            if guarding.counts(one, scope, self._from((scope, name), since)):
                groups[name, of].setdefault(one.message_id, one)  # however often it was told
        found = {key: list(rows.values()) for key, rows in sorted(groups.items())}
        return {(name, of): rows for (name, of), rows in found.items() if self._may_be((scope, name), of, rows)}

    def _from(self, subject: Subject, since: datetime) -> datetime:
        return max(since, self._restarts.get(subject, since))

    def _may_be(self, subject: Subject, counts: Measure, rows: Sequence[Bad]) -> bool:
        if subject in self._held or len(rows) < FEWEST:
            return False
        return self._least(subject[0], rows[0]) is not None or may_be_too_many(counts, len(rows), self._bounds)

    def _sent(
        self, scope: HoldScope, doubtful: Mapping[Count, Sequence[Bad]], since: datetime
    ) -> tuple[dict[str, int], dict[str, UUID]]:
        """How many messages went to each name, from which on; beyond what would be enough nobody counts."""
        most: Counter[str] = Counter()
        for (name, of), rows in doubtful.items():
            most[name] = max(most[name], enough(of, len(rows), self._bounds))
        begin = {name: self._from((scope, name), since) for name in most}
        sent: dict[str, int] = {}
        first = dict.fromkeys(most, FIRST)
        if scope is not HoldScope.DOMAIN:
            for name, number in most.items():
                with self._store.read() as connection:
                    sent[name] = guarding.sent(connection, scope, name, begin[name], number)
            return sent, first
        for start in set(begin.values()):
            together = {name: number for name, number in most.items() if begin[name] == start}
            counted, reached = domains.sent_to(self._store, together, start)
            sent |= counted
            first |= dict.fromkeys(together, reached)
        return sent, first

    def _judge(self, subject: Subject, counts: Measure, rows: Sequence[Bad], went: int) -> Hold | None:
        scope, name = subject
        least, sent = self._least(scope, rows[0]), went + sum(one.refused for one in rows)
        if subject in self._held or not too_many(counts, len(rows), sent, self._bounds, least=least):
            return None
        if scope is HoldScope.MAILOUT:
            with self._store.read() as connection:
                if not guarding.waits(connection, rows[0].notification_id):
                    return None  # nothing of it is left to pause
        by = Counter(one.provider for one in rows if one.provider).most_common(1)
        provider = by[0][0] if by else None
        owner = guarding.owner_of(rows[0], scope)
        return Hold(uuid7(), owner, scope, name, counts, len(rows), sent, provider, self._now)

    def _least(self, scope: HoldScope, one: Bad) -> int | None:
        """Of a mailout no number is asked where who sends it, carries it or takes it is held already."""
        if scope is not HoldScope.MAILOUT:
            return None
        wider = ((scope, name(one)) for scope, name in SUBJECTS.items() if scope is not HoldScope.MAILOUT)
        return 0 if any(one in self._held for one in wider) else None
