"""Two providers: what the first does not accept by its own fault the second delivers, once, and every row tells so."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from uuid_utils.compat import uuid7

import notify
from notify import telemetry
from notify.app import App, using
from notify.channels import Channels, Configured
from notify.channels.provider import Envelope, Outcome, Receipt, Watch, one_by_one
from notify.delivery import Worker, deliver, relay, status
from notify.delivery.breaker import Breakers, BreakerState
from notify.delivery.pauses import PAUSED, pause, resume
from notify.delivery.route import Routes
from notify.errors import DeliveryError, InvalidProvider, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.model import Attempt, Batch, BatchState, Channel, Lane, MessageState
from notify.model import Outcome as Ended
from notify.store import attempts as attempt_rows
from notify.store import messages, provider_pauses, tables, tenants
from notify.store.messages import Listed
from notify.store.tenants import DEFAULT_ID
from notify.testing import MovableClock
from tests import smtp_server
from tests.drain import drain
from tests.kinds import make_kind
from tests.processes import environment
from tests.providers import free_port

FIRST, SECOND = "first", "second"
Heard = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "otp", toml='on_doubt = "hold"')


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def second() -> Iterator[smtp_server.Server]:
    with smtp_server.serving() as server:
        yield server


@pytest.fixture
def heard() -> Iterator[Heard]:
    events: Heard = []
    with telemetry.subscribed(lambda event, facts: events.append((event, dict(facts)))):
        yield events


@pytest.fixture
def with_urls(app: App, clock: MovableClock, make_app: Callable[..., App]) -> Callable[..., App]:
    """Opens the App with these providers and a clock that stands still."""

    def make(*urls: str, **changes: Any) -> App:
        secrets = tuple(SecretStr(url) for url in urls)
        opened = make_app(app.settings, email_providers=secrets, **changes)
        return App(opened.settings, opened.store, opened.channels, opened.kinds, opened.redis, clock, lambda _: None)

    return make


def named(server: smtp_server.Server, name: str, *options: str) -> str:
    return "&".join((f"{server.url}&name={name}&connections=1", *options))


def send(app: App, count: int, kind: str = "hello") -> None:
    with using(app):
        notify.send_many(kind, [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count)])


def rows(app: App) -> list[Listed]:
    with app.store.read() as connection:
        return messages.listing(connection, tenants.DEFAULT_ID, limit=1000)


def states(app: App) -> dict[str, int]:
    return dict(Counter(str(one.message.state) for one in rows(app)))


def attempts(app: App, key: str = "u0") -> list[Attempt]:
    [found] = [one for one in rows(app) if one.recipient == key]
    with app.store.read() as connection:
        return attempt_rows.of_message(connection, found.message.id)


def batch_rows(app: App) -> list[Any]:
    with app.store.read() as connection:
        return list(connection.execute(sa.select(tables.batches).where(tables.batches.c.state != BatchState.DONE)))


def refusing(step: str, reply: str) -> smtp_server.Script:
    return lambda _on, at, _nth: reply if at == step else None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (refusing("MAIL", "451 4.3.0 queue full"), "sender_deferred"),
        (refusing("BODY", "451 4.3.0 queue full"), "body_deferred"),
        (refusing("RCPT", "421 4.3.2 closing"), "system_unavailable"),
        (refusing("MAIL", smtp_server.CLOSE), "sender_disconnected"),
    ],
    ids=["451 to MAIL", "451 to the body", "421", "closed"],
)
def test_what_the_first_does_not_accept_the_second_delivers_once(
    with_urls: Callable[..., App], second: smtp_server.Server, script: smtp_server.Script, reason: str
) -> None:
    with smtp_server.serving(script) as first:
        app = with_urls(named(first, FIRST), named(second, SECOND))
        send(app, 40)
        drain(app)
    assert states(app) == {"sent": 40}
    assert Counter(second.accepted) == {f"u{n}@example.org": 1 for n in range(40)}
    assert first.accepted == []
    refused, accepted = attempts(app)
    assert (refused.provider, refused.reason, refused.number, refused.passed_over) == (FIRST, reason, 1, None)
    assert (accepted.provider, accepted.outcome, accepted.number) == (SECOND, Ended.ACCEPTED, 1)
    assert accepted.passed_over == f"{FIRST}: {reason}"
    assert {one.message.attempts for one in rows(app)} == {1}, "a round costs one attempt"


def test_a_first_that_is_out_of_reach_costs_no_attempt_row_and_is_left_alone_by_the_next_batch(
    with_urls: Callable[..., App], second: smtp_server.Server, heard: Heard
) -> None:
    app = with_urls(f"smtp://127.0.0.1:{free_port()}?name={FIRST}", named(second, SECOND))
    send(app, 3)
    drain(app)
    send(app, 2)
    drain(app)
    assert (states(app), len(second.accepted)) == ({"sent": 5}, 5)
    [accepted] = attempts(app, "u2")
    assert accepted.passed_over is not None
    assert accepted.passed_over.startswith(f"{FIRST}: ")
    assert "unreachable" in accepted.passed_over
    assert [event for event, _ in heard if event.startswith(("breaker.", "provider."))] == ["breaker.opened"]


def test_a_wrong_password_pauses_the_provider_and_the_second_delivers(
    with_urls: Callable[..., App], second: smtp_server.Server, heard: Heard
) -> None:
    with smtp_server.serving(refusing("AUTH", "535 5.7.8 no"), offers=("PIPELINING", "AUTH PLAIN")) as first:
        app = with_urls(named(first, FIRST).replace("//", "//user:s3cr3t@"), named(second, SECOND))
        send(app, 3)
        drain(app)
        send(app, 3)
        drain(app)
    assert (states(app), len(second.accepted), len(first.writes)) == ({"sent": 6}, 6, 1)
    with app.store.read() as connection:
        [paused] = provider_pauses.listing(connection)
    assert (paused.name, paused.reason, paused.actor) == (FIRST, "auth_refused", "worker")
    [told] = [facts for event, facts in heard if event == "provider.paused"]
    assert (told["provider"], told["reason"]) == (FIRST, "auth_refused")
    assert "s3cr3t" not in str(heard) + repr(paused)


def test_a_paused_provider_is_used_again_when_an_operator_resumes_it(
    with_urls: Callable[..., App], second: smtp_server.Server, clock: MovableClock
) -> None:
    app = with_urls(named(second, SECOND))
    assert pause(app, SECOND, actor="cli:ada", reason="invoice not paid")
    assert not pause(app, SECOND, actor="cli:ada", reason="again")
    send(app, 3)
    drain(app)
    [waiting] = batch_rows(app)
    assert (waiting.state, waiting.reason, waiting.published_at, waiting.epoch) == (BatchState.READY, PAUSED, None, 0)
    assert "invoice not paid" in waiting.rule
    assert {(one.message.state, one.message.reason) for one in rows(app)} == {(MessageState.QUEUED, PAUSED)}
    assert resume(app, SECOND, actor="cli:ada")
    assert not resume(app, SECOND, actor="cli:ada")
    drain(app)
    assert (states(app), len(second.accepted)) == ({"sent": 3}, 3)
    with app.store.read() as connection:
        audited = connection.execute(sa.select(tables.audit.c.action, tables.audit.c.actor, tables.audit.c.subject))
        assert audited.all() == [
            ("provider.paused", "cli:ada", SECOND),
            ("provider.resumed", "cli:ada", SECOND),
        ]
    with pytest.raises(InvalidProvider, match="did you mean 'second'"):
        pause(app, "secnod", actor="cli:ada", reason="typo")


def test_a_changed_setting_ends_a_pause_but_not_an_operators_own(
    with_urls: Callable[..., App], second: smtp_server.Server, heard: Heard
) -> None:
    with smtp_server.serving(refusing("AUTH", "535 5.7.8 no"), offers=("AUTH PLAIN",)) as first:
        app = with_urls(named(first, SECOND).replace("//", "//user:wrong@"))
        send(app, 2)
        drain(app)
    assert states(app) == {"queued": 2}
    send(app, 2)
    drain(app)  # put off as a whole
    mended = with_urls(named(second, SECOND))
    relay(mended)
    drain(mended)
    assert len(second.accepted) == 4, "those who wait wait no longer, as a whole or one by one"
    assert [facts["cause"] for event, facts in heard if event == "provider.resumed"] == ["setting changed"]
    pause(mended, SECOND, actor="cli:ada", reason="mine")
    changed = with_urls(named(second, SECOND, "timeout=7"))
    send(changed, 1)
    drain(changed)
    assert len(second.accepted) == 4


def test_while_all_are_shut_batches_wait_as_a_whole_and_one_message_probes(
    with_urls: Callable[..., App], clock: MovableClock, heard: Heard
) -> None:
    hurt = [True]

    def script(_on: int, step: str, _nth: int) -> str | None:
        return "451 4.3.0 queue full" if hurt[0] and step == "BODY" else None

    with smtp_server.serving(script) as server:
        app = with_urls(named(server, FIRST))
        send(app, 50)
        drain(app)
        tried = bodies(server)
        assert 20 <= tried < 30, "the breaker opened in the middle of the batch"
        for _ in range(5):
            send(app, 10)
        drain(app)
        assert bodies(server) == tried, "nobody asked it again"
        whole = [one for one in batch_rows(app) if one.reason]
        assert [(one.reason, one.epoch) for one in whole] == [("body_deferred", 0)] * 5
        assert all(one.due_at > clock.now() and one.published_at is None for one in whole)
        assert len({one.due_at for one in whole}) > 1, "they do not all come back in one instant"
        newest = rows(app)[0].message
        assert (newest.reason, newest.attempts) == ("body_deferred", 0)
        with using(app):
            told = notify.explain(newest.id)
        assert (told.message.reason, told.message.due_at > clock.now()) == ("body_deferred", True)
        assert "costs no attempt" in str(told)
        clock.move(timedelta(seconds=46))
        drain(app)
        assert bodies(server) == tried + 1, "one message probes"
        hurt[0] = False
        clock.move(timedelta(minutes=2))
        drain(app)
        clock.move(timedelta(minutes=10))
        drain(app)
        assert states(app) == {"sent": 100}
        assert max(Counter(server.accepted).values()) == 1 + 5, "u0 to u9 got six notifications"
    assert [event for event, _ in heard if event.startswith("breaker.")] == ["breaker.opened", "breaker.closed"]


def bodies(server: smtp_server.Server) -> int:
    return sum(b"".join(writes).count(b"\r\n.\r\n") for writes in server.writes)


def test_a_half_open_first_gets_one_message_while_the_second_carries_the_others(
    with_urls: Callable[..., App], second: smtp_server.Server, clock: MovableClock
) -> None:
    with smtp_server.serving(refusing("BODY", "451 4.3.0 queue full")) as first:
        app = with_urls(named(first, FIRST), named(second, SECOND))
        Breakers(app).report(FIRST, out_of_reach=True, reason="unreachable")
        clock.move(timedelta(seconds=31))
        send(app, 20)
        drain(app)
        assert (bodies(first), len(second.accepted), states(app)) == (1, 20, {"sent": 20})
        assert Breakers(app).snapshot(FIRST).state is BreakerState.OPEN


def test_status_tells_of_messages_that_wait_for_a_provider(with_urls: Callable[..., App], clock: MovableClock) -> None:
    app = with_urls(f"smtp://127.0.0.1:{free_port()}?name={FIRST}")
    Breakers(app).report(FIRST, out_of_reach=True, reason="unreachable")
    send(app, 3)
    drain(app)
    clock.move(timedelta(minutes=3))
    assert any("3 messages wait untried" in problem and "unreachable" in problem for problem in status(app).problems)


def test_a_dry_run_does_not_wait_for_a_provider(with_urls: Callable[..., App]) -> None:
    app = with_urls(f"smtp://127.0.0.1:{free_port()}?name={FIRST}")
    Breakers(app).report(FIRST, out_of_reach=True, reason="unreachable")
    with using(app):
        notify.send("hello", to={"key": "ada", "email": "ada@example.org"}, mode="dry_run")
    drain(app)
    assert states(app) == {"skipped": 1}


def test_what_may_have_been_accepted_never_goes_to_another_provider(
    with_urls: Callable[..., App], second: smtp_server.Server
) -> None:
    with smtp_server.serving(refusing("BODY", smtp_server.MUTE)) as first:
        app = with_urls(named(first, FIRST, "timeout=1"), named(second, SECOND))
        send(app, 1, kind="otp")
        send(app, 1)
        drain(app)
    assert second.accepted == []
    assert states(app) == {"in_doubt": 1, "queued": 1}


class Answering:
    """A provider that answers each message with the next of these, and accepts when they run out."""

    name: ClassVar[str] = "answering"
    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(self, *answers: DeliveryError) -> None:
        self.answers = list(answers)
        self.asked = 0

    @contextmanager
    def open(self) -> Iterator[Answering]:
        yield self

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        return one_by_one(self._send, envelopes, watch)

    def _send(self, _: Envelope) -> Receipt:
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        return Receipt("250 taken")

    def close(self) -> None:
        pass


@pytest.fixture
def with_providers(with_urls: Callable[..., App]) -> Callable[..., App]:
    def make(*providers: Answering) -> App:
        app = with_urls("eml:///tmp")
        found = tuple(Configured(one, f"p{n}", digest="d") for n, one in enumerate(providers))
        channels = Channels(MappingProxyType({Channel.EMAIL: found}))
        return App(app.settings, app.store, channels, app.kinds, app.redis, app.clock, app.publish)

    return make


@pytest.mark.parametrize(
    ("error", "state", "cost"),
    [
        (Transient("mailbox_full", scope="message"), "queued", 1),
        (Rejected("mailbox_unknown", scope="address"), "dead", 1),
        (Uncertain("body_timeout"), "queued", 1),
    ],
)
def test_what_another_provider_could_not_mend_is_not_passed_on(
    with_providers: Callable[..., App], error: DeliveryError, state: str, cost: int
) -> None:
    other = Answering()
    app = with_providers(Answering(error), other)
    send(app, 1)
    drain(app)
    assert (states(app), other.asked, rows(app)[0].message.attempts) == ({state: 1}, 0, cost)


def test_a_round_that_all_refuse_costs_one_attempt_and_each_refusal_has_a_row(
    with_providers: Callable[..., App],
) -> None:
    app = with_providers(Answering(Transient("body_deferred")), Answering(Throttled("rate_limited", retry_after=5)))
    send(app, 1)
    drain(app)
    [row] = rows(app)
    assert (row.message.state, row.message.attempts, row.message.reason) == (MessageState.QUEUED, 1, "body_deferred")
    told = [(one.provider, one.outcome, one.number, one.passed_over) for one in attempts(app)]
    assert told == [("p0", Ended.TRANSIENT, 1, None), ("p1", Ended.THROTTLED, 1, "p0: body_deferred")]


def test_a_round_in_which_all_ask_for_a_wait_costs_nothing_and_the_rest_is_not_tried(
    with_providers: Callable[..., App], clock: MovableClock
) -> None:
    first, other = Answering(Throttled("rate_limited", retry_after=5)), Answering(Throttled("slow_down", retry_after=9))
    app = with_providers(first, other)
    send(app, 10)
    drain(app)
    assert (first.asked, other.asked, states(app)) == (1, 1, {"queued": 10})
    assert {one.message.attempts for one in rows(app)} == {0}
    clock.move(timedelta(minutes=1))
    drain(app)
    assert (states(app), first.asked) == ({"sent": 10}, 11)


def test_what_a_pause_put_off_one_by_one_goes_out_when_an_operator_resumes_the_provider(
    with_providers: Callable[..., App],
) -> None:
    provider = Answering(Misconfigured("credentials_refused"))
    app = with_providers(provider)
    send(app, 4)
    drain(app)
    waiting = {one.recipient: (one.message.state, one.message.reason) for one in rows(app)}
    paused = {key for key, (state, why) in waiting.items() if (state, why) == (MessageState.QUEUED, PAUSED)}
    assert (len(paused), len(waiting), {one.reason for one in batch_rows(app)}) == (3, 4, {None})
    assert resume(app, "p0", actor="cli:ada")
    drain(app)
    assert {one.recipient for one in rows(app) if one.message.state is MessageState.SENT} == paused
    assert provider.asked == 4


def test_after_it_was_passed_on_a_message_waits_when_the_next_provider_takes_nothing(
    with_providers: Callable[..., App],
) -> None:
    class Away(Answering):
        @contextmanager
        def open(self) -> Iterator[Answering]:
            raise Transient("unreachable", line_lost=True)
            yield self

    app = with_providers(Answering(Transient("body_deferred"), Throttled("rate_limited", retry_after=5)), Away())
    send(app, 4)
    drain(app)
    assert states(app) == {"queued": 4}
    assert sorted(one.message.attempts for one in rows(app)) == [0, 0, 0, 1]
    assert sorted(str(one.message.reason) for one in rows(app)) == [
        "body_deferred",
        "rate_limited",
        "rate_limited",
        "rate_limited",
    ]


DOOMED = """
import sys
from uuid import UUID
from notify.app import open_app, using
from notify.delivery import Worker, deliver
from notify.settings import load
deliver(open_app(load(env_file=None)), UUID(sys.argv[1]), Worker("doomed"))
"""


@pytest.mark.parametrize("kind", ["hello", "otp"])
@pytest.mark.parametrize("step", ["MAIL", "BODY"])
@pytest.mark.parametrize(
    ("failpoint", "doubts"),
    [
        ("message.passed_on=kill@3", {"MAIL": 0, "BODY": 1}),
        ("journal.entered=kill@1", {"MAIL": 1, "BODY": 1}),
        ("provider.accepted=kill@1", {"MAIL": 1, "BODY": 1}),
        ("provider.accepted=kill@7", {"MAIL": 1, "BODY": 1}),
        ("settle.begun=kill", {"MAIL": 0, "BODY": 0}),  # every last one of a line is noted as accepted
    ],
)
def test_whoever_dies_between_two_providers_loses_nothing_and_doubles_nothing_unnamed(
    with_urls: Callable[..., App],
    second: smtp_server.Server,
    clock: MovableClock,
    tmp_path: Path,
    *,
    failpoint: str,
    doubts: dict[str, int],
    step: str,
    kind: str,
) -> None:
    with smtp_server.serving(refusing(step, "451 4.3.0 queue full")) as first:
        app = with_urls(named(first, FIRST), named(second, SECOND))
        send(app, 30, kind=kind)
        [batch] = batch_rows(app)
        died = subprocess.run(
            [sys.executable, "-c", DOOMED, str(batch.id)],
            env=environment(app.settings, NOTIFY_FAILPOINTS=failpoint),
            cwd=tmp_path,
            check=False,
            timeout=60,
        )
        assert died.returncode == -9
        accepted_before = Counter(second.accepted)
        clock.move(timedelta(minutes=2))
        for _ in range(3):
            drain(app)
            clock.move(timedelta(minutes=10))
    uncertain = {
        one.recipient
        for one in rows(app)
        if any(tried.outcome is Ended.UNCERTAIN for tried in attempts(app, one.recipient))
    }
    assert len(uncertain) == doubts[step]
    accepted = Counter(address.partition("@")[0] for address in second.accepted)
    doubled = {key for key, times in accepted.items() if times > 1}
    assert doubled <= uncertain, "nothing is doubled unnamed"
    held = {one.recipient for one in rows(app) if one.message.state is MessageState.IN_DOUBT}
    assert held == (uncertain if kind == "otp" else set())
    assert set(accepted) | held == {f"u{n}" for n in range(30)}, "nothing is lost"
    assert states(app) == {"sent": 30 - len(held), **({"in_doubt": len(held)} if held else {})}
    assert accepted_before.keys() <= {f"u{n}@example.org" for n in range(30)}


def test_when_redis_is_away_nothing_is_sent_and_nothing_is_lost(
    with_urls: Callable[..., App], second: smtp_server.Server, make_app: Callable[..., App]
) -> None:
    app = with_urls(named(second, SECOND))
    send(app, 3)
    away = make_app(app.settings, redis_url=SecretStr("unix:///no/such/socket"))
    [batch] = batch_rows(app)
    with pytest.raises(notify.errors.Unreachable):
        deliver(away, batch.id, Worker("test"))
    assert (second.accepted, states(app)) == ([], {"queued": 3})
    drain(app)
    assert (states(app), len(second.accepted)) == ({"sent": 3}, 3)


def test_a_batch_that_comes_when_the_probe_has_just_got_through_does_not_wait(app: App, clock: MovableClock) -> None:
    app = replace(app, clock=clock, channels=Channels.from_urls(email=["smtp://127.0.0.1:1?name=only"], secret="s"))
    routes = Routes(app)
    routes.breakers.report("only", bad=1, out_of_reach=True, reason="unreachable")
    clock.move(timedelta(seconds=app.settings.breaker_seconds + 1))
    waiting = Batch(uuid7(), DEFAULT_ID, Channel.EMAIL, Lane.BULK, clock.now())
    prober, other = routes.look(), routes.look()  # both see that it may be probed
    assert prober.wait(waiting, 0.5) is None
    prober.report("only", good=1, bad=0, out_of_reach=False, reason="", probe=True)
    assert other.wait(waiting, 0.5) is None
