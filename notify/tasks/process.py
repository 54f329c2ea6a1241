"""A worker process from start to stop: it says that it lives, and hands back what it has not begun when it stops."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from notify.app import current
from notify.delivery import Worker
from notify.errors import NotifyError
from notify.store import presence
from notify.telemetry import emit

HEARTBEAT_SECONDS = 5.0

worker = Worker(f"{socket.gethostname()}:{os.getpid()}")
_gone = threading.Event()


@worker_ready.connect
def _begin(sender: Any, **_: Any) -> None:
    queues = ",".join(sorted(sender.app.amqp.queues.consume_from))
    emit("worker.started", worker=worker.name, queues=queues)
    threading.Thread(target=_live, args=(queues,), name="heartbeat", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    worker.stopping.set()


@worker_shutdown.connect
def _end(**_: Any) -> None:
    _gone.set()
    emit("worker.stopped", worker=worker.name)
    try:
        with current().store.begin() as connection:
            presence.farewell(connection, worker.name)
    except NotifyError as error:
        emit("heartbeat.failed", error=str(error))


def _live(queues: str) -> None:
    app = current()
    while True:
        try:
            with app.store.begin() as connection:
                presence.heartbeat(connection, worker.name, queues, app.clock.now())
        except NotifyError as error:
            emit("heartbeat.failed", error=str(error))
        if _gone.wait(HEARTBEAT_SECONDS):
            return
