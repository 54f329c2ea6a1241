"""Soft bounces are counted for each address, one for each message at most; too many at a time, and it rests a while."""

from __future__ import annotations

from datetime import datetime

from notify.app import App
from notify.model import Consequence, Effect, Suppression
from notify.policy.aftermath import SOFT_FOR, Score, counted
from notify.store import Connection, consequences, suppressions
from notify.store.events import Told
from notify.store.owners import Owner


def count(app: App, connection: Connection, one: Told, owner: Owner, now: datetime) -> Consequence | None:
    """Count this soft bounce; None when its message has had one. The address rests once its score is at the bound."""
    assert owner.address is not None
    if consequences.counted(connection, owner.id):
        return None
    value = _add(connection, owner, min(one.event.at, now), now).weighed(now)
    bound = app.settings.soft_bounces
    detail = f"{value:.2f} of {bound:g} soft bounces"
    if value < bound:
        return Consequence(one.id, Effect.SCORED, now, detail=detail)
    until = now + SOFT_FOR
    row = Suppression(owner.channel, owner.address, "bounced", one.event.provider, expires_at=until, note=detail)
    changed = suppressions.add(connection, owner.tenant_id, [row], now)
    effect = Effect.SUPPRESSED if changed else Effect.STOOD
    return Consequence(one.id, effect, now, "all", until, detail)


def _add(connection: Connection, owner: Owner, at: datetime, now: datetime) -> Score:
    first = counted(None, at)
    if consequences.first_score(connection, owner, first.value, first.at):
        return first
    known = consequences.score(connection, owner)
    if known is None:  # it weighed nothing any more, and was deleted in this very moment
        consequences.first_score(connection, owner, first.value, first.at)
        return first
    value, known_at = known
    score = counted(Score(value, min(known_at, now)), at)  # a clock that was ahead is right again
    consequences.set_score(connection, owner, score.value, score.at)
    return score
