"""The Celery instance and its queues: what it is given, it keeps until it is done. What rings is only a batch's id."""

from __future__ import annotations

from collections.abc import Iterable

from celery import Celery
from kombu import Exchange, Queue

from notify.broker.transport import AT_ONCE, is_rabbitmq, options
from notify.model import Channel, Lane
from notify.settings import Settings

DELIVER = "notify.deliver"
SYSTEM = "system"
ACQUIRE_SECONDS = 10
QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 5}
"""A bell that kills its worker time and again is dropped: its batch is in the database, and the relay rings anew."""

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


def connect(settings: Settings) -> None:
    """Point this process's worker or beat at the broker in force. Opens no connection."""
    celery.conf.update(
        broker_url=settings.broker,
        broker_transport_options=options(settings.broker),
        task_queues=list(declared(settings.broker).values()),
        task_publish_retry=is_rabbitmq(settings.broker),  # beat's line does not reconnect by itself, as one to Redis
        task_publish_retry_policy=AT_ONCE,
    )


def declared(url: str) -> dict[str, Queue]:
    """Every queue that a batch can name, and `system`, as this broker keeps them."""
    arguments = QUORUM if is_rabbitmq(url) else None
    names = (SYSTEM, *(f"{channel}.{lane}" for channel in Channel for lane in Lane))
    exchange = Exchange("notify", type="direct")
    return {name: Queue(name, exchange, routing_key=name, queue_arguments=arguments) for name in names}


def queues(lanes: Iterable[str]) -> list[str]:
    """The queues of these lanes, over all channels with e-mail first; `system` names itself."""
    return [
        queue
        for lane in lanes
        for queue in ([SYSTEM] if lane == SYSTEM else [f"{channel}.{Lane(lane)}" for channel in Channel])
    ]
