"""One bell answered: the life of a batch, from claim to settlement, as one pipeline."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from urllib.parse import quote
from uuid import UUID

from notify.app import App, ring
from notify.channels.provider import Connection, Provider
from notify.channels.registry import provider_for
from notify.delivery.lease import Lease, claim, renewing
from notify.delivery.ledger import LeaseLost, Ledger
from notify.delivery.prepare import Preparation, Prepared
from notify.errors import DeliveryError, Misconfigured, OperatorError, Unreachable
from notify.model import Batch, Mode, Skip, Suppression
from notify.policy import decide
from notify.store import suppressions
from notify.store.messages import Work
from notify.telemetry import bind, emit

GIVE_UP_AFTER = 3  # so many lines lost in a row: the rest of the batch waits, too
RETRY_SETTLING_SECONDS = 1.0


def deliver(app: App, batch_id: UUID, *, worker: str, stopping: threading.Event) -> dict[str, int] | None:
    """Deliver one batch; returns how many messages ended how, or None when there was nothing to do.

    Safe to call at any time, by anyone, any number of times: the claim lets one caller in. `stopping` asks to
    hand back what is not begun yet.
    """
    with bind(batch=batch_id):
        lease = claim(app, batch_id, worker)
        if lease is None:
            return None
        ledger = Ledger(app, lease)
        try:
            with renewing(app, lease):
                whole = _hand_over(app, lease, ledger, stopping)
                rest = _settle(app, lease, ledger)
        except LeaseLost:
            emit("batch.lost", epoch=lease.batch.epoch)
            return None
        with suppress(Unreachable):  # then it expires by itself
            lease.journal.close()
        counts = dict(+ledger.counts)
        emit("batch.settled", epoch=lease.batch.epoch, **counts)
        if whole:
            ring(app, rest)
        return counts


def _hand_over(app: App, lease: Lease, ledger: Ledger, stopping: threading.Event) -> bool:
    """Hand over one message after the other, until all are, or a reason comes up to leave the rest to later.

    False when the journal or the database failed us: the rest is for the relay then, not to be rung for at once.
    """
    try:
        forbidden = _suppressions(app, lease)
        with ExitStack() as stack:
            lines, prepare = _Lines(app, stack), Preparation(app)
            for position, work in enumerate(lease.work):
                if stopping.is_set():
                    break
                prepared = _prepared(app, work, forbidden, prepare, ledger)
                if prepared is None:
                    continue
                provider = lines.provider(work)
                try:
                    line = lines.to(provider)
                except DeliveryError as error:
                    ledger.put_off(lease.work[position:], error, provider.name)
                    break
                if not lease.held(app.clock.now()) or not lease.journal.enter(work.message.id):
                    return False
                try:
                    ledger.accepted(work, prepared, line.send(prepared.envelope), provider.name)
                    lines.answered()
                except DeliveryError as error:
                    ledger.failed(work, error, provider.name, prepared)
                    if lines.given_up(error):
                        ledger.put_off(lease.work[position + 1 :], error, provider.name)
                        break
    except Unreachable as error:  # database or journal: what is known is settled, the rest waits
        emit("batch.handed_back", reason=str(error))
        return False
    return True


def _prepared(
    app: App, work: Work, forbidden: dict[str, list[Suppression]], prepare: Preparation, ledger: Ledger
) -> Prepared | None:
    """Ask policy again, and render; None when the message goes no further."""
    try:
        no = _forbids(app, work, forbidden)
        if no is None:
            return prepare(work)
        ledger.skipped(work, no)
    except OperatorError:
        raise
    except Exception as error:  # a template may raise anything: it must not take the batch along
        ledger.unrenderable(work, error)
    return None


def _settle(app: App, lease: Lease, ledger: Ledger) -> list[Batch]:
    """Settle, and wait for a database that is away while the lease holds: what was sent should be known as sent."""
    pause = threading.Event()
    while True:
        try:
            return ledger.settle()
        except Unreachable:
            if not lease.held(app.clock.now()):
                raise
            pause.wait(RETRY_SETTLING_SECONDS)


def _suppressions(app: App, lease: Lease) -> dict[str, list[Suppression]]:
    folded = [address.folded for work in lease.work for address in work.recipient.addresses.values()]
    with app.store.read() as connection:
        return suppressions.of_addresses(connection, lease.batch.tenant_id, lease.batch.channel, folded)


def _forbids(app: App, work: Work, forbidden: dict[str, list[Suppression]]) -> Skip | None:
    """Ask policy again: an address may have been suppressed since the planning."""
    channel = work.message.channel
    address = work.recipient.addresses.get(channel)
    decision = decide(
        app.kinds.get(work.kind).facts,
        work.recipient,
        channel,
        forbidden.get(address.folded, ()) if address else (),
        app.clock.now(),
        mode=work.mode,
        test_recipients=app.settings.test_recipients,
    )
    return decision if isinstance(decision, Skip) else None


class _Lines:
    """The batch's open connections: one per provider, opened when first needed."""

    def __init__(self, app: App, stack: ExitStack) -> None:
        self._app = app
        self._stack = stack
        self._open: dict[Provider, Connection] = {}
        self._lost = 0

    def provider(self, work: Work) -> Provider:
        """Who carries this message: the channel's provider, or a folder of .eml files for a dry run."""
        if work.mode is Mode.DRY_RUN:
            folder = self._app.settings.dry_run_dir / str(work.message.notification_id)
            return provider_for(f"eml://{quote(str(folder))}")
        return self._app.channels.providers(work.message.channel)[0]

    def to(self, provider: Provider) -> Connection:
        """The line to that provider. Raises a `DeliveryError` when nobody answers."""
        if provider not in self._open:
            self._open[provider] = self._stack.enter_context(provider.open())
        return self._open[provider]

    def answered(self) -> None:
        """A message went through: the provider is there."""
        self._lost = 0

    def given_up(self, error: DeliveryError) -> bool:
        """Whether, after this error too, it makes no sense to try the rest of the batch now."""
        self._lost = self._lost + 1 if error.line_lost else 0
        return self._lost == GIVE_UP_AFTER or isinstance(error, Misconfigured)
