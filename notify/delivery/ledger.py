"""What happened to the messages of one leased batch, written under its fence.

Failures are written at once, so that a journal entry without a failure row means "accepted"; successes are written
together when the batch is settled.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.channels.email import letter
from notify.channels.provider import Receipt
from notify.delivery import doubt
from notify.delivery.lease import Lease
from notify.delivery.prepare import Prepared
from notify.errors import DeliveryError, Misconfigured, NotifyError, Rejected, Throttled, Transient, Uncertain
from notify.model import Attempt, Batch, MessageState, Mode, OnDoubt, Outcome, Skip
from notify.policy import RetryPolicy, next_try
from notify.policy.retry import costs_attempt
from notify.store import Connection, batches, messages
from notify.store.messages import Work
from notify.telemetry import emit

OUTCOMES: dict[type[DeliveryError], Outcome] = {
    Transient: Outcome.TRANSIENT,
    Throttled: Outcome.THROTTLED,
    Rejected: Outcome.REJECTED,
    Uncertain: Outcome.UNCERTAIN,
    Misconfigured: Outcome.MISCONFIGURED,
}


class LeaseLost(Exception):
    """Another worker has taken the batch over: nothing of ours may be written."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a failed message goes."""

    state: MessageState
    reason: str
    rule: str
    due_at: datetime | None = None
    tried: bool = True


class Ledger:
    """Collects the outcomes of one lease."""

    def __init__(self, app: App, lease: Lease) -> None:
        self._app = app
        self._lease = lease
        self._accepted: list[Attempt] = []
        self._rendered: list[Attempt] = []
        self._skipped: dict[tuple[str, str], list[UUID]] = defaultdict(list)
        self._draw = random.random()  # noqa: S311 - one draw per lease: what fails together waits together
        settings = app.settings
        self._policy = RetryPolicy(
            settings.retry_attempts,
            timedelta(seconds=settings.retry_base_seconds),
            timedelta(seconds=settings.retry_cap_seconds),
        )
        self.counts: Counter[str] = Counter()

    def accepted(self, work: Work, prepared: Prepared, receipt: Receipt, provider: str) -> None:
        """The provider took it; written when the batch is settled."""
        dry = work.mode is Mode.DRY_RUN
        attempt = replace(
            self._attempt(work, Outcome.RENDERED if dry else Outcome.ACCEPTED, provider, prepared),
            provider_id=receipt.provider_id,
            response=receipt.response,
        )
        (self._rendered if dry else self._accepted).append(attempt)
        emit("message.sent", message=work.message.id, provider=provider, dry_run=dry)

    def skipped(self, work: Work, decision: Skip) -> None:
        """Policy said no after all; written when the batch is settled."""
        self._skipped[decision.reason, decision.rule].append(work.message.id)
        emit("message.skipped", message=work.message.id, reason=decision.reason)

    def unrenderable(self, work: Work, error: Exception) -> None:
        """Its template, data or address does not work: dead at once, for no retry mends it. Written now."""
        reason = "unrenderable" if isinstance(error, NotifyError) else f"unrenderable_{type(error).__name__}"
        verdict = Verdict(MessageState.DEAD, reason, str(error))
        attempt = replace(self._attempt(work, Outcome.UNRENDERABLE, None), reason=reason, response=str(error))
        self._write([(work, verdict, attempt)])

    def failed(
        self, works: Sequence[Work], error: DeliveryError, provider: str, prepared: Prepared | None = None
    ) -> None:
        """These did not go out, all for the same reason: retried, held or dead. Written now."""
        outcome = next(word for kind, word in OUTCOMES.items() if isinstance(error, kind))
        now = self._app.clock.now()
        self._write(
            [
                (
                    work,
                    self._verdict(work, error, now),
                    replace(
                        self._attempt(work, outcome, provider, prepared),
                        reason=error.reason,
                        response=error.response or None,
                    ),
                )
                for work in works
            ]
        )
        if isinstance(error, Misconfigured):
            emit("provider.misconfigured", provider=provider, reason=error.reason, response=error.response)

    def settle(self) -> list[Batch]:
        """Write what succeeded, give back what was not begun, close the batch; returns the batches that carry the rest.

        Raises `LeaseLost` when another worker has taken over: then nothing is written.
        """
        lease, now = self._lease, self._app.clock.now()
        with self._app.store.begin() as connection:
            if not batches.finish(connection, lease.batch, now):
                raise LeaseLost
            accepted = [attempt.message_id for attempt in self._accepted]
            messages.move(
                connection,
                accepted,
                MessageState.SENDING,
                MessageState.SENT,
                tried=True,
                sent_at=now,
                reason=None,
                rule=None,
            )
            self._skip(connection, [attempt.message_id for attempt in self._rendered], "dry_run", "mode = dry_run")
            for (reason, rule), ids in self._skipped.items():
                self._skip(connection, ids, reason, rule)
            messages.record(connection, [*self._accepted, *self._rendered])
            untouched = messages.release(connection, lease.batch)
            rest = messages.rebatch(connection, lease.batch, now)
        self.counts.update(sent=len(self._accepted), dry_run=len(self._rendered), handed_back=untouched)
        self.counts.update(skipped=sum(len(ids) for ids in self._skipped.values()))
        return rest

    def _skip(self, connection: Connection, ids: Sequence[UUID], reason: str, rule: str) -> None:
        messages.move(connection, ids, MessageState.SENDING, MessageState.SKIPPED, reason=reason, rule=rule)

    def _verdict(self, work: Work, error: DeliveryError, now: datetime) -> Verdict:
        tried, number = costs_attempt(error), work.message.attempts + 1
        if isinstance(error, Uncertain) and doubt.on_doubt(self._app, work.kind) is OnDoubt.HOLD:
            return Verdict(MessageState.IN_DOUBT, error.reason, "on_doubt = hold")
        due_at = next_try(error, number, now, self._policy, self._draw)
        if due_at is None:
            last = isinstance(error, Rejected)
            rule = "refused for good" if last else f"no more than {self._policy.attempts} attempts"
            return Verdict(MessageState.DEAD, error.reason, rule)
        whole_second = due_at.replace(microsecond=0) + timedelta(seconds=1)  # so that retries gather in few batches
        cost = f"attempt {number} of {self._policy.attempts}" if tried else "costs no attempt"
        return Verdict(MessageState.QUEUED, error.reason, f"{type(error).__name__}, {cost}", whole_second, tried)

    def _write(self, failures: Sequence[tuple[Work, Verdict, Attempt]]) -> None:
        groups: dict[Verdict, list[UUID]] = defaultdict(list)
        for work, verdict, _ in failures:
            groups[verdict].append(work.message.id)
        until = self._app.clock.now() + self._app.settings.lease
        with self._app.store.begin() as connection:
            if not batches.renew(connection, self._lease.batch, until):
                raise LeaseLost
            for verdict, ids in groups.items():
                _apply(connection, verdict, ids)
            messages.record(connection, [attempt for _, _, attempt in failures])
        for work, verdict, attempt in failures:
            self.counts[verdict.state] += 1
            _announce(work, verdict, attempt)

    def _attempt(self, work: Work, outcome: Outcome, provider: str | None, prepared: Prepared | None = None) -> Attempt:
        message = work.message
        return Attempt(
            id=uuid7(),
            tenant_id=message.tenant_id,
            message_id=message.id,
            number=message.attempts + 1,
            epoch=self._lease.batch.epoch,
            outcome=outcome,
            at=self._app.clock.now(),
            provider=provider,
            header_id=letter.header_id(self._app.settings, message.id),
            subject=prepared.subject if prepared else None,
            template_version=prepared.template_version if prepared else None,
            rendered_at=prepared.rendered_at if prepared else None,
        )


def _apply(connection: Connection, verdict: Verdict, ids: Sequence[UUID]) -> None:
    values: dict[str, Any] = {"reason": verdict.reason, "rule": verdict.rule}
    if verdict.due_at is not None:
        values["due_at"] = verdict.due_at
    messages.move(connection, ids, MessageState.SENDING, verdict.state, tried=verdict.tried, **values)


def _announce(work: Work, verdict: Verdict, attempt: Attempt) -> None:
    event = {
        MessageState.DEAD: "message.dead",
        MessageState.IN_DOUBT: "message.in_doubt",
        MessageState.QUEUED: "message.deferred",
    }[verdict.state]
    emit(event, message=work.message.id, reason=verdict.reason, rule=verdict.rule, attempt=attempt.number)
