"""The worker's consumer, without the 28 queues that Celery declares in RabbitMQ for ETAs: notify has none."""

from __future__ import annotations

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's, with fewer steps."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc, valid-type]  # celery-types: a variable
        """The steps of a start, in Celery's own order."""

        default_steps = tuple(
            step for step in consumer.Consumer.Blueprint.default_steps if "DelayedDelivery" not in step
        )
