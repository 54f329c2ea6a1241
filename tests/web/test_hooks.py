"""What a provider posts is answered with 200 when it is stored, and with nothing else unless it is believed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.channels import allowance
from notify.channels.hook import HookRequest
from notify.errors import InvalidSettings, Unreachable
from notify.feedback.stored_together import MOST, Full, Gathering
from notify.settings import load
from notify.store.tables import hook_payloads
from notify.web.hooks import LARGEST
from tests.conformance.signers import (
    HOOKS,
    MAILGUN,
    NOW,
    POSTMARK,
    RESEND,
    SENDGRID,
    TOPIC,
    TWILIO,
    Amazon,
    ByTable,
    certificate,
    certificate_url,
)

SIGNERS = (RESEND, SENDGRID, MAILGUN, POSTMARK, TWILIO)
ALL = tuple(SecretStr(f"{one.name}={one.secrets[0]}") for one in SIGNERS)


class Stopped:
    """A clock that shows the time the signers sign at."""

    def now(self) -> datetime:
        return NOW


@pytest.fixture
def listening(app: App, make_app: Callable[..., App]) -> App:
    """An App with a secret of every provider."""
    more = {"hook_secrets": ALL, "sns_topics": frozenset({TOPIC}), "public_url": HOOKS.removesuffix("/hooks/")}
    return with_clock(make_app(app.settings, **more))


def with_clock(app: App) -> App:
    return replace(app, clock=Stopped())


def post(app: App, request: HookRequest, path: str | None = None) -> Response:
    with TestClient(web.make(app), raise_server_exceptions=False) as client:
        query = request.url.partition("?")[2]
        target = path or "/" + request.url.partition("?")[0].split("/", 3)[3]
        return client.post(target + (f"?{query}" if query else ""), content=request.body, headers=dict(request.headers))


def stored(app: App) -> list[sa.Row[tuple[str, ...]]]:
    with app.store.read() as connection:
        return list(connection.execute(sa.select(hook_payloads).order_by(hook_payloads.c.id)).all())


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.name)
def test_what_is_signed_is_stored_as_it_came(listening: App, signer: ByTable) -> None:
    request = signer.post(signer.secrets[0], signer.bounce())
    assert post(listening, request).status_code == 200
    (row,) = stored(listening)
    assert (row.provider, row.state, bytes(row.body)) == (signer.name, "received", request.body)
    assert set(row.headers) == {"content-type"}


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.name)
def test_a_replay_changes_nothing_and_is_answered_alike(listening: App, signer: ByTable) -> None:
    request = signer.post(signer.secrets[0], signer.bounce())
    assert [post(listening, request).status_code for _ in range(3)] == [200, 200, 200]
    assert len(stored(listening)) == 1


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.name)
def test_what_is_not_proven_is_401_and_not_stored(listening: App, signer: ByTable) -> None:
    requests = [signer.unsigned(signer.bounce()), signer.post(signer.stranger, signer.bounce())]
    if signer.late:
        requests.append(signer.post(signer.secrets[0], signer.bounce(), NOW - signer.late - timedelta(seconds=2)))
    assert {post(listening, request).status_code for request in requests} == {401}
    assert stored(listening) == []


@pytest.mark.parametrize("path", ["/hooks/ses", "/ses-events"])
def test_a_topic_that_is_not_allowed_is_403_at_either_address(listening: App, path: str) -> None:
    amazon = Amazon()
    foreign = amazon.post("new", amazon.bounce(), TopicArn="arn:aws:sns:eu-west-1:999999999999:foreign")
    assert post(listening, foreign, path).status_code == 403
    assert post(listening, amazon.unsigned(amazon.bounce()), path).status_code == 401
    assert stored(listening) == []


def test_a_provider_that_is_not_set_up_is_404(app: App) -> None:
    assert post(app, RESEND.post(RESEND.secrets[0], RESEND.bounce())).status_code == 404
    assert post(app, RESEND.post(RESEND.secrets[0], RESEND.bounce()), "/hooks/unknown").status_code == 404
    with TestClient(web.make(app)) as client:
        assert client.get("/hooks/resend").status_code == 405


def test_a_body_that_is_too_large_is_413_however_it_comes(listening: App) -> None:
    with TestClient(web.make(listening)) as client:
        assert client.post("/hooks/resend", content=b"x" * (LARGEST + 1)).status_code == 413
        pieces = (b"x" * 65536 for _ in range(LARGEST // 65536 + 1))
        assert client.post("/hooks/resend", content=pieces).status_code == 413


def test_while_the_database_is_away_it_is_503_with_the_time_to_come_back(
    redis_url: str, make_app: Callable[..., App]
) -> None:
    away = make_app(
        load(None, database_url="postgresql://notify:hunter2@127.0.0.1:1/notify", redis_url=redis_url),
        hook_secrets=ALL,
    )
    answer = post(with_clock(away), RESEND.post(RESEND.secrets[0], RESEND.bounce()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "hunter2" not in answer.text


def test_a_certificate_that_cannot_be_fetched_is_503(listening: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.channels.download.httpx2.stream", _refuse)
    amazon = Amazon()
    assert post(listening, amazon.post("new", amazon.bounce())).status_code == 503


def test_a_certificate_outlives_the_web_process(listening: App, monkeypatch: pytest.MonkeyPatch) -> None:
    amazon = Amazon()
    with monkeypatch.context() as patched:
        patched.setattr("notify.channels.download.httpx2.stream", _serve)
        assert post(listening, amazon.post("new", amazon.bounce())).status_code == 200
    monkeypatch.setattr("notify.channels.download.httpx2.stream", _refuse)
    assert post(listening, amazon.post("new", amazon.bounce(), MessageId="another")).status_code == 200


def test_a_shelf_that_does_not_answer_is_done_without(
    listening: App, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = with_clock(
        make_app(listening.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")}))
    )
    monkeypatch.setattr("notify.channels.download.httpx2.stream", _serve)
    amazon = Amazon()
    assert post(without, amazon.post("new", amazon.bounce())).status_code == 200


@contextmanager
def _serve(*_: object, **__: object) -> Iterator[httpx2.Response]:
    yield httpx2.Response(200, content=certificate("new"))


def test_each_caller_has_a_share_of_its_own_whatever_others_ask_for(
    listening: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(_method: str, url: str, **__: object) -> None:
        asked.append(url)
        raise httpx2.ConnectError("nobody there")

    monkeypatch.setattr("notify.channels.download.httpx2.stream", refuse)
    amazon, served = Amazon(), web.make(listening)
    for caller, times in (("192.0.2.7", 10), ("2001:db8::1", 10), ("2001:db8::2", 10), ("192.0.2.8", 1)):
        with TestClient(served, client=(caller, 50000)) as client:
            for number in range(times):
                body = amazon.post("new", amazon.bounce(), SigningCertURL=certificate_url(f"x{len(asked)}n{number}"))
                assert client.post("/hooks/ses", content=body.body).status_code == 503
    assert len(asked) == 2 * allowance.EACH + 1


def _refuse(*_: object, **__: object) -> None:
    raise httpx2.ConnectError("nobody there")


@pytest.mark.parametrize("path", ["/hooks/ses", "/ses-events"])
def test_what_sns_signed_is_stored_once_at_whichever_address(
    listening: App, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("notify.channels.download.httpx2.stream", _serve)
    for version in ("1", "2"):
        amazon = Amazon(version)
        request = amazon.post("new", amazon.bounce(), MessageId=f"message-{version}")
        assert [post(listening, request, at).status_code for at in (path, path, "/hooks/ses")] == [200] * 3
    assert [(row.provider, row.payload_id) for row in stored(listening)] == [("ses", "message-1"), ("ses", "message-2")]


def test_a_provider_that_keeps_us_waiting_for_its_certificates_holds_up_no_other(
    listening: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def slow(*_: object, **__: object) -> None:
        assert answers.wait(60)
        raise httpx2.ConnectError("nobody there")

    monkeypatch.setattr("notify.channels.download.httpx2.stream", slow)
    amazon = Amazon()
    forged = [amazon.post("new", amazon.bounce(), SigningCertURL=certificate_url(f"x{n}")) for n in range(60)]
    good = RESEND.post(RESEND.secrets[0], RESEND.bounce())

    async def flood() -> tuple[int, set[int]]:
        transport = httpx2.ASGITransport(app=web.make(listening), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://notify", timeout=60) as client:
            waiting = [asyncio.create_task(client.post("/hooks/ses", content=one.body)) for one in forged]
            try:
                posting = client.post("/hooks/resend", content=good.body, headers=dict(good.headers))
                answer = await asyncio.wait_for(posting, 30)
            finally:
                answers.set()
            return answer.status_code, {(await one).status_code for one in waiting}

    assert asyncio.run(flood()) == (200, {503})


@pytest.mark.parametrize(
    ("secrets", "topics"),
    [
        ("resent=whsec_AAAA", ""),
        ("resend=whsec_!!", ""),
        ("sendgrid=AAAA", ""),
        ("ses=user:password", ""),
        ("ses=no-colon", TOPIC),
    ],
)
def test_a_secret_that_cannot_be_used_stops_the_web_process_without_showing_it(
    app: App, make_app: Callable[..., App], secrets: str, topics: str
) -> None:
    settings = load(None, data_dir=app.settings.data_dir, hook_secrets=secrets, sns_topics=topics)
    with pytest.raises(InvalidSettings) as caught:
        web.make(make_app(settings))
    assert "NOTIFY_HOOK_SECRETS" in str(caught.value)
    assert secrets.partition("=")[2] not in str(caught.value)


# many at once


def test_what_comes_during_a_commit_is_stored_by_the_next() -> None:
    batches: list[int] = []

    async def all_at_once() -> None:
        gathering = Gathering[int](lambda rows: batches.append(len(rows)), lambda _: 1, 10_000)
        await asyncio.gather(*(gathering.add(number) for number in range(MOST + 100)))

    asyncio.run(all_at_once())
    assert sum(batches) == MOST + 100
    assert max(batches) <= MOST
    assert len(batches) <= 3


def test_each_is_told_of_its_own_failure_and_the_next_are_stored() -> None:
    def store(rows: Sequence[str]) -> None:
        if "bad" in rows:
            raise Unreachable("away")

    async def one_after_another() -> list[object]:
        gathering = Gathering[str](store, len, 10_000)
        first = await asyncio.gather(gathering.add("bad"), gathering.add("with it"), return_exceptions=True)
        await gathering.add("good")
        return [type(one) for one in first]

    assert asyncio.run(one_after_another()) == [Unreachable, Unreachable]


def test_more_than_may_wait_is_told_to_come_back() -> None:
    async def too_much() -> list[object]:
        gathering = Gathering[bytes](lambda rows: None, len, 100)
        told = await asyncio.gather(*(gathering.add(b"x" * 60) for _ in range(2)), return_exceptions=True)
        await gathering.add(b"x" * 60)
        return [type(one) for one in told]

    assert asyncio.run(too_much()) == [type(None), Full]
