"""From a rung bell to a settled batch: claim, re-check, render, journal, send, record."""

from notify.delivery.deliver import deliver
from notify.delivery.health import Health, health
from notify.delivery.relay import relay, sweep, tick
from notify.delivery.status import Status, beat_problems, status, worker_problems
from notify.delivery.worker import Worker

__all__ = [
    "Health",
    "Status",
    "Worker",
    "beat_problems",
    "deliver",
    "health",
    "relay",
    "status",
    "sweep",
    "tick",
    "worker_problems",
]
