"""A worker process from start to stop: it says that it lives, hands back what is not begun, and ends within 30 s."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down

from notify.app import current
from notify.delivery import Worker
from notify.errors import NotifyError
from notify.store import presence
from notify.telemetry import emit

HEARTBEAT_SECONDS = 5.0
STOPPING_SECONDS = 25.0
FAREWELL_SECONDS = 3.0
MIB = 2**20

worker = Worker(f"{socket.gethostname()}:{os.getpid()}")
_gone = threading.Event()


def resident_mb() -> float:
    """The memory that this process holds, in MiB; where the system does not tell, the most that it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])  # proc(5)
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


@worker_init.connect
def _watch(**_: Any) -> None:
    threading.Thread(target=_leave_in_time, name="leave-in-time", daemon=True).start()


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
    _farewell()


def _farewell() -> None:
    try:
        with current().store.begin() as connection:
            presence.farewell(connection, worker.name)
    except NotifyError as error:
        emit("heartbeat.failed", error=str(error))


def _live(queues: str) -> None:
    app = current()
    while True:
        _recycle_in_need(app.settings.worker_memory_mb)  # first: it must not wait for a database that does not answer
        try:
            with app.store.begin() as connection:
                presence.heartbeat(connection, worker.name, queues, app.clock.now())
        except Exception as error:  # nobody would start this thread again
            emit("heartbeat.failed", error=str(error))
        if _gone.wait(HEARTBEAT_SECONDS):
            return


def _recycle_in_need(bound: int | None) -> None:
    """Stop as on SIGTERM when a message never comes to its end, or when this process holds more than `bound` MiB.

    A thread cannot be ended, and Celery bounds the memory of processes of a pool only.
    """
    if worker.stopping.is_set():
        return
    if stuck := worker.stuck():
        emit("worker.recycled", worker=worker.name, cause="stuck", batches=[lease.batch.id for lease in stuck])
    elif bound is not None and (resident := resident_mb()) > bound:
        emit("worker.recycled", worker=worker.name, cause="memory", resident_mb=round(resident), bound_mb=bound)
    else:
        return
    os.kill(os.getpid(), signal.SIGTERM)


def _leave_in_time() -> None:
    """End the process when a provider, the broker or the database keeps it from stopping.

    That is as safe as a crash: what it holds is taken over when the leases run out, and the journals tell the rest.
    """
    worker.stopping.wait()
    threading.Event().wait(STOPPING_SECONDS)
    emit("worker.cut_short", worker=worker.name, seconds=STOPPING_SECONDS)
    farewell = threading.Thread(target=_farewell, daemon=True)
    farewell.start()
    farewell.join(FAREWELL_SECONDS)
    os._exit(0)
