"""The Celery instance, its queues, and the bell. What rings is only a batch's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError
from kombu.messaging import Producer
from kombu.pools import ProducerPool
from uuid_utils.compat import uuid4

from notify.errors import InvalidSettings, Unreachable
from notify.model import Batch, Channel, Lane
from notify.settings import Settings

DELIVER = "notify.deliver"
SYSTEM = "system"
ACQUIRE_SECONDS = 10
POOL = 10

celery = Celery("notify")
celery.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue=SYSTEM,
    task_create_missing_queues=False,
    task_queues=[
        Queue(name, Exchange("notify", type="direct"), routing_key=name)
        for name in (SYSTEM, *(f"{channel}.{lane}" for channel in Channel for lane in Lane))
    ],
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_acquire_timeout=ACQUIRE_SECONDS,
    beat_max_loop_interval=1,
    beat_scheduler="celery.beat:Scheduler",  # its memory is the database: see schedule_claims
    timezone="UTC",
    enable_utc=True,
)

REDIS_TRANSPORT = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 60,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": "notify:",
}

AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""A bell that nobody hears must not keep send() waiting: the relay rings again."""


def connect(settings: Settings) -> None:
    """Point this process's worker or beat at the broker in force. Opens no connection."""
    celery.conf.update(broker_url=settings.broker, broker_transport_options=_transport(settings.broker))


def _transport(url: str) -> dict[str, Any]:
    if not url.startswith("redis"):
        return {"confirm_publish": True}
    tcp_only = {"socket_keepalive"} if url.startswith("redis+socket") else set()
    return {name: value for name, value in REDIS_TRANSPORT.items() if name not in tcp_only}


def queues(lanes: Iterable[str]) -> list[str]:
    """The queues of these lanes, over all channels with e-mail first; `system` names itself."""
    return [
        queue
        for lane in lanes
        for queue in ([SYSTEM] if lane == SYSTEM else [f"{channel}.{Lane(lane)}" for channel in Channel])
    ]


def _connection(url: str, options: dict[str, Any]) -> Connection:
    """A connection that is not opened yet, of a kind that could be."""
    try:
        connection = Connection(url, transport_options=options)
        connection.get_transport_cls()
    except (LookupError, ImportError, ValueError, TypeError):  # their texts may repeat a password
        raise InvalidSettings(
            f"NOTIFY_BROKER_URL: no broker is known for {url.partition('://')[0]}://, its library is not installed, "
            "or an option behind '?' is wrong\n"
            "Next: write it like redis://:password@host:6379/0 or amqp://user:password@host//"
        ) from None
    return connection


class Bell:
    """Rings for batches on one broker. Threads may share it. `InvalidSettings` when no such broker can be."""

    def __init__(self, settings: Settings) -> None:
        transport = {**_transport(settings.broker), **AT_ONCE}
        self._connection = _connection(settings.broker, transport)
        self._connections = self._connection.Pool(limit=POOL)
        self._producers = ProducerPool(self._connections, limit=POOL)
        self._declares = not settings.broker.startswith("redis")  # there a queue is a list, made by its first bell
        self._errors: tuple[type[BaseException], ...] = (
            *self._connection.connection_errors,
            *self._connection.channel_errors,
            KombuError,
            OSError,
        )

    def __call__(self, batches: Sequence[Batch]) -> None:
        """Ring for each. `Unreachable` when the broker does not answer: the batches stay in the database."""
        try:
            with self._producers.acquire(block=True, timeout=ACQUIRE_SECONDS) as producer:
                for batch in batches:
                    self._publish(producer, batch)
        except self._errors as error:
            raise Unreachable(
                f"The broker {self._connection.as_uri()} does not answer: {error}\n"
                "Next: check that it runs and that NOTIFY_BROKER_URL is right (notify config)."
            ) from error

    def _publish(self, producer: Producer, batch: Batch) -> None:
        """What `celery.send_task(queue=…)` does, for half the work: the same message, no routing, no result."""
        arguments = (str(batch.id),)
        message = celery.amqp.as_task_v2(str(uuid4()), DELIVER, arguments, {}, argsrepr=str(arguments), kwargsrepr="{}")
        producer.publish(
            message.body,
            exchange="",  # the queue alone: a named exchange vanishes silently after a broker flush
            routing_key=batch.queue,
            declare=[celery.amqp.queues[batch.queue]] if self._declares else [],
            serializer="json",
            headers=message.headers,
            **message.properties,
        )

    def close(self) -> None:
        """Close its connections."""
        self._producers.force_close_all()  # type: ignore[attr-defined]  # celery-types does not know it
        self._connections.force_close_all()
