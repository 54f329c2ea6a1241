"""Dead letters are sent after all, slice by slice: none twice that went out meanwhile, none passed over in silence.

A replay is a row with a cursor. Whoever works a slice holds the row's lock; the slice's messages, batches and cursor
are one transaction, and bells ring after it. So the command that began it and the workers' tick may share the work,
and a process that dies leaves the rest to the others.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from uuid_utils.compat import uuid7

from notify import broker, failpoints
from notify.app import App, ring
from notify.delivery.sieve import Sieve
from notify.errors import NotFound, OperatorError
from notify.model import Batch, Filter, MessageState, Replay, ReplayState
from notify.store import Connection, audit, dead_letters, kept_mails, replays, tenants
from notify.store.gathering import gathered
from notify.store.replays import Candidate
from notify.telemetry import emit

SLICE = {"postgresql": 5_000, "sqlite": 1_000}  # dead letters; SQLite has one writer at a time, and others wait for it
GIVE_WAY = 0.25  # so much of a slice's time SQLite is left to the others after it
START = UUID(int=0)
NONE = "no dead letter matches; `notify dead list` shows what there is"


@dataclass(frozen=True, slots=True)
class Terms:
    """How to replay: the very mails that were kept, or rendered anew; and whether what may have arrived goes, too."""

    as_was: bool = False
    possibly_sent: bool = False


def begin(app: App, wanted: Filter, terms: Terms, *, actor: str, tenant: str | None = None) -> Replay:
    """Note that these dead letters are to be replayed. Raises `NotFound` when there is none."""
    with app.store.begin() as connection:
        job = _job(app, connection, wanted, terms, actor=actor, tenant=tenant)
        replays.insert(connection, job)
        options = {"as_was": terms.as_was, "possibly_sent": terms.possibly_sent}
        audit.write(
            connection,
            job.tenant_id,
            actor=actor,
            action="dead.replay",
            subject=str(job.id),
            detail={"filter": wanted.as_json(), "dead_letters": job.total, **options},
            at=job.created_at,
        )
    emit("replay.begun", replay=job.id, dead_letters=job.total)
    return job


def survey(app: App, wanted: Filter, terms: Terms, *, tenant: str | None = None) -> Replay:
    """What a replay would do now, without doing it. Raises `NotFound` when there is no such dead letter."""
    with app.store.read() as connection:
        job = _job(app, connection, wanted, terms, actor="nobody", tenant=tenant)
        while found := replays.candidates(connection, job, _slice_size(app), lock=False):
            sieve = Sieve(app, job, found)
            job = _advanced(app, job, found, sieve, sieve.would_go)
    return replace(job, state=ReplayState.DONE)


def _job(app: App, connection: Connection, wanted: Filter, terms: Terms, *, actor: str, tenant: str | None) -> Replay:
    now, tenant_id = app.clock.now(), tenants.tenant_id(connection, tenant)
    total, last = dead_letters.count(connection, tenant_id, wanted)
    if last is None:
        raise NotFound(NONE)
    return Replay(
        id=uuid7(),
        tenant_id=tenant_id,
        actor=actor,
        filter=wanted,
        as_was=terms.as_was,
        possibly_sent=terms.possibly_sent,
        state=ReplayState.RUNNING,
        cursor=START,
        up_to=last,
        total=total,
        replayed=0,
        passed_over={},
        created_at=now,
        updated_at=now,
    )


def work(app: App, job: Replay) -> Iterator[Replay]:
    """Work at this replay until it is done; yields how far it has come after each slice, whoever worked it."""
    while True:
        began = time.monotonic()
        mine = _work_slice(app, job.id)
        found = mine or _look(app, job)
        yield found
        if found.state is not ReplayState.RUNNING:
            return
        if mine is None:
            time.sleep(0.2)  # a worker has it in hand
        _give_way(app, began)


def run(app: App, seconds: float | None = None) -> int:
    """Work slices of whatever replays are running, the one that waits longest first; returns how many there were.

    Until nothing is left that no other process has in hand; or one slice at least, and no further one once `seconds`
    have passed. Raises `Unreachable` when database or broker is away: the next call goes on there.
    """
    until = math.inf if seconds is None else time.monotonic() + seconds
    slices, stuck = 0, list[UUID]()
    while True:
        began = time.monotonic()
        if _work_slice(app, None, stuck) is None:
            return slices
        slices += 1
        if time.monotonic() >= until:
            return slices
        _give_way(app, began)


def cancel(app: App, replay_id: UUID, *, actor: str, tenant: str | None = None) -> Replay:
    """Replay nothing further. Raises `NotFound` for an id that is none; one that has ended stays as it is."""
    with app.store.begin() as connection:
        tenant_id, now = tenants.tenant_id(connection, tenant), app.clock.now()
        if replays.cancel(connection, tenant_id, replay_id, now):
            at = {"subject": str(replay_id), "detail": {}, "at": now}
            audit.write(connection, tenant_id, actor=actor, action="dead.replay.cancel", **at)  # type: ignore[arg-type]
        found = replays.find(connection, tenant_id, replay_id)
    if found is None:
        raise NotFound(f"no replay {replay_id}; `notify dead replays` lists them")
    return found


def discard(app: App, wanted: Filter, *, actor: str, tenant: str | None = None) -> int:
    """Forget these dead letters: their messages stay dead for good. Returns how many; raises `NotFound` for none."""
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        gone = dead_letters.discard(connection, tenant_id, wanted)
        if not gone:
            raise NotFound(NONE)
        detail = {"filter": wanted.as_json(), "dead_letters": gone}
        now = app.clock.now()
        audit.write(connection, tenant_id, actor=actor, action="dead.discard", subject="", detail=detail, at=now)
    emit("dead_letters.discarded", dead_letters=gone)
    return gone


def _look(app: App, job: Replay) -> Replay:
    with app.store.read() as connection:
        found = replays.find(connection, job.tenant_id, job.id)
    assert found is not None, "replays are never deleted"
    return found


def _slice_size(app: App) -> int:
    return SLICE[app.store.engine.dialect.name]


def _give_way(app: App, began: float) -> None:
    if app.store.engine.dialect.name == "sqlite":
        time.sleep((time.monotonic() - began) * GIVE_WAY)


def _work_slice(app: App, replay_id: UUID | None, stuck: list[UUID] | None = None) -> Replay | None:
    """One slice of this replay, or of that which waits longest; None when none is to be had."""
    job: Replay | None = None
    try:
        with app.store.begin() as connection:
            job = replays.take(connection, replay_id, stuck or ())
            if job is None:
                return None
            planned, job = _slice(app, connection, job)
    except Exception as error:
        if job is None or stuck is None or isinstance(error, OperatorError):
            raise
        # whatever it is, it must not keep the others waiting
        emit("replay.stuck", replay=job.id, problem=f"{type(error).__name__}: {error}")
        stuck.append(job.id)
        return job
    failpoints.reach("plan.committed")
    ring(app, planned)
    if job.state is ReplayState.DONE:
        emit("replay.done", replay=job.id, replayed=job.replayed, passed_over=sum(job.passed_over.values()))
    return job


def _slice(app: App, connection: Connection, job: Replay) -> tuple[list[Batch], Replay]:
    found = replays.candidates(connection, job, _slice_size(app))
    sieve = Sieve(app, job, found)
    now, rule = app.clock.now(), f"replay {job.id} by {job.actor}"
    parts = gathered(job.tenant_id, sieve.messages, app.settings.batch_size, now)
    replayed, planned = replays.revive(connection, parts, MessageState.DEAD, rule=rule, at=now)
    if not job.as_was:
        kept_mails.forget(connection, [one for ids in sieve.messages.values() for one in ids])
    dead_letters.remove(connection, sieve.done)
    for task in sieve.tasks:
        payload = dead_letters.payload(connection, task)
        assert payload is not None, "a dead letter without a message has a payload"
        if broker.send_again(app.settings, payload):  # before the commit: it goes twice rather than not at all
            dead_letters.remove(connection, [task])
            replayed += 1
        else:
            sieve.passed_over["payload_cut"] += 1
    so_far = _advanced(app, job, found, sieve, replayed)
    if len(found) < _slice_size(app) and not replays.any_left(connection, so_far):
        so_far = replace(so_far, state=ReplayState.DONE)
    replays.advance(connection, so_far)
    return planned, so_far


def _advanced(app: App, job: Replay, found: Sequence[Candidate], sieve: Sieve, replayed: int) -> Replay:
    return replace(
        job,
        cursor=found[-1].id if found else job.cursor,
        replayed=job.replayed + replayed,
        passed_over=dict(Counter(job.passed_over) + sieve.passed_over),
        updated_at=app.clock.now(),
    )
