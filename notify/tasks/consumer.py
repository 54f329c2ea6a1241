"""The worker's consumer: what can never run becomes a dead letter, and is acknowledged once that is stored.

Without the 28 queues that Celery declares in RabbitMQ for ETAs: notify has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import consumer
from kombu.message import Message

from notify.app import current
from notify.tasks import unrunnable

RETRY_SECONDS = 5.0  # when the database is away; the message stays with the broker, as one in hand

_log = logging.getLogger(__name__)


class Consumer(consumer.Consumer):
    """Celery's, with fewer steps, and with care for what it would drop."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc, valid-type]  # celery-types: a variable
        """The steps of a start, in Celery's own order."""

        default_steps = tuple(
            step for step in consumer.Consumer.Blueprint.default_steps if "DelayedDelivery" not in step
        )

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], None]:
        """Celery's handler, for what could run. It would end the worker with a body of the wrong shape."""
        handle = super().create_task_handler(*args, **options)

        def received(message: Message) -> None:
            try:
                complaint = unrunnable.complaint(self.app.tasks, message)
            except Exception as error:
                self.on_decode_error(message, error)
                return
            if complaint is None:
                handle(message)
            else:
                self._bury(message, complaint)

        return received

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Its body or headers cannot be read."""
        self._bury(message, unrunnable.Complaint("undecodable", f"{type(exc).__name__}: {exc}"))

    def on_unknown_message(self, body: Any, message: Message) -> None:
        """It is no task."""
        self._bury(message, unrunnable.Complaint("no_task", "a message without the name of a task"))

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Nobody knows a task of this name."""
        self._bury(message, unrunnable.Complaint("unknown_task", f"no task is called {exc.args[0]}"))

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Celery finds fault with it."""
        self._bury(message, unrunnable.Complaint("invalid_task", f"{type(exc).__name__}: {exc}"))

    def _bury(self, message: Message, complaint: unrunnable.Complaint) -> None:
        if unrunnable.bury(current(), message, complaint):
            message.ack_log_error(_log, self.connection_errors)  # type: ignore[attr-defined]
        else:
            self.timer.call_after(RETRY_SECONDS, self._bury, (message, complaint))
