"""What happened to the messages of one leased batch, written under its fence.

Failures are written at once, so that a journal entry without a failure row means "accepted"; successes are written
together when the batch is settled. A failure that cannot be written now is kept and written then.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.channels.email import letter
from notify.channels.provider import Receipt
from notify.delivery import burial, doubt, refusals
from notify.delivery.burial import Dead
from notify.delivery.lease import Lease
from notify.delivery.outcomes import EVENTS, OUTCOMES, Accepted, Failure
from notify.delivery.patience import retry_policy
from notify.delivery.prepare import Prepared
from notify.delivery.route import Wait
from notify.errors import DeliveryError, NotifyError, Rejected, Uncertain
from notify.model import Attempt, Batch, Defer, MessageState, Mode, Outcome, Skip
from notify.policy import Verdict, after_failure, aftermath, expired, put_off
from notify.policy.retry import costs_attempt
from notify.store import Connection, attempts, batches, kept_mails, messages
from notify.store import work as works
from notify.store.work import Work
from notify.telemetry import emit, heard


class LeaseLost(Exception):
    """Another worker has taken the batch over: nothing of ours may be written."""


class Ledger:
    """Collects the outcomes of one lease."""

    def __init__(self, app: App, lease: Lease) -> None:
        self._app = app
        self._lease = lease
        self._accepted: list[Accepted] = []
        self._rendered: list[Accepted] = []
        self._skipped: dict[tuple[str, str], list[UUID]] = defaultdict(list)
        self._unwritten: list[Failure] = []
        self._left = len(lease.work)
        # an earlier holder may have put messages of this batch off; or it holds some that are not due
        self._waiting = lease.batch.epoch > 1 or lease.batch.size != len(lease.work)
        self._draw = random.random()  # noqa: S311 - one draw per lease: what fails together waits together
        self.counts: Counter[str] = Counter()

    def accepted(
        self, work: Work, prepared: Prepared, receipt: Receipt, provider: str, passed_over: str | None = None
    ) -> None:
        """The provider took it; written when the batch is settled."""
        self._left -= 1
        dry = work.occasion.mode is Mode.DRY_RUN
        told = (prepared.subject, prepared.template_version, prepared.rendered_at)  # the mail itself may be large
        taken = Accepted(work, *told, receipt, provider, passed_over, self._app.clock.now())
        (self._rendered if dry else self._accepted).append(taken)
        if heard("message.sent"):
            emit("message.sent", **ids(work), provider=provider, dry_run=dry)

    def decided(self, work: Work, decision: Skip | Defer) -> None:
        """Policy says no, or not yet, after all; written when the batch is settled. It costs no attempt.

        What would wait until its deadline is dead at once.
        """
        if isinstance(decision, Defer):
            wait = put_off(decision.until, decision.reason, decision.rule)
            self._note([Failure(work, wait, None)], told=True)
            return
        self._left -= 1
        self._skipped[decision.reason, decision.rule].append(work.id)
        emit("message.skipped", **ids(work), reason=decision.reason)

    def expired(self, work: Work) -> None:
        """Its deadline passed before it was rendered: dead. Written when the batch is settled, or with a failure."""
        assert work.occasion.expires_at is not None
        self._note([Failure(work, expired(work.occasion.expires_at), None)])

    def unrenderable(self, work: Work, error: Exception) -> None:
        """Its kind, data or address does not work: dead at once, for no retry mends it. Written now."""
        reason = "unrenderable" if isinstance(error, NotifyError) else f"unrenderable_{type(error).__name__}"
        attempt = self._attempt(work, Outcome.UNRENDERABLE, None, reason=reason, response=str(error))
        self._write([Failure(work, Verdict(MessageState.DEAD, reason, str(error)), attempt)])

    def failed(
        self,
        work: Work,
        error: DeliveryError,
        provider: str,
        prepared: Prepared,
        *,
        passed_over: str | None = None,
        before: Sequence[DeliveryError] = (),
    ) -> None:
        """No provider took it: not this one, nor those with the errors `before`. Retried, held or dead. Written now."""
        attempt, verdict = (
            self._failure(work, error, provider, prepared, passed_over),
            self._verdict(work, [*before, error]),
        )
        self._write([Failure(work, verdict, attempt, prepared, aftermath.refused(error, verdict))])

    def passed_on(
        self, work: Work, error: DeliveryError, provider: str, prepared: Prepared, *, passed_over: str | None = None
    ) -> None:
        """The provider did not take it, and another is asked at once: it stays in hand. The attempt is written now."""
        self._write([Failure(work, None, self._failure(work, error, provider, prepared, passed_over))])

    def given_up(self, tried: Sequence[tuple[Work, Sequence[DeliveryError]]]) -> None:
        """These were passed on for these errors, and no provider is left after all: retried or dead. Written now."""
        self._write([Failure(work, self._verdict(work, errors), None) for work, errors in tried], told=True)

    def put_off(self, works: Sequence[Work], wait: Wait) -> None:
        """These wait untried, at no cost. Written now."""
        self.put_off_each([(works, wait)])

    def put_off_each(self, waits: Sequence[tuple[Sequence[Work], Wait]]) -> None:
        """The same for several groups, each with a wait of its own."""
        failures = []
        for held, wait in waits:
            verdict = put_off(wait.until, wait.reason, wait.rule)
            failures += [Failure(work, verdict, None) for work in held]
        soonest = min((wait for _, wait in waits), key=lambda wait: wait.until)
        emit("batch.put_off", reason=soonest.reason, until=soonest.until, messages=len(failures))
        self._write(failures)

    def settle(self) -> list[Batch]:
        """Write what succeeded, give back what was not begun, close the batch.

        Returns the batches that carry the rest, and the one of its queue whose turn it is then. Raises `LeaseLost`, and
        writes nothing, when another worker has taken over.
        """
        batch, now = self._lease.batch, self._app.clock.now()
        dry_run = {("dry_run", "mode = dry_run"): [one.work.id for one in self._rendered]}
        untouched, rest = 0, list[Batch]()
        with self._app.store.begin() as connection:
            if not batches.finish(connection, batch, now):
                raise LeaseLost
            self._write_failures(connection, now)
            works.accept(connection, [one.work.id for one in self._accepted], now)
            for (reason, rule), skipped in {**self._skipped, **dry_run}.items():
                to = MessageState.SKIPPED
                messages.move(connection, skipped, MessageState.SENDING, to, at=now, reason=reason, rule=rule)
            self._record(connection, Outcome.ACCEPTED, self._accepted)
            self._record(connection, Outcome.RENDERED, self._rendered)
            if self._left:
                untouched = works.release(connection, batch, now)
            if batch.as_was:
                kept_mails.forget_settled(connection, batch.id)
            if self._left or self._waiting:
                messages.cancel_returned(connection, batch.id, now)
                rest = works.rebatch(connection, batch, now)
            if batch.size > 1:  # single sends are rung for when they are planned
                rest += batches.follow(connection, batch, now)
        self.counts.update(sent=len(self._accepted), dry_run=len(self._rendered), handed_back=untouched)
        self.counts.update(skipped=sum(len(ids) for ids in self._skipped.values()))
        return rest

    def _record(self, connection: Connection, outcome: Outcome, taken: Sequence[Accepted]) -> None:
        """Write the attempts of what was taken, column by column: this is done for every message there is."""
        if not taken:
            return
        settings = self._app.settings
        attempts.record_columns(
            connection,
            {
                "id": [uuid7() for _ in taken],
                "tenant_id": self._lease.batch.tenant_id,
                "message_id": [one.work.id for one in taken],
                "number": [one.work.attempts + 1 for one in taken],
                "epoch": self._lease.batch.epoch,
                "outcome": outcome,
                "at": [one.at for one in taken],
                "provider": [one.provider for one in taken],
                "provider_id": [one.receipt.provider_id for one in taken],
                "response": [one.receipt.response for one in taken],
                "subject": [one.subject for one in taken],
                "header_id": [letter.header_id(settings, one.work.id) for one in taken],
                "template_version": [one.template_version for one in taken],
                "rendered_at": [one.rendered_at for one in taken],
                "passed_over": [one.passed_over for one in taken] if any(one.passed_over for one in taken) else None,
            },
        )

    def _note(self, failures: Sequence[Failure], *, told: bool = False) -> None:
        for given in failures:
            if given.verdict is None:
                self._unwritten.append(given)
                continue
            verdict = given.verdict.within(given.work.occasion.expires_at)
            self._unwritten.append(replace(given, verdict=verdict))
            self._left -= 1
            self._waiting |= verdict.state is MessageState.QUEUED
            self.counts[verdict.state] += 1
            if told or given.attempt is not None or verdict.state is MessageState.DEAD:
                _announce(given.work, verdict, given.attempt)

    def _write(self, failures: Sequence[Failure], *, told: bool = False) -> None:
        self._note(failures, told=told)
        now = self._app.clock.now()
        with self._app.store.begin() as connection:
            if not batches.renew(connection, self._lease.batch, now + self._app.settings.lease):
                raise LeaseLost
            self._write_failures(connection, now)
        self._unwritten.clear()

    def _write_failures(self, connection: Connection, now: datetime) -> None:
        groups: dict[Verdict, list[UUID]] = defaultdict(list)
        for failure in self._unwritten:
            if failure.verdict is not None:
                groups[failure.verdict].append(failure.work.id)
        for verdict, ids in groups.items():
            values: dict[str, Any] = {"reason": verdict.reason, "rule": verdict.rule, "tried": verdict.tried}
            if verdict.due_at is not None:
                values["due_at"] = verdict.due_at
            within = self._lease.batch.id  # when this is written again, an operator may have moved them on meanwhile
            messages.move(connection, ids, MessageState.SENDING, verdict.state, at=now, within=within, **values)
        attempts.record(connection, [failure.attempt for failure in self._unwritten if failure.attempt is not None])
        refusals.tell(connection, self._unwritten, now)
        ends = [(one, one.verdict) for one in self._unwritten if one.verdict is not None]
        dead = [(one, end) for one, end in ends if end.state is MessageState.DEAD]
        burial.bury(
            connection, [Dead(one.work, end.reason, end.rule, one.attempt, one.prepared) for one, end in dead], now
        )

    def _verdict(self, work: Work, errors: Sequence[DeliveryError]) -> Verdict:
        """By the last error when it is final, else by the first that costs an attempt: a round costs one at most."""
        error = errors[-1]
        if not isinstance(error, Rejected | Uncertain):
            error = next(filter(costs_attempt, errors), error)
        kind, number = work.occasion.kind, work.attempts - work.forgiven + 1
        policy = retry_policy(self._app, kind, work.occasion.channel)
        on_doubt = doubt.on_doubt(self._app, kind)
        return after_failure(error, number, self._app.clock.now(), policy, self._draw, on_doubt=on_doubt)

    def _failure(
        self, work: Work, error: DeliveryError, provider: str, prepared: Prepared, passed_over: str | None
    ) -> Attempt:
        outcome = next(word for kind, word in OUTCOMES.items() if isinstance(error, kind))
        said = error.response or None
        return self._attempt(
            work, outcome, provider, prepared, reason=error.reason, response=said, passed_over=passed_over
        )

    def _attempt(
        self,
        work: Work,
        outcome: Outcome,
        provider: str | None,
        prepared: Prepared | None = None,
        *,
        reason: str,
        response: str | None,
        passed_over: str | None = None,
    ) -> Attempt:
        return Attempt(
            id=uuid7(),
            tenant_id=work.occasion.tenant_id,
            message_id=work.id,
            number=work.attempts + 1,
            epoch=self._lease.batch.epoch,
            outcome=outcome,
            at=self._app.clock.now(),
            provider=provider,
            reason=reason,
            response=response,
            header_id=letter.header_id(self._app.settings, work.id),
            subject=prepared.subject if prepared else None,
            template_version=prepared.template_version if prepared else None,
            rendered_at=prepared.rendered_at if prepared else None,
            passed_over=passed_over,
        )


def ids(work: Work) -> dict[str, str | UUID]:
    """By what names log lines know this message."""
    occasion = work.occasion
    named: dict[str, str | UUID] = {"message": work.id, "notification": occasion.notification_id}
    return {**named, "correlation": occasion.correlation_id} if occasion.correlation_id else named


def _announce(work: Work, verdict: Verdict, attempt: Attempt | None) -> None:
    told = dict[str, Any]()
    if attempt is None or attempt.outcome is not Outcome.UNRENDERABLE:
        told["rule"] = verdict.rule  # that of what is unrenderable may quote data: it stays in the database
    if attempt is not None:
        told["attempt"] = attempt.number
    emit(EVENTS[verdict.state], **ids(work), reason=verdict.reason, **told)
