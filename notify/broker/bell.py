"""The bell: rings for batches, by their ids; what it could not ring for is told, and stays in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from amqp.exceptions import MessageNacked
from kombu.messaging import Producer
from kombu.pools import ProducerPool
from uuid_utils.compat import uuid4

from notify.broker.instance import ACQUIRE_SECONDS, DELIVER, celery, declared
from notify.broker.line import complaint, failures, line
from notify.broker.transport import is_rabbitmq
from notify.errors import Unreachable
from notify.model import Batch
from notify.settings import Settings

POOL = 10
ELECTION_SECONDS, ELECTION_POLL_SECONDS = 2, 0.05  # a queue that was just declared refuses until it has a leader


class Bell:
    """Rings for batches on one broker. Threads may share it. `InvalidSettings` when no such broker can be."""

    def __init__(self, settings: Settings) -> None:
        self._connection = line(settings.broker)
        self._connections = self._connection.Pool(limit=POOL)
        self._producers = ProducerPool(self._connections, limit=POOL)
        self._tries = 2 if is_rabbitmq(settings.broker) else 1  # an idle line to it may have died unnoticed
        self._queues = declared(settings.broker) if is_rabbitmq(settings.broker) else {}  # in Redis, plain lists

    def __call__(self, batches: Sequence[Batch]) -> None:
        """Ring for each. `Unreachable` when the broker does not answer: the batches stay in the database."""
        try:
            with self._producers.acquire(block=True, timeout=ACQUIRE_SECONDS) as producer:
                self._ring(producer, batches)
        except failures(self._connection) as error:
            raise Unreachable(complaint(self._connection, error)) from error

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
            except failures(self._connection):
                # what this line would still answer must not be taken for the answer to a later bell
                dead: Any = producer.connection
                dead.collect()
                producer.revive(dead)
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
