"""Worker, beat and sender on a real RabbitMQ, which is taken away and comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from pydantic import SecretStr

import notify
from notify.app import App, using
from notify.delivery import status
from notify.dev.mailbox import Mailbox
from notify.model import Message
from notify.settings import Settings
from notify.store import messages, tallies
from tests.kinds import make_kind
from tests.mails import all_in
from tests.processes import environment, notify_process, until
from tests.rabbitmq import RabbitMQ, find_server

one_database = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
needs_its_own = pytest.mark.skipif(find_server() is None, reason="no rabbitmq-server is installed to be killed")


class House:
    """A small installation whose broker is yet to be named."""

    def __init__(self, settings: Settings, make_app: Callable[..., App], folder: Path) -> None:
        self._settings = settings
        self._make_app = make_app
        self._folder = folder
        self.log = folder / "worker.log"

    def app(self, url: str) -> App:
        """Its App, with the broker at this URL. Redis holds nothing yet."""
        app = self._make_app(self._settings, broker_url=SecretStr(url))
        app.redis.flushall()
        return app

    def run(self, name: str, url: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """`notify worker` or `notify beat`, with that broker."""
        env = environment(self._settings, NOTIFY_BROKER_URL=url)
        return notify_process(name, env=env, cwd=self._folder, log=self._folder / f"{name}.log")


@contextmanager
def channel_to(url: str) -> Iterator[Any]:
    """A channel of the test's own."""
    with Connection(url) as connection:
        yield connection.default_channel


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 3.0, "republish_seconds": 5.0})


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitMQ]:
    """A RabbitMQ that this test may kill."""
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    with RabbitMQ(folder) as started:
        yield started


@pytest.fixture
def house(brisk: Settings, make_app: Callable[..., App], templates: Path, tmp_path: Path) -> House:
    """An installation, but for its broker."""
    make_kind(templates)
    return House(brisk, make_app, tmp_path)


def people(count: int) -> Iterator[dict[str, str]]:
    return ({"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count))


def sent_ids(mailbox: Mailbox) -> list[str]:
    return [str(mail["message-id"]) for mail in all_in(mailbox.folder)]


def all_messages(app: App, *sent: notify.Notification) -> list[Message]:
    with app.store.read() as connection:
        return [
            row.message
            for one in sent
            for row in messages.listing(connection, one.tenant_id, notification_id=one.id, limit=100_000)
        ]


def test_a_mailout_goes_through_rabbitmq(house: House, rabbitmq_url: str, mailbox: Mailbox) -> None:
    with using(house.app(rabbitmq_url)) as app:
        with house.run("worker", rabbitmq_url), house.run("beat", rabbitmq_url):
            notify.send_many("hello", people(1200))
            until(lambda: status(app).states == {"sent": 1200}, 60, "everything sent")
            until(lambda: status(app).problems == (), 60, "beat's ticks come through too")
            assert app.redis.keys("notify:email*") == [], "no bell was in Redis"
        assert len(set(sent_ids(mailbox))) == len(sent_ids(mailbox)) == 1200
    assert "Traceback" not in house.log.read_text()
    with channel_to(rabbitmq_url) as channel:
        for name in ("email.normal", "email.bulk", "system"):
            channel.queue_declare(name, passive=True)
        with pytest.raises(channel.connection.channel_errors):
            channel.queue_declare("celery_delayed_0", passive=True)  # for ETAs, which notify has none of


@needs_its_own
@one_database
def test_a_broker_that_was_killed_comes_back_and_nobody_needs_a_restart(
    house: House, node: RabbitMQ, mailbox: Mailbox
) -> None:
    with (
        using(house.app(node.url)) as app,
        house.run("worker", node.url) as worker,
        house.run("beat", node.url) as beat,
    ):
        before = notify.send_many("hello", people(3000))
        until(lambda: mailbox.count > 300, 60, "the mailout moves")
        node.kill()
        meanwhile = notify.send_many("hello", people(1500))
        node.start()
        after = notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
        until(lambda: status(app).states == {"sent": 4501}, 90, "everything sent")
        until(lambda: status(app).problems == (), 60, "beat and worker found the broker again")
        assert (worker.poll(), beat.poll()) == (None, None)
        expected = {f"<{message.id}@example.org>" for message in all_messages(app, before, meanwhile, after)}
        with app.store.read() as connection:
            assert tallies.doubted(connection, [before.id, meanwhile.id, after.id]) == 0
    ids = sent_ids(mailbox)
    assert len(ids) == len(set(ids)) == 4501, "nothing twice"
    assert set(ids) == expected


@needs_its_own
@one_database
def test_worker_and_beat_start_before_their_broker_and_find_it(house: House, node: RabbitMQ, mailbox: Mailbox) -> None:
    node.kill()
    with using(house.app(node.url)) as app, house.run("worker", node.url), house.run("beat", node.url):
        notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
        assert status(app).states == {"queued": 1}, "send() needs no broker"
        until(lambda: "Cannot connect to amqp" in house.log.read_text(), 30, "the worker waits for the broker")
        assert "guest:guest" not in house.log.read_text()
        node.start()
        until(lambda: mailbox.count == 1, 60, "the mail caught")


@one_database
def test_a_queue_of_another_kind_stops_worker_and_beat_with_the_next_step(house: House, rabbitmq_url: str) -> None:
    with channel_to(rabbitmq_url) as channel:
        channel.queue_delete("email.bulk")
        channel.queue_declare("email.bulk", durable=True, auto_delete=False)
        try:
            for name in ("worker", "beat"):
                with house.run(name, rabbitmq_url) as process:
                    assert process.wait(30) == 3
                said = house.log.with_name(f"{name}.log").read_text()
                assert "email.bulk" in said
                assert "Next: stop the workers and delete it" in said
                assert "Traceback" not in said
        finally:
            channel.queue_delete("email.bulk")
