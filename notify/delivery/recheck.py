"""Nothing is rendered that may not go out any more: deadline and policy are asked again right before.

Policy a second before, at most, where it was asked already whether the message takes a share of its recipient's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from notify import failpoints
from notify.app import App
from notify.delivery import paused
from notify.delivery.lease import CLOCK_SKEW, Lease
from notify.delivery.ledger import Ledger
from notify.delivery.prepare import Preparation, Prepared, meant_at
from notify.errors import OperatorError
from notify.model import Decision, Kind, Local, Send
from notify.policy import decide, gone, past
from notify.store.work import Work

ANSWER_HOLDS = timedelta(seconds=1)  # what was allowed is not asked about twice: only the time may change the answer


class Recheck:
    """Asks about the messages of one lease, one by one; the ledger learns of those that go no further."""

    def __init__(self, app: App, lease: Lease, ledger: Ledger) -> None:
        self._app = app
        self._lease = lease
        self._ledger = ledger
        self._prepare = Preparation(app)
        self._allowed: set[int] = set()  # the id() of each message that was, lately
        self._lately = datetime.min.replace(tzinfo=UTC)  # until when

    def __call__(self, work: Work, now: datetime) -> Prepared | None:
        """Ask again, and render; None when the message goes no further. Raises an `OperatorError`."""
        try:
            if not self._may(work, now):
                return None
            failpoints.reach("render", work.recipient.key)
            return self._prepare(work, now)
        except OperatorError:
            raise
        except Exception as error:  # a template may raise anything: it must not take the batch along
            self._ledger.unrenderable(work, error)
        return None

    def allows(self, work: Work, now: datetime) -> bool:
        """Ask again, and render nothing yet; False when the message goes no further. Raises an `OperatorError`.

        All messages are asked about at the same `now`. For the next second the answer holds, but for their deadlines.
        """
        try:
            if not self._may(work, now):
                return False
            self._allowed.add(id(work))
            self._lately = now + ANSWER_HOLDS
            return True
        except OperatorError:
            raise
        except Exception as error:
            self._ledger.unrenderable(work, error)
        return False

    def _may(self, work: Work, now: datetime) -> bool:
        if past(work.occasion.expires_at, now):
            self._ledger.expired(work)
            return False
        if now < self._lately and id(work) in self._allowed:
            return True
        decision = paused.one(self._lease.batch, work, now) or self._decide(work, now)
        if isinstance(decision, Send):
            return True
        self._ledger.decided(work, decision)
        return False

    def _decide(self, work: Work, now: datetime) -> Decision:
        """Since the planning an address may have been suppressed, or the recipient have thought better of it.

        Or it is a retry that comes in quiet hours, or comes before its time.
        """
        channel = work.occasion.channel
        address = work.recipient.addresses.get(channel)
        if address is None and work.address is not None and not work.recipient.erased:
            return gone(channel)
        kind = self._app.kinds.get(work.occasion.kind).facts
        return decide(
            kind,
            work.recipient,
            channel,
            self._lease.forbidden.get(address.folded, ()) if address else (),
            now,
            mode=work.occasion.mode,
            test_recipients=self._app.settings.test_recipients,
            at=self._ahead(work, now),
            rules=self._lease.rules,
            consent=self._consent(work, kind),
        )

    def _ahead(self, work: Work, now: datetime) -> datetime | Local | None:
        """The moment that it is meant for, where it comes too early: somebody released it, or the recipient moved.

        That a planner's clock is ahead of ours is no reason to wait.
        """
        meant = meant_at(work, self._lease.rules.timezone)
        return (work.occasion.at_local or meant) if meant > now + CLOCK_SKEW else None

    def _consent(self, work: Work, kind: Kind) -> UUID | None:
        return self._lease.agreed.get((work.recipient.id, kind.category)) if kind.consent else None
