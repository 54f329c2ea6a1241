"""The doorbell on RabbitMQ: durable, confirmed, and heard by no worker only when the relay knows."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from amqp import Message
from kombu import Connection

from notify.broker import Bell, celery, declare, line, reach
from notify.broker import bell as bells
from notify.errors import InvalidSettings, OperatorError, Unreachable
from notify.model import Batch, Channel, Lane
from notify.settings import Settings, load
from tests.proxy import Proxy

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUEUE = "email.normal"


def batch(number: int = 1) -> Batch:
    return Batch(UUID(int=number), UUID(int=0), Channel.EMAIL, Lane.NORMAL, NOW)


@pytest.fixture
def settings(tmp_path: Path, rabbitmq_url: str) -> Settings:
    return load(None, data_dir=tmp_path, broker_url=rabbitmq_url)


@pytest.fixture
def channel(settings: Settings) -> Iterator[Any]:
    """A channel of the test's own to the broker, which has no queue yet."""
    with Connection(settings.broker) as connection:
        opened: Any = connection.default_channel  # celery-types knows a part of it
        opened.queue_delete(QUEUE)
        yield opened


@pytest.fixture
def bell(settings: Settings, channel: Any) -> Iterator[Bell]:
    ringing = Bell(settings)
    yield ringing
    ringing.close()


def channel_errors() -> tuple[type[BaseException], ...]:
    return Connection("amqp://").channel_errors


def rung(channel: Any) -> list[list[str]]:
    """The arguments of every bell in the queue, which is empty then."""
    fetched = []
    while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
        fetched.append(json.loads(message.body)[0])
    return fetched


def test_a_batch_rings_in_its_own_queue_and_outlives_the_broker(bell: Bell, channel: Any) -> None:
    bell([batch(7), batch(8)])
    message = channel.basic_get(QUEUE)
    assert json.loads(message.body)[0] == [str(UUID(int=7))]
    assert message.properties["delivery_mode"] == 2
    channel.basic_reject(message.delivery_tag, requeue=True)
    assert sorted(rung(channel)) == [[str(UUID(int=7))], [str(UUID(int=8))]]


def test_queues_are_quorum_queues_that_give_up_on_a_bell_in_the_end(settings: Settings, channel: Any) -> None:
    declare(settings)
    wanted = {"x-queue-type": "quorum", "x-delivery-limit": 5}
    channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=wanted)  # any other would be a conflict
    with pytest.raises(channel_errors(), match="x-queue-type"):
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)


def test_a_bell_that_no_queue_takes_is_declared_a_queue_and_rung_again(bell: Bell, channel: Any) -> None:
    bell([batch(1)])
    channel.queue_delete(QUEUE)  # the bell's line believes that it is there
    bell([batch(2), batch(3)])
    assert rung(channel) == [[str(UUID(int=2))], [str(UUID(int=3))]]


def test_a_queue_of_another_kind_says_what_to_do(settings: Settings, bell: Bell, channel: Any) -> None:
    channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    asked: list[tuple[type[OperatorError], Callable[[], None]]] = [
        (Unreachable, lambda: bell([batch()])),  # send() goes on: the batch waits for the relay
        (InvalidSettings, lambda: declare(settings)),  # a worker does not start
    ]
    for kind, ask in asked:
        with pytest.raises(kind, match="delete_queue") as raised:
            ask()
        assert QUEUE in str(raised.value)
        assert "guest:guest" not in str(raised.value)


def full(channel: Any) -> None:
    """Make the queue one that refuses every bell until it is purged, as one without a leader does."""
    channel.queue_delete(QUEUE)
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=limits)
    channel.basic_publish(Message("[]"), "", QUEUE)


def test_a_queue_that_refuses_a_bell_for_a_moment_has_it_in_the_end(bell: Bell, channel: Any) -> None:
    bell([batch(1)])
    full(channel)
    purge = threading.Timer(0.3, channel.queue_purge, (QUEUE,))
    purge.start()
    bell([batch(2)])
    purge.join()
    assert rung(channel) == [[str(UUID(int=2))]]


def test_a_queue_that_goes_on_refusing_is_named(bell: Bell, channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "ELECTION_SECONDS", 0.2)
    bell([batch(1)])
    full(channel)
    with pytest.raises(Unreachable, match="refuses what is published"):
        bell([batch(2)])
    channel.queue_delete(QUEUE)
    bell([batch(3)])
    assert rung(channel) == [[str(UUID(int=3))]]


def test_many_threads_share_a_bell_and_every_ring_is_confirmed(bell: Bell, channel: Any) -> None:
    def ring(first: int) -> None:
        for number in range(first, first + 25):
            bell([batch(number)])

    threads = [threading.Thread(target=ring, args=(first,)) for first in range(1, 101, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(rung(channel)) == [[str(UUID(int=number))] for number in range(1, 101)]


def test_a_ring_that_is_not_confirmed_is_no_ring(
    settings: Settings, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "ANSWER_SECONDS", 0.5)
    parts = urlsplit(settings.broker)
    with Proxy((str(parts.hostname), parts.port or 5672)) as between:
        url = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{between.port}{parts.path}"
        bell = Bell(load(None, data_dir=settings.data_dir, broker_url=url))
        bell([batch(1)])
        between.half_open()
        with pytest.raises(Unreachable):
            bell([batch(2)])
        between.mend()
        bell([batch(3)])
        bell.close()
    assert rung(channel) == [[str(UUID(int=1))], [str(UUID(int=3))]]


def test_a_broker_that_is_away_is_told_at_once(tmp_path: Path, unused: int) -> None:
    away = load(None, data_dir=tmp_path, broker_url=f"amqp://user:hunter2@127.0.0.1:{unused}//")
    bell = Bell(away)
    asked: list[Callable[[], None]] = [lambda: bell([batch()]), lambda: reach(away), lambda: declare(away)]
    for ask in asked:
        with pytest.raises(Unreachable, match=f"127.0.0.1:{unused}") as raised:
            ask()
        assert "hunter2" not in str(raised.value)


@pytest.fixture
def unused() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_refused_user_and_a_virtual_host_that_is_not_there_are_told_as_such(settings: Settings) -> None:
    parts = urlsplit(settings.broker)
    stranger = load(None, data_dir=settings.data_dir, broker_url=f"amqp://nobody:x@{parts.hostname}:{parts.port}//")
    with pytest.raises(InvalidSettings, match="ACCESS_REFUSED"):
        reach(stranger)
    elsewhere = load(None, data_dir=settings.data_dir, broker_url=f"{settings.broker}nowhere")
    with pytest.raises(InvalidSettings, match="nowhere"):
        declare(elsewhere)


def test_a_broker_that_answers_is_reached(settings: Settings) -> None:
    reach(settings)


def test_workers_fetch_one_bell_per_thread_from_each_queue_by_itself(settings: Settings) -> None:
    assert celery.conf.worker_detect_quorum_queues, "quorum queues refuse a limit over several queues"
    assert celery.conf.worker_prefetch_multiplier == 1
    assert celery.conf.broker_heartbeat <= 30
