"""Whatever a provider was told is stored is stored, though the database crashes meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.feedback import hooks
from notify.model import HookState
from notify.settings import load
from notify.store import schema
from notify.store.tables import events, hook_payloads
from tests.chaos.services import PostgreSQL, public_folder, remove_template

DELIVERIES, AT_ONCE, CRASHES = 600, 20, 3
LOGIN = ("notify", "secret")
BODY = (
    '{"RecordType": "Delivery", "MessageID": "%d", "DeliveredAt": "2026-11-05T16:33:54Z", "Recipient": "a@example.org"}'
)


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL of the test's own, which may crash."""
    with ExitStack() as stack:
        folder = public_folder("hooks")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(remove_template)
        started = PostgreSQL(folder)
        stack.callback(started.stop)
        yield started


@pytest.fixture
def listening(server: PostgreSQL, redis_url: str, tmp_path: Path, make_app: Callable[..., App]) -> App:
    """An App on that server that believes Postmark."""
    settings = load(None, data_dir=tmp_path / "data", database_url=server.url, redis_url=redis_url)
    app = make_app(settings, hook_secrets=(SecretStr(f"postmark={':'.join(LOGIN)}"),))
    schema.upgrade(app.store)
    return app


def test_none_that_was_answered_is_lost_when_the_database_crashes(listening: App, server: PostgreSQL) -> None:
    refused = asyncio.run(_deliver(listening, server))
    assert refused >= CRASHES * AT_ONCE
    with listening.store.read() as connection:
        names = list(connection.scalars(sa.select(hook_payloads.c.payload_id)))
    assert sorted(names) == sorted(f"trace-{number}" for number in range(DELIVERIES))
    assert hooks.run(listening, 60) == DELIVERIES
    with listening.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(events)) == DELIVERIES
        assert set(connection.scalars(sa.select(hook_payloads.c.state))) == {HookState.PROCESSED}


async def _deliver(app: App, server: PostgreSQL) -> int:
    """Post until each was answered with 200, as providers do, while the server crashes; returns how many were not.

    It starts again once some were refused, and in this thread: it does not outlive the one that started it.
    """
    numbers, refused, answered = iter(range(DELIVERIES)), 0, 0
    crashes = [DELIVERIES * (number + 1) // (CRASHES + 1) for number in range(CRASHES)]
    restart: int | None = None  # at so many refused
    transport = httpx2.ASGITransport(app=web.make(app), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://notify") as client:

        async def deliver_in_turn() -> None:
            nonlocal refused, answered, restart
            for number in numbers:
                headers = {"x-pm-webhook-trace-id": f"trace-{number}"}
                while True:
                    answer = await client.post("/hooks/postmark", content=BODY % number, headers=headers, auth=LOGIN)
                    if answer.status_code == 200:
                        break
                    assert answer.status_code == 503, answer.text
                    refused += 1
                    if restart is not None and refused >= restart:
                        restart = None
                        server.start()
                answered += 1
                if restart is None and crashes and answered >= crashes[0]:
                    crashes.pop(0)
                    restart = refused + AT_ONCE
                    server.crash()

        await asyncio.gather(*(deliver_in_turn() for _ in range(AT_ONCE)))
    assert (crashes, restart) == ([], None)
    return refused
