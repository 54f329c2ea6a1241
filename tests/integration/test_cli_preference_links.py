"""`notify preferences link` prints a link that opens a recipient's own page, for a while."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from notify import web
from notify.app import open_app
from notify.settings import load
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

ROOT = "https://notify.example.org"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    make_kind(tmp_path / "templates", "hello")
    install(
        monkeypatch,
        tmp_path,
        database_url=database_url,
        redis_url=redis_url,
        templates_dir=tmp_path / "templates",
        public_url=ROOT,
    )
    assert notify_cli("send", "hello", "--to", '{"key": "ada", "email": "ada@example.org"}').code == 0


def test_the_link_opens_the_recipients_own_page() -> None:
    printed = notify_cli("preferences", "link", "ada").out.strip()
    assert printed.startswith(f"{ROOT}/preferences?token=")
    app = open_app(load())
    with TestClient(web.make(app)) as client:
        assert "ada@example.org" in client.get(printed.removeprefix(ROOT)).text
    app.close()


def test_programs_read_how_long_it_works() -> None:
    printed = notify_cli("preferences", "link", "ada", "--days", "1", "--json").json
    assert (printed["key"], printed["days"]) == ("ada", 1)


def test_there_is_no_link_for_nobody() -> None:
    ran = notify_cli("preferences", "link", "nobody")
    assert ran.code == 1
    assert "no recipient 'nobody'" in ran.err


def test_without_a_public_url_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_PUBLIC_URL", "")
    ran = notify_cli("preferences", "link", "ada")
    assert ran.code != 0
    assert "NOTIFY_PUBLIC_URL" in ran.err
