"""What waits for another try is sent on now, or cancelled, by somebody who knows better than the timetable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from notify.app import App, ring
from notify.errors import NotFound
from notify.model import Batch, Filter, MessageState
from notify.store import Connection, audit, kept_mails, messages, tenants, waiting
from notify.store.gathering import Queue, gathered
from notify.store.waiting import Waiting

SLICE = 2_000  # messages of one transaction

Change = Callable[[Connection, UUID, Sequence[Waiting]], tuple[int, list[Batch]]]
"""Does something to these messages of a tenant; returns to how many, and the batches to ring for."""


def now(app: App, wanted: Filter, *, actor: str, tenant: str | None = None) -> int:
    """Try these at once; returns how many. Raises `NotFound` when none waits for another try."""

    def move(connection: Connection, tenant_id: UUID, found: Sequence[Waiting]) -> tuple[int, list[Batch]]:
        by_queue: dict[Queue, list[UUID]] = defaultdict(list)
        for one in found:
            assert one.lane is not None, "whoever waits for another try is in a batch"
            by_queue[Queue(one.channel, one.lane, one.as_was)].append(one.id)
        at = app.clock.now()
        return waiting.move_to(connection, gathered(tenant_id, by_queue, app.settings.batch_size, at), at)

    return _each_slice(app, wanted, move, action="retries.now", actor=actor, tenant=tenant)


def cancel(app: App, wanted: Filter, *, actor: str, tenant: str | None = None) -> int:
    """Give these up; returns how many. Raises `NotFound` when none waits for another try."""

    def withdraw(connection: Connection, _tenant_id: UUID, found: Sequence[Waiting]) -> tuple[int, list[Batch]]:
        ids, rule = [one.id for one in found], f"by {actor}, while it waited for another try"
        was, state = MessageState.QUEUED, MessageState.CANCELLED
        at = app.clock.now()
        withdrawn = messages.move(connection, ids, was, state, at=at, reason="cancelled", rule=rule)
        kept_mails.forget(connection, ids)
        return withdrawn, []

    return _each_slice(app, wanted, withdraw, action="retries.cancel", actor=actor, tenant=tenant)


def _each_slice(app: App, wanted: Filter, change: Change, *, action: str, actor: str, tenant: str | None) -> int:
    """Each slice is a transaction of its own, with its audit row: what is done stays done."""
    done, last = 0, None
    while True:
        with app.store.begin() as connection:
            tenant_id = tenants.tenant_id(connection, tenant)
            found = waiting.retries(connection, tenant_id, wanted, after=last, limit=SLICE, lock=True)
            if not found:
                break
            changed, planned = change(connection, tenant_id, found)
            detail = {"filter": wanted.as_json(), "messages": changed}
            at = app.clock.now()
            audit.write(connection, tenant_id, actor=actor, action=action, subject="", detail=detail, at=at)
        ring(app, planned)
        done, last = done + changed, found[-1].id
    if last is None:
        raise NotFound("no message that waits for another try matches; `notify retries list` shows what there is")
    return done
