"""Nothing is rendered that may not go out any more: deadline and policy are asked again right before."""

from __future__ import annotations

from notify import failpoints
from notify.app import App
from notify.delivery.lease import Lease
from notify.delivery.ledger import Ledger
from notify.delivery.prepare import Preparation, Prepared
from notify.errors import OperatorError
from notify.model import Skip
from notify.policy import decide, past
from notify.store.work import Work


class Recheck:
    """Asks about the messages of one lease, one by one; the ledger learns of those that go no further."""

    def __init__(self, app: App, lease: Lease, ledger: Ledger) -> None:
        self._app = app
        self._lease = lease
        self._ledger = ledger
        self._prepare = Preparation(app)

    def __call__(self, work: Work) -> Prepared | None:
        """Ask again, and render; None when the message goes no further. Raises an `OperatorError`."""
        if past(work.occasion.expires_at, self._app.clock.now()):
            self._ledger.expired(work)
            return None
        try:
            no = self._forbids(work)
            if no is None:
                failpoints.reach("render", work.recipient.key)
                return self._prepare(work)
            self._ledger.skipped(work, no)
        except OperatorError:
            raise
        except Exception as error:  # a template may raise anything: it must not take the batch along
            self._ledger.unrenderable(work, error)
        return None

    def _forbids(self, work: Work) -> Skip | None:
        """An address may have been suppressed since the planning."""
        channel = work.occasion.channel
        address = work.recipient.addresses.get(channel)
        decision = decide(
            self._app.kinds.get(work.occasion.kind).facts,
            work.recipient,
            channel,
            self._lease.forbidden.get(address.folded, ()) if address else (),
            self._app.clock.now(),
            mode=work.occasion.mode,
            test_recipients=self._app.settings.test_recipients,
        )
        return decision if isinstance(decision, Skip) else None
