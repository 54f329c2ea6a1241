"""What was posted is read once, becomes events of its message, and is named when it cannot be read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import notify
from notify import web
from notify.app import App
from notify.channels.email.ses_events import SesEvents
from notify.channels.hook import HookRequest
from notify.errors import Unreachable
from notify.feedback import hooks
from notify.feedback.record import record
from notify.model import Event, HookState
from notify.store import Connection, ageing
from notify.store import hooks as store
from notify.store.hooks import Posted
from notify.store.tables import events, hook_payloads
from notify.testing import MovableClock
from tests.conformance.signers import MAILGUN, NOW, RESEND, SENDGRID, SIGNERS, TOPIC, Amazon, sendgrid_event
from tests.kinds import make_kind
from tests.unit.channels.test_sns import SUBSCRIBE, asking
from tests.unit.cli.running import install, notify_cli


def posted(name: str, request: HookRequest, number: int = 0) -> Posted:
    headers = {"content-type": request.headers["content-type"]}
    return Posted(name, f"delivery-{number}", headers, request.body, NOW)


def listed(app: App) -> list[store.Kept]:
    with app.store.read() as connection:
        return store.listing(connection, limit=1000)


def told(app: App) -> list[sa.Row[tuple[object, ...]]]:
    with app.store.read() as connection:
        return list(connection.execute(sa.select(events).order_by(events.c.provider_event_id)).all())


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())
def test_a_stored_delivery_becomes_an_event_that_names_it(app: App, signer: Amazon) -> None:
    hooks.receive(app, [posted(signer.name, signer.post(signer.secrets[0], signer.bounce()))])
    assert hooks.run(app, 5) == 1
    (kept,), (event,) = listed(app), told(app)
    assert (kept.state, kept.events, kept.reason) == (HookState.PROCESSED, 1, None)
    assert (event.type, event.bounce, event.provider) == ("bounced", "hard", signer.name)
    assert event.detail["payload"] == str(kept.id)
    assert hooks.run(app, 5) == 0


def test_one_delivery_of_many_events_is_recorded_whole(app: App) -> None:
    said = [sendgrid_event("delivered", sg_event_id=f"event-{number}") for number in range(300)]
    hooks.receive(app, [posted("sendgrid", SENDGRID.post(SENDGRID.secrets[0], said))])
    hooks.run(app, 5)
    assert len(told(app)) == 300
    assert listed(app)[0].events == 300


def test_what_cannot_be_read_is_named_and_keeps_nobody_waiting(app: App) -> None:
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    rows = [posted("resend", replace(good, body=body), number) for number, body in enumerate([b"{", b"[]", b"{}"])]
    hooks.receive(app, [*rows, posted("someone", good, 3), posted("resend", good, 4)])
    assert hooks.run(app, 5) == 5
    reasons = {kept.payload_id: kept.reason for kept in listed(app)}
    assert reasons == {
        "delivery-0": "not_json",
        "delivery-1": "wrong_type",
        "delivery-2": "wrong_type",
        "delivery-3": "unknown_provider",
        "delivery-4": None,
    }
    assert len(told(app)) == 1


NAMELESS = {
    "postmark": {"RecordType": "Bounce"},
    "sendgrid": [{"event": "bounce", "timestamp": 1762360434}],
    "mailgun": {"event-data": {"event": "failed"}},
    "resend": {"type": "email.bounced", "created_at": "2026-11-05T16:33:54Z", "data": {}},
}


@pytest.mark.parametrize("name", NAMELESS)
def test_an_event_that_names_neither_a_message_nor_an_address_is_rejected(app: App, name: str) -> None:
    body = json.dumps(NAMELESS[name]).encode()
    hooks.receive(app, [Posted(name, "delivery-0", {"content-type": "application/json"}, body, NOW)])
    hooks.run(app, 5)
    [kept] = listed(app)
    assert (kept.state, kept.reason, kept.events) == (HookState.REJECTED, "wrong_type", 0)
    assert kept.problem == "names neither a message nor an address"
    assert told(app) == []


DEEP = b"[" * 100_000
BOMBS = {
    "deep": (DEEP, "not_json"),
    "deep within": (b'{"type": "email.bounced", "created_at": "2026-11-05T16:33:54Z", "data": %s}' % DEEP, "not_json"),
    "a number without end": (b'{"type": %s}' % (b"9" * 100_000), "not_json"),
    "no number": (b'{"type": "email.bounced", "created_at": NaN, "data": {}}', "wrong_type"),
    "beyond time": (b'{"type": "email.bounced", "created_at": 1e300, "data": {}}', "wrong_type"),
    "beyond any calendar": (b'{"type": "email.bounced", "created_at": "0001-01-01T00:00:00+14:00"}', "wrong_type"),
    "another charset": ('{"type": "é"}'.encode("latin-1"), "not_json"),
    "a form": (b"type=email.bounced", "not_json"),
    "an archive": (b"\x1f\x8b\x08\x00" + b"\x00" * 1000, "not_json"),
}


@pytest.mark.parametrize(("body", "reason"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_rejected_by_name_and_keeps_nobody_waiting(app: App, body: bytes, reason: str) -> None:
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    hooks.receive(app, [posted("resend", replace(good, body=body), 0), posted("resend", good, 1)])
    assert hooks.run(app, 5) == 2
    assert {kept.payload_id: kept.reason for kept in listed(app)} == {"delivery-0": reason, "delivery-1": None}
    assert len(told(app)) == 1


def test_an_event_that_one_delivery_tells_twice_is_recorded_once(app: App) -> None:
    said = [sendgrid_event("delivered", sg_event_id=name) for name in ("a", "b", "a")]
    hooks.receive(app, [posted("sendgrid", SENDGRID.post(SENDGRID.secrets[0], said))])
    hooks.run(app, 5)
    assert [event.provider_event_id for event in told(app)] == ["a", "b"]


def test_large_deliveries_are_read_a_few_at_a_time(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    bodies = [good.body + b" " * size for size in (900, 0, 1200, 0, 0)]
    hooks.receive(app, [posted("resend", replace(good, body=body), number) for number, body in enumerate(bodies)])

    def seen(app: App, tenant_id: UUID, given: list[Event]) -> object:
        sizes.append(len(given))
        return record(app, tenant_id, given)

    monkeypatch.setattr(hooks, "record", seen)
    monkeypatch.setattr(hooks, "MOST_OCTETS", 1000)
    assert hooks.run(app, 5) == len(bodies)
    assert sum(sizes) == len(bodies)
    assert len(sizes) > 1


def test_what_the_database_gave_up_is_read_by_the_next_tick(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of two that wait for each other in a circle is."""
    hooks.receive(app, [posted("resend", RESEND.post(RESEND.secrets[0], RESEND.bounce()))])
    if app.store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    with app.store.begin() as other:
        other.execute(sa.text("LOCK TABLE events IN EXCLUSIVE MODE"))
        with monkeypatch.context() as patched:
            patched.setattr(app.store, "begin", _impatient(app))
            with pytest.raises(Unreachable):
                hooks.run(app, 5)
    assert listed(app)[0].state is HookState.RECEIVED
    assert hooks.run(app, 5) == 1
    assert len(told(app)) == 1


def _impatient(app: App) -> Callable[[], AbstractContextManager[Connection]]:
    begin = app.store.begin

    @contextmanager
    def impatient() -> Iterator[Connection]:
        with begin() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
            yield connection

    return impatient


@pytest.fixture
def clock(app: App) -> MovableClock:
    clock = MovableClock(app.clock.now())
    object.__setattr__(app, "clock", clock)
    return clock


def test_what_our_own_code_cannot_digest_is_tried_again_later_each_time_and_then_named(
    app: App, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    other = MAILGUN.post(MAILGUN.secrets[0], MAILGUN.bounce())
    hooks.receive(app, [posted("resend", good, 0), posted("mailgun", other, 1)])

    def failing(app: App, tenant_id: UUID, given: list[Event]) -> object:
        if any(event.provider == "resend" for event in given):
            raise ZeroDivisionError("ada@example.test")
        return record(app, tenant_id, given)

    monkeypatch.setattr(hooks, "record", failing)
    assert hooks.run(app, 5) == 1
    for number, wait in enumerate(hooks.WAITS, 1):
        clock.move(wait - timedelta(seconds=1))
        assert hooks.run(app, 5) == 0
        failed = next(kept for kept in listed(app) if kept.provider == "resend")
        assert (failed.state, failed.tries) == (HookState.RECEIVED, number), "it is not tried before its time"
        clock.move(timedelta(seconds=1))
        assert hooks.run(app, 5) == (number == len(hooks.WAITS))
    failed = next(kept for kept in listed(app) if kept.provider == "resend")
    assert (failed.state, failed.reason, failed.problem) == (HookState.REJECTED, "failed", "ZeroDivisionError")
    monkeypatch.setattr(hooks, "record", record)
    with app.store.begin() as connection:
        assert store.again(connection, [], "failed") == 1
    assert hooks.run(app, 5) == 1
    assert len(told(app)) == 2


def test_a_database_that_goes_away_loses_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.receive(app, [posted("resend", RESEND.post(RESEND.secrets[0], RESEND.bounce()))])

    def away(*_: object) -> object:
        raise Unreachable("away")

    with monkeypatch.context() as patched:
        patched.setattr(hooks, "record", away)
        with pytest.raises(Unreachable):
            hooks.run(app, 5)
    assert listed(app)[0].state is HookState.RECEIVED
    assert hooks.run(app, 5) == 1


def test_a_subscription_is_confirmed_by_the_tick(
    app: App, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[str] = []

    def visit(url: str) -> bytes:
        visited.append(url)
        if len(visited) == 1:
            raise Unreachable("SNS does not answer")
        return b""

    monkeypatch.setattr(hooks, "readers", lambda _: {"ses": with_fetch(frozenset({TOPIC}), visit)})
    hooks.receive(app, [asked(clock)])
    assert hooks.run(app, 5) == 0
    (waiting,) = listed(app)
    assert (waiting.state, waiting.tries, waiting.problem) == (HookState.RECEIVED, 0, "SNS does not answer")
    assert hooks.run(app, 5) == 0, "not at once"
    clock.move(hooks.SHORTEST_WAIT)
    assert hooks.run(app, 5) == 1
    assert visited == [SUBSCRIBE, SUBSCRIBE]
    (kept,) = listed(app)
    assert (kept.state, kept.problem, kept.look_at) == (HookState.PROCESSED, None, None)


def test_while_sns_is_away_a_subscription_waits_for_a_day_ever_longer(
    app: App, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[datetime] = []

    def away(_url: str) -> bytes:
        tried.append(clock.now())
        raise Unreachable("SNS does not answer")

    monkeypatch.setattr(hooks, "readers", lambda _: {"ses": with_fetch(frozenset({TOPIC}), away)})
    hooks.receive(app, [asked(clock)])
    began, ended = clock.now(), 0
    while not ended and clock.now() < began + timedelta(days=2):
        ended = hooks.run(app, 5)
        (kept,) = listed(app)
        if kept.look_at is not None:
            clock.move(kept.look_at - clock.now())
    assert (kept.state, kept.reason, kept.problem) == (HookState.REJECTED, "failed", "SNS does not answer")
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == sorted(waits)
    assert waits[0] == hooks.SHORTEST_WAIT
    assert waits[-1] == hooks.LONGEST_WAIT
    assert tried[-1] - began >= hooks.PATIENCE


def asked(clock: MovableClock) -> Posted:
    """That a subscription is to be confirmed, now."""
    return replace(posted("ses", asking()), received_at=clock.now())


def with_fetch(topics: frozenset[str], fetch: Callable[[str], bytes]) -> object:
    return SesEvents.from_secrets((), topics, fetch)


def test_what_was_read_or_rejected_goes_after_its_time_and_what_waits_stays(app: App) -> None:
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    hooks.receive(app, [posted("resend", good, 0), posted("resend", replace(good, body=b"{"), 1)])
    hooks.run(app, 5)
    hooks.receive(app, [posted("resend", good, 2)])
    with app.store.begin() as connection:
        later = app.clock.now() + timedelta(days=1)
        assert ageing.POLICIES["hooks"](connection, later, 10) == 2
    assert [kept.payload_id for kept in listed(app)] == ["delivery-2"]


def bodies(app: App) -> dict[str, bytes]:
    of = hook_payloads.c
    with app.store.read() as connection:
        return {row.payload_id: bytes(row.body) for row in connection.execute(sa.select(of.payload_id, of.body))}


def test_of_a_delivery_that_told_nothing_new_only_that_it_came_is_kept(app: App) -> None:
    said = [sendgrid_event("delivered", sg_event_id=name) for name in ("a", "b")]
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    strange = json.dumps({"type": "email.scheduled", "created_at": "2026-11-05T16:33:54Z", "data": {}}).encode()
    signed = SENDGRID.secrets[0]
    told = [posted("sendgrid", SENDGRID.post(signed, each), n) for n, each in enumerate([said[:1], said, said[1:]])]
    hooks.receive(app, [*told, posted("resend", replace(good, body=strange), 3)])
    assert hooks.run(app, 5) == 4
    assert [name for name, body in sorted(bodies(app).items()) if body] == ["delivery-1", "delivery-2"]
    assert all(kept.reason is None for kept in listed(app))


def test_a_delivery_that_is_read_again_after_a_crash_keeps_its_body(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.receive(app, [posted("resend", RESEND.post(RESEND.secrets[0], RESEND.bounce()))])

    def away(*_: object) -> None:
        raise Unreachable("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "settle", away)
        with pytest.raises(Unreachable):
            hooks.run(app, 5)
    assert hooks.run(app, 5) == 1
    assert (len(told(app)), bool(bodies(app)["delivery-0"])) == (1, True)


def test_an_erasure_empties_deliveries_that_name_the_person_and_were_rejected_or_told_of_others(
    app: App, templates: Path
) -> None:
    make_kind(templates)
    notify.send("hello", {"key": "ada", "email": "ada@example.org"})
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    theirs = b'{"type": "email.opened", "created_at": null, "data": {"to": ["Ada@Example.org"]}}'
    said = [sendgrid_event("processed", email="ada@example.org"), sendgrid_event("delivered", email="eve@example.org")]
    several = SENDGRID.post(SENDGRID.secrets[0], said)
    others = theirs.replace(b"Ada", b"Joada")
    rejected = [posted("resend", replace(good, body=body), number) for number, body in enumerate((theirs, others))]
    hooks.receive(app, [*rejected, posted("sendgrid", several, 2)])
    hooks.run(app, 5)
    hooks.receive(app, [posted("resend", replace(good, body=theirs), 3)])
    notify.privacy.erase("ada", "asked")
    left = [name for name, body in sorted(bodies(app).items()) if body]
    assert left == ["delivery-1", "delivery-3"], "what nobody has read yet may tell of others"


def test_an_operator_lists_shows_and_retries_deliveries(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, database_url=app.settings.database)
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())
    hooks.receive(app, [posted("resend", good, 0), posted("resend", replace(good, body=b"{\x1b[31m"), 1)])
    hooks.run(app, 5)
    rejected = json.loads(notify_cli("hooks", "list", "--state", "rejected", "--json").out)
    assert [one["reason"] for one in rejected] == ["not_json"]
    assert "not_json" in notify_cli("hooks", "list").out
    id_ = rejected[0]["id"]
    shown = notify_cli("hooks", "show", id_)
    assert shown.code == 0
    assert "{" in shown.out
    assert " UTC" in shown.out
    assert "\x1b" not in shown.out
    assert json.loads(notify_cli("hooks", "show", id_, "--json").out)["body"] == "{\x1b[31m"
    assert notify_cli("hooks", "retry", id_, "--json").json == {"to_be_read": 1}
    assert [kept.state for kept in listed(app) if str(kept.id) == id_] == [HookState.RECEIVED]
    assert notify_cli("hooks", "retry", "--reason", "not_json").code == 1
    assert notify_cli("hooks", "show", "0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61").code == 1
    assert notify_cli("hooks", "retry").code == 3


def test_a_delivery_tells_how_many_of_its_events_are_of_no_message_here(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url, database_url=app.settings.database)
    said = [sendgrid_event("delivered", sg_event_id=name) for name in ("a", "b")]
    hooks.receive(app, [posted("sendgrid", SENDGRID.post(SENDGRID.secrets[0], said))])
    hooks.run(app, 5)
    [kept] = listed(app)
    assert "2, 2 of no message that is known here" in notify_cli("hooks", "show", str(kept.id)).out
    assert json.loads(notify_cli("hooks", "show", str(kept.id), "--json").out)["without_message"] == 2


def test_every_delivery_that_was_answered_is_stored_while_the_database_restarts(
    app: App, make_app: Callable[..., App]
) -> None:
    listening = make_app(app.settings, hook_secrets=(SecretStr(f"postmark={POST_SECRET}"),))

    async def deliver() -> tuple[set[int], int]:
        answered, refused = set[int](), 0
        transport = httpx2.ASGITransport(app=web.make(listening), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://notify") as client:

            async def post(number: int) -> None:
                nonlocal refused
                while number not in answered:
                    headers = {"x-pm-webhook-trace-id": f"trace-{number}"}
                    answer = await client.post("/hooks/postmark", content=b"{}", headers=headers, auth=LOGIN)
                    assert answer.status_code in (200, 503)
                    if answer.status_code == 200:
                        answered.add(number)
                    else:
                        refused += 1
                    if number % 40 == 0:
                        await asyncio.to_thread(_cut_every_connection, app)

            await asyncio.gather(*(post(number) for number in range(200)))
        return answered, refused

    answered, _ = asyncio.run(deliver())
    with app.store.read() as connection:
        names = set(connection.scalars(sa.select(hook_payloads.c.payload_id)))
    assert answered == set(range(200))
    assert names == {f"trace-{number}" for number in range(200)}


POST_SECRET = "notify:secret"
LOGIN = ("notify", "secret")


def _cut_every_connection(app: App) -> None:
    """As a restart does."""
    if app.store.engine.dialect.name == "postgresql":
        with suppress(Unreachable), app.store.begin() as connection:  # one cutter may cut another
            mine = "pid <> pg_backend_pid() AND datname = current_database()"
            connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
