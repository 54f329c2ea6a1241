"""The messages of one lease, rendered one after the other and handed over, until all are or a reason says: later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from urllib.parse import quote

from notify import failpoints
from notify.app import App
from notify.channels.provider import Connection, Envelope, Provider, Receipt
from notify.channels.registry import provider_for
from notify.delivery.lease import Lease
from notify.delivery.ledger import Ledger
from notify.delivery.prepare import Preparation, Prepared
from notify.errors import DeliveryError, Misconfigured, OperatorError, Unreachable
from notify.model import Mode, Skip
from notify.policy import decide
from notify.store.work import Work
from notify.telemetry import emit

GIVE_UP_AFTER = 3  # so many lines lost in a row: the rest of the batch waits, too


def hand_over(app: App, lease: Lease, ledger: Ledger, stopping: threading.Event) -> bool:
    """Hand over what can be. What no outcome is known of then, the ledger gives back when it settles.

    False when journal or database failed us: the rest is for the relay then, not to be rung for at once. Raises
    `LeaseLost` when another worker has taken over.
    """
    work = _HandOver(app, lease, ledger, stopping)
    try:
        for provider, group in groupby(lease.work, work.provider):
            work.to(provider, list(group))
    except Unreachable as error:  # database or journal: what is known is settled, the rest waits
        emit("batch.handed_back", reason=str(error))
        return False
    return not work.journal_gone


class _HandOver:
    """Feeds a provider with envelopes, and is the `Watch` that stands before each.

    Nothing may leave a provider in the middle of a hand-over. So whatever goes wrong meanwhile is kept: no more
    messages begin then, those under way are answered, and it is raised after that.
    """

    def __init__(self, app: App, lease: Lease, ledger: Ledger, stopping: threading.Event) -> None:
        self.journal_gone = False
        self._app = app
        self._lease = lease
        self._ledger = ledger
        self._stopping = stopping
        self._prepare = Preparation(app)
        self._out: dict[int, tuple[Work, Prepared]] = {}  # by the envelope's id(): hashing a UUID is slow
        self._known: set[int] = set()  # the id() of every work that has an outcome
        self._trouble: Exception | None = None
        self._over = False
        self._lines_lost = 0

    def provider(self, work: Work) -> Provider:
        """Who carries this message: the channel's provider, or a folder of .eml files for a dry run."""
        if work.occasion.mode is Mode.DRY_RUN:
            folder = self._app.settings.dry_run_dir / str(work.occasion.notification_id)
            return provider_for(f"eml://{quote(str(folder))}")
        return self._app.channels.providers(work.occasion.channel)[0]

    def to(self, provider: Provider, group: list[Work]) -> None:
        """Hand these over to one provider; it puts off those it cannot be reached for."""
        if self._ended():
            return
        out_of_reach: DeliveryError | None = None
        try:
            with self._opened(provider) as connection:
                for envelope, outcome in connection.send_all(self._envelopes(group), self):
                    out_of_reach = self._answered(envelope, outcome, provider.name) or out_of_reach
        except DeliveryError as error:
            out_of_reach = error
        if self._trouble is not None:
            raise self._trouble
        if out_of_reach is not None:
            waiting = [work for work in group if id(work) not in self._known]
            self._ledger.put_off(waiting, out_of_reach, provider.name)

    @contextmanager
    def _opened(self, provider: Provider) -> Iterator[Connection]:
        """The provider's connection; the batch does not count as stuck while it waits for one that is in use."""
        with ExitStack() as stack:
            self._lease.rests()
            try:
                connection = stack.enter_context(provider.open())
            finally:
                self._lease.moves()
            yield connection

    def begin(self, envelope: Envelope, line: int) -> None:
        """See `Watch`: the journal knows of it first.

        Once something went wrong nothing is entered any more, for nothing will go out. What may not be written down yet
        has to stay the last of its line: an entry behind it would say that it was accepted.
        """
        if self._over:
            return
        try:
            self._lease.journal.enter(envelope.message_id, line)
        except Unreachable as error:
            self._end(error)
        failpoints.reach("journal.entered")

    def may_go_on(self) -> bool:
        """See `Watch`."""
        if self._ended():
            return False
        try:
            self.journal_gone = not self._lease.journal.safe()
        except Unreachable as error:
            self._end(error)
        return not self.journal_gone and self._trouble is None and self._lease.held(self._app.clock.now())

    def _ended(self) -> bool:
        return self._over or self.journal_gone or self._stopping.is_set() or not self._lease.held(self._app.clock.now())

    def _end(self, trouble: Exception | None = None) -> None:
        self._over = True
        self._trouble = self._trouble or trouble

    def _envelopes(self, group: list[Work]) -> Iterator[Envelope]:
        for work in group:
            if self._ended():
                return
            try:
                prepared = self._prepared(work)
            except Exception as error:
                self._end(error)
                return
            if prepared is None:
                self._known.add(id(work))
                continue
            self._out[id(prepared.envelope)] = (work, prepared)
            yield prepared.envelope

    def _prepared(self, work: Work) -> Prepared | None:
        """Ask policy again, and render; None when the message goes no further."""
        self._lease.moves()
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
        """Ask policy again: an address may have been suppressed since the planning."""
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

    def _answered(self, envelope: Envelope, outcome: Receipt | DeliveryError, provider: str) -> DeliveryError | None:
        """Note the outcome; returns the error after which it makes no sense to try the rest of the batch now."""
        self._lease.moves()
        work, prepared = self._out.pop(id(envelope))
        self._known.add(id(work))
        if isinstance(outcome, Receipt):
            failpoints.reach("provider.accepted")
            self._lines_lost = 0
            self._ledger.accepted(work, prepared, outcome, provider)
            return None
        try:
            self._ledger.failed(work, outcome, provider, prepared)
        except Exception as error:
            self._end(error)
        self._lines_lost = self._lines_lost + 1 if outcome.line_lost else 0
        if self._lines_lost >= GIVE_UP_AFTER or isinstance(outcome, Misconfigured):
            self._end()
            return outcome
        return None
