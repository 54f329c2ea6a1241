"""The doorbell: what rings, where, and that it rings again after the broker forgot everything."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kombu import Connection
from kombu.message import Message
from redis import Redis

from notify.broker import DELIVER, SYSTEM, Bell, celery, connect, queues
from notify.broker.transport import REDIS_TRANSPORT
from notify.errors import Unreachable
from notify.model import Batch, Channel, Lane
from notify.settings import Settings, load

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def batch(number: int = 1, channel: Channel = Channel.EMAIL, lane: Lane = Lane.NORMAL) -> Batch:
    return Batch(UUID(int=number), UUID(int=0), channel, lane, NOW)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """The broker's own Redis, emptied."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return load(None, data_dir=tmp_path, redis_url=redis_url)


@pytest.fixture
def bell(settings: Settings, redis: Redis) -> Iterator[Bell]:
    ringing = Bell(settings)
    yield ringing
    ringing.close()


def rung(settings: Settings, queue: str) -> list[Message]:
    """What a worker would fetch from this queue now."""
    with Connection(settings.broker, transport_options={"global_keyprefix": "notify:"}) as connection:
        channel: Any = connection.default_channel
        fetched = []
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            fetched.append(message)
        return fetched


# queues


def test_each_lane_has_a_queue_per_channel_with_email_first() -> None:
    assert queues(["bulk"]) == [
        "email.bulk",
        "sms.bulk",
        "web_push.bulk",
        "in_app.bulk",
        "chat.bulk",
        "webhook.bulk",
    ]


def test_system_is_a_queue_of_its_own_and_lanes_keep_their_order() -> None:
    assert queues([SYSTEM]) == ["system"]
    named = queues(["critical", "system", "normal"])
    assert [named[0], named[6], named[7]] == ["email.critical", "system", "email.normal"]


def test_a_lane_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="express"):
        queues(["express"])


@pytest.fixture
def pointed() -> Iterator[Callable[[Settings], None]]:
    """Points the Celery instance at a broker, until the test ends."""
    names = ("broker_url", "broker_transport_options", "task_queues", "task_publish_retry", "task_publish_retry_policy")
    before = {name: celery.conf[name] for name in names}
    yield connect
    celery.conf.update(before)


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("redis://one:6379/0", None),
        ("amqp://u:p@rabbit//", {"x-queue-type": "quorum", "x-delivery-limit": 5}),
    ],
)
def test_celery_knows_every_queue_that_a_batch_can_name_and_makes_up_no_other(
    pointed: Callable[[Settings], None], tmp_path: Path, url: str, arguments: dict[str, Any] | None
) -> None:
    pointed(load(None, data_dir=tmp_path, broker_url=url))
    declared = {queue.name for queue in celery.conf.task_queues}
    assert declared == {batch(1, channel, lane).queue for channel in Channel for lane in Lane} | {SYSTEM}
    assert all(queue.durable and queue.queue_arguments == arguments for queue in celery.conf.task_queues)
    assert celery.conf.task_create_missing_queues is False


def test_celery_is_set_up_to_lose_and_to_keep_nothing() -> None:
    kept = celery.conf
    assert kept.task_acks_late
    assert kept.task_reject_on_worker_lost
    assert kept.worker_prefetch_multiplier == 1
    assert kept.result_backend is None
    assert kept.accept_content == ["json"]
    assert REDIS_TRANSPORT["visibility_timeout"] == 300


# ringing


def test_a_batch_rings_in_its_own_queue_and_only_its_id_travels(bell: Bell, settings: Settings) -> None:
    bell([batch(7, lane=Lane.CRITICAL)])
    [message] = rung(settings, "email.critical")
    arguments, keywords, _ = message.payload
    assert message.headers["task"] == DELIVER
    assert (arguments, keywords) == ([str(UUID(int=7))], {})
    assert message.headers["eta"] is None
    assert rung(settings, "email.normal") == []


def test_a_bell_is_the_message_that_celery_itself_would_send(
    bell: Bell, settings: Settings, pointed: Callable[[Settings], None]
) -> None:
    pointed(settings)
    bell([batch(7)])
    with Connection(settings.broker, transport_options={"global_keyprefix": "notify:"}) as connection:
        task = celery.send_task(
            DELIVER, args=[str(UUID(int=7))], queue="email.normal", producer=celery.amqp.Producer(connection)
        )
    ours, theirs = rung(settings, "email.normal")
    assert theirs.headers["id"] == task.id
    assert ours.headers.keys() == theirs.headers.keys()
    apart = {name for name, value in ours.headers.items() if value != theirs.headers[name]}
    assert apart == {"id", "root_id", "argsrepr", "ignore_result"}  # the last: nobody keeps results, so False or None
    assert UUID(ours.headers["id"]) == UUID(ours.headers["root_id"]) == UUID(ours.properties["correlation_id"])
    assert ours.payload == theirs.payload
    assert ours.properties.keys() == theirs.properties.keys()
    for name in ("delivery_mode", "priority"):
        assert ours.properties[name] == theirs.properties[name]
    assert (ours.content_type, ours.content_encoding) == (theirs.content_type, theirs.content_encoding)
    assert ours.delivery_info == theirs.delivery_info


def test_many_batches_ring_in_order(bell: Bell, settings: Settings) -> None:
    bell([batch(number) for number in range(1, 51)])
    assert [message.payload[0][0] for message in rung(settings, "email.normal")] == [
        str(UUID(int=number)) for number in range(1, 51)
    ]


def test_no_batches_ring_for_nobody(bell: Bell, settings: Settings) -> None:
    bell([])
    assert rung(settings, "email.normal") == []


def test_the_bell_rings_again_after_the_broker_was_emptied(bell: Bell, settings: Settings, redis: Redis) -> None:
    bell([batch(1)])
    redis.flushall()
    assert rung(settings, "email.normal") == []
    bell([batch(2)])
    assert [message.payload[0] for message in rung(settings, "email.normal")] == [[str(UUID(int=2))]]


def test_everything_in_redis_is_under_one_prefix(bell: Bell, redis: Redis) -> None:
    bell([batch()])
    keys = list(redis.scan_iter("*"))
    assert keys
    assert [key for key in keys if not key.startswith(b"notify:")] == []


# where the broker is


def test_a_unix_socket_is_named_as_kombu_wants_it(settings: Settings, redis_url: str) -> None:
    assert settings.broker == redis_url.replace("unix://", "redis+socket://")


def test_the_celery_instance_is_pointed_at_the_broker_in_force(
    pointed: Callable[[Settings], None], tmp_path: Path
) -> None:
    pointed(load(None, data_dir=tmp_path, broker_url="redis://one:6379/0"))
    assert celery.conf.broker_url == "redis://one:6379/0"
    assert celery.conf.broker_transport_options["socket_keepalive"] is True
    assert celery.conf.task_publish_retry is False
    pointed(load(None, data_dir=tmp_path))
    assert celery.conf.broker_url == f"redis+socket://{tmp_path / 'valkey.sock'}"
    assert "socket_keepalive" not in celery.conf.broker_transport_options, "an option of TCP alone"
    pointed(load(None, data_dir=tmp_path, broker_url="amqp://u:p@rabbit//"))
    assert celery.conf.broker_transport_options == {"confirm_publish": True}
    assert celery.conf.task_publish_retry is True, "beat's line to it does not reconnect by itself"
    assert celery.conf.task_publish_retry_policy["max_retries"] == 1


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_broker_that_does_not_answer_is_named_without_its_password(tmp_path: Path, closed_port: int) -> None:
    away = Bell(load(None, data_dir=tmp_path, broker_url=f"redis://user:hunter2@127.0.0.1:{closed_port}/0"))
    with pytest.raises(Unreachable) as raised:
        away([batch()])
    said = str(raised.value)
    assert f"127.0.0.1:{closed_port}" in said
    assert "NOTIFY_BROKER_URL" in said
    assert "hunter2" not in said


def test_one_bell_that_nobody_hears_does_not_silence_another(bell: Bell, settings: Settings, tmp_path: Path) -> None:
    away = Bell(load(None, data_dir=tmp_path / "elsewhere"))
    with pytest.raises(Unreachable, match=r"elsewhere/valkey\.sock"):
        away([batch(1)])
    bell([batch(2)])
    assert [message.payload[0] for message in rung(settings, "email.normal")] == [[str(UUID(int=2))]]
