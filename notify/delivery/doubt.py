"""What becomes of messages whose hand-over nobody saw the end of: named, and resent or held as their kind says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from uuid_utils.compat import uuid7

from notify.app import App
from notify.channels.email import letter
from notify.delivery.journal import Journal
from notify.delivery.patience import retry_policy
from notify.errors import RequestError
from notify.model import Attempt, Batch, Death, ErrorClass, MessageState, Mode, OnDoubt, Outcome
from notify.store import Connection, attempts, dead_letters, kept_mails, messages, work
from notify.store.work import HalfWay
from notify.telemetry import emit

DIED = "worker_died"
EXHAUSTED = "no more attempts: it may be what kills the workers"


def settle_half_way(app: App, connection: Connection, batch: Batch, now: datetime) -> None:
    """Reconstruct what the last holder of `batch` did, from its journal.

    Not in the journal, or withdrawn from it as often as it was entered: no provider accepted it, it stays with the
    batch. In it but not last of its line: accepted, for its answer came before the next began, and a refusal would have
    been recorded, or withdrawn, at once. The last of each line: in doubt. When Redis has lost the journal, all of them
    are in doubt.
    """
    left = [one for one in work.half_way(connection, batch) if one.mode is not Mode.DRY_RUN]
    if not left:
        return  # a dry run only writes files, the same again: it is simply repeated
    entries = Journal(app.redis, batch, batch.epoch - 1).seal()
    accepted = [one for one in left if entries is not None and one.id in entries.answered]
    in_doubt = [one for one in left if entries is None or one.id in entries.doubtful]
    emit(
        "batch.recovered",
        batch=batch.id,
        epoch=batch.epoch,
        accepted=len(accepted),
        in_doubt=len(in_doubt),
        untried=len(left) - len(accepted) - len(in_doubt),
        journal="lost" if entries is None else "read",
    )
    _accept(app, connection, batch, accepted, now)
    _doubt(app, connection, batch, in_doubt, now)


def on_doubt(app: App, kind: str) -> OnDoubt:
    """What the kind says of doubt. A kind that has gone since is held: nobody can say that it may go twice."""
    try:
        return app.kinds.get(kind).facts.on_doubt
    except RequestError:
        return OnDoubt.HOLD


def _accept(app: App, connection: Connection, batch: Batch, rows: Sequence[HalfWay], now: datetime) -> None:
    work.accept(connection, [row.id for row in rows], now)
    if batch.as_was:
        kept_mails.forget(connection, [row.id for row in rows])
    attempts.record(connection, [_attempt(app, batch, row, Outcome.ACCEPTED, now) for row in rows])


def _doubt(app: App, connection: Connection, batch: Batch, rows: Sequence[HalfWay], now: datetime) -> None:
    ids = [row.id for row in rows]
    messages.move(
        connection,
        ids,
        MessageState.SENDING,
        MessageState.IN_DOUBT,
        at=now,
        tried=True,
        reason=DIED,
        rule="its hand-over had begun, and nobody knows how it ended",
    )
    attempts.record(connection, [_attempt(app, batch, row, Outcome.UNCERTAIN, now) for row in rows])
    may = [row for row in rows if on_doubt(app, row.kind) is OnDoubt.RESEND]
    most = {kind: retry_policy(app, kind, batch.channel).attempts for kind in {row.kind for row in may}}
    resend = [row.id for row in may if row.attempts - row.forgiven + 1 < most[row.kind]]
    exhausted = [row.id for row in may if row.id not in resend]
    was, queued = MessageState.IN_DOUBT, MessageState.QUEUED
    messages.move(connection, exhausted, was, MessageState.DEAD, at=now, reason=DIED, rule=EXHAUSTED)
    dead_letters.bury(connection, [_death(batch, row, EXHAUSTED, now) for row in rows if row.id in exhausted])
    messages.move(connection, resend, was, queued, at=now, due_at=now, reason=DIED, rule="on_doubt = resend")
    for row in rows:
        if row.id in exhausted:
            emit("message.dead", message=row.id, notification=row.notification_id, reason=DIED)
        emit("message.in_doubt", message=row.id, notification=row.notification_id, resent=row.id in resend)


def _attempt(app: App, batch: Batch, row: HalfWay, outcome: Outcome, now: datetime) -> Attempt:
    return Attempt(
        id=uuid7(),
        tenant_id=row.tenant_id,
        message_id=row.id,
        number=row.attempts + 1,
        epoch=batch.epoch - 1,
        outcome=outcome,
        at=now,
        reason=DIED if outcome is Outcome.UNCERTAIN else "from_journal",
        header_id=letter.header_id(app.settings, row.id),
    )


def _death(batch: Batch, row: HalfWay, rule: str, now: datetime) -> Death:
    kind, channel = row.kind, batch.channel
    return Death(row.tenant_id, row.id, ErrorClass.UNCERTAIN, DIED, rule, now, kind=kind, channel=channel)
