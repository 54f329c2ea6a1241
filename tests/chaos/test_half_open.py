"""A broker's line goes dead without a word. The worker notices within a minute, and senders do not hang."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

import notify
from notify.app import App
from notify.broker import Bell
from notify.delivery import status
from notify.dev.mailbox import Mailbox
from notify.errors import Unreachable
from notify.model import Batch, Channel, Lane
from notify.settings import Settings
from tests.kinds import make_kind
from tests.processes import environment, notify_process, until
from tests.proxy import Proxy

pytestmark = [pytest.mark.chaos, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]


@pytest.fixture(params=["redis", "amqp"])
def between(request: pytest.FixtureRequest, settings: Settings) -> Iterator[tuple[Proxy, str, str]]:
    """The network to the broker, the broker's URL behind it, and its URL beside it."""
    if request.param == "redis":
        with Proxy(Path(settings.redis.removeprefix("unix://"))) as proxy:
            yield proxy, f"redis://127.0.0.1:{proxy.port}/0", settings.broker
        return
    direct = request.getfixturevalue("rabbitmq_url")
    parts = urlsplit(direct)
    with Proxy((str(parts.hostname), parts.port or 5672)) as proxy:
        yield proxy, f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}", direct


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    return settings.model_copy(update={"republish_seconds": 5.0})


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def test_a_worker_whose_line_to_the_broker_went_dead_is_back_within_a_minute(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, between: tuple[Proxy, str, str]
) -> None:
    make_kind(templates)
    proxy, through, beside = between
    folder = brisk.data_dir.parent
    with (
        notify_process("beat", env=environment(brisk, NOTIFY_BROKER_URL=beside), cwd=folder),
        notify_process("worker", env=environment(brisk, NOTIFY_BROKER_URL=through), cwd=folder) as worker,
    ):
        notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
        until(lambda: mailbox.count == 1, 60, "the first mail")
        proxy.half_open()
        proxy.mend()  # for new lines
        notify.send("hello", to="ada")  # Redis gives this bell to the dead line: the relay rings again
        with at_most(60):
            until(lambda: mailbox.count == 2, 60, "the second mail")
        until(lambda: status(app).problems == (), 60, "all is well")
        assert worker.poll() is None, "it needed no restart"


def test_a_sender_whose_line_to_the_broker_went_dead_is_told_within_half_a_minute(
    app: App, settings: Settings, between: tuple[Proxy, str, str]
) -> None:
    proxy, through, _ = between
    bell = Bell(settings.model_copy(update={"broker_url": SecretStr(through)}))
    batch = Batch(uuid4(), uuid4(), Channel.EMAIL, Lane.NORMAL, app.clock.now())
    bell([batch])
    proxy.half_open()
    with at_most(30), pytest.raises(Unreachable):
        bell([batch])
    bell.close()
