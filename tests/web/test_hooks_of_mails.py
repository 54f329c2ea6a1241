"""A mail that a provider hands over is answered with 200 when it is proven and stored, however large it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.channels.email.sendgrid_parse import LARGEST
from notify.channels.form_data import KEPT
from notify.channels.hook import HookRequest
from notify.errors import InvalidSettings
from notify.settings import load
from tests.answers import dsn
from tests.conformance.inbound import LOGIN, raw, signed, with_login
from tests.conformance.signers import NOW, verification_key
from tests.web.test_hooks import post, stored, with_clock

PATH = "/hooks/sendgrid-parse"
BOUNCE = dsn("ada@example.org")


@pytest.fixture
def listening(app: App, make_app: Callable[..., App]) -> App:
    """An App with a key and a login of Inbound Parse in force."""
    secrets = (verification_key("new"), verification_key("old"), LOGIN)
    given = tuple(SecretStr(f"sendgrid-parse={secret}") for secret in secrets)
    return with_clock(make_app(app.settings, hook_secrets=given))


def in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize("request_", [signed(raw(BOUNCE)), signed(raw(BOUNCE), "old"), with_login(raw(BOUNCE))])
def test_what_is_proven_is_stored_as_it_came(listening: App, request_: HookRequest) -> None:
    assert post(listening, request_).status_code == 200
    (row,) = stored(listening)
    assert (row.provider, row.state, bytes(row.body)) == ("sendgrid-parse", "received", request_.body)
    assert row.headers == {"content-type": request_.headers["content-type"], "x-octets": str(len(request_.body))}


def test_a_replay_is_stored_once_whatever_proves_it(listening: App) -> None:
    requests = [signed(raw(BOUNCE)), signed(raw(BOUNCE), "old", NOW - timedelta(seconds=9)), with_login(raw(BOUNCE))]
    assert [post(listening, request).status_code for request in requests] == [200, 200, 200]
    assert len(stored(listening)) == 1


def test_what_is_not_proven_is_401_and_not_stored(listening: App) -> None:
    changed = signed(raw(BOUNCE))
    requests = [
        raw(BOUNCE),
        signed(raw(BOUNCE), "stranger"),
        signed(raw(BOUNCE), at=NOW - timedelta(minutes=6)),
        replace(changed, body=changed.body.replace(b"5.1.1", b"5.1.2")),
        with_login(raw(BOUNCE), "notify:wrong"),
    ]
    assert {post(listening, request).status_code for request in requests} == {401}
    assert stored(listening) == []


def test_a_carrier_that_is_not_set_up_is_404(app: App) -> None:
    assert post(app, signed(raw(BOUNCE))).status_code == 404


def test_of_a_large_mail_the_beginning_is_kept_and_all_of_it_is_proven(listening: App) -> None:
    request = signed(raw(BOUNCE + b"x" * (20 * 1024 * 1024)))
    with TestClient(web.make(listening)) as client:
        headers = dict(request.headers)
        assert client.post(PATH, content=in_pieces(request.body), headers=headers).status_code == 200
        mangled = request.body[:-1000] + b"y" + request.body[-999:]
        assert client.post(PATH, content=in_pieces(mangled), headers=headers).status_code == 401
    (row,) = stored(listening)
    assert KEPT <= len(row.body) < KEPT + 65_536
    assert row.headers["x-octets"] == str(len(request.body))


def test_more_than_sendgrid_sends_is_413(listening: App) -> None:
    proof = dict(with_login(raw(b"")).headers)
    with TestClient(web.make(listening)) as client:
        announced = client.post(PATH, content=b"x", headers={**proof, "content-length": str(LARGEST + 1)})
        assert (announced.status_code, announced.text) == (413, "too_large\n")
        pieces = (b"x" * 65_536 for _ in range(LARGEST // 65_536 + 1))
        assert client.post(PATH, content=pieces, headers=proof).status_code == 413
    assert stored(listening) == []


def test_nothing_is_read_of_what_its_headers_disprove(listening: App) -> None:
    with TestClient(web.make(listening)) as client:
        assert client.post(PATH, headers={"content-length": str(LARGEST + 1)}).status_code == 401


def test_a_secret_that_cannot_be_used_stops_the_web_process_without_showing_it(
    app: App, make_app: Callable[..., App]
) -> None:
    settings = load(None, data_dir=app.settings.data_dir, hook_secrets="sendgrid-parse=c2VjcmV0")
    with pytest.raises(InvalidSettings) as caught:
        web.make(make_app(settings))
    assert "sendgrid-parse" in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)
