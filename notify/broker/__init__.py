"""The Celery instance, its queues, and the bell. What rings is only a batch's id."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError
from kombu.messaging import Producer
from kombu.pools import ProducerPool
from kombu.transport import TRANSPORT_ALIASES
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
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_acquire_timeout=ACQUIRE_SECONDS,
    broker_heartbeat=15,  # RabbitMQ only: two missed beats end a line, so a dead one is noticed within 60 s
    broker_channel_error_retry=True,  # RabbitMQ keeps a dead line's private queue locked for a while
    worker_consumer="notify.tasks.consumer:Consumer",
    beat_max_loop_interval=1,
    beat_scheduler="celery.beat:Scheduler",  # its memory is the database: see schedule_claims
    timezone="UTC",
    enable_utc=True,
)

TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "notify.broker.redis_queue:Transport"))

REDIS_TRANSPORT = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 60,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "notify:",
}

AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""A bell that nobody hears must not keep send() waiting: the relay rings again."""

RABBITMQ = frozenset({"amqp", "amqps", "pyamqp"})
RABBITMQ_TRANSPORT = {"confirm_publish": True}
QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 5}
"""A bell that kills its worker time and again is dropped: its batch is in the database, and the relay rings anew."""
ANSWER_SECONDS = 10  # no single answer to a bell is waited for any longer
PROBE_SECONDS = 3
ELECTION_SECONDS, ELECTION_POLL_SECONDS = 2, 0.05  # a queue that was just declared refuses until it has a leader
ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED = 403, 406, 530  # AMQP 0-9-1 §1.1


def connect(settings: Settings) -> None:
    """Point this process's worker or beat at the broker in force. Opens no connection."""
    celery.conf.update(
        broker_url=settings.broker,
        broker_transport_options=_transport(settings.broker),
        task_queues=list(_declared(settings.broker).values()),
        task_publish_retry=_is_rabbitmq(settings.broker),  # beat's line does not reconnect by itself, as one to Redis
        task_publish_retry_policy=AT_ONCE,
    )


def _is_rabbitmq(url: str) -> bool:
    return url.partition("://")[0] in RABBITMQ


def _transport(url: str) -> dict[str, Any]:
    if not url.startswith("redis"):
        return dict(RABBITMQ_TRANSPORT) if _is_rabbitmq(url) else {}
    tcp_only = {"socket_keepalive"} if url.startswith("redis+socket") else set()
    return {name: value for name, value in REDIS_TRANSPORT.items() if name not in tcp_only}


def _declared(url: str) -> dict[str, Queue]:
    """Every queue that a batch can name, and `system`, as this broker keeps them."""
    arguments = QUORUM if _is_rabbitmq(url) else None
    names = (SYSTEM, *(f"{channel}.{lane}" for channel in Channel for lane in Lane))
    exchange = Exchange("notify", type="direct")
    return {name: Queue(name, exchange, routing_key=name, queue_arguments=arguments) for name in names}


def reach(settings: Settings) -> None:
    """Ask the broker for a sign of life. `Unreachable` after seconds without one, `InvalidSettings` when it refuses."""
    with _asking(settings) as connection:
        connection.default_channel  # noqa: B018 - it is opened when it is asked for


def declare(settings: Settings) -> None:
    """See to it that RabbitMQ has every queue; Redis needs none. Raises what `reach` raises.

    `InvalidSettings` is for what no waiting would mend: a refused user, or a queue that is there as another kind.
    """
    if _is_rabbitmq(settings.broker):
        with _asking(settings) as connection:
            for queue in _declared(settings.broker).values():
                queue(connection.default_channel).declare()


@contextmanager
def _asking(settings: Settings) -> Iterator[Connection]:
    short = (
        {}
        if _is_rabbitmq(settings.broker)
        else dict.fromkeys(("socket_timeout", "socket_connect_timeout"), PROBE_SECONDS)
    )
    options = {**_sending(settings.broker), **short}
    with _connection(settings.broker, options) as connection:
        connection.connect_timeout = PROBE_SECONDS
        try:
            yield connection
        except _errors(connection) as error:
            for_good = _code(error) in (ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED)
            raise (InvalidSettings if for_good else Unreachable)(_complaint(connection, error)) from error


def _sending(url: str) -> dict[str, Any]:
    """Options of a line that is written to and not listened on: nothing on it may wait for ever."""
    bounded = {"on_open": _bound_every_wait} if _is_rabbitmq(url) else {"socket_timeout": ANSWER_SECONDS}
    return {**_transport(url), **AT_ONCE, **bounded}


def _bound_every_wait(line: Any) -> None:
    line.sock.settimeout(ANSWER_SECONDS)


def _errors(connection: Connection) -> tuple[type[BaseException], ...]:
    return (*connection.connection_errors, *connection.channel_errors, KombuError, MessageNacked, OSError)


def _code(error: BaseException) -> int | None:
    return getattr(error, "code", None)


def _complaint(connection: Connection, error: BaseException) -> str:
    broker = connection.as_uri()
    if _code(error) == PRECONDITION_FAILED:
        return (
            f"The broker {broker} has a queue that is no quorum queue as notify wants it: {error}\n"
            "Next: stop the workers and delete it (rabbitmqctl delete_queue NAME), or give notify a virtual host of "
            "its own. Nothing is lost: the relay rings again."
        )
    if isinstance(error, MessageNacked):
        return (
            f"The broker {broker} took no bell: its queue refuses what is published.\n"
            "Next: ask it why (rabbitmqctl list_queues name state policy): a queue without a leader, or a policy that "
            "limits its length. Nothing is lost: the relay rings again."
        )
    if _code(error) in (ACCESS_REFUSED, NOT_ALLOWED):
        return (
            f"The broker {broker} refuses this user: {error}\n"
            "Next: check user, password and virtual host in NOTIFY_BROKER_URL, and the user's permissions there."
        )
    return (
        f"The broker {broker} does not answer: {error}\n"
        "Next: check that it runs and that NOTIFY_BROKER_URL is right (notify config)."
    )


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


def send_again(settings: Settings, payload: str) -> bool:
    """Publish a task as it was when it could not run; False when its payload was cut off. Raises what `reach` raises.

    `payload` is the JSON text of an object with `queue`, `headers`, `properties`, `content_type`, `content_encoding`
    and `body`, in base64.
    """
    task = json.loads(payload)
    if task.get("cut"):
        return False
    with _asking(settings) as connection, connection.Producer() as producer:
        producer.publish(
            base64.b64decode(task["body"]),
            exchange="",
            routing_key=task["queue"],
            headers=task["headers"],
            content_type=task["content_type"],
            content_encoding=task["content_encoding"],
            **task["properties"],
        )
    return True


def _until_taken(publish: Callable[[], object]) -> None:
    """Publish, and again while RabbitMQ refuses. Raises `MessageNacked` when it still does after `ELECTION_SECONDS`."""
    until = time.monotonic() + ELECTION_SECONDS
    while True:
        try:
            publish()
            return
        except MessageNacked:
            if time.monotonic() >= until:
                raise
            time.sleep(ELECTION_POLL_SECONDS)


class Bell:
    """Rings for batches on one broker. Threads may share it. `InvalidSettings` when no such broker can be."""

    def __init__(self, settings: Settings) -> None:
        self._connection = _connection(settings.broker, _sending(settings.broker))
        self._connections = self._connection.Pool(limit=POOL)
        self._producers = ProducerPool(self._connections, limit=POOL)
        self._tries = 2 if _is_rabbitmq(settings.broker) else 1  # an idle line to it may have died unnoticed
        self._queues = _declared(settings.broker) if _is_rabbitmq(settings.broker) else {}  # in Redis, plain lists

    def __call__(self, batches: Sequence[Batch]) -> None:
        """Ring for each. `Unreachable` when the broker does not answer: the batches stay in the database."""
        try:
            with self._producers.acquire(block=True, timeout=ACQUIRE_SECONDS) as producer:
                self._ring(producer, batches)
        except _errors(self._connection) as error:
            raise Unreachable(_complaint(self._connection, error)) from error

    def _ring(self, producer: Producer, batches: Sequence[Batch]) -> None:
        rung = 0
        for left in reversed(range(self._tries)):
            try:
                for batch in batches[rung:]:
                    self._publish(producer, batch)
                    rung += 1
                return
            except MessageNacked:  # an answer, and it was waited for: another line would have the same
                raise
            except _errors(self._connection):
                # what this line would still answer must not be taken for the answer to a later bell
                line: Any = producer.connection
                line.collect()
                producer.revive(line)
                if not left:
                    raise

    def _publish(self, producer: Producer, batch: Batch) -> None:
        """What `celery.send_task(queue=…)` does, for half the work: the same message, no routing, no result."""
        arguments = (str(batch.id),)
        message = celery.amqp.as_task_v2(str(uuid4()), DELIVER, arguments, {}, argsrepr=str(arguments), kwargsrepr="{}")
        publish = partial(
            producer.publish,
            message.body,
            exchange="",  # the queue alone: a named exchange vanishes silently after a broker flush
            routing_key=batch.queue,
            serializer="json",
            headers=message.headers,
            **message.properties,
            **self._wanted(batch),
        )
        _until_taken(publish)

    def _wanted(self, batch: Batch) -> dict[str, Any]:
        """RabbitMQ shall have the queue, and give back what no queue takes: else it would drop it, and confirm."""
        return {"declare": [self._queues[batch.queue]], "mandatory": True} if self._queues else {}

    def close(self) -> None:
        """Close its connections."""
        self._producers.force_close_all()  # type: ignore[attr-defined]  # celery-types does not know it
        self._connections.force_close_all()
