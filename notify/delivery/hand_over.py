"""The messages of one lease, rendered one after the other and handed over, until all are or a reason says: later.

Provider by provider: what the first choice did not accept, by its own fault, goes to the next at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import groupby
from urllib.parse import quote
from uuid import UUID

from notify import failpoints
from notify.app import App
from notify.channels import Configured, provider_for
from notify.channels.provider import Connection, Envelope, Provider, Receipt
from notify.delivery import links
from notify.delivery.breaker import Probe
from notify.delivery.gate import Gate
from notify.delivery.gates import Gates
from notify.delivery.lease import Lease
from notify.delivery.ledger import Ledger
from notify.delivery.lines import Lines
from notify.delivery.prepare import Prepared
from notify.delivery.recheck import Recheck
from notify.delivery.route import Story, Wait, passes_on
from notify.delivery.turn import Turn
from notify.errors import DeliveryError, OperatorError, Unreachable
from notify.model import Mode, Skip
from notify.policy import next_round, past
from notify.store.messages import THROTTLED
from notify.store.work import Work
from notify.telemetry import emit


def hand_over(app: App, lease: Lease, ledger: Ledger, stopping: threading.Event, gates: Gates) -> bool:
    """Hand over what can be. What no outcome is known of then, the ledger gives back when it settles.

    False when journal or database failed us: the rest is for the relay then, not to be rung for at once. Raises
    `LeaseLost` when another worker has taken over.
    """
    work = _HandOver(app, lease, ledger, stopping, gates)
    try:
        work.all()
    except Unreachable as error:  # database or journal: what is known is settled, the rest waits
        emit("batch.handed_back", reason=str(error))
        return False
    return not work.journal_gone


class _HandOver:
    """Feeds providers with envelopes, and is the `Watch` that stands before each.

    Nothing may leave a provider in the middle of a hand-over. So whatever goes wrong meanwhile is kept: no more
    messages begin then, those under way are answered, and it is raised after that.
    """

    def __init__(self, app: App, lease: Lease, ledger: Ledger, stopping: threading.Event, gates: Gates) -> None:
        self.journal_gone = False
        self._app = app
        self._lease = lease
        self._ledger = ledger
        self._stopping = stopping
        self._look = gates.look
        self._gates = gates
        self._route = gates.look.route(lease.batch.channel)
        self._recheck = Recheck(app, lease, ledger)
        self._out: dict[int, tuple[Work, Prepared]] = {}  # by the envelope's id(): hashing a UUID is slow
        self._begun: set[int] = set()  # of those, whose hand-over the journal knows of
        self._lines: Lines
        self._deadline: datetime | None = None  # the earliest of those begun that may not go on yet
        self._known: set[int] = set()  # the id() of every work that has an outcome
        self._stories: dict[int, Story] = {}  # by the id() of every work that was passed on
        self._turn: Turn
        self._gate: Gate
        self._trouble: Exception | None = None
        self._over = False

    def all(self) -> None:
        """Every message of the batch, to a provider that takes it; those of a dry run into a folder."""
        live: list[Work] = []
        for notification_id, group in groupby(self._lease.work, _dry):
            if notification_id is None:
                live += group
            else:
                self._write_files(notification_id, list(group))
        live = self._within_category(self._allowed(live))
        live = self._wait(live, self._gates.recipients(live))
        while live and not self._ended():
            live = self._round(live)
        self._look.let_go()

    def _round(self, waiting: list[Work]) -> list[Work]:
        """One provider's turn; returns who still needs a provider."""
        provider, group, others = self._route.first(waiting, self._stories)
        if provider is None:
            self._none_left(group)
            return others
        turn = Turn(provider, self._look, plain=self._route.plain(provider) and not self._stories)
        if isinstance(self._look.standing(provider.name), Probe):
            if not self._look.granted(provider.name):
                return waiting
            turn.probe, group, others = True, group[:1], [*group[1:], *others]
        self._take(turn, group)
        all_told = turn.left is None and self._gate.shut is None
        left = turn.passed if all_told else [work for work in group if id(work) not in self._known]
        return [*left, *others]

    def _wait(self, works: list[Work], waits: list[tuple[list[Work], Wait]]) -> list[Work]:
        """Put off those of these messages that wait for a limit; returns the others."""
        if waits:
            self._ledger.put_off_each(waits)
            self._known.update(id(work) for held, _ in waits for work in held)
        return [work for work in works if id(work) not in self._known]

    def _allowed(self, works: list[Work]) -> list[Work]:
        """Ask policy before a share is counted, for what goes no further takes none; returns the others."""
        counted = {kind for kind in {work.occasion.kind for work in works} if self._gates.counts(kind)}
        if not counted:
            return works
        now = self._app.clock.now()
        asked = (work for work in works if work.occasion.kind in counted)
        self._known.update(id(work) for work in asked if not self._recheck.allows(work, now))
        return [work for work in works if id(work) not in self._known]

    def _within_category(self, works: list[Work]) -> list[Work]:
        """Skip or put off those whose recipients had their share of the category; returns the others."""
        over = self._gates.categories(works)
        for one in over:
            for work in one.works if one.skip else ():
                self._ledger.decided(work, Skip(THROTTLED, one.rule))
                self._known.add(id(work))
        return self._wait(works, [(one.works, Wait(one.until, THROTTLED, one.rule)) for one in over if not one.skip])

    def _write_files(self, notification_id: UUID, group: list[Work]) -> None:
        """A dry run: its provider is a folder of .eml files, and there is no other."""
        folder = quote(str(self._app.settings.dry_run_dir / str(notification_id)))
        turn = Turn(Configured(provider_for(f"eml://{folder}"), "eml"), self._look, dry=True)
        self._take(turn, group)
        if turn.left is not None:
            waiting = [work for work in group if id(work) not in self._known]
            emit("dry_run.unwritable", reason=turn.left.reason, response=turn.left.response, messages=len(waiting))
            until = next_round(turn.left, self._app.clock.now(), _draw())
            rule = "the folder of dry runs cannot be written: not tried, costs no attempt"
            self._ledger.put_off(waiting, Wait(until, turn.left.reason, rule))

    def _none_left(self, works: list[Work]) -> None:
        """No provider takes these: those that none was asked for wait at no cost, for the others the verdict falls."""
        untried = [work for work in works if id(work) not in self._stories]
        if untried:
            self._ledger.put_off(untried, self._gates.until(self._lease.batch, len(untried), _draw()))
        tried = [work for work in works if id(work) in self._stories]
        if tried:
            self._ledger.given_up([(work, list(self._stories[id(work)].values())) for work in tried])

    def _take(self, turn: Turn, group: list[Work]) -> None:
        """Hand these over to one provider, until all are answered or it gets no more."""
        if self._ended():
            return
        self._turn = turn
        self._lines = Lines(self._lease.journal)
        self._gate = self._gates.to(self._lease.batch, turn.provider, dry=turn.dry)
        try:
            with self._opened(turn.provider.provider) as connection:
                for envelope, outcome in connection.send_all(self._envelopes(group), self):
                    self._answered(envelope, outcome)
        except DeliveryError as error:
            turn.leave(error, out_of_reach=error.line_lost)
        self._withdraw_unsent()
        if self._trouble is not None:
            raise self._trouble
        turn.tell()
        self._wait(group, self._gates.held_back(self._lease.batch, self._gate))
        if self._gate.shut is not None:
            self._gates.shut(turn.provider, self._gate.shut)
        if self._gate.spent:
            self._end()

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
        if self._over or self._turn.left is not None:
            return
        work = self._out[id(envelope)][0]
        expires_at = work.occasion.expires_at
        late = not self._gate.begin(work.address, self._stopping)
        if late or (expires_at is not None and past(expires_at, self._app.clock.now())):
            self._end()  # it waited too long for its line; the rest is rung for again at once, and this one dies then
            return
        if expires_at is not None:
            self._deadline = expires_at if self._deadline is None else min(expires_at, self._deadline)
        try:
            self._lease.journal.enter(envelope.message_id, line)
        except Unreachable as error:
            self._end(error)
        self._begun.add(id(envelope))
        self._lines.begun(envelope, line)
        failpoints.reach("journal.entered")

    def may_go_on(self) -> bool:
        """See `Watch`."""
        if self._interrupted() or self._turn.left is not None:
            return False
        try:
            self.journal_gone = not self._lease.journal.safe()
        except Unreachable as error:
            self._end(error)
        if self.journal_gone or self._trouble is not None or not self._gate.go_on(self._stopping):
            return False
        now = self._app.clock.now()  # not before: the gate may have kept us
        if past(self._deadline, now):
            self._end()  # as in `begin()`
            return False
        self._deadline = None
        return self._lease.held(now)

    def _ended(self) -> bool:
        return self._interrupted() or not self._lease.held(self._app.clock.now())

    def _interrupted(self) -> bool:
        return self._over or self.journal_gone or self._stopping.is_set()

    def _end(self, trouble: Exception | None = None) -> None:
        self._over = True
        self._trouble = self._trouble or trouble

    def _envelopes(self, group: list[Work]) -> Iterator[Envelope]:
        try:
            yield from links.stored(self._app, self._rendered(group), few=not self._gate.free)
        except OperatorError as error:
            self._end(error)
        self._lines.fed(self._out)

    def _rendered(self, group: list[Work]) -> Iterator[Prepared]:
        for work in self._gate.admitted(group):
            now = self._app.clock.now()
            if self._interrupted() or self._turn.left is not None or not self._lease.held(now):
                return
            try:
                self._lease.moves()
                prepared = self._recheck(work, now)
            except Exception as error:
                self._end(error)
                return
            if prepared is None:
                self._known.add(id(work))
                self._gate.forgo(work.address)
                continue
            self._out[id(prepared.envelope)] = (work, prepared)
            yield prepared

    def _answered(self, envelope: Envelope, outcome: Receipt | DeliveryError) -> None:
        """Note the outcome. After some errors it makes no sense to give this provider the rest of the batch."""
        self._lease.moves()
        work, prepared = self._out.pop(id(envelope))
        turn = self._turn
        begun = id(envelope) in self._begun
        self._begun.discard(id(envelope))
        if isinstance(outcome, Receipt):
            failpoints.reach("provider.accepted")
            self._known.add(id(work))
            turn.praise()
            self._lines.accepted(work.id)
            self._ledger.accepted(work, prepared, outcome, turn.provider.name, self._passed_over(work))
            return
        turn.blame(outcome)
        try:
            self._refused(work, prepared, outcome, begun=begun)
            turn.think_of_leaving(outcome)
        except Exception as error:
            self._end(error)

    def _refused(self, work: Work, prepared: Prepared, error: DeliveryError, *, begun: bool) -> None:
        """Pass it on to its next provider when that is safe and there is one; else the verdict falls."""
        turn, over = self._turn, self._passed_over(work)
        story = self._stories.get(id(work), {})
        if not turn.dry and passes_on(error):
            told = {**story, turn.provider.name: error}
            if self._route.next_for(work, told) is not None:
                self._ledger.passed_on(work, error, turn.provider.name, prepared, passed_over=over)
                failpoints.reach("message.passed_on")
                if begun:  # first the row, then this: else it might be sent again with nothing to tell of it
                    self._lease.journal.withdraw(work.id)
                self._stories[id(work)] = told
                turn.passed.append(work)
                return
        self._known.add(id(work))
        before = list(story.values())
        self._ledger.failed(work, error, turn.provider.name, prepared, passed_over=over, before=before)

    def _passed_over(self, work: Work) -> str | None:
        turn = self._turn
        if turn.plain or turn.dry:
            return None
        return self._route.passed_over(work, turn.provider, self._stories.get(id(work)))

    def _withdraw_unsent(self) -> None:
        """What the journal knows of and the provider did not begin after all goes to another one, or waits."""
        if self._trouble is None and not self.journal_gone:
            for one in self._begun:
                if one in self._out:
                    self._lease.journal.withdraw(self._out[one][0].id)
        self._lines.close()
        self._begun.clear()
        self._out.clear()
        self._deadline = None


def _dry(work: Work) -> UUID | None:
    """Whose dry run this message belongs to, if it does."""
    return work.occasion.notification_id if work.occasion.mode is Mode.DRY_RUN else None


def _draw() -> float:
    return random.random()  # noqa: S311 - what fails together waits together, but not until one moment
