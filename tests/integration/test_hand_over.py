"""Hand-over on several lines: whatever goes wrong meanwhile, what is under way is answered and noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.channels import Channels, Configured
from notify.channels.provider import Envelope, Outcome, Receipt, Watch
from notify.delivery import Worker, deliver
from notify.delivery.journal import Entries, Journal
from notify.errors import Rejected, Transient, Unreachable
from notify.model import Channel, MessageState
from notify.store import attempts, batches, messages, tables
from notify.store.tenants import DEFAULT_ID
from tests.kinds import make_kind

Script = Callable[[Iterator[Envelope], Watch], Iterator[Outcome]]
NEVER = datetime.max.replace(tzinfo=UTC)
TAKEN = Receipt("250 taken")


class Scripted:
    """A provider with as many lines as its script says."""

    name: ClassVar[str] = "scripted"
    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(self, script: Script) -> None:
        self._script = script

    @contextmanager
    def open(self) -> Iterator[Scripted]:
        yield self

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        return self._script(envelopes, watch)

    def close(self) -> None:
        pass


@pytest.fixture
def mailout(app: App, templates: Any) -> Callable[[Script, int], App]:
    """An App whose provider follows the script, with so many messages planned."""
    make_kind(templates)

    def plan(script: Script, count: int) -> App:
        channels = Channels(MappingProxyType({Channel.EMAIL: (Configured(Scripted(script), "scripted"),)}))
        scripted = App(app.settings, app.store, channels, app.kinds, app.redis, app.clock, lambda _: None)
        with using(scripted):
            notify.send_many("hello", [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)])
        return scripted

    return plan


def result(app: App) -> dict[str, int] | None:
    with app.store.read() as connection:
        batch_id = connection.scalar(sa.select(tables.batches.c.id).order_by(tables.batches.c.id).limit(1))
    assert batch_id is not None
    return deliver(app, batch_id, Worker("test"))


def two_lines(first: Any, second: Any) -> Script:
    """Begins two messages on two lines before either is answered; the answers come in this order."""

    def script(envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        one, two = next(envelopes), next(envelopes)
        watch.begin(one, 0)
        watch.begin(two, 1)
        assert watch.may_go_on()
        yield one, first
        yield two, second
        if watch.may_go_on():
            for rest in envelopes:
                yield rest, TAKEN

    return script


def test_a_database_that_goes_away_at_a_refusal_hides_no_acceptance_that_comes_after(
    mailout: Callable[[Script, int], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, renew = mailout(two_lines(Rejected("recipient_rejected", scope="address"), TAKEN), 4), batches.renew

    def away_once(*arguments: Any) -> bool:
        monkeypatch.setattr(batches, "renew", renew)
        raise Unreachable("the database does not answer")

    monkeypatch.setattr(batches, "renew", away_once)
    assert result(app) == {"sent": 1, "dead": 1, "handed_back": 2}


def test_when_the_provider_takes_nothing_more_the_rest_is_put_off_untried(
    mailout: Callable[[Script, int], App],
) -> None:
    def script(envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        one = next(envelopes)
        watch.begin(one, 0)
        assert watch.may_go_on()
        yield one, TAKEN
        next(envelopes)  # taken, but never handed over
        raise Transient("unreachable", line_lost=True)

    app = mailout(script, 3)
    assert result(app) == {"sent": 1, "queued": 2}
    with app.store.read() as connection:
        waiting = messages.listing(connection, DEFAULT_ID, states=[MessageState.QUEUED])
        assert [attempts.of_message(connection, one.message.id) for one in waiting] == [[], []]
    assert {(one.message.reason, one.message.attempts) for one in waiting} == {("unreachable", 0)}


def test_what_was_begun_on_two_lines_is_in_doubt_twice_when_the_worker_dies(
    mailout: Callable[[Script, int], App],
) -> None:
    class Died(BaseException):
        pass

    def script(envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        one, two, three = (next(envelopes) for _ in range(3))
        watch.begin(one, 0)
        watch.begin(two, 1)
        assert watch.may_go_on()
        yield two, TAKEN
        watch.begin(three, 1)
        assert watch.may_go_on()
        raise Died

    app = mailout(script, 5)
    with pytest.raises(Died):
        result(app)
    with app.store.begin() as connection:
        [batch] = batches.due(connection, NEVER, unclaimed_since=NEVER, limit=1)
        rows = [one.message.id for one in messages.listing(connection, DEFAULT_ID)]
    entries = Journal(app.redis, batch, 1).seal()
    assert entries is not None
    one, two, three, *_ = sorted(rows)
    assert entries == Entries(frozenset({two}), frozenset({one, three}))


@pytest.mark.parametrize("answered_first", [True, False])
def test_what_was_accepted_as_the_last_of_its_line_is_in_no_doubt_when_the_worker_dies(
    mailout: Callable[[Script, int], App], *, answered_first: bool
) -> None:
    """For another batch may go out on that line, and have one in doubt there itself."""

    class Died(BaseException):
        pass

    def script(envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        one, two = next(envelopes), next(envelopes)
        watch.begin(one, 0)
        watch.begin(two, 1)
        assert watch.may_go_on()
        if answered_first:
            yield one, TAKEN
        assert next(envelopes, None) is None
        if not answered_first:
            yield one, TAKEN
        raise Died

    app = mailout(script, 2)
    with pytest.raises(Died):
        result(app)
    with app.store.begin() as connection:
        [batch] = batches.due(connection, NEVER, unclaimed_since=NEVER, limit=1)
        one, two = sorted(row.message.id for row in messages.listing(connection, DEFAULT_ID))
    assert Journal(app.redis, batch, 1).seal() == Entries(frozenset({one}), frozenset({two}))


def test_a_refusal_that_cannot_be_written_stays_the_last_of_its_line(
    mailout: Callable[[Script, int], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its message would count as accepted, should the database stay away until another takes the batch over."""

    def script(envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        one, two = next(envelopes), next(envelopes)
        watch.begin(one, 0)
        assert watch.may_go_on()
        yield one, Rejected("recipient_rejected", scope="address")
        watch.begin(two, 0)
        assert not watch.may_go_on()

    def away(*_: Any) -> bool:
        raise Unreachable("the database does not answer")

    sealed: list[Entries | None] = []

    def look(journal: Journal) -> None:
        sealed.append(journal.seal())

    app = mailout(script, 3)
    monkeypatch.setattr(batches, "renew", away)
    monkeypatch.setattr(Journal, "close", look)
    assert result(app) == {"dead": 1, "handed_back": 2}
    with app.store.read() as connection:
        first = min(one.message.id for one in messages.listing(connection, DEFAULT_ID))
    assert sealed == [Entries(frozenset(), frozenset({first}))]
