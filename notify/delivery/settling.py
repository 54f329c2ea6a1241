"""Doubt settled by hand: somebody has looked into the provider's log, and says what became of a message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notify.app import App, ring
from notify.errors import RequestError
from notify.model import Batch, Death, ErrorClass, Filter, Lane, MessageState
from notify.store import Connection, audit, dead_letters, kept_mails, messages, replays, tenants, waiting
from notify.store.gathering import Queue, gathered
from notify.store.waiting import Waiting
from notify.telemetry import emit


class Word(StrEnum):
    """What somebody who looked says of a message in doubt."""

    SENT = "sent"  # the provider has it
    RESEND = "resend"  # it has not, or twice does no harm
    DEAD = "dead"  # nobody knows, and it shall not go twice


@dataclass(frozen=True, slots=True)
class Settled:
    """Which messages are settled; which were left alone, for they were not in doubt or their kind is gone."""

    settled: tuple[UUID, ...]
    refused: tuple[UUID, ...]


def settle(app: App, ids: Sequence[UUID], word: Word, *, actor: str, tenant: str | None = None) -> Settled:
    """Settle these messages, each with an audit row."""
    now, planned = app.clock.now(), list[Batch]()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        held = waiting.doubts(connection, tenant_id, Filter(ids=tuple(ids)), lock=True) if ids else []
        if word is Word.SENT:
            _sent(connection, held, actor, now)
        elif word is Word.DEAD:
            _dead(connection, tenant_id, held, actor, now)
        else:
            lanes = {kind: _lane(app, kind) for kind in {one.kind for one in held}}
            held = [one for one in held if lanes[one.kind] is not None]
            planned = _resent(app, connection, tenant_id, held, lanes, rule=f"settled by {actor}: resend")
        for one in held:
            told = {"subject": str(one.id), "detail": {"reason": one.reason, "word": word}, "at": now}
            audit.write(connection, tenant_id, actor=actor, action="doubts.settle", **told)  # type: ignore[arg-type]
    for one in held:
        emit("doubt.settled", message=one.id, state=word)
    ring(app, planned)
    settled = tuple(one.id for one in held)
    return Settled(settled, tuple(one for one in dict.fromkeys(ids) if one not in settled))


def _lane(app: App, kind: str) -> Lane | None:
    try:
        return app.kinds.get(kind).facts.lane
    except RequestError:
        return None


def _sent(connection: Connection, held: Sequence[Waiting], actor: str, now: datetime) -> None:
    ids, rule = [one.id for one in held], f"by {actor}: the provider has it"
    was, state = MessageState.IN_DOUBT, MessageState.SENT
    messages.move(connection, ids, was, state, at=now, sent_at=now, reason="settled", rule=rule)
    kept_mails.forget(connection, ids)


def _dead(connection: Connection, tenant_id: UUID, held: Sequence[Waiting], actor: str, now: datetime) -> None:
    ids, rule = [one.id for one in held], f"by {actor}: given up in doubt"
    messages.move(connection, ids, MessageState.IN_DOUBT, MessageState.DEAD, at=now, rule=rule)
    deaths = [
        Death(
            tenant_id=tenant_id,
            message_id=one.id,
            error=ErrorClass.UNCERTAIN,
            reason=one.reason or "settled",
            detail=rule,
            at=now,
            kind=one.kind,
            channel=one.channel,
            provider=one.provider,
        )
        for one in held
    ]
    dead_letters.bury(connection, deaths)


def _resent(
    app: App,
    connection: Connection,
    tenant_id: UUID,
    held: Sequence[Waiting],
    lanes: dict[str, Lane | None],
    *,
    rule: str,
) -> list[Batch]:
    by_queue: dict[Queue, list[UUID]] = defaultdict(list)
    for one in held:
        lane = lanes[one.kind]
        assert lane is not None
        by_queue[Queue(one.channel, lane, one.as_was)].append(one.id)
    now = app.clock.now()
    parts = gathered(tenant_id, by_queue, app.settings.batch_size, now)
    _, planned = replays.revive(connection, parts, MessageState.IN_DOUBT, rule=rule, at=now)
    return planned
