"""Health asks nobody; readiness asks everybody and tells no secret."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.settings import Settings, load
from notify.store import schema

AWAY = "postgresql://notify:hunter2@127.0.0.1:1/notify"


def ask(app: App, path: str) -> tuple[int, object]:
    """Status and body of a GET."""
    with TestClient(web.make(app)) as client:
        answer = client.get(path)
    return answer.status_code, answer.json()


@pytest.fixture
def nothing_there(tmp_path: Path, make_app: Callable[..., App]) -> App:
    """An App whose database and Redis do not answer."""
    return make_app(load(None, data_dir=tmp_path, database_url=AWAY, redis_url="redis://:hunter2@127.0.0.1:1/0"))


def test_a_process_is_healthy_even_when_nothing_else_is(nothing_there: App) -> None:
    assert ask(nothing_there, "/health") == (200, {"status": "ok"})


def test_a_process_is_ready_when_everything_it_needs_answers(app: App) -> None:
    assert ask(app, "/ready") == (200, {"status": "ready"})


def test_everything_that_does_not_answer_is_named_without_hosts_or_secrets(nothing_there: App) -> None:
    status, body = ask(nothing_there, "/ready")
    assert status == 503
    assert isinstance(body, dict)
    assert body["status"] == "unready"
    assert set(body["failing"]) == {"database", "redis"}
    assert "127.0.0.1" not in str(body)
    assert "hunter2" not in str(body)
    assert "\n" not in str(body)


def test_only_what_fails_is_named(settings: Settings, make_app: Callable[..., App]) -> None:
    status, body = ask(make_app(settings, redis_url=SecretStr("redis://127.0.0.1:1/0")), "/ready")
    assert (status, body) == (503, {"status": "unready", "failing": {"redis": "ConnectionError"}})


def test_a_broker_of_its_own_is_asked_too(settings: Settings, make_app: Callable[..., App], rabbitmq_url: str) -> None:
    assert ask(make_app(settings, broker_url=SecretStr(rabbitmq_url)), "/ready") == (200, {"status": "ready"})


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:1/0", "amqp://u:hunter2@127.0.0.1:1//"])
def test_a_broker_of_its_own_that_is_away_is_named(settings: Settings, make_app: Callable[..., App], url: str) -> None:
    status, body = ask(make_app(settings, broker_url=SecretStr(url)), "/ready")
    assert (status, body) == (503, {"status": "unready", "failing": {"broker": "Unreachable"}})


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_accepts_and_says_nothing_is_not_waited_for(
    settings: Settings, make_app: Callable[..., App], scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/"
        status, body = ask(make_app(settings, broker_url=SecretStr(url)), "/ready")
    assert (status, body) == (503, {"status": "unready", "failing": {"broker": "Unreachable"}})


def test_a_database_at_another_revision_is_not_ready(app: App) -> None:
    schema.downgrade(app.store, "base")
    assert ask(app, "/ready") == (503, {"status": "unready", "failing": {"database": "MigrationNeeded"}})
    schema.upgrade(app.store)
    assert ask(app, "/ready") == (200, {"status": "ready"})


def test_a_service_that_comes_back_is_ready_without_a_restart(settings: Settings, make_app: Callable[..., App]) -> None:
    app = make_app(settings)
    with TestClient(web.make(app)) as client:
        schema.downgrade(app.store, "base")
        assert client.get("/ready").status_code == 503
        schema.upgrade(app.store)
        assert client.get("/ready").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/nothing"])
def test_what_does_not_exist_is_not_found(nothing_there: App, path: str) -> None:
    assert ask(nothing_there, path)[0] == 404


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_the_checks_are_asked_and_not_told(nothing_there: App, path: str) -> None:
    with TestClient(web.make(nothing_there)) as client:
        assert client.post(path).status_code == 405
